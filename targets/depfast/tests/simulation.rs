//! The simulated world: what it loses, and that it is the same again for the same seed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use depfast::disk::Flush;
use depfast::sim::{DiskFault, Link, Sim};
use depfast::{Endpoint, Env, NodeId, Responder, Rpc, Service};

const SECOND: Duration = Duration::from_secs(1);

/// Answers every call with its body.
struct Echo;

impl Service for Echo {
    fn handle(&self, _from: NodeId, _method: u8, body: Bytes, respond: Responder) {
        respond.send(vec![body]);
    }
}

async fn join(env: &Env, me: u32, others: &[u32]) -> Rpc {
    let peers: BTreeMap<_, _> = others
        .iter()
        .map(|id| (NodeId(*id), String::new()))
        .collect();
    let endpoint = Endpoint {
        me: NodeId(me),
        listen: String::new(),
        peers,
        queue_bytes: 1 << 20,
    };
    let rpc = Rpc::join(env, endpoint).await.unwrap();
    rpc.serve(Rc::new(Echo));
    rpc
}

type Log = Rc<RefCell<Vec<String>>>;

/// Node 1 calls node 2 a hundred times over a bad link and notes what comes back.
fn calls_over(link: Link, seed: u64) -> Vec<String> {
    let sim = Sim::new(seed);
    sim.set_default_link(link);
    let log = Log::default();
    sim.start(NodeId(2), |env| async move {
        let _member = join(&env, 2, &[1]).await;
        env.terminated().await;
    });
    let noted = Rc::clone(&log);
    sim.start(NodeId(1), |env| async move {
        let rpc = join(&env, 1, &[2]).await;
        for number in 0..100u8 {
            let noted = Rc::clone(&noted);
            let call = rpc.call(NodeId(2), 1, vec![Bytes::from(vec![number])]);
            call.observe(move |result| noted.borrow_mut().push(format!("{:?}", result.unwrap())));
            env.timeout("next", Duration::from_millis(1)).await;
        }
        env.terminated().await;
    });
    sim.run_for(SECOND);
    log.take()
}

fn bad_link() -> Link {
    let delay = Duration::from_micros(100)..Duration::from_millis(20);
    Link {
        delay,
        loss: 0.2,
        duplication: 0.2,
    }
}

#[test]
fn a_seed_is_a_run() {
    let one = calls_over(bad_link(), 5);
    assert_eq!(one, calls_over(bad_link(), 5));
    assert_ne!(one, calls_over(bad_link(), 6));
}

#[test]
fn links_lose_and_reorder_but_answer_nothing_twice() {
    let answers = calls_over(bad_link(), 5);
    assert!((30..90).contains(&answers.len()), "{}", answers.len());
    let mut distinct = answers.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), answers.len());
    assert_ne!(distinct, answers, "some were overtaken");
    assert_eq!(calls_over(Link::default(), 5).len(), 100);
}

/// Writes two records, the second without flushing, then loses power.
fn after_crash(seed: u64, fault: DiskFault) -> Vec<u8> {
    let sim = Sim::new(seed);
    let node = NodeId(1);
    sim.set_disk_fault(node, fault);
    sim.start(node, |env| async move {
        let file = env.disk().open("file").wait("open").await.unwrap();
        file.write(0, vec![Bytes::from_static(b"kept")], Flush::Data)
            .wait("write")
            .await
            .unwrap();
        file.write(4, vec![Bytes::from_static(b"perhaps")], Flush::No)
            .wait("write")
            .await
            .unwrap();
        env.terminated().await;
    });
    sim.run_for(SECOND);
    sim.crash(node);
    let found = Rc::new(RefCell::new(Vec::new()));
    let result = Rc::clone(&found);
    sim.start(node, |env| async move {
        let file = env.disk().open("file").wait("open").await.unwrap();
        let content = file.read(0, 100).wait("read").await.unwrap();
        result.borrow_mut().extend_from_slice(&content);
    });
    sim.run_for(SECOND);
    assert!(!sim.is_up(node), "a node ends with its main coroutine");
    found.take()
}

#[test]
fn a_crash_keeps_what_was_flushed_and_tears_the_rest() {
    let outcomes: Vec<_> = (0..40)
        .map(|seed| after_crash(seed, DiskFault::None))
        .collect();
    assert!(
        outcomes
            .iter()
            .all(|content| b"keptperhaps".starts_with(content) && content.len() >= 4)
    );
    for length in [4, 7, 11] {
        assert!(
            outcomes.iter().any(|content| content.len() == length),
            "one of {length} bytes"
        );
    }
    assert!((0..40).any(|seed| !after_crash(seed, DiskFault::IgnoresFlush).starts_with(b"kept")));
}

/// Writes a large record without flushing and renames its file, loses power at some moment, and says what is left.
fn torn(seed: u64) -> (Vec<String>, Vec<u8>) {
    let sim = Sim::new(seed);
    let node = NodeId(1);
    sim.start(node, |env| async move {
        let disk = env.disk();
        let file = disk.open("new").wait("open").await.unwrap();
        let record = vec![Bytes::from(vec![1; 1000])];
        file.write(0, record, Flush::No)
            .wait("write")
            .await
            .unwrap();
        disk.rename("new", "name").wait("rename").await.unwrap();
        env.terminated().await;
    });
    sim.run_for(Duration::from_micros(500));
    sim.crash(node);
    let found = Rc::new(RefCell::new((Vec::new(), Vec::new())));
    let result = Rc::clone(&found);
    sim.start(node, |env| async move {
        let names = env.disk().list().wait("list").await.unwrap();
        let mut content = Bytes::new();
        if let Some(name) = names.first() {
            let file = env.disk().open(name).wait("open").await.unwrap();
            content = file.read(0, 2000).wait("read").await.unwrap();
        }
        *result.borrow_mut() = (names, content.to_vec());
    });
    sim.run_for(SECOND);
    found.take()
}

#[test]
fn a_crash_leaves_holes_in_large_writes_and_changes_of_names_happen_or_not() {
    let outcomes: Vec<_> = (0..100).map(torn).collect();
    let hole = |content: &[u8]| content.contains(&0);
    assert!(outcomes.iter().any(|(_, content)| hole(content)));
    assert!(outcomes.iter().any(|(_, content)| content[..] == [1; 1000]));
    assert!(outcomes.iter().any(|(names, _)| names == &["new"]));
    assert!(outcomes.iter().any(|(names, _)| names == &["name"]));
}

#[test]
fn a_full_disk_takes_what_needs_no_space() {
    let sim = Sim::new(1);
    let node = NodeId(1);
    let (world, seen) = (sim.clone(), Rc::new(RefCell::new(Vec::new())));
    let result = Rc::clone(&seen);
    sim.start(node, |env| async move {
        let file = env.disk().open("file").wait("open").await.unwrap();
        file.allocate(4).wait("allocate").await.unwrap();
        world.set_disk_fault(node, DiskFault::Full);
        for part in ["four", "five5"] {
            let part = vec![Bytes::from_static(part.as_bytes())];
            let written = file.write(0, part, Flush::Data).wait("write").await;
            result.borrow_mut().push(written.map_err(|e| e.kind()));
        }
        let allocated = file.allocate(5).wait("allocate").await;
        result.borrow_mut().push(allocated.map_err(|e| e.kind()));
    });
    sim.run_for(SECOND);
    let full = Err(std::io::ErrorKind::StorageFull);
    assert_eq!(*seen.borrow(), [Ok(()), full, full]);
}

#[test]
fn disk_errors_reach_whoever_waits() {
    let sim = Sim::new(1);
    sim.set_disk_fault(NodeId(1), DiskFault::Full);
    let seen = Rc::new(RefCell::new(None));
    let result = Rc::clone(&seen);
    sim.start(NodeId(1), |env| async move {
        let file = env.disk().open("file").wait("open").await.unwrap();
        let written = file
            .write(0, vec![Bytes::from_static(b"x")], Flush::Data)
            .wait("write")
            .await;
        *result.borrow_mut() = Some(written.unwrap_err().kind());
    });
    sim.run_for(SECOND);
    assert_eq!(*seen.borrow(), Some(std::io::ErrorKind::StorageFull));
}

#[test]
fn a_crash_resets_the_connections_of_clients() {
    let sim = Sim::new(1);
    sim.start(NodeId(1), |env| async move {
        let listener = env.listen("server:1").await.unwrap();
        let stream = listener.accept().await.unwrap();
        let mut input = BytesMut::new();
        while stream.read(&mut input).await.unwrap() > 0 {
            stream.write_all(&input.split()).await.unwrap();
        }
    });
    sim.run_for(SECOND);
    let stream = sim.connect("server:1").unwrap();
    let log = Log::default();
    let (noted, client) = (Rc::clone(&log), stream.clone());
    sim.env().spawn(async move {
        client.write_all(b"hello").await.unwrap();
        let mut input = BytesMut::new();
        loop {
            let read = client.read(&mut input).await;
            noted
                .borrow_mut()
                .push(format!("{:?}", read.map_err(|error| error.kind())));
            if read_failed(&noted) {
                return;
            }
        }
    });
    sim.run_for(SECOND);
    sim.crash(NodeId(1));
    sim.run_for(SECOND);
    assert_eq!(*log.borrow(), ["Ok(5)", "Err(ConnectionReset)"]);
    assert!(sim.connect("server:1").is_err());
}

fn read_failed(log: &Log) -> bool {
    log.borrow()
        .last()
        .is_some_and(|line| line.starts_with("Err"))
}

/// Answers every call with its body, after a while.
struct LateEcho(Env);

impl Service for LateEcho {
    fn handle(&self, _from: NodeId, _method: u8, body: Bytes, respond: Responder) {
        let env = self.0.clone();
        self.0.spawn(async move {
            env.timeout("late", Duration::from_millis(100)).await;
            respond.send(vec![body]);
        });
    }
}

#[test]
fn an_answer_owed_to_an_earlier_life_is_not_taken() {
    let sim = Sim::new(1);
    sim.start(NodeId(2), |env| async move {
        let member = join(&env, 2, &[1]).await;
        member.serve(Rc::new(LateEcho(env.clone())));
        env.terminated().await;
    });
    let log = Log::default();
    for question in ["of the first life", "of the second life"] {
        let noted = Rc::clone(&log);
        sim.start(NodeId(1), move |env| async move {
            let rpc = join(&env, 1, &[2]).await;
            let call = rpc.call(NodeId(2), 1, vec![Bytes::from(question)]);
            call.observe(move |result| {
                let answer = result.unwrap();
                let answer = String::from_utf8_lossy(&answer).into_owned();
                noted.borrow_mut().push(answer);
            });
            env.terminated().await;
        });
        sim.run_for(Duration::from_millis(20));
        if question == "of the first life" {
            sim.crash(NodeId(1));
        }
    }
    sim.run_for(SECOND);
    assert_eq!(*log.borrow(), ["of the second life"]);
}
