//! The commands of the Redis protocol that are understood.

use bytes::Bytes;
use resp::{Request, encode};

use super::info;
use super::{Front, Ticket};
use crate::command::{Command, Keys};
use crate::store::Query;

/// What becomes of the connection after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Continue,
    Close,
}

/// Serves one request, which has at least its name.
pub(super) fn serve(front: &Front, request: &Request<'_>, ticket: impl FnOnce() -> Ticket) -> Next {
    let ticket = ticket();
    let mut name = [0; 8];
    let Some(name) = name.get_mut(..request.arg(0).len()) else {
        unknown(request, ticket);
        return Next::Continue;
    };
    name.copy_from_slice(request.arg(0));
    name.make_ascii_uppercase();
    let count = request.arg_count();
    match (&*name, count) {
        (b"SET", 3) => set(front, request, ticket),
        (b"SET", 4..) => error(
            ticket,
            "ERR syntax error: SET takes a key and a value, no options",
        ),
        (b"GET", 2) => with_keys(front, request, ticket, |ticket, keys| {
            front
                .replica
                .read(Query::Get(Bytes::copy_from_slice(keys[0])), ticket);
        }),
        (b"DEL", 2..) => with_keys(front, request, ticket, |ticket, keys| {
            front.replica.write(
                Command::Del {
                    keys: Keys::Listed(keys),
                },
                ticket,
            );
        }),
        (b"EXISTS", 2..) => with_keys(front, request, ticket, |ticket, keys| {
            let keys = keys.iter().map(|key| Bytes::copy_from_slice(key)).collect();
            front.replica.read(Query::Exists(keys), ticket);
        }),
        (b"PING", 1) => ticket.answer(|out| encode::simple(out, "PONG")),
        (b"PING" | b"ECHO", 2) => ticket.answer(|out| encode::bulk(out, request.arg(1))),
        (b"INFO", _) => ticket.answer(|out| encode::bulk(out, info::text(front).as_bytes())),
        (b"SELECT", 2) if request.arg(1) != b"0" => error(ticket, "ERR DB index is out of range"),
        (b"SELECT", 2) => ok(ticket),
        (b"COMMAND", _) => ticket.answer(|out| encode::array(out, 0)),
        (b"CONFIG", 2..) if request.arg(1).eq_ignore_ascii_case(b"GET") => {
            config_get(request, ticket);
        }
        (b"CLIENT", 2..) => client(request, ticket),
        (b"HELLO", _) => hello(request, ticket),
        (b"QUIT", _) => {
            ok(ticket);
            return Next::Close;
        }
        (b"SET" | b"GET" | b"DEL" | b"EXISTS" | b"PING" | b"ECHO" | b"SELECT" | b"CLIENT", _) => {
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            error(
                ticket,
                &format!("ERR wrong number of arguments for '{name}' command"),
            );
        }
        _ => unknown(request, ticket),
    }
    Next::Continue
}

fn set(front: &Front, request: &Request<'_>, ticket: Ticket) {
    let (key, value) = (request.arg(1), request.arg(2));
    if let Some(ticket) = within(ticket, "key", key, front.limits.key_bytes)
        && let Some(ticket) = within(ticket, "value", value, front.limits.value_bytes)
    {
        front.replica.write(Command::Set { key, value }, ticket);
    }
}

fn with_keys(
    front: &Front,
    request: &Request<'_>,
    ticket: Ticket,
    serve: impl FnOnce(Ticket, &[&[u8]]),
) {
    let keys: Vec<_> = request.args().skip(1).collect();
    let longest = keys
        .iter()
        .max_by_key(|key| key.len())
        .copied()
        .unwrap_or_default();
    if let Some(ticket) = within(ticket, "key", longest, front.limits.key_bytes) {
        serve(ticket, &keys);
    }
}

fn within(ticket: Ticket, what: &str, bytes: &[u8], limit: usize) -> Option<Ticket> {
    if bytes.len() <= limit {
        return Some(ticket);
    }
    error(
        ticket,
        &format!(
            "ERR a {what} of {} bytes is longer than the limit of {limit}",
            bytes.len()
        ),
    );
    None
}

fn ok(ticket: Ticket) {
    ticket.answer(|out| encode::simple(out, "OK"));
}

fn error(ticket: Ticket, text: &str) {
    ticket.answer(|out| encode::error(out, text));
}

fn unknown(request: &Request<'_>, ticket: Ticket) {
    let name = request.arg(0);
    let shown = name[..name.len().min(64)].escape_ascii();
    error(ticket, &format!("ERR unknown command '{shown}'"));
}

/// The few settings that tools ask for before they start.
fn config_get(request: &Request<'_>, ticket: Ticket) {
    ticket.answer(|out| {
        let known = |name: &[u8]| match name {
            b"save" => Some(""),
            b"appendonly" => Some("yes"),
            _ => None,
        };
        let found: Vec<_> = request
            .args()
            .skip(2)
            .filter_map(|name| Some((name, known(name)?)))
            .collect();
        encode::array(out, 2 * found.len());
        for (name, value) in found {
            encode::bulk(out, name);
            encode::bulk(out, value.as_bytes());
        }
    });
}

fn client(request: &Request<'_>, ticket: Ticket) {
    match request.arg(1).to_ascii_uppercase().as_slice() {
        b"SETNAME" | b"SETINFO" => ok(ticket),
        b"GETNAME" => ticket.answer(encode::nil),
        b"ID" => ticket.answer(|out| encode::integer(out, 1)),
        _ => error(ticket, "ERR unknown subcommand of CLIENT"),
    }
}

fn hello(request: &Request<'_>, ticket: Ticket) {
    if request.arg_count() > 1 && request.arg(1) != b"2" {
        error(ticket, "NOPROTO unsupported protocol version");
        return;
    }
    ticket.answer(|out| {
        encode::array(out, 10);
        for (name, value) in [("server", "redis"), ("version", env!("CARGO_PKG_VERSION"))] {
            encode::bulk(out, name.as_bytes());
            encode::bulk(out, value.as_bytes());
        }
        encode::bulk(out, b"proto");
        encode::integer(out, 2);
        for (name, value) in [("mode", "cluster"), ("role", "master")] {
            encode::bulk(out, name.as_bytes());
            encode::bulk(out, value.as_bytes());
        }
    });
}
