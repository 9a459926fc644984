use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::command::{Answer, Condition, Keys, SessionId};

fn apply(store: &mut Store, command: &Command<'_>) -> String {
    let (mut entry, mut reply) = (BytesMut::new(), BytesMut::new());
    command.encode(&mut entry);
    store.apply(&entry, &mut reply);
    String::from_utf8(reply.to_vec()).unwrap()
}

fn plain(store: &mut Store, op: Op<'_>) -> String {
    apply(store, &Command::plain(op))
}

fn ask(store: &Store, query: &Query) -> String {
    let mut reply = BytesMut::new();
    store.query(query, &mut reply);
    String::from_utf8(reply.to_vec()).unwrap()
}

const fn key(name: &'static str) -> Bytes {
    Bytes::from_static(name.as_bytes())
}

fn stamp(session: u64, seq: u64, below: u64) -> Stamp {
    Stamp {
        session: SessionId(session),
        seq,
        below,
    }
}

fn open(store: &mut Store, session: u64, generation: Option<u64>) -> String {
    let command = Command {
        stamp: Some(Stamp::opening(SessionId(session))),
        op: Op::Open { generation },
    };
    apply(store, &command)
}

fn add(store: &mut Store, stamp: Stamp) -> String {
    let op = Op::Add { key: b"n", by: 1 };
    let stamp = Some(stamp);
    apply(store, &Command { stamp, op })
}

#[test]
fn every_operation_does_what_redis_does() {
    let mut store = Store::default();
    let one = Op::Set {
        key: b"k",
        value: b"one",
    };
    assert_eq!(ask(&store, &Query::Get(key("k"))), "$-1\r\n");
    assert_eq!(plain(&mut store, one), "+OK\r\n");
    assert_eq!(ask(&store, &Query::Get(key("k"))), "$3\r\none\r\n");
    assert_eq!(
        plain(
            &mut store,
            Op::Append {
                key: b"k",
                value: b"!"
            }
        ),
        ":4\r\n"
    );
    assert_eq!(ask(&store, &Query::Length(key("k"))), ":4\r\n");
    assert_eq!(plain(&mut store, Op::Add { key: b"n", by: -2 }), ":-2\r\n");
    assert_eq!(
        plain(
            &mut store,
            Op::Add {
                key: b"n",
                by: i64::MIN
            }
        ),
        "-ERR increment or decrement would overflow\r\n"
    );
    assert_eq!(
        plain(&mut store, Op::Add { key: b"k", by: 1 }),
        "-ERR value is not an integer or out of range\r\n"
    );
    assert_eq!(
        ask(&store, &Query::GetMany(vec![key("n"), key("x")])),
        "*2\r\n$2\r\n-2\r\n$-1\r\n"
    );
    assert_eq!(
        ask(&store, &Query::Exists(vec![key("k"), key("k"), key("x")])),
        ":2\r\n"
    );
    assert_eq!(ask(&store, &Query::Count), ":2\r\n");

    let set_if = |condition, answer| Op::SetIf {
        key: b"s",
        value: b"v",
        condition,
        answer,
    };
    assert_eq!(
        plain(&mut store, set_if(Condition::Present, Answer::Done)),
        "$-1\r\n"
    );
    assert_eq!(
        plain(&mut store, set_if(Condition::Absent, Answer::Count)),
        ":1\r\n"
    );
    assert_eq!(
        plain(&mut store, set_if(Condition::Absent, Answer::Count)),
        ":0\r\n"
    );
    assert_eq!(
        plain(&mut store, set_if(Condition::Always, Answer::Old)),
        "$1\r\nv\r\n"
    );
    assert_eq!(plain(&mut store, Op::Take { key: b"s" }), "$1\r\nv\r\n");
    assert_eq!(plain(&mut store, Op::Take { key: b"s" }), "$-1\r\n");

    let set_many = |condition| Op::SetMany {
        pairs: Keys::Listed(&[b"k", b"1", b"m", b"2"]),
        condition,
    };
    assert_eq!(plain(&mut store, set_many(Condition::Absent)), ":0\r\n");
    assert_eq!(plain(&mut store, set_many(Condition::Always)), "+OK\r\n");
    assert_eq!(
        ask(&store, &Query::GetMany(vec![key("k"), key("m")])),
        "*2\r\n$1\r\n1\r\n$1\r\n2\r\n"
    );
    let keys = Keys::Listed(&[b"k", b"k", b"x"]);
    assert_eq!(plain(&mut store, Op::Del { keys }), ":1\r\n");
    assert_eq!(store.len(), 2);
    assert_eq!(plain(&mut store, Op::Clear), "+OK\r\n");
    assert!(store.is_empty());
}

#[test]
fn a_stamped_command_takes_effect_once_in_whatever_order_copies_come() {
    let mut store = Store::default();
    assert_eq!(open(&mut store, 7, None), ":1\r\n");
    assert_eq!(open(&mut store, 7, None), ":1\r\n", "it is open already");
    // 3 overtakes 1 and 2, as it may in Copilot's other log.
    for (seq, answer) in [
        (3, ":1\r\n"),
        (1, ":2\r\n"),
        (3, ":1\r\n"),
        (2, ":3\r\n"),
        (1, ":2\r\n"),
        (1, ":2\r\n"),
    ] {
        assert_eq!(add(&mut store, stamp(7, seq, 1)), answer);
    }
    assert!(store.has_executed(stamp(7, 2, 0)) && !store.has_executed(stamp(7, 4, 0)));
    let reply = |store: &Store, seq| store.reply_to_copy(stamp(7, seq, 0));
    assert_eq!(reply(&store, 2).as_deref(), Some(&b":3\r\n"[..]));
    assert_eq!(reply(&store, 4), None);
    assert!(!store.has_executed(Stamp::opening(SessionId(7))));
    // Copies change nothing at all.
    let before: Vec<_> = store.snapshot().collect();
    add(&mut store, stamp(7, 3, 3));
    assert!(store.snapshot().eq(before));
    // Once acknowledged, an answer is forgotten, and a late copy still does nothing.
    assert_eq!(add(&mut store, stamp(7, 4, 4)), ":4\r\n");
    assert!(add(&mut store, stamp(7, 2, 1)).starts_with("-STALE "));
    assert!(store.has_executed(stamp(7, 2, 0)));
    assert!(reply(&store, 2).is_some_and(|reply| reply.starts_with(b"-STALE ")));
    assert_eq!(ask(&store, &Query::Get(key("n"))), "$1\r\n4\r\n");
}

#[test]
fn sessions_are_bounded_and_one_that_is_gone_is_never_mistaken() {
    let mut store = Store::default();
    assert!(add(&mut store, stamp(1, 1, 0)).starts_with("-NOSESSION "));
    open(&mut store, 1, None);
    // A client that acknowledges nothing loses old answers, not the protection.
    for seq in 1..=2 * WINDOW {
        add(&mut store, stamp(1, seq, 0));
    }
    assert!(add(&mut store, stamp(1, 1, 0)).starts_with("-STALE "));
    assert_eq!(
        add(&mut store, stamp(1, WINDOW + 2, 0)),
        format!(":{}\r\n", WINDOW + 2)
    );

    for other in 2..=10_001 {
        open(&mut store, other, None);
    }
    assert_eq!(store.sessions(), 10_000);
    assert!(add(&mut store, stamp(1, 5000, 0)).starts_with("-NOSESSION "));
    assert!(open(&mut store, 1, Some(1)).starts_with("-NOSESSION "));
    let again = open(&mut store, 1, None);
    assert_ne!(
        again, ":1\r\n",
        "a new session of the same number shows as such"
    );
}

#[test]
fn answers_kept_take_bounded_memory() {
    let mut store = Store::default();
    let long = vec![b'x'; 1 << 20];
    plain(
        &mut store,
        Op::Set {
            key: b"long",
            value: &long,
        },
    );
    for session in 1..=40 {
        open(&mut store, session, None);
        for seq in 1..=4 {
            let stamp = Some(stamp(session, seq, 0));
            let op = Op::Ask(Query::Get(key("long")));
            store.perform(&Command { stamp, op }, &mut BytesMut::new());
        }
    }
    assert!(store.sessions.bytes <= 64 << 20);
    assert!(
        store.sessions() < 40 && store.sessions() > 15,
        "{}",
        store.sessions()
    );
    assert!(add(&mut store, stamp(40, 5, 5)).starts_with(':'));
}

#[test]
fn a_snapshot_stays_as_it_was_while_the_store_goes_on() {
    let mut store = Store::default();
    for number in 0..20_000_u32 {
        let name = number.to_string();
        plain(
            &mut store,
            Op::Set {
                key: name.as_bytes(),
                value: name.as_bytes(),
            },
        );
    }
    let mut snapshot = store.snapshot();
    let mut restoring = Restoring::default();
    for number in 0..20_000_u32 {
        if number % 1000 == 0
            && let Some(chunk) = snapshot.next()
        {
            restoring.take(&chunk).unwrap();
        }
        plain(
            &mut store,
            Op::Set {
                key: number.to_string().as_bytes(),
                value: b"later",
            },
        );
    }
    plain(&mut store, Op::Clear);
    for chunk in snapshot {
        assert!(chunk.len() < 80 << 10);
        restoring.take(&chunk).unwrap();
    }
    let restored = restoring.finish().unwrap();
    assert_eq!(restored.len(), 20_000);
    assert_eq!(ask(&restored, &Query::Get(key("19999"))), "$5\r\n19999\r\n");
}

#[test]
fn damaged_snapshots_are_refused() {
    let mut store = Store::default();
    open(&mut store, 1, None);
    add(&mut store, stamp(1, 1, 0));
    let chunks: Vec<_> = store.snapshot().collect();
    assert_eq!(chunks.len(), 4);
    for left_out in 0..chunks.len() {
        let mut restoring = Restoring::default();
        let kept = chunks
            .iter()
            .enumerate()
            .filter(|(place, _)| *place != left_out);
        let taken = kept
            .map(|(_, chunk)| chunk)
            .try_for_each(|chunk| restoring.take(chunk));
        assert!(
            taken.is_err() || restoring.finish().is_err(),
            "without {left_out}"
        );
    }
    for (place, chunk) in chunks.iter().enumerate() {
        for length in 0..chunk.len() {
            let mut restoring = Restoring::default();
            for before in &chunks[..place] {
                restoring.take(before).unwrap();
            }
            let cut = restoring.take(&chunk[..length]).is_err();
            assert!(
                cut || restoring.finish().is_err(),
                "chunk {place} cut at {length}"
            );
        }
    }
    let mut later = chunks[0].to_vec();
    later[1] = 9;
    assert_eq!(
        Restoring::default().take(&later),
        Err(BadSnapshot::Version(9))
    );
}

fn operations() -> impl Strategy<Value = (u8, u8, u64, u64, u64)> {
    (0..6_u8, 0..8_u8, 1..4_u64, 0..12_u64, 0..12_u64)
}

fn perform(store: &mut Store, (kind, name, session, seq, below): (u8, u8, u64, u64, u64)) -> Bytes {
    let name = [b'a' + name];
    let op = match kind {
        0 => Op::Open { generation: None },
        1 => Op::Add { key: &name, by: 1 },
        2 => Op::Append {
            key: &name,
            value: b"1",
        },
        3 => Op::Del {
            keys: Keys::Listed(&[b"a", b"b"]),
        },
        4 => Op::Ask(Query::Get(Bytes::copy_from_slice(&name))),
        _ => Op::Set {
            key: &name,
            value: b"5",
        },
    };
    let stamp = (kind == 0 || seq > 3).then(|| stamp(session, seq, below.min(seq)));
    let mut reply = BytesMut::new();
    store.perform(&Command { stamp, op }, &mut reply);
    reply.freeze()
}

proptest! {
    #[test]
    fn a_restored_store_cannot_be_told_from_the_one_it_was_taken_of(
        before in proptest::collection::vec(operations(), 0..60),
        after in proptest::collection::vec(operations(), 0..60),
    ) {
        let mut store = Store::default();
        for operation in before {
            perform(&mut store, operation);
        }
        let mut restoring = Restoring::default();
        for chunk in store.snapshot() {
            restoring.take(&chunk).unwrap();
        }
        let mut restored = restoring.finish().unwrap();
        prop_assert!(restored.snapshot().eq(store.snapshot()));
        for operation in after {
            prop_assert_eq!(perform(&mut restored, operation), perform(&mut store, operation));
        }
        prop_assert!(restored.snapshot().eq(store.snapshot()));
    }

    #[test]
    fn chunks_of_any_bytes_are_taken_without_panic(chunks: Vec<Vec<u8>>) {
        let mut restoring = Restoring::default();
        let _result = chunks.iter().try_for_each(|chunk| restoring.take(chunk));
    }
}
