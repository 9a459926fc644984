use std::collections::HashMap;
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::bearer::{Bearer, FromNode, Keeper, Launch, ToNode};
use super::{Link, Shared, WAITING_REQUESTS};
use crate::agent::Options;
use crate::agent::wire::{FromAgent, Hello, ToAgent, read_frame, read_hello, write_frame};
use crate::causes::visible;
use crate::cluster::error::ClusterError;
use crate::cluster::event::ClusterEvent;

/// How long an agent may take to set itself up.
const START: Duration = Duration::from_secs(30);

/// How long an agent that is not wanted may take to end.
const END: Duration = Duration::from_secs(30);

/// How long to wait for an explanation of an agent's end before it is told.
const EXPLANATION: Duration = Duration::from_millis(200);

/// How much of an agent's standard error is kept for messages, in bytes.
const KEPT_STDERR: usize = 2000;

/// What a guardian says begins with this,
const GUARDIAN: &str = "depbench guardian:";

/// and contains this when it could not undo everything.
const NOT_UNDONE: &str = "not healed:";

/// Heartbeats within the time of one lease: a few may come late.
const BEATS_PER_LEASE: u32 = 5;

/// An agent that is ready.
pub(in crate::cluster) struct Started {
    pub(in crate::cluster) link: Link,
    /// The process that was started, the agent's guardian, if it is one of this machine.
    pub(in crate::cluster) guardian: Option<i32>,
    /// Resolves once the guardian has ended, and with it everything that the agent did.
    pub(in crate::cluster) ended: watch::Receiver<Ended>,
}

/// Whether a guardian has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cluster) enum Ended {
    /// It runs.
    No,
    /// It is gone.
    Yes,
}

/// Starts an agent and waits until it is ready.
pub(in crate::cluster) async fn start(
    launch: &Launch,
    program_hash: &str,
    options: &Options,
    events: broadcast::Sender<ClusterEvent>,
) -> Result<Started, ClusterError> {
    let node = options.purpose.node.clone();
    let failed = |reason: String| ClusterError::Start {
        node: node.clone(),
        reason,
    };
    let Bearer {
        stdin,
        mut stdout,
        stderr,
        mut keeper,
    } = launch.start(options).await.map_err(failed)?;
    let last_words = LastWords::default();
    let listening = tokio::spawn(last_words.clone().listen(stderr));
    let hello = timeout(START, read_hello(&mut stdout)).await;
    let reason = match hello.map(|hello| hello.and_then(|hello: Hello| hello.check(program_hash))) {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!(
            "its agent was not ready after {START:?}: {}",
            launch.when_late()
        )),
    };
    if let Some(reason) = reason {
        drop((stdin, stdout));
        if timeout(END, keeper.ended()).await.is_err() {
            // Not an agent of ours: those end when their controller is gone.
            keeper.abandon();
        }
        let _late = timeout(Duration::from_secs(1), listening).await;
        return Err(failed(last_words.after(&reason)));
    }
    let guardian = keeper.guardian();
    let shared = Arc::new(Shared {
        node: node.clone(),
        waiting: Mutex::new(HashMap::new()),
        processes: Mutex::new(HashMap::new()),
        lost: watch::channel(None).0,
        events,
        clock: Mutex::default(),
    });
    let (outgoing, queue) = mpsc::channel(WAITING_REQUESTS);
    let (gone, ended) = watch::channel(Ended::No);
    let lease = options.lease.duration();
    tokio::spawn(write(stdin, queue, lease));
    tokio::spawn(read(
        stdout,
        keeper,
        Arc::clone(&shared),
        last_words,
        lease,
        launch.when_lost(),
        gone,
    ));
    Ok(Started {
        link: Link {
            outgoing,
            shared,
            ids: Arc::new(AtomicU64::new(1)),
        },
        guardian,
        ended,
    })
}

/// Passes requests on and sends heartbeats; ends, and so closes the agent's standard input, when nobody can ask any
/// more.
async fn write(mut stdin: ToNode, mut queue: mpsc::Receiver<(ToAgent, Vec<u8>)>, lease: Duration) {
    let mut beat = interval(lease / BEATS_PER_LEASE);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let next = tokio::select! {
            message = queue.recv() => message,
            _ = beat.tick() => Some((ToAgent::Heartbeat, Vec::new())),
        };
        let Some((message, payload)) = next else {
            return;
        };
        if write_frame(&mut stdin, &message, &payload).await.is_err() {
            // The reader finds out why.
            return;
        }
    }
}

/// Hands on what the agent says until it ends or falls silent; then makes sure that it has ended.
async fn read(
    mut stdout: FromNode,
    mut keeper: Keeper,
    shared: Arc<Shared>,
    last_words: LastWords,
    lease: Duration,
    remedy: &'static str,
    gone: watch::Sender<Ended>,
) {
    let silence = lease.max(Duration::from_secs(1));
    let reason = loop {
        match timeout(silence, read_frame::<FromAgent>(&mut stdout)).await {
            Ok(Ok(Some((message, payload)))) => shared.receive(message, payload).await,
            Ok(Ok(None)) => break None,
            Ok(Err(error)) => break Some(error.to_string()),
            Err(_) => {
                break Some(format!("it was silent for {silence:?}: {remedy}"));
            }
        }
    };
    if reason.is_some() {
        // Whatever it still does cannot be known: its death is what the guardian waits for.
        keeper.kill_agent();
    }
    // Whoever waits for the agent is told at once; the guardian may have much to undo.
    let status = timeout(EXPLANATION, keeper.ended()).await;
    let reason = reason.unwrap_or_else(|| match &status {
        Ok(status) => format!("it ended ({status})"),
        Err(_) => "it ended".to_owned(),
    });
    shared.lose(last_words.after(&reason));
    if status.is_err() {
        // Nothing more can be learned from how it ended.
        let _status = keeper.ended().await;
    }
    gone.send_replace(Ended::Yes);
}

/// The end of what an agent wrote to its standard error.
#[derive(Clone, Default)]
struct LastWords(Arc<Mutex<Vec<u8>>>);

impl LastWords {
    async fn listen(self, mut stderr: FromNode) -> io::Result<()> {
        let mut piece = [0; 1024];
        loop {
            let read = stderr.read(&mut piece).await?;
            if read == 0 {
                return Ok(());
            }
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend_from_slice(&piece[..read]);
            let surplus = kept.len().saturating_sub(KEPT_STDERR);
            kept.drain(..surplus);
        }
    }

    fn after(&self, reason: &str) -> String {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = String::from_utf8_lossy(&kept);
        // That everything was undone does not tell why the agent ended.
        let words = match kept.split_once(GUARDIAN) {
            Some((before, undone)) if !undone.contains(NOT_UNDONE) => before,
            _ => &kept,
        };
        match words.trim() {
            "" => reason.to_owned(),
            words => format!("{reason}; it said: {}", visible(words)),
        }
    }
}
