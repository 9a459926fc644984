//! The agent's one loop.

use nix::libc;
use std::process::ExitCode;
use std::time::Duration;

use node::facts::Facts;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::complaint::complain;
use super::disk::OwnDisk;
use super::farewell::{self, Reason};
use super::faulting::Faults;
use super::home::Home;
use super::lease::Lease;
use super::machine::{Building, Machine};
use super::outbox::{Gone, Outbox};
use super::process::{Ended, Orphans, Processes};
use super::revival::Revivals;
use super::stdio::{Channel, Ends};
use super::usage;
use super::wire::{
    Event, ExitCause, FromAgent, Greeting, Hello, Place, RequestId, ToAgent, WireError, read_frame,
};

/// Requests that may wait while one is handled; then the pipe fills up and the controller waits.
const WAITING_FRAMES: usize = 32;

/// How often the agent looks after its guardian and after orphans.
const ROUND: Duration = Duration::from_secs(1);

/// How long the last words may take to be written.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// An agent at work.
pub(super) struct Agent {
    pub(super) home: Home,
    pub(super) outbox: Outbox,
    pub(super) lease: Lease,
    pub(super) building: Option<Building>,
    pub(super) machine: Option<Machine>,
    pub(super) processes: Processes,
    pub(super) faults: Faults,
    pub(super) revivals: Revivals,
    /// What the node can do, once it was found out.
    pub(super) facts: Option<Facts>,
    /// When to report usage.
    pub(super) sampling: Option<Interval>,
}

/// Whether the loop goes on.
pub(super) enum Next {
    /// It does.
    Frame,
    /// It ends; a goodbye is to be answered.
    End(Reason),
}

/// A frame of the controller, or why there are no more.
type Incoming = Result<Option<(ToAgent, Vec<u8>)>, WireError>;

/// Serves until the end; gives the exit code.
pub(super) fn run(home: Home, ends: Ends) -> ExitCode {
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let code = LocalSet::new()
        .block_on(&runtime, start(home, ends))
        .unwrap_or_else(|error| {
            complain(&format!("cannot start: {error}"));
            ExitCode::FAILURE
        });
    // A disk that is still being written must not keep the agent from ending.
    runtime.shutdown_background();
    code
}

async fn start(home: Home, ends: Ends) -> std::io::Result<ExitCode> {
    // From here on the signals below no longer kill the agent: it undoes first.
    let signals = Signals::catch()?;
    let mut output = Channel::new(ends.output)?;
    let hello = Hello::new(super::hash_of_this(), Greeting::Ready);
    // If nobody listens, the input is closed as well and the loop ends at once.
    let _unheard = tokio::io::AsyncWriteExt::write_all(&mut output, &hello.line()).await;
    let (frames, incoming) = mpsc::channel(WAITING_FRAMES);
    tokio::task::spawn_local(read(Channel::new(ends.input)?, frames));
    let length = home.options.lease.duration();
    let mut agent = Agent {
        home,
        outbox: Outbox::new(output, length),
        lease: Lease::new(length),
        building: None,
        machine: None,
        processes: Processes::default(),
        faults: Faults::default(),
        revivals: Revivals::default(),
        facts: None,
        sampling: None,
    };
    let reason = agent.serve(incoming, signals).await;
    Ok(agent.leave(reason).await)
}

async fn read(mut input: Channel, frames: mpsc::Sender<Incoming>) {
    loop {
        let frame = read_frame(&mut input).await;
        let last = !matches!(frame, Ok(Some(_)));
        if frames.send(frame).await.is_err() || last {
            return;
        }
    }
}

/// The signals an agent heeds.
struct Signals {
    child: Signal,
    end: EndSignals,
}

/// Those that ask for the end.
struct EndSignals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn catch() -> std::io::Result<Signals> {
        Ok(Signals {
            child: signal(SignalKind::child())?,
            end: EndSignals {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
                hangup: signal(SignalKind::hangup())?,
            },
        })
    }
}

impl EndSignals {
    /// Resolves with the name of the signal.
    async fn recv(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.hangup.recv() => "SIGHUP",
        }
    }
}

impl Agent {
    async fn serve(
        &mut self,
        mut incoming: mpsc::Receiver<Incoming>,
        mut signals: Signals,
    ) -> Reason {
        let mut round = interval(ROUND);
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut orphans = Orphans::default();
        loop {
            let Signals { child, end } = &mut signals;
            let step = tokio::select! {
                // Frames first: what waits to be read has renewed the lease already.
                biased;
                frame = incoming.recv() => match self.handle(frame).await {
                    Ok(Next::Frame) => { self.lease.renew(); Ok(()) }
                    Ok(Next::End(reason)) => return reason,
                    Err(gone) => Err(gone),
                },
                disk = built(&mut self.building) => self.finish_building(disk).await,
                _ = child.recv() => self.take_note().await,
                revival = self.revivals.next() => { self.revive(&revival); Ok(()) }
                () = self.faults.next_end() => { self.clear_ended(); Ok(()) }
                _ = round.tick() => {
                    orphans.bury(&self.processes);
                    if !self.home.side.guardian_is_alive() {
                        return Reason::GuardianDead;
                    }
                    Ok(())
                }
                () = tick(&mut self.sampling) => { self.sample(); Ok(()) }
                () = self.lease.over() => return Reason::LeaseOver(self.lease.length()),
                name = end.recv() => return Reason::Signal(name),
            };
            if step == Err(Gone) {
                return Reason::ControllerGone;
            }
        }
    }

    async fn handle(&mut self, frame: Option<Incoming>) -> Result<Next, Gone> {
        match frame {
            Some(Ok(Some((ToAgent::Heartbeat, _)))) => {
                self.outbox.offer(FromAgent::Heartbeat);
                Ok(Next::Frame)
            }
            Some(Ok(Some((ToAgent::Request { id, request }, payload)))) => {
                self.answer(id, *request, payload).await
            }
            Some(Ok(None)) | None => Ok(Next::End(Reason::ControllerGone)),
            Some(Err(error)) => Ok(Next::End(Reason::Garbled(error.to_string()))),
        }
    }

    /// Tells of processes that have ended.
    pub(super) async fn take_note(&mut self) -> Result<(), Gone> {
        for Ended {
            process,
            name,
            place,
            mut exit,
        } in self.processes.reap(|pid| self.revivals.expects(pid))
        {
            let starved = place == Place::Server
                && self
                    .machine
                    .as_mut()
                    .is_some_and(Machine::server_was_starved);
            if starved && exit.cause == ExitCause::Signal(libc::SIGKILL) {
                exit.cause = ExitCause::OutOfMemory;
            }
            self.outbox
                .tell(Event::Exited {
                    process,
                    name,
                    exit,
                })
                .await?;
        }
        Ok(())
    }

    fn sample(&self) {
        let groups = self.machine.as_ref().and_then(Machine::groups);
        for sample in usage::sample(&self.home.options.purpose.node, groups, &self.processes) {
            self.outbox.offer(FromAgent::Event(Event::Sample(sample)));
        }
    }

    async fn leave(self, reason: Reason) -> ExitCode {
        if let Some(told) = reason.told() {
            self.outbox.offer(FromAgent::Event(Event::Leaving(told)));
        }
        let outbox = self.outbox.clone();
        let goodbye: Option<RequestId> = reason.goodbye();
        let (problems, side) = farewell::undo(self);
        for problem in &problems {
            complain(problem);
        }
        if let Some(id) = goodbye {
            let response = super::wire::Response::Goodbye(problems.clone());
            let _gone = outbox.respond(id, Ok((response, Vec::new()))).await;
        }
        outbox.drain(LAST_WORDS).await;
        let journal = side.journal.clone();
        if side.goodbye().is_err() {
            // Without a guardian it is for the agent to close the journal.
            if let Err(error) = journal.close() {
                complain(&error.to_string());
            }
        }
        if problems.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

/// Resolves when the disk of a machine is done, or could not be made; never if no machine is being made.
async fn built(building: &mut Option<Building>) -> Option<OwnDisk> {
    match building {
        Some(building) => building.finish().await,
        None => std::future::pending().await,
    }
}

/// Resolves at the next tick, never if there is none.
async fn tick(sampling: &mut Option<Interval>) {
    match sampling {
        Some(interval) => drop(interval.tick().await),
        None => std::future::pending().await,
    }
}
