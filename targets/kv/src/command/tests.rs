use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn survives(command: &Command<'_>) -> bool {
    let mut entry = BytesMut::new();
    command.encode(&mut entry);
    Command::decode(&entry).as_ref() == Some(command)
}

fn stamps() -> impl Strategy<Value = Option<Stamp>> {
    proptest::option::of(
        any::<(u64, u64, u64)>().prop_map(|(session, seq, below)| Stamp {
            session: SessionId(session),
            seq,
            below: below.min(seq),
        }),
    )
}

proptest! {
    #[test]
    fn every_operation_survives_the_log(stamp in stamps(), key: Vec<u8>, value: Vec<u8>, number: i64) {
        let (key, value) = (&key[..], &value[..]);
        let owned = Bytes::copy_from_slice(key);
        let both = vec![owned.clone(), Bytes::copy_from_slice(value)];
        let listed = [key, value];
        let keys = Keys::Listed(&listed);
        let condition = Condition::Absent;
        for op in [
            Op::Set { key, value },
            Op::SetIf { key, value, condition, answer: Answer::Old },
            Op::SetMany { pairs: keys, condition },
            Op::Del { keys },
            Op::Take { key },
            Op::Add { key, by: number },
            Op::Append { key, value },
            Op::Clear,
            Op::Open { generation: None },
            Op::Open { generation: Some(number.unsigned_abs()) },
            Op::Ask(Query::Get(owned.clone())),
            Op::Ask(Query::GetMany(both.clone())),
            Op::Ask(Query::Exists(both.clone())),
            Op::Ask(Query::Length(owned.clone())),
            Op::Ask(Query::Count),
        ] {
            let command = Command { stamp, op };
            prop_assert!(survives(&command), "{:?}", command);
        }
    }

    #[test]
    fn lists_of_keys_survive_the_log(keys in vec(any::<Vec<u8>>(), 0..20)) {
        let listed: Vec<_> = keys.iter().map(Vec::as_slice).collect();
        let op = Op::Del { keys: Keys::Listed(&listed) };
        prop_assert!(survives(&Command::plain(op)));
    }

    #[test]
    fn any_bytes_are_read_without_panic(entry: Vec<u8>) {
        let _maybe = Command::decode(&entry);
    }
}
