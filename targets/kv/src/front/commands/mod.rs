//! The commands of the Redis protocol that are understood.

mod cluster;
mod connection;
mod data;
mod own;
mod server;
mod table;

use std::rc::Rc;

use resp::{Request, encode};

use super::{Connection, Front, Ticket};
use crate::command::{Command, Op};
use data::{Args, Data};
pub(super) use server::REDIS_VERSION;
use table::{Run, Spec};

/// What becomes of the connection after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    Continue,
    Close,
}

/// A request that is served here.
struct Call<'a> {
    connection: &'a Rc<Connection>,
    args: Args<'a>,
    ticket: Ticket,
}

/// Arguments that are kept without asking for memory.
const FEW: usize = 8;

/// Serves one request, which has at least its name.
pub(super) fn serve(connection: &Rc<Connection>, request: &Request<'_>) -> Done {
    let mut few = [&[][..]; FEW];
    let many: Vec<_>;
    let count = request.arg_count();
    let args: Args<'_> = match few.get_mut(..count) {
        Some(places) => {
            places
                .iter_mut()
                .zip(request.args())
                .for_each(|(place, arg)| *place = arg);
            places
        }
        None => {
            many = request.args().collect();
            &many
        }
    };
    let spec = match check(args, connection.front()) {
        Ok(spec) => spec,
        Err(text) => {
            connection.ticket(b"").fail(&text);
            return Done::Continue;
        }
    };
    let ticket = connection.ticket(first_key(spec, args));
    match spec.run {
        Run::Local(run) => run(Call {
            connection,
            args,
            ticket,
        }),
        Run::Data(parse) => {
            let replica = &connection.front().replica;
            match parse(args) {
                Ok(Data::Change(op)) => replica.write(Command::plain(op), ticket),
                Ok(Data::Question(query)) => replica.read(query, ticket),
                Err(text) => ticket.fail(&text),
            }
            Done::Continue
        }
    }
}

/// Finds a command and looks whether its arguments are within the limits.
fn check(args: Args<'_>, front: &Front) -> Result<&'static Spec, String> {
    let name = args[0];
    let spec = table::find(name).ok_or_else(|| {
        let shown = name[..name.len().min(64)].escape_ascii();
        format!("ERR unknown command '{shown}'")
    })?;
    if !spec.takes(args.len()) {
        let name = spec.name.to_ascii_lowercase();
        return Err(format!(
            "ERR wrong number of arguments for '{name}' command"
        ));
    }
    let limits = &front.limits;
    let longest = args.iter().map(|arg| arg.len()).max().unwrap_or(0);
    if longest <= limits.key_bytes.min(limits.value_bytes) {
        return Ok(spec);
    }
    for place in spec.key_places(args.len()) {
        within("key", args[place], limits.key_bytes)?;
    }
    for arg in &args[1..] {
        within("value", arg, limits.value_bytes)?;
    }
    Ok(spec)
}

/// Reads a command of the store that stands within another one.
fn data<'a>(args: Args<'a>, front: &Front) -> Result<Op<'a>, String> {
    let spec = check(args, front)?;
    match spec.run {
        Run::Data(parse) => Ok(parse(args)?.into_op()),
        Run::Local(_) => Err(format!(
            "ERR {} has no place in a session: only commands on keys have",
            spec.name
        )),
    }
}

fn first_key<'a>(spec: &Spec, args: Args<'a>) -> &'a [u8] {
    if spec.keys.0 > 0 {
        args[spec.keys.0]
    } else {
        b""
    }
}

fn within(what: &str, bytes: &[u8], limit: usize) -> Result<(), String> {
    let length = bytes.len();
    if length <= limit {
        return Ok(());
    }
    Err(format!(
        "ERR a {what} of {length} bytes is longer than the limit of {limit}"
    ))
}

impl Ticket {
    fn fail(self, text: &str) {
        self.answer(|out| encode::error(out, text));
    }
}
