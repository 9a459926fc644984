//! The Redis front end before a replica that answers as late and in whatever order it likes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use depbench_kv::{Command, Front, Limits, Query, Refusal, Replica, Role, Status, Ticket};
use depfast::sim::Sim;
use depfast::{Env, NodeId, Stream};
use resp::encode;

const MOMENT: Duration = Duration::from_millis(10);

/// Keeps every request until the test decides.
#[derive(Default)]
struct Holding(RefCell<Vec<Ticket>>, RefCell<Vec<String>>);

impl Replica for Holding {
    fn write(&self, command: Command<'_>, ticket: Ticket) {
        let stamp = command
            .stamp
            .map(|stamp| (stamp.session.0, stamp.seq, stamp.below));
        self.1.borrow_mut().push(format!("{stamp:?}"));
        self.0.borrow_mut().push(ticket);
    }

    fn read(&self, _query: Query, ticket: Ticket) {
        self.0.borrow_mut().push(ticket);
    }

    fn status(&self) -> Status {
        Status {
            id: NodeId(1),
            role: Role::Follower,
            leader: Some(NodeId(2)),
            term: 3,
            commit: 4,
            applied: 4,
            last: 5,
            keys: 6,
        }
    }
}

struct Server {
    sim: Sim,
    replica: Rc<Holding>,
}

impl Server {
    fn start(limits: Limits) -> Self {
        let (sim, replica) = (Sim::new(1), Rc::<Holding>::default());
        let served: Rc<dyn Replica> = Rc::<Holding>::clone(&replica);
        sim.start(NodeId(1), move |env: Env| async move {
            let addresses = BTreeMap::from([(NodeId(2), "two:1".to_owned())]);
            let front = Front {
                env: env.clone(),
                replica: served,
                addresses,
                limits,
            };
            front.serve("one:1").await.unwrap();
            env.terminated().await;
        });
        sim.run_for(MOMENT);
        Self { sim, replica }
    }

    /// Sends `requests` and notes what comes back from then on.
    fn connect(&self, requests: &str) -> (Stream, Rc<RefCell<String>>) {
        let stream = self.sim.connect("one:1").unwrap();
        let received = Rc::<RefCell<String>>::default();
        let (reader, writer, noted) = (stream.clone(), stream.clone(), Rc::clone(&received));
        let requests = requests.to_owned();
        let env = self.sim.env();
        env.spawn(async move {
            let _refused_perhaps = writer.write_all(requests.as_bytes()).await;
        });
        env.spawn(async move {
            let mut input = BytesMut::new();
            while reader.read(&mut input).await.is_ok_and(|count| count > 0) {
                noted
                    .borrow_mut()
                    .push_str(std::str::from_utf8(&input.split()).unwrap());
            }
            noted.borrow_mut().push_str("END");
        });
        self.sim.run_for(MOMENT);
        (stream, received)
    }

    fn held(&self) -> usize {
        self.replica.0.borrow().len()
    }

    fn answer_last(&self, number: i64) {
        let ticket = self.replica.0.borrow_mut().pop().unwrap();
        ticket.answer(|out| encode::integer(out, number));
        self.sim.run_for(MOMENT);
    }
}

#[test]
fn answers_leave_in_the_order_of_the_requests() {
    let server = Server::start(Limits::default());
    let (_stream, received) = server.connect("SET a 1\r\nPING\r\nGET a\r\nDEL a\r\nPING\r\n");
    assert_eq!((server.held(), received.borrow().as_str()), (3, ""));
    server.answer_last(3);
    server.answer_last(2);
    assert_eq!(received.borrow().as_str(), "");
    server.answer_last(1);
    assert_eq!(
        received.borrow().as_str(),
        ":1\r\n+PONG\r\n:2\r\n:3\r\n+PONG\r\n"
    );
}

#[test]
fn a_client_has_a_bounded_number_of_requests_under_way() {
    let server = Server::start(Limits {
        pipeline: 4,
        ..Limits::default()
    });
    let (_stream, received) = server.connect(&"GET a\r\n".repeat(10));
    assert_eq!(server.held(), 4);
    for _ in 0..4 {
        server.answer_last(0);
    }
    assert_eq!(
        server.held(),
        4,
        "the next ones are read when answers have gone out"
    );
    for _ in 0..6 {
        server.answer_last(0);
    }
    assert_eq!(received.borrow().as_str(), ":0\r\n".repeat(10));
}

#[test]
fn refusals_say_where_to_go() {
    let server = Server::start(Limits::default());
    let (_stream, received) = server.connect(&"GET a\r\n".repeat(4));
    let refusals = [
        Refusal::NotLeader(Some(NodeId(2))),
        Refusal::NotLeader(None),
        Refusal::Busy,
        Refusal::Unknown,
    ];
    let tickets = server.replica.0.take();
    for (ticket, refusal) in tickets.into_iter().zip(refusals) {
        ticket.refuse(refusal);
    }
    server.sim.run_for(MOMENT);
    let received = received.borrow();
    let kinds: Vec<_> = received
        .lines()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(kinds, ["-MOVED", "-CLUSTERDOWN", "-TRYAGAIN", "-UNKNOWN"]);
    assert!(
        received.starts_with("-MOVED 15495 two:1\r\n"),
        "the slot of \"a\""
    );
}

#[test]
fn info_is_what_depbench_polls() {
    let server = Server::start(Limits::default());
    let (_stream, received) = server.connect("INFO\r\n");
    for line in [
        "role:follower",
        "leader:2",
        "leader_address:two:1",
        "term:3",
        "commit:4",
        "keys:6",
    ] {
        assert!(received.borrow().contains(&format!("{line}\r\n")), "{line}");
    }
}

#[test]
fn a_client_that_leaves_or_sends_nonsense_is_let_go() {
    let server = Server::start(Limits {
        connections: 1,
        ..Limits::default()
    });
    let (_stream, received) = server.connect("*1\r\n:1\r\n");
    assert!(received.borrow().starts_with("-ERR Protocol error"));
    assert!(received.borrow().ends_with("END"));

    let (stream, received) = server.connect("GET a\r\n");
    let (_second, refused) = server.connect("PING\r\n");
    assert_eq!(
        refused.borrow().as_str(),
        "-ERR max number of clients reached\r\nEND"
    );
    stream.close();
    server.sim.run_for(MOMENT);
    server.answer_last(0);
    let (_third, welcome) = server.connect("PING\r\n");
    assert_eq!(welcome.borrow().as_str(), "+PONG\r\n");
    drop(received);
}

#[test]
fn the_commands_of_a_session_carry_its_stamps() {
    let server = Server::start(Limits::default());
    let (_stream, received) = server.connect(
        "DF.DO 1 SET a 1\r\nDF.SESSION x\r\nDF.SESSION 7\r\nDF.DO 1 SET a 1\r\nDF.DO 5 3 GET a\r\nSET a 1\r\n\
         DF.DO 5 6 GET a\r\nDF.DO 5 PING\r\nDF.DO 5 GET\r\nDF.DO x GET a\r\nRESET\r\nDF.DO 1 SET a 1\r\n",
    );
    let stamps = server.replica.1.borrow().clone();
    assert_eq!(
        stamps,
        [
            "Some((7, 9223372036854775807, 0))",
            "Some((7, 1, 0))",
            "Some((7, 5, 3))",
            "None"
        ]
    );
    for _ in 0..4 {
        server.answer_last(0);
    }
    let received = received.borrow();
    let errors: Vec<_> = received
        .lines()
        .filter(|line| line.starts_with('-'))
        .collect();
    let expected = [
        "-ERR DF.DO needs a session",
        "-ERR expected DF.SESSION",
        "-ERR a command cannot be acknowledged before",
        "-ERR PING has no place in a session",
        "-ERR wrong number of arguments for 'get'",
        "-ERR expected DF.DO",
        "-ERR DF.DO needs a session",
    ];
    assert_eq!(errors.len(), expected.len(), "{errors:?}");
    for (error, start) in errors.iter().zip(expected) {
        assert!(error.starts_with(start), "{error}");
    }
}

#[test]
fn a_client_of_resp3_gets_maps_and_its_own_null() {
    let server = Server::start(Limits::default());
    let (_stream, received) =
        server.connect("HELLO 3\r\nGET a\r\nCONFIG GET save\r\nCLIENT GETNAME\r\n");
    let ticket = server.replica.0.borrow_mut().pop().unwrap();
    ticket.answer(encode::nil);
    server.sim.run_for(MOMENT);
    let received = received.borrow();
    assert!(received.starts_with("%7\r\n$6\r\nserver\r\n"));
    assert!(
        received.ends_with("_\r\n%1\r\n$4\r\nsave\r\n$0\r\n\r\n_\r\n"),
        "{received}"
    );
}

#[test]
fn the_group_looks_like_a_cluster_of_one_shard() {
    let server = Server::start(Limits::default());
    let (_stream, received) = server.connect(
        "CLUSTER NODES\r\nCLUSTER SLOTS\r\nCLUSTER KEYSLOT a\r\nCOMMAND GETKEYS MSET a 1 b 2\r\nCLUSTER X\r\n",
    );
    let (id, received) = (
        "0000000000000000000000000000000000000002",
        received.borrow(),
    );
    for part in [
        format!("{id} two:1@1 master - 0 0 3 connected 0-16383\n").as_str(),
        &format!("*1\r\n*3\r\n:0\r\n:16383\r\n*4\r\n$3\r\ntwo\r\n:1\r\n$40\r\n{id}\r\n*0\r\n"),
        ":15495\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n-ERR CLUSTER takes",
    ] {
        assert!(received.contains(part), "{part} in {received}");
    }
}

#[test]
fn a_client_that_reads_too_little_is_let_go_alone() {
    let server = Server::start(Limits {
        answer_bytes: 1000,
        ..Limits::default()
    });
    let (_other, well) = server.connect("PING\r\n");
    let (_stream, received) = server.connect(&"GET a\r\n".repeat(4));
    // Out of turn or in turn, and before anything could be sent.
    let mut tickets = server.replica.0.take();
    tickets.swap(0, 2);
    for ticket in tickets {
        ticket.answer(|out| encode::bulk(out, &[b'x'; 400]));
    }
    server.sim.run_for(MOMENT);
    assert_eq!(received.borrow().as_str(), "END");
    assert_eq!(well.borrow().as_str(), "+PONG\r\n");
    let (_next, welcome) = server.connect("PING\r\n");
    assert_eq!(welcome.borrow().as_str(), "+PONG\r\n");
}

#[test]
fn what_is_beyond_a_limit_is_refused_with_the_limit() {
    let server = Server::start(Limits {
        key_bytes: 4,
        value_bytes: 8,
        args: 4,
        ..Limits::default()
    });
    let long = "x".repeat(17);
    for (request, answer) in [
        (
            "SET longer 1\r\n",
            "-ERR a key of 6 bytes is longer than the limit of 4\r\n",
        ),
        (
            "SET k 123456789\r\n",
            "-ERR a value of 9 bytes is longer than the limit of 8\r\n",
        ),
        (
            "MGET a b c d\r\n",
            "-ERR Protocol error: invalid multibulk length: a request has at most 4 arguments\r\nEND",
        ),
        (
            &format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$17\r\n{long}\r\n"),
            "-ERR Protocol error: invalid bulk length: a key has at most 4 bytes, a value 8\r\nEND",
        ),
    ] {
        let (_stream, received) = server.connect(request);
        assert_eq!(received.borrow().as_str(), answer, "{request}");
    }
    assert_eq!(server.held(), 0);
}

#[test]
fn waits_and_alerts_are_told_as_json() {
    let server = Server::start(Limits::default());
    let (_stream, received) = server.connect("DF.TRACE\r\nDF.ALERTS\r\n");
    let received = received.borrow();
    assert!(received.contains("\"nodes\":"), "{received}");
    assert!(
        received.ends_with(",\"total\":0,\"alerts\":[]}\r\n"),
        "{received}"
    );
}
