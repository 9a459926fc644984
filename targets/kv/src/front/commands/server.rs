//! Commands about this server.

use bytes::BytesMut;
use resp::{Protocol, encode};

use super::super::info;
use super::table::{self, COMMANDS, Spec};
use super::{Call, Done};

/// The version of Redis whose commands these are; clients look at it to know what to expect.
pub(in crate::front) const REDIS_VERSION: &str = "7.0.0";

/// The few settings that tools ask for before they start.
const SETTINGS: [(&str, &str); 7] = [
    ("appendonly", "yes"),
    ("cluster-enabled", "yes"),
    ("cluster-require-full-coverage", "yes"),
    ("databases", "1"),
    ("maxmemory", "0"),
    ("maxmemory-policy", "noeviction"),
    ("save", ""),
];

pub(super) fn info(call: Call<'_>) -> Done {
    let text = info::text(call.connection.front());
    call.ticket.answer(|out| encode::bulk(out, text.as_bytes()));
    Done::Continue
}

pub(super) fn config(call: Call<'_>) -> Done {
    let Call { args, ticket, .. } = call;
    match args[1].to_ascii_uppercase().as_slice() {
        b"GET" if args.len() > 2 => ticket.answer_as(|out, protocol| {
            let asked = |name: &str| {
                let asks = |pattern: &&[u8]| matches_pattern(pattern, name.as_bytes());
                args[2..].iter().any(asks)
            };
            let found: Vec<_> = SETTINGS.iter().filter(|(name, _)| asked(name)).collect();
            encode::map(out, found.len(), protocol);
            for (name, value) in found {
                encode::bulk(out, name.as_bytes());
                encode::bulk(out, value.as_bytes());
            }
        }),
        b"RESETSTAT" => ticket.ok(),
        _ => {
            ticket
                .fail("ERR CONFIG takes GET <name>; settings are given when a replica is started");
        }
    }
    Done::Continue
}

/// Names with one `*` at the end or at the start, or without.
fn matches_pattern(pattern: &[u8], name: &[u8]) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    match (pattern.strip_prefix(b"*"), pattern.strip_suffix(b"*")) {
        (_, Some(start)) if name.starts_with(start) => true,
        (Some(end), _) if name.ends_with(end) => true,
        _ => pattern == name,
    }
}

/// `COMMAND [COUNT | LIST | INFO name… | DOCS name… | GETKEYS command…]`
pub(super) fn command(call: Call<'_>) -> Done {
    let Call { args, ticket, .. } = call;
    let Some(subcommand) = args.get(1) else {
        ticket.answer(|out| {
            encode::array(out, COMMANDS.len());
            for spec in COMMANDS {
                describe(spec, out);
            }
        });
        return Done::Continue;
    };
    let names = &args[2..];
    match subcommand.to_ascii_uppercase().as_slice() {
        b"COUNT" => ticket.answer(|out| encode::integer(out, COMMANDS.len() as i64)),
        b"LIST" => ticket.answer(|out| {
            encode::array(out, COMMANDS.len());
            for spec in COMMANDS {
                encode::bulk(out, spec.name.to_ascii_lowercase().as_bytes());
            }
        }),
        b"INFO" => ticket.answer(|out| {
            encode::array(out, names.len());
            for name in names {
                match table::find(name) {
                    Some(spec) => describe(spec, out),
                    None => encode::nil(out),
                }
            }
        }),
        b"DOCS" => ticket.answer_as(|out, protocol| {
            let found: Vec<_> = COMMANDS
                .iter()
                .filter(|spec| {
                    let named = |name: &&[u8]| name.eq_ignore_ascii_case(spec.name.as_bytes());
                    names.is_empty() || names.iter().any(named)
                })
                .collect();
            encode::map(out, found.len(), protocol);
            for spec in found {
                document(spec, out, protocol);
            }
        }),
        b"GETKEYS" => get_keys(names, ticket),
        _ => ticket.fail("ERR COMMAND takes COUNT, LIST, INFO, DOCS or GETKEYS"),
    }
    Done::Continue
}

fn get_keys(command: &[&[u8]], ticket: super::Ticket) {
    let spec = command.first().and_then(|name| table::find(name));
    let Some(spec) = spec.filter(|spec| spec.takes(command.len())) else {
        return ticket.fail("ERR Invalid command specified");
    };
    let places: Vec<_> = spec.key_places(command.len()).collect();
    if places.is_empty() {
        return ticket.fail("ERR The command has no key arguments");
    }
    ticket.answer(|out| {
        encode::array(out, places.len());
        for place in places {
            encode::bulk(out, command[place]);
        }
    });
}

fn describe(spec: &Spec, out: &mut BytesMut) {
    // Name, arity, flags, three key places, categories, tips, key specifications, subcommands.
    encode::array(out, 10);
    encode::bulk(out, spec.name.to_ascii_lowercase().as_bytes());
    encode::integer(out, spec.arity);
    encode::array(out, spec.flags.len());
    for flag in spec.flags {
        encode::simple(out, flag);
    }
    let (first, last, step) = spec.keys;
    for place in [first as i64, last, step as i64] {
        encode::integer(out, place);
    }
    for _ in 0..4 {
        encode::array(out, 0);
    }
}

fn document(spec: &Spec, out: &mut BytesMut, protocol: Protocol) {
    encode::bulk(out, spec.name.to_ascii_lowercase().as_bytes());
    encode::map(out, 2, protocol);
    for (name, value) in [("summary", spec.summary), ("group", spec.group)] {
        encode::bulk(out, name.as_bytes());
        encode::bulk(out, value.as_bytes());
    }
}
