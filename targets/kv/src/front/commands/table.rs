//! Which commands there are.

use super::{Call, Done, cluster, connection, data, own, server};

/// What is known of a command, as COMMAND tells it.
pub(super) struct Spec {
    /// In upper case.
    pub(super) name: &'static str,
    /// How many arguments it has, its name included; at least that many if it is negative.
    pub(super) arity: i64,
    /// The places of its first and its last key and the step between keys; the last counts from the end if negative.
    pub(super) keys: (usize, i64, usize),
    pub(super) flags: &'static [&'static str],
    pub(super) group: &'static str,
    pub(super) summary: &'static str,
    pub(super) run: Run,
}

/// How a command is served.
#[derive(Clone, Copy)]
pub(super) enum Run {
    /// By the store.
    Data(data::Parse),
    /// Here.
    Local(fn(Call<'_>) -> Done),
}

impl Spec {
    /// Whether it can have that many arguments.
    pub(super) const fn takes(&self, count: usize) -> bool {
        let count = count as i64;
        if self.arity < 0 {
            count >= -self.arity
        } else {
            count == self.arity
        }
    }

    /// The places of its keys among `count` arguments.
    pub(super) fn key_places(&self, count: usize) -> impl Iterator<Item = usize> + use<> {
        let (first, last, step) = self.keys;
        let end = if last < 0 {
            count.saturating_sub(last.unsigned_abs() as usize - 1)
        } else {
            last as usize + 1
        };
        let end = if first == 0 { 0 } else { end.min(count) };
        (first..end).step_by(step.max(1))
    }
}

/// The command of that name, in whatever case.
pub(super) fn find(name: &[u8]) -> Option<&'static Spec> {
    let letter = name.first()?.to_ascii_uppercase().checked_sub(b'A')?;
    let letter = usize::from(letter);
    let same_letter = *STARTS.get(letter)?..*STARTS.get(letter + 1)?;
    let is = |spec: &&Spec| spec.name.as_bytes().eq_ignore_ascii_case(name);
    COMMANDS[same_letter].iter().find(is)
}

/// Where the commands of each letter begin, and after the last letter where all end.
const STARTS: [usize; 27] = {
    let (mut starts, mut place) = ([0; 27], 0);
    while place < COMMANDS.len() {
        let letter = COMMANDS[place].name.as_bytes()[0] - b'A';
        place += 1;
        let mut later = letter as usize + 1;
        while later < starts.len() {
            starts[later] = place;
            later += 1;
        }
    }
    starts
};

const READ: &[&str] = &["readonly", "fast"];
const WRITE: &[&str] = &["write", "denyoom", "fast"];
const REMOVE: &[&str] = &["write", "fast"];
const HERE: &[&str] = &["loading", "stale", "fast"];

const NONE: (usize, i64, usize) = (0, 0, 0);
const ONE: (usize, i64, usize) = (1, 1, 1);
const ALL: (usize, i64, usize) = (1, -1, 1);
const PAIRS: (usize, i64, usize) = (1, -1, 2);

macro_rules! commands {
    ($($name:literal $arity:literal $keys:ident $flags:ident $group:literal $run:expr, $summary:literal;)*) => {
        /// Sorted by name.
        pub(super) const COMMANDS: &[Spec] = &[$(Spec {
            name: $name,
            arity: $arity,
            keys: $keys,
            flags: $flags,
            group: $group,
            summary: $summary,
            run: $run,
        }),*];
    };
}

use Run::{Data, Local};

commands! {
    "APPEND" 3 ONE WRITE "string" Data(data::append), "Appends to a value";
    "ASKING" 1 NONE HERE "cluster" Local(connection::ok), "Has no effect: all slots are here";
    "AUTH" -2 NONE HERE "connection" Local(connection::ok), "Has no effect: there are no passwords";
    "CLIENT" -2 NONE HERE "connection" Local(connection::client), "Tells about connections, and names this one";
    "CLUSTER" -2 NONE HERE "cluster" Local(cluster::cluster), "Tells who the members are and who leads";
    "COMMAND" -1 NONE HERE "server" Local(server::command), "Tells which commands there are";
    "CONFIG" -2 NONE HERE "server" Local(server::config), "Tells settings that tools ask for";
    "DBSIZE" 1 NONE READ "server" Data(data::count), "Counts the keys";
    "DECR" 2 ONE WRITE "string" Data(data::decrement), "Subtracts one from a number";
    "DECRBY" 3 ONE WRITE "string" Data(data::decrement_by), "Subtracts from a number";
    "DEL" -2 ALL REMOVE "generic" Data(data::delete), "Removes keys";
    "DF.ALERTS" 1 NONE HERE "depfast" Local(own::alerts), "Tells what the detectors have found";
    "DF.DO" -3 NONE WRITE "depfast" Local(own::perform), "Does a command of this session at most once";
    "DF.MEMBER" -2 NONE HERE "depfast" Local(own::member), "Lists, adds and removes members of the group";
    "DF.SESSION" -2 NONE HERE "depfast" Local(own::session), "Opens a session and binds this connection to it";
    "DF.TRACE" 1 NONE HERE "depfast" Local(own::trace), "Tells whom this replica waits for";
    "DF.TRANSFER" -1 NONE HERE "depfast" Local(own::transfer), "Has another member lead";
    "ECHO" 2 NONE HERE "connection" Local(connection::echo), "Answers its argument";
    "EXISTS" -2 ALL READ "generic" Data(data::exists), "Counts those of the keys that exist";
    "FLUSHALL" -1 NONE REMOVE "server" Data(data::clear), "Removes all keys";
    "FLUSHDB" -1 NONE REMOVE "server" Data(data::clear), "Removes all keys";
    "GET" 2 ONE READ "string" Data(data::get), "Answers a value";
    "GETDEL" 2 ONE REMOVE "string" Data(data::take), "Answers a value and removes it";
    "GETSET" 3 ONE WRITE "string" Data(data::replace), "Sets a value and answers the one before";
    "HELLO" -1 NONE HERE "connection" Local(connection::hello), "Chooses the version of the protocol";
    "INCR" 2 ONE WRITE "string" Data(data::increment), "Adds one to a number";
    "INCRBY" 3 ONE WRITE "string" Data(data::increment_by), "Adds to a number";
    "INFO" -1 NONE HERE "server" Local(server::info), "Tells the state of this replica";
    "MGET" -2 ALL READ "string" Data(data::get_many), "Answers several values";
    "MSET" -3 PAIRS WRITE "string" Data(data::set_many), "Sets several values at once";
    "MSETNX" -3 PAIRS WRITE "string" Data(data::set_many_new), "Sets several values at once if none of the keys exists";
    "PING" -1 NONE HERE "connection" Local(connection::ping), "Answers PONG";
    "QUIT" -1 NONE HERE "connection" Local(connection::quit), "Ends the connection";
    "READONLY" 1 NONE HERE "cluster" Local(connection::ok), "Has no effect: reads are served by the leader";
    "READWRITE" 1 NONE HERE "cluster" Local(connection::ok), "Has no effect: reads are served by the leader";
    "RESET" 1 NONE HERE "connection" Local(connection::reset), "Makes the connection as new";
    "SELECT" 2 NONE HERE "connection" Local(connection::select), "Accepts the only database, 0";
    "SET" -3 ONE WRITE "string" Data(data::set), "Sets a value";
    "SETNX" 3 ONE WRITE "string" Data(data::set_new), "Sets a value if there is none";
    "STRLEN" 2 ONE READ "string" Data(data::length), "Answers the length of a value";
    "UNLINK" -2 ALL REMOVE "generic" Data(data::delete), "Removes keys";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_names_fit() {
        assert!(COMMANDS.is_sorted_by_key(|spec| spec.name));
        for spec in COMMANDS {
            let lower = spec.name.to_ascii_lowercase();
            assert_eq!(
                find(lower.as_bytes()).map(|found| found.name),
                Some(spec.name)
            );
        }
        assert!(find(b"NONSENSE").is_none() && find(&[b'x'; 100]).is_none());
    }

    #[test]
    fn keys_are_where_redis_has_them() {
        let places = |name: &str, count| -> Vec<usize> {
            find(name.as_bytes()).unwrap().key_places(count).collect()
        };
        assert_eq!(places("SET", 3), [1]);
        assert_eq!(places("MSET", 5), [1, 3]);
        assert_eq!(places("DEL", 4), [1, 2, 3]);
        assert_eq!(places("PING", 2), [0; 0]);
    }
}
