//! The bytes of everything that is sent or stored: fixed-width little-endian numbers, one tag byte per choice.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::batch::Batch;
use crate::core::{
    AcceptReply, Ballot, Both, Choice, Commit, FastReply, Index, Record, Refusal, ReplicaId,
    Report, Role, Standing, Value, View, Vote,
};

/// Something that can be sent and stored.
pub trait Wire: Sized {
    /// Appends the bytes.
    fn put(&self, out: &mut BytesMut);

    /// Takes the bytes off the front; `None` if they are something else.
    fn take(from: &mut Bytes) -> Option<Self>;

    /// The bytes.
    fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        self.put(&mut out);
        out.freeze()
    }

    /// Reads a whole message; `None` if it is not one.
    fn decode(mut bytes: Bytes) -> Option<Self> {
        Self::take(&mut bytes).filter(|_| bytes.is_empty())
    }
}

macro_rules! fields {
    ($type:ident { $($field:ident),* }) => {
        impl Wire for $type {
            fn put(&self, out: &mut bytes::BytesMut) {
                $(self.$field.put(out);)*
            }

            fn take(from: &mut bytes::Bytes) -> Option<Self> {
                Some(Self { $($field: Wire::take(from)?),* })
            }
        }
    };
}
pub(crate) use fields;

macro_rules! tuple {
    ($($name:ident $place:tt),*) => {
        impl<$($name: Wire),*> Wire for ($($name),*) {
            fn put(&self, out: &mut BytesMut) {
                $(self.$place.put(out);)*
            }

            fn take(from: &mut Bytes) -> Option<Self> {
                Some(($($name::take(from)?),*))
            }
        }
    };
}

tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);

fields!(View {
    number,
    pilot,
    start
});
fields!(Standing { current, promised });
fields!(Ballot {
    view,
    round,
    proposer
});
fields!(Value { origin, batch });
fields!(Choice { value, dep });
fields!(Vote {
    value,
    proposed,
    dep
});
fields!(Commit { choice, dep_seen });
fields!(Report { accepted, vote });
fields!(FastReply { dep, dep_seen });
fields!(AcceptReply { dep_seen });

impl Wire for u64 {
    fn put(&self, out: &mut BytesMut) {
        out.put_u64_le(*self);
    }

    fn take(from: &mut Bytes) -> Option<Self> {
        from.try_get_u64_le().ok()
    }
}

impl Wire for u32 {
    fn put(&self, out: &mut BytesMut) {
        out.put_u32_le(*self);
    }

    fn take(from: &mut Bytes) -> Option<Self> {
        from.try_get_u32_le().ok()
    }
}

impl Wire for bool {
    fn put(&self, out: &mut BytesMut) {
        out.put_u8((*self).into());
    }

    fn take(from: &mut Bytes) -> Option<Self> {
        match from.try_get_u8().ok()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Wire for ReplicaId {
    fn put(&self, out: &mut BytesMut) {
        self.0.put(out);
    }

    fn take(from: &mut Bytes) -> Option<Self> {
        Wire::take(from).map(Self)
    }
}

impl Wire for Index {
    fn put(&self, out: &mut BytesMut) {
        self.0.put(out);
    }

    fn take(from: &mut Bytes) -> Option<Self> {
        // Room to count on from any index.
        Wire::take(from).filter(|index| *index < 1 << 62).map(Self)
    }
}

impl Wire for Role {
    fn put(&self, out: &mut BytesMut) {
        (*self == Self::Copilot).put(out);
    }

    fn take(from: &mut Bytes) -> Option<Self> {
        let copilot = bool::take(from)?;
        Some(if copilot { Self::Copilot } else { Self::Pilot })
    }
}

impl Wire for Bytes {
    fn put(&self, out: &mut BytesMut) {
        let length = u32::try_from(self.len()).expect("messages are bounded far below 4 GiB");
        length.put(out);
        out.put_slice(self);
    }

    fn take(from: &mut Bytes) -> Option<Self> {
        let length = u32::take(from)? as usize;
        (length <= from.len()).then(|| from.split_to(length))
    }
}

impl Wire for Batch {
    fn put(&self, out: &mut BytesMut) {
        self.bytes().put(out);
    }

    fn take(from: &mut Bytes) -> Option<Self> {
        Self::checked(<Bytes as Wire>::take(from)?)
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, out: &mut BytesMut) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn take(from: &mut Bytes) -> Option<Self> {
        if bool::take(from)? {
            T::take(from).map(Some)
        } else {
            Some(None)
        }
    }
}

impl<T: Wire> Wire for Both<T> {
    fn put(&self, out: &mut BytesMut) {
        for role in Role::BOTH {
            self[role].put(out);
        }
    }

    fn take(from: &mut Bytes) -> Option<Self> {
        let (pilot, copilot) = Wire::take(from)?;
        let mut values = [Some(pilot), Some(copilot)];
        Some(Self::new(|role| {
            values[role as usize].take().expect("each role once")
        }))
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, out: &mut BytesMut) {
        let count = u32::try_from(self.len()).expect("lists are bounded");
        count.put(out);
        for item in self {
            item.put(out);
        }
    }

    fn take(from: &mut Bytes) -> Option<Self> {
        let count = u32::take(from)?;
        (0..count).map(|_| T::take(from)).collect()
    }
}

impl<T: Wire> Wire for Result<T, Refusal> {
    fn put(&self, out: &mut BytesMut) {
        match self {
            Ok(value) => {
                out.put_u8(0);
                value.put(out);
            }
            Err(refusal) => refusal.put(out),
        }
    }

    fn take(from: &mut Bytes) -> Option<Self> {
        if from.first() == Some(&0) {
            from.advance(1);
            T::take(from).map(Ok)
        } else {
            Refusal::take(from).map(Err)
        }
    }
}

impl Wire for Refusal {
    fn put(&self, out: &mut BytesMut) {
        match self {
            Self::View(view) => {
                out.put_u8(1);
                view.put(out);
            }
            Self::Promised(ballot) => {
                out.put_u8(2);
                ballot.put(out);
            }
            Self::Committed(commit) => {
                out.put_u8(3);
                commit.put(out);
            }
            Self::Forgotten(index) => {
                out.put_u8(4);
                index.put(out);
            }
        }
    }

    fn take(from: &mut Bytes) -> Option<Self> {
        Some(match from.try_get_u8().ok()? {
            1 => Self::View(Wire::take(from)?),
            2 => Self::Promised(Wire::take(from)?),
            3 => Self::Committed(Wire::take(from)?),
            4 => Self::Forgotten(Wire::take(from)?),
            _ => return None,
        })
    }
}

impl Wire for Record {
    fn put(&self, out: &mut BytesMut) {
        match self.clone() {
            Self::Voted(role, index, vote) => {
                out.put_u8(1);
                (role, index, vote).put(out);
            }
            Self::Accepted(role, index, ballot, choice) => {
                out.put_u8(2);
                (role, index, ballot, choice).put(out);
            }
            Self::Promised(role, index, ballot) => {
                out.put_u8(3);
                (role, index, ballot).put(out);
            }
            Self::Committed(role, index, commit) => {
                out.put_u8(4);
                (role, index, commit).put(out);
            }
            Self::ViewPromised(role, number, pilot) => {
                out.put_u8(5);
                (role, number, pilot).put(out);
            }
            Self::ViewEntered(role, view) => {
                out.put_u8(6);
                (role, view).put(out);
            }
        }
    }

    fn take(from: &mut Bytes) -> Option<Self> {
        Some(match from.try_get_u8().ok()? {
            1 => {
                let (role, index, vote) = Wire::take(from)?;
                Self::Voted(role, index, vote)
            }
            2 => {
                let (role, index, ballot, choice) = Wire::take(from)?;
                Self::Accepted(role, index, ballot, choice)
            }
            3 => {
                let (role, index, ballot) = Wire::take(from)?;
                Self::Promised(role, index, ballot)
            }
            4 => {
                let (role, index, commit) = Wire::take(from)?;
                Self::Committed(role, index, commit)
            }
            5 => {
                let (role, number, pilot) = Wire::take(from)?;
                Self::ViewPromised(role, number, pilot)
            }
            6 => {
                let (role, view) = Wire::take(from)?;
                Self::ViewEntered(role, view)
            }
            _ => return None,
        })
    }
}
