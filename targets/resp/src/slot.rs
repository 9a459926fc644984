//! Hash slots of a Redis Cluster.

/// How many slots there are.
pub const SLOTS: u16 = 16384;

/// The slot of a key: CRC-16 (XMODEM) of the key, or of what stands between its first `{` and the next `}` if that is
/// not empty.
pub fn slot(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|start| {
        let rest = &key[start + 1..];
        let length = rest.iter().position(|byte| *byte == b'}')?;
        (length > 0).then(|| &rest[..length])
    });
    crc16(tag.unwrap_or(key)) % SLOTS
}

/// Four bytes at a time, whose parts of the sum do not wait for each other.
fn crc16(bytes: &[u8]) -> u16 {
    let (fours, rest) = bytes.as_chunks();
    let sum = fours.iter().fold(0_u16, |crc, &[a, b, c, d]| {
        let [high, low] = crc.to_be_bytes();
        let part = |after: usize, byte: u8| TABLES[after][usize::from(byte)];
        part(3, high ^ a) ^ part(2, low ^ b) ^ part(1, c) ^ part(0, d)
    });
    rest.iter().fold(sum, |crc, byte| {
        (crc << 8) ^ TABLES[0][usize::from((crc >> 8) as u8 ^ byte)]
    })
}

/// What a byte adds to the sum when so many zeros follow it.
static TABLES: [[u16; 256]; 4] = tables();

const fn tables() -> [[u16; 256]; 4] {
    let mut tables = [[0; 256]; 4];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut zeros = 0;
        while zeros < 4 {
            let mut bit = 0;
            while bit < 8 {
                let carry = crc & 0x8000 != 0;
                crc <<= 1;
                if carry {
                    crc ^= 0x1021;
                }
                bit += 1;
            }
            tables[zeros][byte] = crc;
            zeros += 1;
        }
        byte += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values that `CLUSTER KEYSLOT` of Redis 7 answers.
    #[test]
    fn slots_are_those_of_redis() {
        for (key, expected) in [
            ("", 0),
            ("123456789", 12739),
            ("foo", 12182),
            ("key:000000000001", 8924),
            ("abcde", 16097),
            ("{foo}bar", 12182),
            ("x{foo}{bar}", 12182),
            ("{}foo", 9500),
        ] {
            assert_eq!(slot(key.as_bytes()), expected, "{key}");
        }
    }
}
