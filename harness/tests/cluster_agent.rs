//! The agent alone, spoken to by hand: however the conversation ends, it undoes and ends.

#![expect(clippy::unwrap_used, reason = "what fails in a test fails the test")]

mod common;

use std::process::Stdio;
use std::time::Duration;

use common::{Ground, PROGRAM, node, spawn};
use depbench::agent::wire::{
    Budget, Disk, FromAgent, Greeting, Layer, Prepare, Request, RequestId, Response, ToAgent,
    read_frame, read_hello, write_frame,
};
use depbench::agent::{Isolation, Options, program_hash};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use node::journal::Purpose;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;
use vocab::units::Span;

const PATIENCE: Duration = Duration::from_secs(120);

struct Agent {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    asked: u64,
}

fn options(ground: &Ground, lease: Span) -> Options {
    let dir = ground
        .path()
        .join(format!("nodes/depbench-{}-a", ground.run()));
    Options {
        purpose: Purpose {
            run: ground.run().clone(),
            node: node("a"),
        },
        journal: ground.state().journal(),
        dir,
        lease,
        isolation: Isolation::None,
    }
}

fn start(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Agent {
    let mut child = Command::new(PROGRAM)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    Agent {
        child,
        stdin,
        stdout,
        asked: 0,
    }
}

impl Agent {
    /// An agent that is ready, with a process that would run for long.
    async fn at_work(ground: &Ground, lease: Span) -> Agent {
        let mut agent = start(options(ground, lease).arguments());
        let hello = read_hello(&mut agent.stdout).await.unwrap();
        assert_eq!(hello.greeting, Greeting::Ready);
        hello
            .check(&program_hash(PROGRAM.as_ref()).unwrap())
            .unwrap();
        let prepare = Prepare {
            budget: Budget::NoGroups,
            cpus: Vec::new(),
            disk: Disk::Shared,
            layer: Layer::None,
        };
        let prepared = agent.ask(Request::Prepare(prepare)).await.unwrap();
        assert!(matches!(prepared, Response::Prepared(_)), "{prepared:?}");
        let forking = spawn("forking", &["sh", "-c", "setsid sleep 1000 & sleep 1000"]);
        let spawned = agent.ask(Request::Spawn(forking)).await.unwrap();
        assert!(matches!(spawned, Response::Spawned { .. }), "{spawned:?}");
        assert!(!ground.leftovers().is_empty());
        agent
    }

    async fn ask(&mut self, request: Request) -> Result<Response, String> {
        self.asked += 1;
        let asked = RequestId(self.asked);
        let message = ToAgent::Request {
            id: asked,
            request: Box::new(request),
        };
        write_frame(&mut self.stdin, &message, &[]).await.unwrap();
        loop {
            let (message, _) = read_frame(&mut self.stdout).await.unwrap().unwrap();
            if let FromAgent::Response { id, result } = message
                && id == asked
            {
                return result;
            }
        }
    }

    /// Waits for its end, whatever it still says; gives the exit code.
    async fn end(mut self) -> i32 {
        let rest =
            async { while let Ok(Some(_)) = read_frame::<FromAgent>(&mut self.stdout).await {} };
        timeout(PATIENCE, rest).await.unwrap();
        timeout(PATIENCE, self.child.wait())
            .await
            .unwrap()
            .unwrap()
            .code()
            .unwrap()
    }
}

#[tokio::test]
async fn a_goodbye_is_answered_when_all_is_undone() {
    let ground = Ground::new("bye");
    let mut agent = Agent::at_work(&ground, Span::seconds(15)).await;
    let answer = agent.ask(Request::Goodbye).await.unwrap();
    let Response::Goodbye(problems) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!(agent.end().await, 0);
    assert_eq!(ground.leftovers(), Default::default());
}

#[tokio::test]
async fn end_of_file_is_a_dead_controller() {
    let ground = Ground::new("eof");
    let agent = Agent::at_work(&ground, Span::seconds(15)).await;
    let Agent {
        mut child,
        stdin,
        stdout,
        ..
    } = agent;
    drop((stdin, stdout));
    assert_eq!(
        timeout(PATIENCE, child.wait())
            .await
            .unwrap()
            .unwrap()
            .code(),
        Some(0)
    );
    assert_eq!(ground.leftovers(), Default::default());
}

#[tokio::test]
async fn silence_ends_the_lease_and_heartbeats_renew_it() {
    let ground = Ground::new("lease");
    let mut agent = Agent::at_work(&ground, Span::seconds(4)).await;
    for _ in 0..60 {
        write_frame(&mut agent.stdin, &ToAgent::Heartbeat, &[])
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(
        agent
            .ask(Request::Sample {
                every: Span::seconds(60)
            })
            .await
            .is_ok()
    );
    assert_eq!(agent.end().await, 0);
    assert_eq!(ground.leftovers(), Default::default());
}

#[tokio::test]
async fn what_is_no_frame_ends_it() {
    let ground = Ground::new("junk");
    let mut agent = Agent::at_work(&ground, Span::seconds(15)).await;
    agent
        .stdin
        .write_all(b"GET / HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(agent.end().await, 0);
    assert_eq!(ground.leftovers(), Default::default());
}

#[tokio::test]
async fn a_signal_ends_it() {
    let ground = Ground::new("term");
    let agent = Agent::at_work(&ground, Span::seconds(15)).await;
    let guardian = agent.child.id().unwrap();
    let tree = node::procfs::ProcessTree::under(guardian as i32).unwrap();
    let of_guardian = tree.processes[1].process.pid;
    kill(Pid::from_raw(of_guardian), Signal::SIGTERM).unwrap();
    assert_eq!(agent.end().await, 0);
    assert_eq!(ground.leftovers(), Default::default());
}

#[tokio::test]
async fn what_cannot_be_done_is_answered_and_nothing_breaks() {
    let ground = Ground::new("wrong");
    let mut agent = Agent::at_work(&ground, Span::seconds(15)).await;
    let file = |path: &str| Request::GetFile {
        path: path.into(),
        offset: 0,
    };
    let prepare = Prepare {
        budget: Budget::NoGroups,
        cpus: Vec::new(),
        disk: Disk::Shared,
        layer: Layer::None,
    };
    let mut nameless = spawn("../x", &["true"]);
    for (request, expected) in [
        (file("/no/such/file"), "/no/such/file"),
        (
            Request::ListDir {
                path: "/no/such".into(),
            },
            "/no/such",
        ),
        (Request::Prepare(prepare), "prepared already"),
        (Request::Spawn(nameless.clone()), "cannot name a log"),
        (Request::Spawn(spawn("none", &[])), "argv is empty"),
        (
            Request::Spawn(spawn("missing", &["/no/program"])),
            "/no/program",
        ),
        (
            Request::Signal {
                process: depbench::agent::wire::ProcessId(99),
                signal: 9,
            },
            "process #99 has ended",
        ),
    ] {
        let refused = agent.ask(request).await.unwrap_err();
        assert!(refused.contains(expected), "{refused}");
    }
    nameless.name = "named".into();
    assert!(agent.ask(Request::Spawn(nameless)).await.is_ok());
    assert!(matches!(
        agent.ask(Request::Facts).await,
        Ok(Response::Facts(_))
    ));
    agent.ask(Request::Goodbye).await.unwrap();
    agent.end().await;
    assert_eq!(ground.leftovers(), Default::default());
}

#[tokio::test]
async fn an_agent_that_cannot_set_itself_up_says_why() {
    let ground = Ground::new("refuse");
    let there = options(&ground, Span::seconds(15));
    std::fs::create_dir_all(&there.dir).unwrap();
    for (arguments, expected) in [
        (there.arguments().to_vec(), "is there already"),
        (vec!["agent".into(), "{}".into()], "options"),
    ] {
        let mut agent = start(arguments);
        let hello = timeout(PATIENCE, read_hello(&mut agent.stdout))
            .await
            .unwrap()
            .unwrap();
        let Greeting::Refused(reason) = hello.greeting else {
            panic!("{:?}", hello.greeting)
        };
        assert!(reason.contains(expected), "{reason}");
        assert_ne!(agent.child.wait().await.unwrap().code(), Some(0));
    }
    std::fs::remove_dir(&there.dir).unwrap();
    assert_eq!(ground.leftovers(), Default::default());
}

#[tokio::test]
async fn another_program_is_no_agent() {
    let mut agent = start(["--version".into()]);
    let error = read_hello(&mut agent.stdout).await.unwrap_err();
    assert!(error.to_string().contains("no agent answered"), "{error}");
    agent.child.wait().await.unwrap();
}
