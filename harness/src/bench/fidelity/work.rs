use std::net::IpAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use faults::LatencyWish;
use faults::spec::DelayedBy;
use vocab::units::Span;

use crate::agent::wire::Layer;

/// What the server does while its faults are measured: without end, all that the fault is to take from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// Computes on every CPU: weights are kept on each apart.
    Compute,
    /// Nothing.
    Wait,
    /// Sends packets to the client's node.
    Send,
    /// Writes past the page cache, several blocks at once.
    Write,
    /// Holds memory and touches all of it.
    Hold,
    /// Nothing itself: the probe syncs what it writes.
    Sync(DelayedBy),
}

impl Work {
    /// What must lie over the server's data.
    pub(super) fn layer(self) -> Layer {
        match self {
            Work::Sync(by) => Layer::Latency(LatencyWish {
                by,
                shortest: Span::ZERO,
                longest: Span::ZERO,
            }),
            _ => Layer::None,
        }
    }

    /// Its program and arguments.
    pub(super) fn argv(self, cpus: u32, client: IpAddr, depbench: &Path) -> Vec<String> {
        let (shell, script) = match self {
            Work::Compute => ("sh", parallel(cpus, |_| "while :; do :; done".to_owned())),
            Work::Wait | Work::Sync(_) => ("sh", "exec sleep 86400".to_owned()),
            // One write is one packet; nobody listens, and the refusals do not matter.
            Work::Send => (
                "bash",
                format!(
                    "printf -v packet %01000d 0; \
                     while :; do printf %s \"$packet\"; done 2>/dev/null >/dev/udp/{client}/9"
                ),
            ),
            Work::Write => (
                "sh",
                parallel(4, |number| {
                    format!(
                        "while :; do dd if=/dev/zero of=x{number} bs=4k count=1000 oflag=direct 2>/dev/null; done"
                    )
                }),
            ),
            // Not faster: a kernel that finds no page idle kills the program instead of swapping it.
            Work::Hold => (
                "sh",
                r#"(echo '{"bytes": "300MB", "rate": "100MB/s"}'; exec sleep 86400) | "$0" memory-toucher"#
                    .to_owned(),
            ),
        };
        let program = depbench.display().to_string();
        [shell.to_owned(), "-c".to_owned(), script, program].to_vec()
    }
}

/// A script that does several things at once.
fn parallel(count: u32, script: impl Fn(u32) -> String) -> String {
    let scripts: Vec<String> = (0..count)
        .map(|number| format!("({}) &", script(number)))
        .collect();
    format!("{} wait", scripts.join(" "))
}

/// A busy loop for each CPU, outside of every node.
pub(super) struct Load(Vec<Child>);

impl Load {
    pub(super) fn start(cpus: u32) -> Load {
        let busy = || {
            Command::new("sh")
                .args(["-c", "while kill -0 $PPID; do :; done"])
                .stdin(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .ok()
        };
        Load((0..cpus).filter_map(|_| busy()).collect())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ended_before = child.kill();
            let _status = child.wait();
        }
    }
}
