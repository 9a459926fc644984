use std::fs;

use serde::{Deserialize, Serialize};

/// Time spent waiting for one resource (a pressure stall file).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pressure {
    /// Time in which at least one process waited, in microseconds.
    pub some_us: u64,
    /// Time in which all processes waited, in microseconds.
    pub full_us: u64,
}

impl Pressure {
    /// Reads the text of a pressure file; `None` if it is none.
    pub fn parse(text: &str) -> Option<Pressure> {
        let total = |kind: &str| {
            let line = text.lines().find(|line| line.starts_with(kind))?;
            line.rsplit_once("total=")?.1.trim().parse().ok()
        };
        Some(Pressure {
            some_us: total("some ")?,
            // Older kernels have no `full` line for the CPU.
            full_us: total("full ").unwrap_or_default(),
        })
    }
}

/// Pressure of the whole machine; `None` where the kernel does not count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MachinePressure {
    /// Waiting for a CPU.
    pub cpu: Option<Pressure>,
    /// Waiting for a disk.
    pub io: Option<Pressure>,
    /// Waiting for memory.
    pub memory: Option<Pressure>,
}

impl MachinePressure {
    /// Reads `/proc/pressure`.
    pub fn read() -> MachinePressure {
        let read = |name| {
            let text = fs::read_to_string(format!("/proc/pressure/{name}")).ok()?;
            Pressure::parse(&text)
        };
        MachinePressure {
            cpu: read("cpu"),
            io: read("io"),
            memory: read("memory"),
        }
    }

    /// Whether the kernel counts any pressure.
    pub fn is_present(&self) -> bool {
        self.cpu.is_some() || self.io.is_some() || self.memory.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pressure_files_are_read() {
        let text = "some avg10=1.00 avg60=0.00 avg300=0.00 total=12345\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
        let expected = Pressure {
            some_us: 12345,
            full_us: 7,
        };
        assert_eq!(Pressure::parse(text), Some(expected));
        assert_eq!(Pressure::parse("some total=3\n").unwrap().full_us, 0);
        assert_eq!(Pressure::parse(""), None);
    }
}
