//! What each operation does and answers.

use bytes::BytesMut;
use resp::encode;

use super::map::Map;
use crate::command::{Answer, Condition, Keys, Op, Query};

/// Bytes of the longest value.
pub const VALUE_BYTES: usize = 1 << 20;

impl Map {
    pub(super) fn apply(&mut self, op: &Op<'_>, reply: &mut BytesMut) {
        match op {
            Op::Set { key, value } => {
                self.set(key, value);
                encode::simple(reply, "OK");
            }
            Op::SetIf {
                key,
                value,
                condition,
                answer,
            } => self.set_if(key, value, *condition, *answer, reply),
            Op::SetMany { pairs, condition } => self.set_many(*pairs, *condition, reply),
            Op::Del { keys } => {
                let removed = keys.iter().filter(|key| self.remove(key)).count();
                encode::integer(reply, removed as i64);
            }
            Op::Take { key } => {
                self.answer_value(key, reply);
                self.remove(key);
            }
            Op::Add { key, by } => self.add(key, *by, reply),
            Op::Append { key, value } => self.append(key, value, reply),
            Op::Clear => {
                self.clear();
                encode::simple(reply, "OK");
            }
            Op::Ask(query) => self.query(query, reply),
            // A session is opened by a stamped command only.
            Op::Open { .. } => encode::error(reply, "ERR no session is named"),
        }
    }

    fn set_if(
        &mut self,
        key: &[u8],
        value: &[u8],
        condition: Condition,
        answer: Answer,
        reply: &mut BytesMut,
    ) {
        let old = self.get(key);
        let holds = condition.holds(old.is_some());
        match answer {
            Answer::Done if holds => encode::simple(reply, "OK"),
            Answer::Done => encode::nil(reply),
            Answer::Count => encode::integer(reply, i64::from(holds)),
            Answer::Old => match old {
                Some(old) => encode::bulk(reply, old),
                None => encode::nil(reply),
            },
        }
        if holds {
            self.set(key, value);
        }
    }

    fn set_many(&mut self, pairs: Keys<'_>, condition: Condition, reply: &mut BytesMut) {
        let mut keys = pairs.iter().step_by(2);
        let holds = keys.all(|key| condition.holds(self.get(key).is_some()));
        if holds {
            let mut strings = pairs.iter();
            while let (Some(key), Some(value)) = (strings.next(), strings.next()) {
                self.set(key, value);
            }
        }
        match condition {
            Condition::Always => encode::simple(reply, "OK"),
            Condition::Absent | Condition::Present => encode::integer(reply, i64::from(holds)),
        }
    }

    fn add(&mut self, key: &[u8], by: i64, reply: &mut BytesMut) {
        let old = match self.get(key).map(integer) {
            None => 0,
            Some(Some(number)) => number,
            Some(None) => {
                return encode::error(reply, "ERR value is not an integer or out of range");
            }
        };
        match old.checked_add(by) {
            Some(sum) => {
                self.set(key, sum.to_string().as_bytes());
                encode::integer(reply, sum);
            }
            None => encode::error(reply, "ERR increment or decrement would overflow"),
        }
    }

    fn append(&mut self, key: &[u8], value: &[u8], reply: &mut BytesMut) {
        let old = self.get(key).unwrap_or_default();
        let length = old.len() + value.len();
        if length > VALUE_BYTES {
            let text =
                format!("ERR a value of {length} bytes is longer than the limit of {VALUE_BYTES}");
            return encode::error(reply, &text);
        }
        let joined = [old, value].concat();
        self.set(key, &joined);
        encode::integer(reply, length as i64);
    }

    pub(super) fn query(&self, query: &Query, reply: &mut BytesMut) {
        match query {
            Query::Get(key) => self.answer_value(key, reply),
            Query::GetMany(keys) => {
                encode::array(reply, keys.len());
                for key in keys {
                    self.answer_value(key, reply);
                }
            }
            Query::Exists(keys) => {
                let found = keys.iter().filter(|key| self.get(key).is_some()).count();
                encode::integer(reply, found as i64);
            }
            Query::Length(key) => {
                encode::integer(reply, self.get(key).map_or(0, <[u8]>::len) as i64);
            }
            Query::Count => encode::integer(reply, self.len() as i64),
        }
    }

    fn answer_value(&self, key: &[u8], reply: &mut BytesMut) {
        match self.get(key) {
            Some(value) => encode::bulk(reply, value),
            None => encode::nil(reply),
        }
    }
}

/// The number a value is, written as Redis writes it.
fn integer(value: &[u8]) -> Option<i64> {
    let number: i64 = std::str::from_utf8(value).ok()?.parse().ok()?;
    (number.to_string().as_bytes() == value).then_some(number)
}
