use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::stdio::Channel;
use super::wire::{Event, FromAgent, RequestId, Response, write_frame};

/// Frames that may wait for a slow controller, besides what processes print.
const CONTROL_FRAMES: usize = 256;

/// Pieces of output that may wait; then the processes that print wait.
const OUTPUT_FRAMES: usize = 16;

/// What waits to be written.
enum Frame {
    /// A message and its payload.
    Message(Box<FromAgent>, Vec<u8>),
    /// To be told when all before it is written.
    Mark(oneshot::Sender<()>),
}

/// The way from the agent to the controller, bounded: what processes print never holds up a response.
#[derive(Clone)]
pub(super) struct Outbox {
    control: mpsc::Sender<Frame>,
    output: mpsc::Sender<Frame>,
    patience: Duration,
}

/// The controller has gone, or has read nothing for the length of the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone;

impl Outbox {
    /// Writes to `channel` in a task of its own, on the current local set.
    pub(super) fn new(channel: Channel, patience: Duration) -> Outbox {
        let (control, control_queue) = mpsc::channel(CONTROL_FRAMES);
        let (output, output_queue) = mpsc::channel(OUTPUT_FRAMES);
        tokio::task::spawn_local(write(channel, control_queue, output_queue));
        Outbox {
            control,
            output,
            patience,
        }
    }

    /// Answers a request.
    pub(super) async fn respond(
        &self,
        id: RequestId,
        result: Result<(Response, Vec<u8>), String>,
    ) -> Result<(), Gone> {
        let (result, payload) = match result {
            Ok((response, payload)) => (Ok(response), payload),
            Err(reason) => (Err(reason), Vec::new()),
        };
        self.send(Frame::Message(
            Box::new(FromAgent::Response { id, result }),
            payload,
        ))
        .await
    }

    /// Tells of something that must not be missed.
    pub(super) async fn tell(&self, event: Event) -> Result<(), Gone> {
        self.send(Frame::Message(
            Box::new(FromAgent::Event(event)),
            Vec::new(),
        ))
        .await
    }

    /// Tells of something that a later message makes good for, if there is room.
    pub(super) fn offer(&self, message: FromAgent) {
        let _full_or_gone = self
            .control
            .try_send(Frame::Message(Box::new(message), Vec::new()));
    }

    /// Passes on a piece of a process's output, waiting for room.
    pub(super) async fn output(&self, event: Event, payload: Vec<u8>) -> Result<(), Gone> {
        self.output
            .send(Frame::Message(Box::new(FromAgent::Event(event)), payload))
            .await
            .map_err(|_| Gone)
    }

    /// Waits until everything said so far was written, for at most `within`.
    pub(super) async fn drain(&self, within: Duration) {
        let (mark, reached) = oneshot::channel();
        let _late_or_gone = tokio::time::timeout(within, async {
            if self.control.send(Frame::Mark(mark)).await.is_ok() {
                let _gone = reached.await;
            }
        })
        .await;
    }

    async fn send(&self, frame: Frame) -> Result<(), Gone> {
        match tokio::time::timeout(self.patience, self.control.send(frame)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }
}

async fn write(
    mut channel: Channel,
    mut control: mpsc::Receiver<Frame>,
    mut output: mpsc::Receiver<Frame>,
) {
    loop {
        let next = tokio::select! {
            biased;
            frame = control.recv() => frame,
            Some(frame) = output.recv() => Some(frame),
        };
        match next {
            None => return,
            Some(Frame::Mark(mark)) => drop(mark.send(())),
            Some(Frame::Message(message, payload)) => {
                if write_frame(&mut channel, &message, &payload).await.is_err() {
                    return;
                }
            }
        }
    }
}
