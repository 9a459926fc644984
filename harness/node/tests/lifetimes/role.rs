//! The parts that this program plays to be killed in.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use node::cgroup::{Child, Hierarchies, Mode, NodeCgroup, NodeSpec};
use node::guardian::{self, AgentSide, NamespacePlan, Options};
use node::journal::{Journal, Undo};

use crate::stage::purpose;

/// Plays the role that the environment asks for, if it does.
pub(crate) fn play() -> Option<ExitCode> {
    let role = std::env::var("DEPBENCH_TEST_ROLE").ok()?;
    let dir = PathBuf::from(std::env::var_os("DEPBENCH_TEST_DIR").unwrap());
    Some(match role.as_str() {
        "traced" => traced(&dir),
        "holder" => holder(&dir),
        "shared" => agent(&dir, NamespacePlan::shared()),
        "isolated" => agent(&dir, NamespacePlan::isolated()),
        "as-user" => agent(&dir, NamespacePlan::isolated_as_user()),
        role => panic!("no role {role}"),
    })
}

/// Makes two directories under the journal's eyes, undoes the second, and forgets about the first.
fn traced(dir: &std::path::Path) -> ExitCode {
    // SAFETY: asks to be traced by the parent, and stops for it.
    unsafe {
        libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0);
        libc::raise(libc::SIGSTOP);
    }
    let journal = Journal::open(&dir.join("state/journal"), &purpose(dir)).unwrap();
    let make = |name: &str| {
        let path = dir.join(name);
        let entry = journal
            .record(Undo::RemoveDir { path: path.clone() })
            .unwrap();
        std::fs::create_dir(path).unwrap();
        entry
    };
    let _stands = make("depbench-a");
    make("depbench-b").undo().unwrap();
    ExitCode::SUCCESS
}

/// Holds a journal with one entry until its standard input ends.
fn holder(dir: &std::path::Path) -> ExitCode {
    let journal = Journal::open(&dir.join("state/journal"), &purpose(dir)).unwrap();
    let path = dir.join("depbench-held");
    let _stands = journal
        .record(Undo::RemoveDir { path: path.clone() })
        .unwrap();
    std::fs::create_dir(path).unwrap();
    println!("ready");
    wait_for_input();
    ExitCode::SUCCESS
}

/// An agent with a guardian: makes a directory and a cgroup, starts a process that slips away into a session of its own, and does as
/// it is told: `g` says goodbye with status 7, `c` closes standard output, `?` tells whether the guardian lives.
fn agent(dir: &std::path::Path, namespaces: NamespacePlan) -> ExitCode {
    let options = Options {
        journal: dir.join("state/journal"),
        purpose: purpose(dir),
        namespaces,
    };
    let side = match guardian::start(&options) {
        Ok(side) => side,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let path = dir.join("depbench-agent");
    let undo = Undo::RemoveDir { path: path.clone() };
    let stands = side.journal.record(undo).unwrap();
    std::fs::create_dir(path).unwrap();
    let mut runaway = Command::new("sh");
    runaway
        .args(["-c", "setsid sleep 60 > /dev/null 2>&1 & exit"])
        .stdin(Stdio::null());
    let _group = group(&side, dir, &mut runaway);
    runaway.spawn().unwrap().wait().unwrap();
    println!("ready");
    loop {
        match wait_for_input() {
            b'g' => {
                stands.undo().unwrap();
                side.goodbye().unwrap();
                return ExitCode::from(7);
            }
            b'c' => {
                std::io::stdout().flush().unwrap();
                // SAFETY: nothing is written to standard output after this.
                unsafe { libc::close(1) };
            }
            b'?' => println!("guardian {}\nready", side.guardian_is_alive()),
            // Standard input ended: stay, to be killed.
            _ => std::thread::sleep(std::time::Duration::from_secs(60)),
        }
    }
}

/// Where there are cgroups, lets `command` start in one of the agent's.
fn group(side: &AgentSide, dir: &std::path::Path, command: &mut Command) -> Option<NodeCgroup> {
    let hierarchies = Hierarchies::detect();
    if hierarchies.mode() == Mode::None {
        return None;
    }
    let purpose = purpose(dir);
    let spec = NodeSpec {
        run: purpose.run,
        node: purpose.node,
        budget: None,
        cpus: None,
    };
    let group = NodeCgroup::create(&hierarchies, &spec, &side.journal).unwrap();
    group.admission(Child::Server).unwrap().admit(command);
    Some(group)
}

fn wait_for_input() -> u8 {
    let mut byte = [0];
    match std::io::stdin().read(&mut byte).unwrap() {
        0 => 0,
        _ => byte[0],
    }
}
