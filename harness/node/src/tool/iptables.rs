//! Command lines of `iptables`, only ever around a chain of our own.

mod table;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use table::delete_if_unused;

use super::{Call, Program, ToolError};

/// A table of the packet filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Table {
    /// Accept or drop.
    Filter,
    /// Change, or hand to a queue.
    Mangle,
    /// Before everything else.
    Raw,
}

impl Table {
    fn name(self) -> &'static str {
        match self {
            Table::Filter => "filter",
            Table::Mangle => "mangle",
            Table::Raw => "raw",
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where packets come through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hook {
    /// Routed through.
    Forward,
    /// To a process here.
    Input,
    /// From a process here.
    Output,
    /// Just received.
    Prerouting,
}

impl Hook {
    fn name(self) -> &'static str {
        match self {
            Hook::Forward => "FORWARD",
            Hook::Input => "INPUT",
            Hook::Output => "OUTPUT",
            Hook::Prerouting => "PREROUTING",
        }
    }
}

/// A version of IP; each has tables of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Version {
    /// Version 4.
    #[default]
    V4,
    /// Version 6.
    V6,
}

impl Version {
    fn program(self) -> Program {
        match self {
            Version::V4 => Program::Iptables,
            Version::V6 => Program::Ip6tables,
        }
    }
}

/// A chain of ours and the one place it is jumped to from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    #[serde(default)]
    version: Version,
    table: Table,
    hook: Hook,
    name: ChainName,
}

impl Chain {
    /// Chain `name` of IP version 4 in `table`, at `hook`.
    pub fn new(table: Table, hook: Hook, name: ChainName) -> Chain {
        Chain {
            version: Version::V4,
            table,
            hook,
            name,
        }
    }

    /// The chain of the same name for another IP version.
    #[must_use]
    pub fn of(self, version: Version) -> Chain {
        Chain { version, ..self }
    }

    /// The version of IP it is for.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Shows its rules, each with how many packets it took; see [`taken`].
    pub fn show(&self) -> Call {
        self.call("-L", self.name.as_str()).args(["-v", "-x", "-n"])
    }

    /// Makes the chain, empty.
    pub fn create(&self) -> Call {
        self.call("-N", self.name.as_str())
    }

    /// Sends every packet at the hook through the chain, first of all.
    pub fn jump(&self) -> Call {
        self.call("-I", self.hook.name())
            .args(["1", "-j", self.name.as_str()])
    }

    /// Sends every packet at the hook through the chain that no rule before it has decided on.
    pub fn jump_last(&self) -> Call {
        self.call("-A", self.hook.name())
            .args(["-j", self.name.as_str()])
    }

    /// Shows the rules of the whole table that the chain is in, ours and others'.
    pub fn show_table(&self) -> Call {
        Call::new(self.version.program()).args(["-w", "5", "-t", self.table.name(), "-S"])
    }

    /// Appends a rule; `rule` is its match and target, as `["-s", "10.0.0.2", "-j", "NFQUEUE", …]`.
    pub fn append<S: AsRef<str>>(&self, rule: impl IntoIterator<Item = S>) -> Call {
        self.call("-A", self.name.as_str()).args(rule)
    }

    /// Deletes a rule that [`Chain::append`] made.
    pub fn remove<S: AsRef<str>>(&self, rule: impl IntoIterator<Item = S>) -> Call {
        self.call("-D", self.name.as_str()).args(rule)
    }

    fn unjump(&self) -> Call {
        self.call("-D", self.hook.name())
            .args(["-j", self.name.as_str()])
    }

    fn call(&self, verb: &str, chain: &str) -> Call {
        Call::new(self.version.program()).args(["-w", "5", "-t", self.table.name(), verb, chain])
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "chain {} of table {}", self.name, self.table.name())
    }
}

/// The name of a chain of ours: `DEPBENCH-` and up to 19 of `a-z A-Z 0-9 -`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChainName(String);

impl ChainName {
    const PREFIX: &str = "DEPBENCH-";

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for ChainName {
    type Err = String;

    fn from_str(text: &str) -> Result<ChainName, String> {
        let rest = text.strip_prefix(ChainName::PREFIX);
        let fine = |rest: &str| {
            (1..=19).contains(&rest.len())
                && rest.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        };
        rest.is_some_and(fine)
            .then(|| ChainName(text.to_owned()))
            .ok_or_else(|| {
                format!(
                    "`{text}` is not a chain of ours: `{}` and 1 to 19 letters, digits or dashes",
                    ChainName::PREFIX
                )
            })
    }
}

impl TryFrom<String> for ChainName {
    type Error = String;
    fn try_from(text: String) -> Result<ChainName, String> {
        text.parse()
    }
}

impl From<ChainName> for String {
    fn from(name: ChainName) -> String {
        name.0
    }
}

impl fmt::Display for ChainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How many packets the rules with target `target` took, of what [`Chain::show`] shows.
pub fn taken(shown: &str, target: &str) -> u64 {
    let packets = |line: &str| -> Option<u64> {
        // Columns: packets, bytes, target, …
        let mut words = line.split_whitespace();
        let packets = words.next()?.parse().ok()?;
        (words.nth(1) == Some(target)).then_some(packets)
    };
    shown.lines().filter_map(packets).sum()
}

/// Deletes the jump to `chain`, its rules and the chain itself, in the calling thread's network namespace. What is
/// already gone is passed over.
///
/// # Errors
/// When `iptables` is missing or fails for another reason.
pub fn delete(chain: &Chain) -> Result<(), ToolError> {
    // A crash between two inserts cannot leave more than a few jumps; the bound only keeps this from looping for ever.
    for _ in 0..64 {
        match chain.unjump().run() {
            Ok(_) => {}
            Err(error) if is_absent(&error) => break,
            Err(error) => return Err(error),
        }
    }
    for verb in ["-F", "-X"] {
        match chain.call(verb, chain.name.as_str()).run() {
            Err(error) if !is_absent(&error) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn is_absent(error: &ToolError) -> bool {
    let said = error.said();
    [
        "No chain/target/match by that name",
        "does a matching rule exist",
        "doesn't exist",
        "does not exist",
        "Couldn't load target",
    ]
    .iter()
    .any(|text| said.contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_stay_within_our_chain() {
        let chain = Chain::new(
            Table::Mangle,
            Hook::Forward,
            "DEPBENCH-slow".parse().unwrap(),
        );
        let queue = [
            "-d",
            "10.9.1.2",
            "-j",
            "NFQUEUE",
            "--queue-num",
            "7",
            "--queue-bypass",
        ];
        let lines: Vec<_> = [
            chain.create(),
            chain.jump(),
            chain.append(queue),
            chain.remove(queue),
            chain.unjump(),
        ]
        .iter()
        .map(ToString::to_string)
        .collect();
        assert_eq!(
            lines,
            [
                "iptables -w 5 -t mangle -N DEPBENCH-slow",
                "iptables -w 5 -t mangle -I FORWARD 1 -j DEPBENCH-slow",
                "iptables -w 5 -t mangle -A DEPBENCH-slow -d 10.9.1.2 -j NFQUEUE --queue-num 7 --queue-bypass",
                "iptables -w 5 -t mangle -D DEPBENCH-slow -d 10.9.1.2 -j NFQUEUE --queue-num 7 --queue-bypass",
                "iptables -w 5 -t mangle -D FORWARD -j DEPBENCH-slow",
            ]
        );
    }

    #[test]
    fn packets_are_counted_by_target() {
        let shown = "Chain DEPBENCH-x (1 references)\n\
             \u{20}   pkts      bytes target     prot opt in     out     source               destination\n\
             \u{20}      7      420 RETURN     all  --  n1     *       0.0.0.0/0            10.0.0.9\n\
             \u{20}     41     3444 DROP       all  --  n1     *       0.0.0.0/0            0.0.0.0/0\n\
             \u{20}      1       84 DROP       all  --  *      n1      0.0.0.0/0            0.0.0.0/0\n";
        assert_eq!(taken(shown, "DROP"), 42);
        assert_eq!(taken(shown, "RETURN"), 7);
        assert_eq!(taken("nonsense", "DROP"), 0);
    }

    #[test]
    fn hostile_chain_names_are_refused() {
        for text in [
            "",
            "FORWARD",
            "DEPBENCH-",
            "DEPBENCH-a b",
            "DEPBENCH-$(x)",
            "-F",
            "DEPBENCH-aaaaaaaaaaaaaaaaaaaa",
        ] {
            assert!(text.parse::<ChainName>().is_err(), "{text}");
        }
    }
}
