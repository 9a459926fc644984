//! However an agent ends, nothing of it is left.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use node::cgroup::{Hierarchies, Mode};
use node::identity::ProcessId;
use node::journal::{self, Purpose};
use node::procfs::ProcessTree;

use crate::Test;
use crate::stage::{Stage, children, eventually, is_root, purpose, ready};

pub(crate) const TESTS: [Test; 7] = [
    (
        "an_agent_killed_is_healed_after",
        an_agent_killed_is_healed_after,
    ),
    (
        "an_isolated_agent_killed_is_healed_after",
        an_isolated_agent_killed_is_healed_after,
    ),
    (
        "an_agent_of_a_user_is_healed_after",
        an_agent_of_a_user_is_healed_after,
    ),
    ("a_goodbye_ends_in_peace", a_goodbye_ends_in_peace),
    (
        "a_guardian_ignores_what_a_terminal_sends",
        a_guardian_ignores_what_a_terminal_sends,
    ),
    (
        "both_killed_are_healed_by_the_next",
        both_killed_are_healed_by_the_next,
    ),
    (
        "the_conversation_is_the_agents_alone",
        the_conversation_is_the_agents_alone,
    ),
];

/// The agent of a guardian, and the process that slipped away from it.
struct Cast {
    guardian: Child,
    input: ChildStdin,
    agent: ProcessId,
    runaway: ProcessId,
}

impl Cast {
    fn of(mut guardian: Child) -> Cast {
        ready(&mut guardian);
        let id = guardian.id();
        let is_sleep = |process: &ProcessId| {
            std::fs::read_to_string(format!("/proc/{}/comm", process.pid))
                .is_ok_and(|name| name.trim() == "sleep")
        };
        let tree = || ProcessTree::under(id as i32).unwrap().processes;
        let mut runaway = None;
        eventually("the runaway sleeps", || {
            runaway = tree().iter().map(|sample| sample.process).find(is_sleep);
            runaway.is_some()
        });
        let agent = children(id)
            .into_iter()
            .find(|child| Some(*child) != runaway);
        Cast {
            input: guardian.stdin.take().unwrap(),
            guardian,
            agent: agent.unwrap(),
            runaway: runaway.unwrap(),
        }
    }

    fn tell(&mut self, what: u8) {
        self.input.write_all(&[what]).unwrap();
    }

    fn errors(&mut self) -> String {
        let mut text = String::new();
        self.guardian
            .stderr
            .as_mut()
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        text
    }
}

/// The agent's cgroups that exist.
fn groups(stage: &Stage) -> Vec<PathBuf> {
    let Purpose { run, node } = purpose(stage.dir());
    let name = format!("depbench-{run}-{node}");
    let hierarchies = Hierarchies::detect();
    let paths = hierarchies.bases().map(|base| base.join(&name));
    paths.filter(|path| path.exists()).collect()
}

fn killed_and_healed(stage: &Stage, role: &str) {
    let mut cast = Cast::of(stage.command(role).spawn().unwrap());
    assert!(stage.tagged("agent").exists());
    let made = groups(stage).len();
    assert_eq!(made > 0, Hierarchies::detect().mode() != Mode::None);
    cast.agent.signal(Signal::SIGKILL).unwrap();
    let status = cast.guardian.wait().unwrap();
    assert_eq!(status.code(), Some(128 + 9), "{}", cast.errors());
    assert!(!stage.tagged("agent").exists());
    assert!(!cast.runaway.is_alive(), "what slipped away is dead");
    assert!(stage.owners().is_empty(), "{:?}", stage.owners());
    assert!(groups(stage).is_empty(), "{:?}", groups(stage));
    let errors = cast.errors();
    let healed = if made > 0 { "2 healed" } else { "1 healed" };
    assert!(
        errors.contains("without a goodbye") && errors.contains(healed),
        "{errors}"
    );
}

fn an_agent_killed_is_healed_after() {
    killed_and_healed(&Stage::new(), "shared");
}

fn an_isolated_agent_killed_is_healed_after() {
    if !is_root() {
        println!("skipped: namespaces of an own need root");
        return;
    }
    killed_and_healed(&Stage::new(), "isolated");
}

fn an_agent_of_a_user_is_healed_after() {
    let stage = Stage::new();
    let mut command = stage.command("as-user");
    if is_root() {
        let nobody = 65534;
        std::os::unix::fs::chown(stage.dir(), Some(nobody), Some(nobody)).unwrap();
        command.uid(nobody).gid(nobody);
    }
    let facts = node::facts::Facts::gather().unwrap();
    if let node::facts::Isolation::None(reason) = facts.isolation {
        println!("skipped: {reason}");
        return;
    }
    let mut cast = Cast::of(command.spawn().unwrap());
    cast.agent.signal(Signal::SIGKILL).unwrap();
    assert_eq!(cast.guardian.wait().unwrap().code(), Some(137));
    assert!(!stage.tagged("agent").exists() && !cast.runaway.is_alive());
    assert!(stage.owners().is_empty());
}

fn a_goodbye_ends_in_peace() {
    let stage = Stage::new();
    let mut cast = Cast::of(stage.command("shared").spawn().unwrap());
    cast.tell(b'g');
    assert_eq!(cast.guardian.wait().unwrap().code(), Some(7));
    assert_eq!(cast.errors(), "");
    assert!(!cast.runaway.is_alive() && stage.owners().is_empty());
}

fn a_guardian_ignores_what_a_terminal_sends() {
    let stage = Stage::new();
    let mut cast = Cast::of(stage.command("shared").spawn().unwrap());
    let guardian = Pid::from_raw(cast.guardian.id() as i32);
    for signal in [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGQUIT,
    ] {
        kill(guardian, signal).unwrap();
    }
    assert_eq!(
        nix::unistd::getsid(Some(guardian)).unwrap(),
        guardian,
        "leads a session"
    );
    // The agent itself is not deaf.
    cast.agent.signal(Signal::SIGTERM).unwrap();
    assert_eq!(cast.guardian.wait().unwrap().code(), Some(128 + 15));
    assert!(!stage.tagged("agent").exists());
}

fn both_killed_are_healed_by_the_next() {
    let stage = Stage::new();
    let mut cast = Cast::of(stage.command("shared").spawn().unwrap());
    cast.tell(b'?');
    assert_eq!(ready(&mut cast.guardian), ["guardian true"]);
    cast.guardian.kill().unwrap();
    assert_eq!(cast.guardian.wait().unwrap().signal(), Some(9));
    cast.tell(b'?');
    assert_eq!(ready(&mut cast.guardian), ["guardian false"]);
    let report = journal::heal(&stage.journal()).unwrap();
    assert_eq!(
        (report.healed.len(), report.live.len()),
        (0, 1),
        "the agent holds the lock"
    );
    cast.agent.signal(Signal::SIGKILL).unwrap();
    eventually("the agent ends", || !cast.agent.is_alive());
    let report = journal::heal(&stage.journal()).unwrap();
    assert!(report.is_complete() && report.live.is_empty(), "{report}");
    assert!(!stage.tagged("agent").exists() && stage.owners().is_empty());
    assert!(groups(&stage).is_empty(), "{:?}", groups(&stage));
    // Without guardian, namespace and cgroup, nothing ties this one to the agent.
    cast.runaway.signal(Signal::SIGKILL).unwrap();
}

fn the_conversation_is_the_agents_alone() {
    let stage = Stage::new();
    let mut cast = Cast::of(stage.command("shared").spawn().unwrap());
    cast.tell(b'c');
    let mut rest = String::new();
    cast.guardian
        .stdout
        .as_mut()
        .unwrap()
        .read_to_string(&mut rest)
        .unwrap();
    assert_eq!(rest, "", "end of file although the guardian lives");
    assert!(cast.guardian.try_wait().unwrap().is_none());
    cast.tell(b'g');
    assert_eq!(cast.guardian.wait().unwrap().code(), Some(7));
}
