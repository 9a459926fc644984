//! The controller's side: what is asked is done on the nodes as long as somebody waits for it.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::UnixListener as StdListener;

use nix::sys::signal::Signal;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::task::JoinHandle;
use vocab::ids::{FaultName, NodeName, RunName};
use vocab::time::Wall;

use super::{Answer, Ask, address, fault};
use crate::agent::wire::{MAX_PAYLOAD, Output, Place, Spawn};
use crate::cluster::{Node, NodeError, Process, Sites};
use crate::inject::session;

/// Listens for what is asked until it is dropped.
pub struct Control(JoinHandle<()>);

impl Control {
    /// Listens on behalf of a run. Must be called within a `LocalSet`.
    ///
    /// # Errors
    /// When another process listens for a run of this name.
    pub fn listen(run: &RunName, sites: Sites) -> io::Result<Control> {
        let listener = StdListener::bind_addr(&address(run)?)?;
        listener.set_nonblocking(true)?;
        let listener = UnixListener::from_std(listener)?;
        let mut served = 0_u64;
        Ok(Control(tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let own = nix::unistd::geteuid().as_raw();
                let peer = stream.peer_cred().map(|peer| peer.uid());
                // The socket has no permissions of its own.
                if !peer.is_ok_and(|peer| peer == own || peer == 0) {
                    continue;
                }
                served += 1;
                let conversation = Conversation::with(stream, sites.clone(), served);
                tokio::task::spawn_local(conversation.hold());
            }
        })))
    }

    /// Stops listening; another may do so now.
    pub async fn end(mut self) {
        self.0.abort();
        let _aborted = (&mut self.0).await;
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// With one who asks.
struct Conversation {
    sites: Sites,
    number: u64,
    asks: Lines<BufReader<OwnedReadHalf>>,
    answers: OwnedWriteHalf,
}

impl Conversation {
    fn with(stream: UnixStream, sites: Sites, number: u64) -> Conversation {
        let (asks, answers) = stream.into_split();
        Conversation {
            sites,
            number,
            asks: BufReader::new(asks).lines(),
            answers,
        }
    }

    /// Answers until the other end is gone; what was asked of it ends then.
    async fn hold(mut self) {
        while let Ok(Some(line)) = self.asks.next_line().await {
            let answer = match serde_json::from_str(&line) {
                Ok(Ask::Fault(order)) => return self.fault(order).await,
                Ok(Ask::Exec { node, argv }) => return self.exec(&node, argv).await,
                Ok(Ask::Nodes) => Ok(Answer::Nodes(self.up().collect())),
                Ok(Ask::Logs { node }) => self.logs(&node).await,
                Ok(Ask::Read { node, log, offset }) => self.read(&node, &log, offset).await,
                Err(error) => Err(Answer::Failed(error.to_string())),
            };
            let answer = answer.unwrap_or_else(|failure| failure);
            if self.say(&answer).await.is_err() {
                return;
            }
        }
    }

    async fn say(&mut self, answer: &Answer) -> io::Result<()> {
        self.answers.write_all(answer.line().as_bytes()).await
    }

    /// The nodes that are not lost.
    fn up(&self) -> impl Iterator<Item = NodeName> {
        let up = self.sites.nodes().filter(|node| node.lost().is_none());
        up.map(|node| node.name().clone())
    }

    fn node(&self, name: &NodeName) -> Result<Node, String> {
        self.sites.node(name).cloned()
    }

    async fn logs(&self, node: &NodeName) -> Result<Answer, Answer> {
        let node = self.node(node).map_err(Answer::Failed)?;
        let entries = node.list_dir(&node.logs()).await.map_err(failure)?;
        Ok(Answer::Logs(
            entries.into_iter().map(|entry| entry.name).collect(),
        ))
    }

    async fn read(&self, node: &NodeName, log: &str, offset: u64) -> Result<Answer, Answer> {
        if log.contains('/') || log.starts_with('.') {
            let reason = format!("`{}` is no log", log.escape_debug());
            return Err(Answer::Failed(reason));
        }
        let node = self.node(node).map_err(Answer::Failed)?;
        let path = node.logs().join(log);
        let piece = node.fetch_from(&path, offset, MAX_PAYLOAD).await;
        let piece = piece.map_err(failure)?;
        Ok(Answer::Piece(piece))
    }

    async fn exec(mut self, node: &NodeName, argv: Vec<String>) {
        let outcome = async {
            let process = match self.start(node, argv).await? {
                Ok(process) => process,
                Err(refused) => return Ok(Answer::NotStarted(refused)),
            };
            let told = self
                .say(&Answer::Started(process.name().to_owned()))
                .await
                .is_ok();
            if told {
                tokio::select! {
                    exit = process.wait() => {
                        return exit.map(Answer::Ended).map_err(|error| error.to_string());
                    }
                    _ended = self.asks.next_line() => {}
                }
            }
            // Whoever wanted it is gone. It may just have ended by itself.
            let _ended_before = process.signal(Signal::SIGKILL).await;
            Err("nobody waits for it any more".to_owned())
        };
        let answer = outcome.await.unwrap_or_else(Answer::Failed);
        // Without an asker nobody needs to know.
        let _gone = self.say(&answer).await;
    }

    /// Starts a program; the inner error is its own.
    async fn start(
        &self,
        node: &NodeName,
        argv: Vec<String>,
    ) -> Result<Result<Process, String>, String> {
        let node = self.node(node)?;
        let address = node.address().to_string();
        let spawn = Spawn {
            // Unlike that of any other, also after a node was made anew.
            name: format!("exec-{}-{}", Wall::now().label(), self.number),
            argv,
            env: BTreeMap::from([("DEPBENCH_ADDRESS".to_owned(), address)]),
            cwd: None,
            place: Place::Outside,
            output: Output::Log,
            cpus: Vec::new(),
        };
        match node.spawn(spawn).await {
            Ok(process) => Ok(Ok(process)),
            Err(error @ NodeError::Refused { .. }) => Ok(Err(error.to_string())),
            Err(lost) => Err(lost.to_string()),
        }
    }

    async fn fault(mut self, order: fault::Order) {
        let (tell, mut told) = mpsc::unbounded_channel::<Answer>();
        let writer = tokio::task::spawn_local(async move {
            while let Some(answer) = told.recv().await {
                if self
                    .answers
                    .write_all(answer.line().as_bytes())
                    .await
                    .is_err()
                {
                    return;
                }
            }
        });
        let gone = async {
            // Whatever ends the conversation ends the fault.
            let _end = self.asks.next_line().await;
        };
        let done = carry_out(&self.sites, self.number, order, gone, tell.clone()).await;
        if let Err(reason) = done {
            let _gone = tell.send(Answer::Failed(reason));
        }
        drop(tell);
        let _written = writer.await;
    }
}

/// What to answer when a node could not do what was asked.
fn failure(error: NodeError) -> Answer {
    match error {
        NodeError::Lost { .. } => Answer::Down(error.to_string()),
        error => Answer::Failed(error.to_string()),
    }
}

async fn carry_out(
    sites: &Sites,
    number: u64,
    order: fault::Order,
    gone: impl Future<Output = ()>,
    tell: UnboundedSender<Answer>,
) -> Result<(), String> {
    let servers: Vec<_> = sites
        .servers()
        .map(|node| (node.name().clone(), None))
        .collect();
    let victim = order
        .place
        .pick(&servers)
        .map_err(|error| error.to_string())?;
    let victim = victim.first().ok_or("there is no such node")?;
    // Faults of the experiment, and others on demand, go by other names.
    let fault: FaultName = format!("inject-{number}").parse().expect("a name");
    let (site, at_site) = sites
        .order(&fault, &order.kind, &order.place, victim)
        .await?;
    let heard = |told| {
        // The one who asked may be gone; then nobody needs to know.
        let _gone = tell.send(Answer::Fault(told));
    };
    session(&site, at_site, order.length, gone, heard)
        .await
        .map_err(|error| error.to_string())
}
