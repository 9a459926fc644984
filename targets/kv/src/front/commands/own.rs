//! The commands that Redis does not have.

use depfast::NodeId;
use resp::encode;

use super::data::number;
use super::{Call, Done, data};
use crate::command::{Command, Op, SessionId, Stamp};
use crate::replica::MemberChange;

/// `DF.SESSION id [generation]`
pub(super) fn session(call: Call<'_>) -> Done {
    let Call {
        connection,
        args,
        ticket,
    } = call;
    let id = number(args[1]).map(SessionId);
    let generation = args.get(2).map(|text| number(text));
    let (Some(session), true, false) = (id, args.len() <= 3, generation == Some(None)) else {
        ticket.fail("ERR expected DF.SESSION <number> [<generation>], numbers of 64 bits");
        return Done::Continue;
    };
    connection.bind(Some(session));
    let stamp = Some(Stamp::opening(session));
    let op = Op::Open {
        generation: generation.flatten(),
    };
    connection
        .front()
        .replica
        .write(Command { stamp, op }, ticket);
    Done::Continue
}

/// `DF.DO seq [below] command …`
pub(super) fn perform(call: Call<'_>) -> Done {
    let Call {
        connection,
        args,
        ticket,
    } = call;
    let Some(session) = connection.session() else {
        ticket.fail("ERR DF.DO needs a session: send DF.SESSION <number> on this connection first");
        return Done::Continue;
    };
    let seq: Option<u64> = number(args[1]);
    let (below, command) = match number(args[2]) {
        Some(below) => (below, &args[3..]),
        None => (0, &args[2..]),
    };
    let (Some(seq), true) = (seq, !command.is_empty()) else {
        ticket.fail("ERR expected DF.DO <sequence number> [<acknowledged below>] <command> …");
        return Done::Continue;
    };
    if below > seq {
        ticket.fail("ERR a command cannot be acknowledged before it is done: below is above the sequence number");
        return Done::Continue;
    }
    match data(command, connection.front()) {
        Ok(op) => {
            let stamp = Some(Stamp {
                session,
                seq,
                below,
            });
            connection
                .front()
                .replica
                .write(Command { stamp, op }, ticket);
        }
        Err(text) => ticket.fail(&text),
    }
    Done::Continue
}

/// `DF.MEMBER LIST | ADD id peer client | REMOVE id`
pub(super) fn member(call: Call<'_>) -> Done {
    let Call {
        connection,
        args,
        ticket,
    } = call;
    let replica = &connection.front().replica;
    let text = |arg: &[u8]| String::from_utf8_lossy(arg).into_owned();
    let change = match (args[1].to_ascii_uppercase().as_slice(), &args[2..]) {
        (b"LIST", []) => {
            let members = replica.members();
            ticket.answer(|out| {
                encode::array(out, members.len());
                for member in members {
                    encode::array(out, 4);
                    encode::integer(out, i64::from(member.id.0));
                    encode::bulk(out, member.peer.as_bytes());
                    encode::bulk(out, member.client.as_bytes());
                    let part = if member.voter { "voter" } else { "learner" };
                    encode::bulk(out, part.as_bytes());
                }
            });
            return Done::Continue;
        }
        (b"ADD", [id, peer, client]) => number(id).map(|id| MemberChange::Add {
            id: NodeId(id),
            peer: text(peer),
            client: text(client),
        }),
        (b"REMOVE", [id]) => number(id).map(|id| MemberChange::Remove(NodeId(id))),
        _ => None,
    };
    match change {
        Some(change) => replica.change_members(change, ticket),
        None => ticket.fail(
            "ERR expected DF.MEMBER LIST, DF.MEMBER ADD <id> <host:port of peers> <host:port of clients>, or DF.MEMBER REMOVE <id>",
        ),
    }
    Done::Continue
}

/// `DF.TRANSFER [id]`
pub(super) fn transfer(call: Call<'_>) -> Done {
    let to = match call.args[1..] {
        [] => Some(None),
        [id] => number(id).map(|id| Some(NodeId(id))),
        _ => None,
    };
    match to {
        Some(to) => call.connection.front().replica.transfer(to, call.ticket),
        None => call.ticket.fail("ERR expected DF.TRANSFER [<id>]"),
    }
    Done::Continue
}

/// `DF.TRACE`: this node's part of the slowness propagation graph, as JSON.
pub(super) fn trace(call: Call<'_>) -> Done {
    let text = call.connection.front().env.trace().export();
    call.ticket.answer(|out| encode::bulk(out, text.as_bytes()));
    Done::Continue
}

/// `DF.ALERTS`: what the detectors of this node have found, as JSON, and its clock now, by which alerts are dated.
pub(super) fn alerts(call: Call<'_>) -> Done {
    let env = &call.connection.front().env;
    let alerts = env.alerts();
    let text = format!(
        "{{\"now\":{},\"total\":{},\"alerts\":{}}}",
        env.now().as_nanos(),
        alerts.total(),
        alerts.export()
    );
    call.ticket.answer(|out| encode::bulk(out, text.as_bytes()));
    Done::Continue
}
