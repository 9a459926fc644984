use bytes::BufMut;

/// The version of the protocol that a connection speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protocol {
    /// RESP2, with which every connection begins.
    #[default]
    V2,
    /// RESP3: maps and a null of its own.
    V3,
}

impl Protocol {
    /// Its number, as HELLO gives it.
    pub const fn number(self) -> i64 {
        match self {
            Protocol::V2 => 2,
            Protocol::V3 => 3,
        }
    }

    /// Appends a reply that was encoded for version 2 as this version has it: its nulls differ.
    ///
    /// What is no sequence of complete replies is appended as it is.
    pub fn translate(self, reply: &[u8], out: &mut impl BufMut) {
        if self == Protocol::V2 {
            out.put_slice(reply);
            return;
        }
        let mut rest = reply;
        while let Some(kind) = rest.first() {
            let Some(line) = rest.iter().position(|byte| *byte == b'\n') else {
                break;
            };
            let (head, after) = rest.split_at(line + 1);
            if matches!(head, b"$-1\r\n" | b"*-1\r\n") {
                out.put_slice(b"_\r\n");
                rest = after;
                continue;
            }
            let body = match kind {
                b'$' => length(head).map_or(0, |length| length + 2),
                _ => 0,
            };
            let (whole, after) = rest.split_at(rest.len().min(line + 1 + body));
            out.put_slice(whole);
            rest = after;
        }
        out.put_slice(rest);
    }
}

fn length(head: &[u8]) -> Option<usize> {
    std::str::from_utf8(head.get(1..)?)
        .ok()?
        .trim_end()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_are_translated_and_nothing_else_is() {
        let reply = b"*3\r\n$-1\r\n$5\r\n$-1\r\n\r\n:7\r\n*-1\r\n+OK\r\n";
        let mut out = Vec::new();
        Protocol::V2.translate(reply, &mut out);
        assert_eq!(out, reply);
        out.clear();
        Protocol::V3.translate(reply, &mut out);
        assert_eq!(out, b"*3\r\n_\r\n$5\r\n$-1\r\n\r\n:7\r\n_\r\n+OK\r\n");
    }
}
