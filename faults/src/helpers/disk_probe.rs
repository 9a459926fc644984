//! `depbench disk-probe`: measures how long a synced write takes, where and under whose limits it is started.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::HelperError;
use super::lifeline::{Lifeline, Wake};
use super::scratch::{PageBuffer, nameless_file};

/// What a probe is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskProbeJob {
    /// Where it makes its file.
    pub dir: PathBuf,
}

/// What a probe answers: to the job nothing yet, to each question a new measurement.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskProbeState {
    /// Median time of the writes of this measurement, in microseconds; of one that is still under way, its time so far.
    pub median_us: Option<u64>,
    /// How many writes it was.
    pub writes: usize,
}

/// How much a write is: a block of most file systems.
const BLOCK: usize = 4 << 10;

/// The blocks that are written to in turn.
const BLOCKS: u64 = 16;

/// The most writes of one measurement.
const MOST: usize = 9;

/// The longest a measurement takes.
const LONGEST: Duration = Duration::from_millis(1500);

/// Runs a probe until its stdin ends.
///
/// # Errors
/// No job, or a directory in which no file can be made.
pub fn main() -> Result<(), HelperError> {
    let (lifeline, job) = Lifeline::job::<DiskProbeJob>()?;
    let file = nameless_file(&job.dir, 0, 0).map_err(HelperError::system("make a file"))?;
    let block = PageBuffer::new(BLOCK);
    let fill = || {
        for number in 0..BLOCKS {
            file.write_all_at(block.bytes(), number * BLOCK as u64)?;
        }
        file.sync_all()
    };
    fill().map_err(HelperError::system("write to the disk"))?;
    lifeline.answer(&DiskProbeState::default());

    let mut writer = Writer::start(file, block).map_err(HelperError::system("start a thread"))?;
    while lifeline.wait_for_end()? == Wake::Asked {
        lifeline.answer(&writer.measure()?);
    }
    Ok(())
}

/// Writes on a thread of its own: a write that the disk holds back must not hold back the answer.
struct Writer {
    orders: Sender<()>,
    times: Receiver<io::Result<Duration>>,
    /// Since when a write is under way.
    pending: Option<Instant>,
}

impl Writer {
    fn start(file: File, block: PageBuffer) -> io::Result<Writer> {
        let (orders, ordered) = mpsc::channel::<()>();
        let (done, times) = mpsc::channel();
        let write = move || {
            for number in (0..BLOCKS).cycle() {
                if ordered.recv().is_err() {
                    return;
                }
                let start = Instant::now();
                let written = file
                    .write_all_at(block.bytes(), number * BLOCK as u64)
                    .and_then(|()| file.sync_data());
                if done.send(written.map(|()| start.elapsed())).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new()
            .name("disk-probe".to_owned())
            .spawn(write)?;
        Ok(Writer {
            orders,
            times,
            pending: None,
        })
    }

    fn measure(&mut self) -> Result<DiskProbeState, HelperError> {
        let end = Instant::now() + LONGEST;
        let mut times = Vec::new();
        while times.len() < MOST && Instant::now() < end {
            let since = *self.pending.get_or_insert_with(|| {
                // The thread lives as long as its file can be written.
                let _alive = self.orders.send(());
                Instant::now()
            });
            match self
                .times
                .recv_timeout(end.saturating_duration_since(Instant::now()))
            {
                Ok(Ok(time)) => {
                    self.pending = None;
                    times.push(time);
                }
                Ok(Err(error)) => return Err(HelperError::system("write to the disk")(error)),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => times.push(since.elapsed()),
            }
        }
        times.sort_unstable();
        let median = times.get(times.len() / 2);
        Ok(DiskProbeState {
            median_us: median.map(|time| time.as_micros() as u64),
            writes: times.len(),
        })
    }
}
