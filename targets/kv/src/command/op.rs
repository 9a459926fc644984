use bytes::{BufMut, Bytes, BytesMut};

use super::Keys;
use super::wire::{put_string, take_string, take_u64};

const SET: u8 = 1;
const DEL: u8 = 2;
const SET_SOME: u8 = 3;
const SET_MANY: u8 = 4;
const ADD: u8 = 5;
const APPEND: u8 = 6;
const TAKE: u8 = 7;
const CLEAR: u8 = 8;
const OPEN: u8 = 9;
const ASK: u8 = 16;

/// What is to be done with the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op<'a> {
    /// Gives `key` the value `value`.
    Set {
        /// The key.
        key: &'a [u8],
        /// Its new value.
        value: &'a [u8],
    },
    /// Gives `key` the value `value` if a condition holds.
    SetIf {
        /// The key.
        key: &'a [u8],
        /// Its new value.
        value: &'a [u8],
        /// What must hold.
        condition: Condition,
        /// What to answer.
        answer: Answer,
    },
    /// Gives many keys their values: key, value, key, value, …
    SetMany {
        /// The pairs, if the condition holds for every key.
        pairs: Keys<'a>,
        /// What must hold for all keys.
        condition: Condition,
    },
    /// Removes keys; answers how many there were.
    Del {
        /// The keys.
        keys: Keys<'a>,
    },
    /// Removes a key and answers its value.
    Take {
        /// The key.
        key: &'a [u8],
    },
    /// Adds to the number that `key` holds, 0 if there is none; answers the sum.
    Add {
        /// The key.
        key: &'a [u8],
        /// What is added.
        by: i64,
    },
    /// Appends to a value; answers its length.
    Append {
        /// The key.
        key: &'a [u8],
        /// What is appended.
        value: &'a [u8],
    },
    /// Removes all keys.
    Clear,
    /// Opens the session that the stamp names, or finds it open; answers its generation.
    Open {
        /// Only finds it, and only if it is of this generation.
        generation: Option<u64>,
    },
    /// Answers a question at its place among the changes.
    Ask(Query),
}

/// When a value is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// Always.
    #[default]
    Always,
    /// If there is none.
    Absent,
    /// If there is one already.
    Present,
}

/// What setting a value answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Answer {
    /// `OK`, or nil if the condition did not hold.
    #[default]
    Done,
    /// 1, or 0 if the condition did not hold.
    Count,
    /// The value before, or nil if there was none.
    Old,
}

/// A question about the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// The value of a key.
    Get(Bytes),
    /// The values of keys.
    GetMany(Vec<Bytes>),
    /// How many of these keys exist.
    Exists(Vec<Bytes>),
    /// The length of the value of a key, 0 if there is none.
    Length(Bytes),
    /// How many keys there are.
    Count,
}

impl<'a> Op<'a> {
    pub(super) const fn kind(&self) -> u8 {
        match self {
            Self::Set { .. } => SET,
            Self::SetIf { .. } => SET_SOME,
            Self::SetMany { .. } => SET_MANY,
            Self::Del { .. } => DEL,
            Self::Take { .. } => TAKE,
            Self::Add { .. } => ADD,
            Self::Append { .. } => APPEND,
            Self::Clear => CLEAR,
            Self::Open { .. } => OPEN,
            Self::Ask(query) => query.kind(),
        }
    }

    #[inline]
    pub(super) fn encode(&self, entry: &mut BytesMut) {
        match self {
            Self::Set { key, value } | Self::Append { key, value } => {
                put_string(entry, key);
                entry.put_slice(value);
            }
            Self::SetIf {
                key,
                value,
                condition,
                answer,
            } => {
                entry.put_slice(&[*condition as u8, *answer as u8]);
                put_string(entry, key);
                entry.put_slice(value);
            }
            Self::SetMany { pairs, condition } => {
                entry.put_u8(*condition as u8);
                pairs.encode(entry);
            }
            Self::Del { keys } => keys.encode(entry),
            Self::Take { key } => entry.put_slice(key),
            Self::Add { key, by } => {
                entry.put_i64_le(*by);
                entry.put_slice(key);
            }
            Self::Clear => {}
            Self::Open { generation } => {
                if let Some(generation) = generation {
                    entry.put_u64_le(*generation);
                }
            }
            Self::Ask(query) => query.encode(entry),
        }
    }

    #[inline]
    pub(super) fn decode(kind: u8, rest: &'a [u8]) -> Option<Self> {
        Some(match kind {
            SET => {
                let (key, value) = take_string(rest)?;
                Self::Set { key, value }
            }
            APPEND => {
                let (key, value) = take_string(rest)?;
                Self::Append { key, value }
            }
            SET_SOME => {
                let ([condition, answer], rest) = rest.split_first_chunk()?;
                let (key, value) = take_string(rest)?;
                Self::SetIf {
                    key,
                    value,
                    condition: Condition::decode(*condition)?,
                    answer: Answer::decode(*answer)?,
                }
            }
            SET_MANY => {
                let (condition, rest) = rest.split_first()?;
                let pairs = Keys::checked(rest)?;
                let even = pairs.iter().count() % 2 == 0;
                even.then_some(())?;
                Self::SetMany {
                    pairs,
                    condition: Condition::decode(*condition)?,
                }
            }
            DEL => Self::Del {
                keys: Keys::checked(rest)?,
            },
            TAKE => Self::Take { key: rest },
            ADD => {
                let (by, key) = take_u64(rest)?;
                Self::Add {
                    key,
                    by: by.cast_signed(),
                }
            }
            CLEAR if rest.is_empty() => Self::Clear,
            OPEN if rest.is_empty() => Self::Open { generation: None },
            OPEN => {
                let (generation, rest) = take_u64(rest)?;
                rest.is_empty().then_some(())?;
                Self::Open {
                    generation: Some(generation),
                }
            }
            kind => Self::Ask(Query::decode(kind, rest)?),
        })
    }
}

impl Condition {
    const fn decode(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Always),
            1 => Some(Self::Absent),
            2 => Some(Self::Present),
            _ => None,
        }
    }

    /// Whether it holds, given whether there is a value.
    pub(crate) const fn holds(self, there: bool) -> bool {
        match self {
            Self::Always => true,
            Self::Absent => !there,
            Self::Present => there,
        }
    }
}

impl Answer {
    const fn decode(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Done),
            1 => Some(Self::Count),
            2 => Some(Self::Old),
            _ => None,
        }
    }
}

impl Query {
    const fn kind(&self) -> u8 {
        ASK + match self {
            Self::Get(_) => 0,
            Self::GetMany(_) => 1,
            Self::Exists(_) => 2,
            Self::Length(_) => 3,
            Self::Count => 4,
        }
    }

    fn encode(&self, entry: &mut BytesMut) {
        match self {
            Self::Get(key) | Self::Length(key) => entry.put_slice(key),
            Self::GetMany(keys) | Self::Exists(keys) => {
                for key in keys {
                    put_string(entry, key);
                }
            }
            Self::Count => {}
        }
    }

    fn decode(kind: u8, rest: &[u8]) -> Option<Self> {
        let keys = || {
            let keys = Keys::checked(rest)?;
            Some(keys.iter().map(Bytes::copy_from_slice).collect())
        };
        Some(match kind.checked_sub(ASK)? {
            0 => Self::Get(Bytes::copy_from_slice(rest)),
            1 => Self::GetMany(keys()?),
            2 => Self::Exists(keys()?),
            3 => Self::Length(Bytes::copy_from_slice(rest)),
            4 if rest.is_empty() => Self::Count,
            _ => return None,
        })
    }
}
