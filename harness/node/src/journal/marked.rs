use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::identity::ProcessId;
use crate::tag;

/// How long killed processes may take to end; they may fork on until they do.
const PATIENCE: Duration = Duration::from_secs(3);

/// Kills every process that carries `mark`, and waits until none is left.
pub(super) fn kill_all(mark: &str) -> Result<(), String> {
    let variable = format!("{}={mark}", tag::MARK);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = carriers(&variable);
        if found.is_empty() {
            return Ok(());
        }
        for process in &found {
            process
                .signal(Signal::SIGKILL)
                .map_err(|error| format!("cannot kill {process}: {error}"))?;
        }
        if Instant::now() > deadline {
            return Err(format!("{} of them do not die", found.len()));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The processes with `variable` in the environment they were started with. One that has ended has none any more, and
/// those of other users are not ours.
fn carriers(variable: &str) -> Vec<ProcessId> {
    let carries = |pid: i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .any(|text| text == variable.as_bytes())
    };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // The identity comes first: what is looked at afterwards is that process, or the signal finds it gone.
    let identified = pids.filter_map(|pid: i32| ProcessId::of(pid).ok().flatten());
    identified.filter(|process| carries(process.pid)).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::{Child, Command, Stdio};

    use super::*;

    fn family(mark: &str) -> Child {
        let mut child = Command::new("sh")
            .args(["-c", "sleep 600 & echo; wait"])
            .env(tag::MARK, mark)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut forked = [0];
        child
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut forked)
            .unwrap();
        child
    }

    #[test]
    fn only_what_carries_the_mark_is_killed_with_all_it_forked() {
        let ours = format!("ours-{}", std::process::id());
        let mut child = family(&ours);
        let mut other = family(&format!("{ours}-not"));
        let variable = |mark: &str| format!("{}={mark}", tag::MARK);
        assert_eq!(carriers(&variable(&ours)).len(), 2);
        kill_all(&ours).unwrap();
        assert_eq!(carriers(&variable(&ours)), []);
        child.wait().unwrap();
        assert_eq!(other.try_wait().unwrap(), None);
        kill_all(&format!("{ours}-not")).unwrap();
        other.wait().unwrap();
    }
}
