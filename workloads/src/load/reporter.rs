use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use results::Latency;

use crate::report::LoadReport;

/// Writes reports from a thread of its own: encoding a histogram takes longer than a request. When it is dropped, all
/// has been written.
#[derive(Debug)]
pub(crate) struct Reporter {
    /// Taken at the end, which ends the thread.
    reports: Option<Sender<LoadReport>>,
    spent: Receiver<Latency>,
    reader_left: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Reporter {
    /// Starts writing to `out`.
    pub(crate) fn start(out: impl Write + Send + 'static) -> Reporter {
        let (reports, inbox) = channel();
        let (recycle, spent) = channel();
        let reader_left = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let reader_left = reader_left.clone();
            move || write_all(&inbox, &recycle, out, &reader_left)
        });
        Reporter {
            reports: Some(reports),
            spent,
            reader_left,
            thread: Some(thread),
        }
    }

    /// Has `report` written soon.
    pub(crate) fn send(&self, report: LoadReport) {
        if let Some(reports) = &self.reports {
            // The thread ends early only when nobody reads any more.
            let _ = reports.send(report);
        }
    }

    /// An empty histogram, one that was written already if possible.
    pub(crate) fn latency(&self) -> Latency {
        self.spent.try_recv().unwrap_or_default()
    }

    /// Whether nobody reads the reports any more: then there is nobody to make load for.
    pub(crate) fn reader_left(&self) -> bool {
        self.reader_left.load(Ordering::Relaxed)
    }
}

impl Drop for Reporter {
    /// Waits until all is written.
    fn drop(&mut self) {
        self.reports = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed already.
            let _ = thread.join();
        }
    }
}

fn write_all(
    inbox: &Receiver<LoadReport>,
    recycle: &Sender<Latency>,
    mut out: impl Write,
    reader_left: &AtomicBool,
) {
    give_way();
    while let Ok(report) = inbox.recv() {
        let mut line = serde_json::to_vec(&report).expect("a report has only text as map keys");
        line.push(b'\n');
        if out.write_all(&line).and_then(|()| out.flush()).is_err() {
            reader_left.store(true, Ordering::Relaxed);
            return;
        }
        if let LoadReport::Interval(mut interval) = report {
            interval.latency.clear();
            // At the end of the load nobody takes it back.
            let _ = recycle.send(interval.latency);
        }
    }
}

/// Low enough to yield to the load on a shared CPU, high enough to get through once a second on a crowded machine.
const NICENESS: i32 = 10;

/// Makes the calling thread yield to the load when both have only one CPU.
fn give_way() {
    // SAFETY: changes only the priority of the calling thread; a refusal changes nothing.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, libc::gettid().unsigned_abs(), NICENESS);
    }
}
