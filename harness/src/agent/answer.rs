//! What the agent does for each request.

use std::time::Duration;

use targets::StatusError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::clock;
use super::disk::OwnDisk;
use super::farewell::Reason;
use super::files;
use super::machine::{Building, Machine};
use super::outbox::{Gone, Outbox};
use super::process::Born;
use super::serve::{Agent, Next};
use super::stdio::Channel;
use super::wire::{Event, MAX_PAYLOAD, ProcessId, Request, RequestId, Response, Spawn};
use super::wiring;

/// A response and its payload, or what failed.
type Answer = Result<(Response, Vec<u8>), String>;

/// Samples closer to each other than this would only measure themselves.
const FASTEST_SAMPLING: Duration = Duration::from_millis(10);

impl Agent {
    /// Does what is asked and answers, at once or, for what takes its time, later.
    pub(super) async fn answer(
        &mut self,
        id: RequestId,
        request: Request,
        payload: Vec<u8>,
    ) -> Result<Next, Gone> {
        let answer = match request {
            Request::Facts => bare(
                self.facts()
                    .map(|facts| Response::Facts(Box::new(facts.clone()))),
            ),
            Request::Clock => Ok((Response::Clock(clock::now()), Vec::new())),
            Request::Prepare(prepare) => match (&self.machine, &self.building) {
                (None, None) => {
                    if let Err(reason) = wiring::check(&self.home.options.isolation) {
                        self.outbox.respond(id, Err(reason)).await?;
                        return Ok(Next::Frame);
                    }
                    self.building = Some(Building::begin(id, prepare, &self.home));
                    return Ok(Next::Frame);
                }
                _ => Err("this node is prepared already".to_owned()),
            },
            Request::Adopt { pid } => match (&self.machine, &self.building) {
                (None, None) => match Building::adopt(id, pid, &self.home) {
                    Ok(building) => {
                        self.building = Some(building);
                        return Ok(Next::Frame);
                    }
                    Err(reason) => Err(reason),
                },
                _ => Err("this node is prepared already".to_owned()),
            },
            Request::PutFile { path, offset, mode } => {
                done(files::put(&path, offset, mode, &payload))
            }
            Request::GetFile { path, offset } => {
                files::get(&path, offset).map(|chunk| (Response::Chunk, chunk))
            }
            Request::ListDir { path } => bare(files::list(&path).map(Response::Entries)),
            Request::Spawn(spawn) => return self.spawn(id, &spawn, payload).await,
            Request::Signal { process, signal } => done(self.processes.signal(process, signal)),
            Request::Poll {
                target,
                address,
                within,
            } => {
                let outbox = self.outbox.clone();
                tokio::task::spawn_local(async move {
                    let within = within.duration();
                    let status = match timeout(within, target.target().status(address)).await {
                        Ok(status) => status,
                        Err(_) => Err(StatusError::TimedOut(within)),
                    };
                    // Without a controller nobody wants to know.
                    let _gone = outbox
                        .respond(id, Ok((Response::Polled(status), Vec::new())))
                        .await;
                });
                return Ok(Next::Frame);
            }
            Request::Waits { address, within } => {
                let outbox = self.outbox.clone();
                tokio::task::spawn_local(async move {
                    let within = within.duration();
                    let waits = timeout(within, targets::waits(address)).await;
                    let waits = waits.unwrap_or(Err(StatusError::TimedOut(within)));
                    // Without a controller nobody wants to know.
                    let _gone = outbox
                        .respond(id, Ok((Response::Waits(waits), Vec::new())))
                        .await;
                });
                return Ok(Next::Frame);
            }
            Request::Inject { order, lease } => match self.inject(id, order, lease) {
                Ok(()) => return Ok(Next::Frame),
                Err(reason) => Err(reason),
            },
            Request::Probe { order, moment } => match self.probe(id, order, moment) {
                Ok(()) => return Ok(Next::Frame),
                Err(reason) => Err(reason),
            },
            Request::Clear { order } => {
                self.clear(id, &order);
                return Ok(Next::Frame);
            }
            Request::Sample { every } => {
                let mut sampling = interval(every.duration().max(FASTEST_SAMPLING));
                sampling.set_missed_tick_behavior(MissedTickBehavior::Skip);
                self.sampling = Some(sampling);
                done(Ok(()))
            }
            Request::Wipe => done(
                self.prepared()
                    .and_then(|machine| files::wipe(machine.data())),
            ),
            Request::Goodbye => return Ok(Next::End(Reason::Goodbye(id))),
        };
        self.outbox.respond(id, answer).await?;
        // What a request has ended (a signal, most of all) is told without waiting for the kernel's own word.
        self.take_note().await?;
        Ok(Next::Frame)
    }

    /// Ends [`Request::Prepare`] once the disk is there.
    pub(super) async fn finish_building(&mut self, disk: Option<OwnDisk>) -> Result<(), Gone> {
        let Some(building) = self.building.take() else {
            return Ok(());
        };
        let id = building.request;
        let answer = building.done(disk, &self.home).map(|(machine, prepared)| {
            self.machine = Some(machine);
            // Which groups there are is one of them.
            self.facts = None;
            Response::Prepared(prepared)
        });
        self.outbox.respond(id, bare(answer)).await
    }

    /// The machine, once it is made.
    pub(super) fn prepared(&self) -> Result<&Machine, String> {
        self.machine
            .as_ref()
            .ok_or_else(|| "this node is not prepared yet".to_owned())
    }

    async fn spawn(&mut self, id: RequestId, spawn: &Spawn, input: Vec<u8>) -> Result<Next, Gone> {
        let machine = self
            .machine
            .as_ref()
            .ok_or_else(|| "this node is not prepared yet".to_owned());
        let started =
            machine.and_then(|machine| self.processes.start(spawn, input, machine.ground()));
        match started {
            Err(reason) => self.outbox.respond(id, Err(reason)).await?,
            Ok((process, born)) => {
                // The response comes before the first output, which the controller could not place otherwise.
                let response = Response::Spawned {
                    process,
                    pid: born.pid,
                };
                self.outbox.respond(id, Ok((response, Vec::new()))).await?;
                converse(process, born, &self.outbox);
                // It may have ended before it was known.
                self.take_note().await?;
            }
        }
        Ok(Next::Frame)
    }
}

fn done(result: Result<(), String>) -> Answer {
    bare(result.map(|()| Response::Done))
}

fn bare(result: Result<Response, String>) -> Answer {
    result.map(|response| (response, Vec::new()))
}

/// Gives a process its input and passes its output on, in tasks of their own.
fn converse(process: ProcessId, born: Born, outbox: &Outbox) {
    if let Some((stdin, input)) = born.stdin
        && let Ok(mut stdin) = Channel::new(stdin)
    {
        tokio::task::spawn_local(async move {
            // A process that does not read to the end is free not to.
            let _unread = stdin.write_all(&input).await;
        });
    }
    let Some(stdout) = born.stdout.and_then(|stdout| Channel::new(stdout).ok()) else {
        return;
    };
    let outbox = outbox.clone();
    tokio::task::spawn_local(async move {
        let mut stdout = stdout;
        let mut piece = vec![0; MAX_PAYLOAD];
        loop {
            // A pipe that cannot be read any more has ended.
            let length = stdout.read(&mut piece).await.unwrap_or(0);
            let told = outbox
                .output(Event::Output { process }, piece[..length].to_vec())
                .await;
            if length == 0 || told == Err(Gone) {
                return;
            }
        }
    });
}
