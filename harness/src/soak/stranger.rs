use std::fs;
use std::io;
use std::process::{Child, Command, Stdio};

use node::identity::ProcessId;

/// A process that has nothing to do with depbench: it works a little, and starts others, as long as its parent lives.
pub(super) struct Stranger {
    child: Child,
    id: ProcessId,
}

impl Stranger {
    pub(super) fn start() -> io::Result<Stranger> {
        let child = Command::new("sh")
            .args([
                "-c",
                "while kill -0 $PPID; do i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 0.01; done",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let id = ProcessId::of(child.id() as i32)?
            .ok_or_else(|| io::Error::other("the bystander ended at once"))?;
        Ok(Stranger { child, id })
    }

    pub(super) fn pid(&self) -> i32 {
        self.id.pid
    }

    /// Whether it lives and runs, and in which groups.
    pub(super) fn condition(&self) -> Vec<String> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id.pid)).unwrap_or_default();
        let state = stat
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.chars().next());
        let runs = self.id.is_alive() && !matches!(state, Some('T' | 't' | 'Z' | 'X') | None);
        let groups = fs::read_to_string(format!("/proc/{}/cgroup", self.id.pid));
        let mut lines = vec![format!(
            "bystander {}",
            if runs { "runs" } else { "does not run" }
        )];
        lines.extend(
            groups
                .unwrap_or_default()
                .lines()
                .map(|group| format!("bystander in {group}")),
        );
        lines
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ended_before = self.child.kill();
        let _status = self.child.wait();
    }
}
