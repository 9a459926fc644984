//! A process of somebody else, into which faults are injected.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A busy machine may be late.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process of somebody else, always busy.
pub struct Stranger(Child);

impl Stranger {
    pub fn start() -> Stranger {
        let busy = Command::new("sh")
            .args(["-c", "while :; do :; done"])
            .stdin(Stdio::null())
            .spawn();
        Stranger(busy.unwrap())
    }

    pub fn pid(&self) -> String {
        self.0.id().to_string()
    }

    /// Its groups, and whether it is stopped.
    pub fn condition(&self) -> (String, bool) {
        let read = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", self.pid())).unwrap();
        let stopped = read("status").contains("State:\tT");
        (read("cgroup"), stopped)
    }

    /// Waits until it is stopped.
    pub fn until_stopped(&self) {
        let begun = Instant::now();
        while !self.condition().1 {
            assert!(begun.elapsed() < PATIENCE, "never stopped");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until its condition is this one.
    pub fn until(&self, wanted: &(String, bool)) {
        let begun = Instant::now();
        while self.condition() != *wanted {
            assert!(
                begun.elapsed() < PATIENCE,
                "{:?}, not {wanted:?}",
                self.condition()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ended_before = self.0.kill();
        let _status = self.0.wait();
    }
}
