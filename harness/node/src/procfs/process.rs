use std::collections::HashMap;
use std::fs;
use std::io;

use nix::unistd::{SysconfVar, sysconf};
use serde::{Deserialize, Serialize};

use crate::identity::{ProcessId, is_gone};

/// What one process used since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessSample {
    /// The process.
    pub process: ProcessId,
    /// CPU time of all its threads, those that ended included, in nanoseconds; in steps of a clock tick (10 ms).
    pub cpu_ns: u64,
    /// Threads now.
    pub threads: u64,
    /// Memory held now (resident set), in bytes.
    pub memory_bytes: u64,
    /// Page faults that had to read from disk.
    pub major_faults: u64,
    /// Bytes it caused to be read from disks; `None` if this may not be known.
    pub disk_read_bytes: Option<u64>,
    /// Bytes it caused to be written to disks; `None` if this may not be known.
    pub disk_write_bytes: Option<u64>,
}

impl ProcessSample {
    /// Process `pid`; `None` if there is none.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn of(pid: i32) -> io::Result<Option<ProcessSample>> {
        let stat = match fs::read_to_string(format!("/proc/{pid}/stat")) {
            Err(error) if is_gone(&error) => return Ok(None),
            stat => Stat::parse(&stat?)
                .ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat has too few fields")))?,
        };
        // Of another user's process, or of one that just ended, there is no answer.
        let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
        Ok(Some(stat.sample(pid, &io)))
    }
}

/// A process and all that descend from it, at one moment.
#[derive(Debug, Clone, Default)]
pub struct ProcessTree {
    /// The processes, the root first.
    pub processes: Vec<ProcessSample>,
}

impl ProcessTree {
    /// The tree under process `root`; empty if there is none.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn under(root: i32) -> io::Result<ProcessTree> {
        let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
        for entry in fs::read_dir("/proc")?.flatten() {
            let name = entry.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
                continue;
            };
            let stat = fs::read_to_string(entry.path().join("stat")).ok();
            if let Some(stat) = stat.and_then(|text| Stat::parse(&text)) {
                children.entry(stat.parent).or_default().push(pid);
            }
        }
        let mut tree = ProcessTree::default();
        let mut next = vec![root];
        while let Some(pid) = next.pop() {
            if let Some(sample) = ProcessSample::of(pid)? {
                tree.processes.push(sample);
                next.extend(children.remove(&pid).unwrap_or_default());
            }
        }
        Ok(tree)
    }

    /// CPU time of those that live now, in nanoseconds.
    pub fn cpu_ns(&self) -> u64 {
        self.processes.iter().map(|process| process.cpu_ns).sum()
    }

    /// Memory held now, in bytes; what processes share is counted for each.
    pub fn memory_bytes(&self) -> u64 {
        self.processes
            .iter()
            .map(|process| process.memory_bytes)
            .sum()
    }
}

struct Stat {
    parent: i32,
    major_faults: u64,
    cpu_ticks: u64,
    threads: u64,
    start_ticks: u64,
    resident_pages: u64,
}

impl Stat {
    /// Reads `/proc/PID/stat`; the name in field 2 may hold blanks and parentheses.
    fn parse(text: &str) -> Option<Stat> {
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // The manual counts from 1 and the state is field 3.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Stat {
            parent: fields.get(1)?.parse().ok()?,
            major_faults: field(12)?,
            cpu_ticks: field(14)?.saturating_add(field(15)?),
            threads: field(20)?,
            start_ticks: field(22)?,
            resident_pages: field(24)?,
        })
    }

    fn sample(&self, pid: i32, io: &str) -> ProcessSample {
        let io_field = |key: &str| {
            let line = io.lines().find_map(|line| line.strip_prefix(key))?;
            line.trim().parse().ok()
        };
        ProcessSample {
            process: ProcessId {
                pid,
                start_ticks: self.start_ticks,
            },
            cpu_ns: self
                .cpu_ticks
                .saturating_mul(1_000_000_000 / system(SysconfVar::CLK_TCK, 100)),
            threads: self.threads,
            memory_bytes: self
                .resident_pages
                .saturating_mul(system(SysconfVar::PAGE_SIZE, 4096)),
            major_faults: self.major_faults,
            disk_read_bytes: io_field("read_bytes:"),
            disk_write_bytes: io_field("write_bytes:"),
        }
    }
}

fn system(variable: SysconfVar, usual: u64) -> u64 {
    sysconf(variable)
        .ok()
        .flatten()
        .and_then(|value| u64::try_from(value).ok())
        .filter(|value| *value > 0)
        .unwrap_or(usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in ".{0,200}", numbers in proptest::collection::vec(proptest::num::u64::ANY, 0..60)) {
            let numbers: Vec<_> = numbers.iter().map(ToString::to_string).collect();
            for text in [text.clone(), format!("1 ({text}) S {}", numbers.join(" "))] {
                if let Some(stat) = Stat::parse(&text) {
                    stat.sample(1, &text);
                }
            }
        }
    }

    #[test]
    fn this_process_is_sampled() {
        let me = std::process::id() as i32;
        let sample = ProcessSample::of(me).unwrap().unwrap();
        assert_eq!(sample.process, ProcessId::current().unwrap());
        assert!(sample.memory_bytes > 0 && sample.threads > 0);
        assert!(sample.disk_read_bytes.is_some());
        assert_eq!(ProcessSample::of(i32::MAX).unwrap(), None);
    }

    #[test]
    fn a_tree_holds_the_grandchildren() {
        let mut child = std::process::Command::new("sh")
            .args(["-c", "sleep 60 & echo; wait"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = [0];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
        let tree = ProcessTree::under(child.id() as i32).unwrap();
        assert_eq!(tree.processes.len(), 2);
        for sample in &tree.processes {
            sample
                .process
                .signal(nix::sys::signal::Signal::SIGKILL)
                .unwrap();
        }
        child.wait().unwrap();
    }
}
