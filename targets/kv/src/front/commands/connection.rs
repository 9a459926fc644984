//! Commands about the connection itself.

use resp::{Protocol, encode};

use super::data::number;
use super::server::REDIS_VERSION;
use super::{Call, Done};
use crate::replica::Role;

pub(super) fn ok(call: Call<'_>) -> Done {
    call.ticket.ok();
    Done::Continue
}

pub(super) fn ping(call: Call<'_>) -> Done {
    match call.args[1..] {
        [] => call.ticket.answer(|out| encode::simple(out, "PONG")),
        [text] => call.ticket.answer(|out| encode::bulk(out, text)),
        _ => call
            .ticket
            .fail("ERR wrong number of arguments for 'ping' command"),
    }
    Done::Continue
}

pub(super) fn echo(call: Call<'_>) -> Done {
    let text = call.args[1];
    call.ticket.answer(|out| encode::bulk(out, text));
    Done::Continue
}

pub(super) fn quit(call: Call<'_>) -> Done {
    call.ticket.ok();
    Done::Close
}

pub(super) fn reset(call: Call<'_>) -> Done {
    call.connection.reset();
    call.ticket.answer_as(|out, _| encode::simple(out, "RESET"));
    Done::Continue
}

pub(super) fn select(call: Call<'_>) -> Done {
    match number::<u32>(call.args[1]) {
        Some(0) => call.ticket.ok(),
        Some(_) => call
            .ticket
            .fail("ERR DB index is out of range: a cluster has database 0 only"),
        None => call
            .ticket
            .fail("ERR value is not an integer or out of range"),
    }
    Done::Continue
}

/// `HELLO [2|3 [AUTH user password] [SETNAME name]]`
pub(super) fn hello(call: Call<'_>) -> Done {
    let Call {
        connection,
        args,
        ticket,
    } = call;
    let protocol = match args.get(1) {
        None => connection.protocol(),
        Some(&b"2") => Protocol::V2,
        Some(&b"3") => Protocol::V3,
        Some(_) => {
            ticket.fail("NOPROTO unsupported protocol version: it is 2 or 3");
            return Done::Continue;
        }
    };
    let mut options = args.get(2..).unwrap_or_default();
    while !options.is_empty() {
        match options {
            [option, _user, _password, rest @ ..] if option.eq_ignore_ascii_case(b"AUTH") => {
                options = rest;
            }
            [option, name, rest @ ..] if option.eq_ignore_ascii_case(b"SETNAME") => {
                connection.set_name(name);
                options = rest;
            }
            _ => {
                ticket.fail(
                    "ERR syntax error: HELLO takes AUTH <user> <password> and SETNAME <name>",
                );
                return Done::Continue;
            }
        }
    }
    connection.set_protocol(protocol);
    let role = match connection.front().replica.status().role {
        Role::Leader | Role::Pilot | Role::Copilot => "master",
        Role::Follower | Role::Candidate | Role::Learner => "replica",
    };
    let id = connection.id();
    ticket.answer_as(|out, _| {
        encode::map(out, 7, protocol);
        let text = [
            ("server", "redis"),
            ("version", REDIS_VERSION),
            ("mode", "cluster"),
            ("role", role),
        ];
        for (name, value) in text {
            encode::bulk(out, name.as_bytes());
            encode::bulk(out, value.as_bytes());
        }
        for (name, value) in [("proto", protocol.number()), ("id", id)] {
            encode::bulk(out, name.as_bytes());
            encode::integer(out, value);
        }
        encode::bulk(out, b"modules");
        encode::array(out, 0);
    });
    Done::Continue
}

pub(super) fn client(call: Call<'_>) -> Done {
    let Call {
        connection,
        args,
        ticket,
    } = call;
    let subcommand = args[1].to_ascii_uppercase();
    match (subcommand.as_slice(), &args[2..]) {
        (b"SETNAME", [name]) if name.iter().all(u8::is_ascii_graphic) => {
            connection.set_name(name);
            ticket.ok();
        }
        (b"SETNAME", [_]) => {
            ticket.fail("ERR Client names cannot contain spaces, newlines or special characters.");
        }
        (b"GETNAME", []) => {
            let name = connection.name();
            ticket.answer(|out| match &name[..] {
                b"" => encode::nil(out),
                name => encode::bulk(out, name),
            });
        }
        (b"ID", []) => {
            let id = connection.id();
            ticket.answer(|out| encode::integer(out, id));
        }
        (b"INFO" | b"LIST", _) => {
            let line = format!(
                "id={} addr=?:0 name={} db=0 resp={}\n",
                connection.id(),
                String::from_utf8_lossy(&connection.name()),
                connection.protocol().number()
            );
            ticket.answer(|out| encode::bulk(out, line.as_bytes()));
        }
        (b"SETINFO" | b"NO-EVICT" | b"NO-TOUCH", [..]) => ticket.ok(),
        (b"REPLY", [mode]) if mode.eq_ignore_ascii_case(b"ON") => ticket.ok(),
        (b"TRACKING", [mode, ..]) if mode.eq_ignore_ascii_case(b"OFF") => ticket.ok(),
        (other, _) => {
            let shown = other[..other.len().min(64)].escape_ascii();
            ticket.fail(&format!(
                "ERR unknown subcommand or wrong number of arguments for 'client|{shown}'"
            ));
        }
    }
    Done::Continue
}
