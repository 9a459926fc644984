use std::io::{self, BufRead, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::time::TimeSpec;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::HelperError;

/// A helper's tie to the process that started it.
pub(super) struct Lifeline {
    signals: SignalFd,
}

/// Why a wait is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wake {
    /// The moment waited for has come.
    Deadline,
    /// The other descriptor can be read.
    Readable,
    /// The state is asked for.
    Asked,
    /// The helper is to end.
    End,
}

/// Signals that ask a program to end.
const ENDING: [Signal; 4] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGQUIT,
];

impl Lifeline {
    /// Waits for the job.
    ///
    /// # Errors
    /// Stdin ends first, or gives something else.
    pub(super) fn job<Job: DeserializeOwned>() -> Result<(Lifeline, Job), HelperError> {
        let set: SigSet = ENDING.into_iter().collect();
        set.thread_block()
            .map_err(HelperError::system("block signals"))?;
        let signals = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC)
            .map_err(HelperError::system("wait for signals"))?;
        let mut line = String::new();
        io::stdin()
            .lock()
            .read_line(&mut line)
            .map_err(HelperError::system("read stdin"))?;
        if line.is_empty() {
            return Err(HelperError::NoJob);
        }
        let job = serde_json::from_str(&line).map_err(HelperError::Job)?;
        Ok((Lifeline { signals }, job))
    }

    /// Answers with one line. That nobody reads any more is no error: the end of stdin says the same.
    pub(super) fn answer<Answer: Serialize>(&self, answer: &Answer) {
        if let Ok(line) = serde_json::to_string(answer) {
            let mut out = io::stdout().lock();
            let _ = writeln!(out, "{line}").and_then(|()| out.flush());
        }
    }

    /// Waits with a grain far below a millisecond.
    ///
    /// # Errors
    /// The system cannot wait.
    pub(super) fn wait(
        &self,
        until: Option<Instant>,
        other: Option<BorrowedFd<'_>>,
    ) -> Result<Wake, HelperError> {
        Ok(match self.poll(until, other)? {
            Ready::Deadline => Wake::Deadline,
            Ready::Signal => Wake::End,
            Ready::Stdin => read_line()?.map_or(Wake::End, |_| Wake::Asked),
            Ready::Other => Wake::Readable,
        })
    }

    fn poll(
        &self,
        until: Option<Instant>,
        other: Option<BorrowedFd<'_>>,
    ) -> Result<Ready, HelperError> {
        let stdin = io::stdin();
        let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut fds = vec![readable(stdin.as_fd()), readable(self.signals.as_fd())];
        fds.extend(other.map(readable));
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            match ppoll(&mut fds, left.map(TimeSpec::from_duration), None) {
                Ok(0) => return Ok(Ready::Deadline),
                Ok(_) => {}
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(HelperError::system("wait")(error)),
            }
            let woke = |fd: &PollFd<'_>| fd.any().unwrap_or(true);
            return Ok(match (woke(&fds[1]), woke(&fds[0])) {
                (true, _) => Ready::Signal,
                (_, true) => Ready::Stdin,
                _ => Ready::Other,
            });
        }
    }

    /// Waits for the next line; `None` at the end.
    ///
    /// # Errors
    /// The system cannot wait.
    pub(super) fn next_line(&self) -> Result<Option<String>, HelperError> {
        match self.poll(None, None)? {
            Ready::Stdin => read_line(),
            Ready::Deadline | Ready::Signal | Ready::Other => Ok(None),
        }
    }

    /// Waits for the next question or the end.
    ///
    /// # Errors
    /// The system cannot wait.
    pub(super) fn wait_for_end(&self) -> Result<Wake, HelperError> {
        self.wait(None, None)
    }
}

/// What can be read now.
enum Ready {
    Deadline,
    Stdin,
    Signal,
    Other,
}

/// A line of stdin; `None` at its end.
fn read_line() -> Result<Option<String>, HelperError> {
    let mut line = String::new();
    match io::stdin().lock().read_line(&mut line) {
        Ok(0) => Ok(None),
        Ok(_) => Ok(Some(line)),
        Err(error) => Err(HelperError::system("read stdin")(error)),
    }
}

/// Makes timers fire when they are due, not up to 50 microseconds later.
pub(super) fn sharpen_timers() {
    // Refused nowhere; the worst case is the default grain.
    let _ = nix::sys::prctl::set_timerslack(Duration::from_nanos(1).as_nanos() as u64);
}
