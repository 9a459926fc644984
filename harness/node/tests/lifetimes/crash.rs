//! A crash between any two system calls leaves entries whole or not at all, and heals completely.

use std::process::Stdio;

use node::journal;

use crate::Test;
use crate::stage::Stage;

pub(crate) const TESTS: [Test; 1] = [("crash_at_every_step", crash_at_every_step)];

fn crash_at_every_step() {
    let mut stood_after_crash = 0;
    for steps in 0..5000 {
        let stage = Stage::new();
        let finished = run_steps(&stage, steps);
        if stage.journal().exists() {
            let before: Vec<_> = ["a", "b"]
                .iter()
                .filter(|name| stage.tagged(name).exists())
                .collect();
            stood_after_crash += before.len();
            let report = journal::heal(&stage.journal()).unwrap();
            assert!(report.is_complete(), "after {steps} steps: {report}");
            assert!(report.live.is_empty(), "after {steps} steps: {report}");
            assert!(
                report.healed.len() >= before.len(),
                "after {steps} steps: {report}"
            );
            assert_eq!(
                stage.owners(),
                Vec::<std::path::PathBuf>::new(),
                "after {steps} steps"
            );
        }
        for name in ["a", "b"] {
            assert!(
                !stage.tagged(name).exists(),
                "after {steps} steps: {name} is left"
            );
        }
        if finished {
            assert!(steps > 40, "the role makes more system calls than {steps}");
            assert!(stood_after_crash > 10, "some crashes came after the change");
            return;
        }
    }
    panic!("the role did not finish within 5000 system calls");
}

/// Lets the role run through `steps` entries and exits of system calls, then kills it. Whether it had finished before.
fn run_steps(stage: &Stage, steps: u32) -> bool {
    let mut child = stage
        .command("traced")
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let pid = child.id() as i32;
    let mut finished = wait_for_stop(pid);
    for _ in 0..steps {
        if finished {
            break;
        }
        // SAFETY: the process is a stopped tracee of this thread.
        unsafe { libc::ptrace(libc::PTRACE_SYSCALL, pid, 0, 0) };
        finished = wait_for_stop(pid);
    }
    if !finished {
        child.kill().unwrap();
    }
    // One that finished was reaped above already.
    let _ = child.wait();
    finished
}

/// Waits until the tracee stops; whether it ended instead.
fn wait_for_stop(pid: i32) -> bool {
    let mut status = 0;
    // SAFETY: waits for a child of this process.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!(waited, pid);
    if libc::WIFEXITED(status) {
        assert_eq!(libc::WEXITSTATUS(status), 0, "the role failed by itself");
    }
    !libc::WIFSTOPPED(status)
}
