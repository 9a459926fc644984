//! Lines and the numbers in them.

use crate::Malformed;

/// No number that fits into 64 bits needs a longer line.
const NUMBER_LINE: usize = 32;

/// Reads the number that starts at `from` and ends with CR LF; gives it with the position behind the line, `None`
/// while the line is not complete, `wrong` when it is not a number.
pub(crate) fn number(
    input: &[u8],
    from: usize,
    wrong: Malformed,
) -> Result<Option<(i64, usize)>, Malformed> {
    let rest = &input[from..];
    if let Some((value, length)) = short(rest) {
        return Ok(Some((value, from + length)));
    }
    let window = &rest[..rest.len().min(NUMBER_LINE)];
    match window.iter().position(|byte| *byte == b'\n') {
        Some(end) => {
            let line = rest[..end].strip_suffix(b"\r").ok_or(wrong)?;
            let value = integer(line).ok_or(wrong)?;
            Ok(Some((value, from + end + 1)))
        }
        None if rest.len() >= NUMBER_LINE => Err(wrong),
        None => Ok(None),
    }
}

/// A number of one or two digits, as nearly all are, and the length of its line.
#[inline]
fn short(input: &[u8]) -> Option<(i64, usize)> {
    let digit = |byte: u8| i64::from(byte - b'0');
    match *input {
        [a @ b'0'..=b'9', b'\r', b'\n', ..] => Some((digit(a), 3)),
        [a @ b'0'..=b'9', b @ b'0'..=b'9', b'\r', b'\n', ..] => Some((10 * digit(a) + digit(b), 4)),
        _ => None,
    }
}

/// Reads the text that starts at `from` and ends with CR LF within `limit` bytes.
pub(crate) fn text(
    input: &[u8],
    from: usize,
    limit: usize,
) -> Result<Option<(&[u8], usize)>, Malformed> {
    let rest = &input[from..];
    let window = &rest[..rest.len().min(limit)];
    match window.iter().position(|byte| *byte == b'\n') {
        Some(end) => {
            let line = rest[..end].strip_suffix(b"\r").ok_or(Malformed::Line)?;
            Ok(Some((line, from + end + 1)))
        }
        None if rest.len() >= limit => Err(Malformed::Line),
        None => Ok(None),
    }
}

/// The decimal number `digits` stands for, if it stands for one of 64 bits.
fn integer(digits: &[u8]) -> Option<i64> {
    let (negative, digits) = match digits.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_i64, |value, byte| {
        let digit = i64::from(byte.is_ascii_digit().then(|| byte - b'0')?);
        let tens = value.checked_mul(10)?;
        if negative {
            tens.checked_sub(digit)
        } else {
            tens.checked_add(digit)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_64_bits() {
        assert_eq!(integer(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(integer(b"9223372036854775807"), Some(i64::MAX));
        for text in ["", "-", "9223372036854775808", "+1", "1 ", "0x1"] {
            assert_eq!(integer(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_number_without_end_is_no_number() {
        let wrong = Malformed::BulkLength;
        assert_eq!(number(b"$12", 1, wrong), Ok(None));
        assert_eq!(number(b"$12\r\n", 1, wrong), Ok(Some((12, 5))));
        assert_eq!(number(b"$7\r\n", 1, wrong), Ok(Some((7, 4))));
        assert_eq!(number(b"$-1\r\n", 1, wrong), Ok(Some((-1, 5))));
        assert_eq!(number(b"$123\r\n", 1, wrong), Ok(Some((123, 6))));
        assert_eq!(number(b"$1\r", 1, wrong), Ok(None));
        assert_eq!(number(b"$12\n", 1, wrong), Err(wrong));
        assert_eq!(number(&[b'1'; 40], 1, wrong), Err(wrong));
    }
}
