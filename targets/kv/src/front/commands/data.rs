//! From the arguments of a command to what the store is to do.

use bytes::Bytes;

use crate::command::{Answer, Condition, Keys, Op, Query};

/// The arguments, the command's name first; there are as many as its arity demands.
pub(super) type Args<'a> = &'a [&'a [u8]];

/// Reads the arguments, or says what is wrong with them.
pub(super) type Parse = for<'a> fn(Args<'a>) -> Result<Data<'a>, String>;

/// What the store is to do.
pub(super) enum Data<'a> {
    Change(Op<'a>),
    Question(Query),
}

impl<'a> Data<'a> {
    /// As something that is ordered, a question like a change.
    pub(super) fn into_op(self) -> Op<'a> {
        match self {
            Self::Change(op) => op,
            Self::Question(query) => Op::Ask(query),
        }
    }
}

type Parsed<'a> = Result<Data<'a>, String>;

const NO_INTEGER: &str = "ERR value is not an integer or out of range";

pub(super) fn set<'a>(args: Args<'a>) -> Parsed<'a> {
    let (key, value) = (args[1], args[2]);
    if args.len() == 3 {
        return Ok(Data::Change(Op::Set { key, value }));
    }
    let (mut condition, mut answer) = (Condition::Always, Answer::Done);
    for option in &args[3..] {
        match option.to_ascii_uppercase().as_slice() {
            b"NX" if condition == Condition::Always => condition = Condition::Absent,
            b"XX" if condition == Condition::Always => condition = Condition::Present,
            b"GET" => answer = Answer::Old,
            b"EX" | b"PX" | b"EXAT" | b"PXAT" | b"KEEPTTL" => {
                return Err("ERR values do not expire here: SET takes NX, XX and GET".into());
            }
            _ => return Err("ERR syntax error: SET takes NX or XX, and GET".into()),
        }
    }
    Ok(Data::Change(Op::SetIf {
        key,
        value,
        condition,
        answer,
    }))
}

pub(super) fn set_new<'a>(args: Args<'a>) -> Parsed<'a> {
    set_if(args, Condition::Absent, Answer::Count)
}

pub(super) fn replace<'a>(args: Args<'a>) -> Parsed<'a> {
    set_if(args, Condition::Always, Answer::Old)
}

fn set_if<'a>(args: Args<'a>, condition: Condition, answer: Answer) -> Parsed<'a> {
    Ok(Data::Change(Op::SetIf {
        key: args[1],
        value: args[2],
        condition,
        answer,
    }))
}

pub(super) fn set_many<'a>(args: Args<'a>) -> Parsed<'a> {
    pairs(args, Condition::Always)
}

pub(super) fn set_many_new<'a>(args: Args<'a>) -> Parsed<'a> {
    pairs(args, Condition::Absent)
}

fn pairs<'a>(args: Args<'a>, condition: Condition) -> Parsed<'a> {
    if args.len().is_multiple_of(2) {
        return Err("ERR the last key has no value".into());
    }
    let pairs = Keys::Listed(&args[1..]);
    Ok(Data::Change(Op::SetMany { pairs, condition }))
}

pub(super) fn delete<'a>(args: Args<'a>) -> Parsed<'a> {
    let keys = Keys::Listed(&args[1..]);
    Ok(Data::Change(Op::Del { keys }))
}

pub(super) fn take<'a>(args: Args<'a>) -> Parsed<'a> {
    Ok(Data::Change(Op::Take { key: args[1] }))
}

pub(super) fn append<'a>(args: Args<'a>) -> Parsed<'a> {
    let (key, value) = (args[1], args[2]);
    Ok(Data::Change(Op::Append { key, value }))
}

pub(super) fn increment<'a>(args: Args<'a>) -> Parsed<'a> {
    add(args[1], Some(1))
}

pub(super) fn decrement<'a>(args: Args<'a>) -> Parsed<'a> {
    add(args[1], Some(-1))
}

pub(super) fn increment_by<'a>(args: Args<'a>) -> Parsed<'a> {
    add(args[1], number(args[2]))
}

pub(super) fn decrement_by<'a>(args: Args<'a>) -> Parsed<'a> {
    add(args[1], number(args[2]).and_then(i64::checked_neg))
}

fn add(key: &[u8], by: Option<i64>) -> Parsed<'_> {
    let by = by.ok_or(NO_INTEGER)?;
    Ok(Data::Change(Op::Add { key, by }))
}

pub(super) fn clear<'a>(args: Args<'a>) -> Parsed<'a> {
    match args[1..] {
        [] => Ok(Data::Change(Op::Clear)),
        [how] if how.eq_ignore_ascii_case(b"SYNC") || how.eq_ignore_ascii_case(b"ASYNC") => {
            Ok(Data::Change(Op::Clear))
        }
        _ => Err("ERR syntax error: it takes SYNC or ASYNC".into()),
    }
}

pub(super) fn get<'a>(args: Args<'a>) -> Parsed<'a> {
    Ok(Data::Question(Query::Get(Bytes::copy_from_slice(args[1]))))
}

pub(super) fn length<'a>(args: Args<'a>) -> Parsed<'a> {
    Ok(Data::Question(Query::Length(Bytes::copy_from_slice(
        args[1],
    ))))
}

pub(super) fn get_many<'a>(args: Args<'a>) -> Parsed<'a> {
    Ok(Data::Question(Query::GetMany(kept(&args[1..]))))
}

pub(super) fn exists<'a>(args: Args<'a>) -> Parsed<'a> {
    Ok(Data::Question(Query::Exists(kept(&args[1..]))))
}

pub(super) fn count<'a>(_no_arguments: Args<'a>) -> Parsed<'a> {
    Ok(Data::Question(Query::Count))
}

fn kept(keys: &[&[u8]]) -> Vec<Bytes> {
    keys.iter().map(|key| Bytes::copy_from_slice(key)).collect()
}

/// A decimal number.
pub(super) fn number<N: std::str::FromStr>(text: &[u8]) -> Option<N> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
