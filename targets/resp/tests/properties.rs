//! Everything written can be read again, whatever the network cuts it into, and nothing read can panic.

use bytes::BytesMut;
use depbench_resp::{Limits, Malformed, Reply, RequestParser, encode, parse_reply, scan_reply};
use proptest::collection::vec;
use proptest::prelude::*;

/// Bytes that look like the protocol more often than chance would have it.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        4 => prop::sample::select(vec![
            "*", "$", "+", "-", ":", "\r\n", "\r", "\n", "0", "1", "2", "3", "-1", "99999999999",
            "SET", "a", " ", "\"", "*1\r\n", "$3\r\nGET\r\n", "*0\r\n", "$-1\r\n",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..4),
    ];
    vec(token, 0..40).prop_map(|tokens| tokens.concat())
}

/// What a server makes of `chunks`: requests as lists of arguments, then perhaps an error.
fn read_requests(chunks: &[&[u8]]) -> (Vec<Vec<Vec<u8>>>, Option<Malformed>) {
    let limits = Limits {
        args: 100,
        bulk_bytes: 1000,
        request_bytes: 10_000,
        inline_bytes: 64,
    };
    let mut parser = RequestParser::new(limits);
    let mut buffer = BytesMut::new();
    let mut requests = Vec::new();
    for chunk in chunks {
        buffer.extend_from_slice(chunk);
        loop {
            match parser.cut(&mut buffer) {
                Ok(Some(kept)) => {
                    let request = kept.request();
                    let kept: Vec<_> = (0..request.arg_count()).map(|i| kept.keep(i)).collect();
                    assert!(kept.iter().eq(request.args()));
                    requests.push(kept.iter().map(|arg| arg.to_vec()).collect());
                }
                Ok(None) => break,
                Err(malformed) => return (requests, Some(malformed)),
            }
        }
    }
    (requests, None)
}

#[derive(Debug, Clone)]
enum Message {
    Simple(String),
    Error(String),
    Integer(i64),
    Bulk(Vec<u8>),
    Nil,
    Array(Vec<Message>),
}

fn message() -> impl Strategy<Value = Message> {
    let leaf = prop_oneof![
        "[ -~]{0,20}".prop_map(Message::Simple),
        "[ -~]{0,20}".prop_map(Message::Error),
        any::<i64>().prop_map(Message::Integer),
        vec(any::<u8>(), 0..50).prop_map(Message::Bulk),
        Just(Message::Nil),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| vec(inner, 0..6).prop_map(Message::Array))
}

fn write(out: &mut Vec<u8>, message: &Message) {
    match message {
        Message::Simple(text) => encode::simple(out, text),
        Message::Error(text) => encode::error(out, text),
        Message::Integer(value) => encode::integer(out, *value),
        Message::Bulk(value) => encode::bulk(out, value),
        Message::Nil => encode::nil(out),
        Message::Array(elements) => {
            encode::array(out, elements.len());
            elements.iter().for_each(|element| write(out, element));
        }
    }
}

fn same(message: &Message, reply: &Reply<'_>) -> bool {
    match (message, reply) {
        (Message::Simple(text), Reply::Simple(got)) => text.as_bytes() == *got,
        (Message::Error(text), Reply::Error(got)) => text.as_bytes() == *got,
        (Message::Integer(value), Reply::Integer(got)) => value == got,
        (Message::Bulk(value), Reply::Bulk(got)) => value == got,
        (Message::Nil, Reply::Nil) => true,
        (Message::Array(elements), Reply::Array(got)) => {
            elements.len() == got.len() && elements.iter().zip(got).all(|(e, g)| same(e, g))
        }
        _ => false,
    }
}

proptest! {
    #[test]
    fn requests_round_trip(args in vec(vec(any::<u8>(), 0..40), 1..8), cut in any::<prop::sample::Index>()) {
        let mut wire = Vec::new();
        encode::array(&mut wire, args.len());
        args.iter().for_each(|arg| encode::bulk(&mut wire, arg));
        let (head, tail) = wire.split_at(cut.index(wire.len()));
        prop_assert_eq!(read_requests(&[head, tail]), (vec![args], None));
    }

    #[test]
    fn requests_do_not_depend_on_packets(wire in noise(), cuts in vec(any::<prop::sample::Index>(), 0..5)) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(wire.len() + 1)).collect();
        cuts.sort_unstable();
        let mut chunks = Vec::new();
        let mut from = 0;
        for cut in cuts.into_iter().chain([wire.len()]) {
            chunks.push(&wire[from..cut]);
            from = cut;
        }
        prop_assert_eq!(read_requests(&[&wire]), read_requests(&chunks));
    }

    #[test]
    fn replies_round_trip(message in message(), rest in vec(any::<u8>(), 0..5)) {
        let mut wire = Vec::new();
        write(&mut wire, &message);
        let length = wire.len();
        for end in 0..length {
            prop_assert_eq!(parse_reply(&wire[..end]), Ok(None));
            prop_assert_eq!(scan_reply(&wire[..end]), Ok(None));
        }
        wire.extend(rest);
        let (reply, end) = parse_reply(&wire).unwrap().unwrap();
        prop_assert!(same(&message, &reply), "{reply:?}");
        prop_assert_eq!(end, length);
        let scanned = scan_reply(&wire).unwrap().unwrap();
        prop_assert_eq!(scanned.length, length);
        prop_assert_eq!(scanned.error.is_some(), matches!(message, Message::Error(_)));
    }

    #[test]
    fn no_reply_panics(wire in noise()) {
        let parsed = parse_reply(&wire);
        let scanned = scan_reply(&wire);
        if let (Ok(Some((_, end))), Ok(Some(scanned))) = (&parsed, &scanned) {
            prop_assert_eq!(*end, scanned.length);
        }
        prop_assert!(parsed.is_ok() == scanned.is_ok() || parsed == Err(Malformed::Depth));
    }
}

#[test]
fn limits_are_kept() {
    let refused = [
        (&b"*101\r\n"[..], Malformed::ArrayLength),
        (b"*x\r\n", Malformed::ArrayLength),
        (b"*1\r\n$1001\r\n", Malformed::BulkLength),
        (b"*1\r\n$-1\r\n", Malformed::BulkLength),
        (b"*1\r\n:1\r\n", Malformed::NotBulk(b':')),
        (b"*1\r\n$1\r\nab\r\n", Malformed::Terminator),
        (&[b'a'; 64], Malformed::Line),
        (b"SET \"a b\"\r\n", Malformed::Quotes),
    ];
    for (wire, expected) in refused {
        assert_eq!(read_requests(&[wire]), (vec![], Some(expected)));
    }
}

#[test]
fn inline_requests_are_split_at_blanks() {
    let (requests, error) = read_requests(&[b"PING\r\n\r\n  set  a b\n"]);
    assert_eq!(error, None);
    assert_eq!(
        requests,
        [
            vec![b"PING".to_vec()],
            vec![],
            vec![b"set".to_vec(), b"a".to_vec(), b"b".to_vec()],
        ]
    );
}

#[test]
fn deep_nesting_is_refused_without_using_the_stack() {
    let wire = b"*1\r\n".repeat(100_000);
    assert_eq!(parse_reply(&wire), Err(Malformed::Depth));
    assert_eq!(scan_reply(&wire), Ok(None));
}
