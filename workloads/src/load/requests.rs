use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use results::OpKind;

use crate::spec::Workload;

/// Digits that say which write a value comes from.
const VALUE_DIGITS: usize = 16;

/// What a client asks next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) op: OpKind,
    /// The number of the key.
    pub(crate) key: u64,
    /// Of a write: its number, unlike that of any other write of the trial; it goes into the value.
    pub(crate) write: u64,
}

/// Draws requests; the same seed draws the same ones.
#[derive(Debug)]
pub(crate) struct Requests {
    random: Xoshiro256PlusPlus,
    keys: u64,
    write_share: f64,
    next_write: u64,
    key: [u8; 16],
    value: Vec<u8>,
}

impl Requests {
    pub(crate) fn new(workload: &Workload, seed: u64) -> Requests {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let value = (0..workload.value.as_usize())
            .map(|_| random.random_range(b'!'..=b'~'))
            .collect();
        Requests {
            random,
            keys: workload.keys.count(),
            write_share: workload.write.fraction(),
            // Workers of one trial have seeds that differ in their low bits.
            next_write: seed << 40,
            key: *b"key:000000000000",
            value,
        }
    }

    pub(crate) fn next(&mut self) -> Request {
        let key = self.random.random_range(0..self.keys);
        let writes = self.write_share >= 1.0 || self.random.random::<f64>() < self.write_share;
        if !writes {
            return Request {
                op: OpKind::Read,
                key,
                write: 0,
            };
        }
        let write = self.next_write;
        self.next_write = write.wrapping_add(1);
        Request {
            op: OpKind::Write,
            key,
            write,
        }
    }

    /// The key of `request` and the value it writes, as the target sees them.
    pub(crate) fn texts(&mut self, request: &Request) -> (&[u8], &[u8]) {
        let mut rest = request.key;
        for digit in self.key[4..].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        // Of a short value, the digits that change most often.
        let digits = self.value.len().min(VALUE_DIGITS);
        let mut rest = request.write;
        for digit in self.value[..digits].iter_mut().rev() {
            *digit = b"0123456789abcdef"[(rest % 16) as usize];
            rest /= 16;
        }
        (&self.key, &self.value)
    }
}

/// The number of the write that a value of at least 16 bytes comes from; one that no write has if it comes from none.
pub(crate) fn read_value(value: &[u8]) -> u64 {
    value
        .get(..VALUE_DIGITS)
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use vocab::units::{Bytes, Share};

    #[test]
    fn texts_have_their_length_and_can_be_read_back() {
        for size in [1, 8, 16, 100] {
            let workload = Workload {
                value: Bytes(size),
                ..Workload::default()
            };
            let mut requests = Requests::new(&workload, 5);
            let request = requests.next();
            let (key, value) = requests.texts(&request);
            assert_eq!(key, format!("key:{:012}", request.key).as_bytes());
            assert_eq!(value.len() as u64, size);
            if size >= 16 {
                assert_eq!(read_value(value), request.write);
            }
        }
        assert_eq!(read_value(b"not from any write"), u64::MAX);
    }

    #[test]
    fn the_mix_is_the_one_asked_for() {
        let workload = Workload {
            write: Share::from_fraction(0.25).unwrap(),
            ..Workload::default()
        };
        let draw = |seed| {
            let mut requests = Requests::new(&workload, seed);
            (0..10_000).map(|_| requests.next()).collect::<Vec<_>>()
        };
        let drawn = draw(1);
        let writes = drawn.iter().filter(|one| one.op == OpKind::Write).count();
        assert!((2300..2700).contains(&writes), "{writes}");
        assert!(drawn.iter().all(|one| one.key < 100_000));
        assert_eq!(drawn, draw(1));
        assert_ne!(drawn, draw(2));
    }
}
