//! Tables that there were none of: iptables on nf_tables makes them with their first chain, and never removes one.

use serde_json::Value;

use super::{Chain, Table, Version};
use crate::tool::{Call, Program, ToolError};

impl Chain {
    /// The table it is in.
    pub fn table(&self) -> Table {
        self.table
    }

    /// Whether its table would be made with it. Where `nft` is not installed nobody can tell: then no.
    pub fn brings_its_table(&self) -> bool {
        matches!(objects(self.version, self.table), Ok(None))
    }
}

/// Deletes a table, in the calling thread's network namespace, that holds nothing but chains in which the kernel begins and
/// that have no rules. Another is somebody's, and left as it is.
///
/// # Errors
/// When it cannot be looked into, or is not deleted although it is empty.
pub fn delete_if_unused(version: Version, table: Table) -> Result<(), ToolError> {
    let Some(objects) = objects(version, table)? else {
        return Ok(());
    };
    let Some(chains) = unused(&objects) else {
        return Ok(());
    };
    for chain in chains {
        let delete = ["-w", "5", "-t", table.name(), "-X", chain];
        // Refused as soon as a rule is in it.
        if Call::new(version.program()).args(delete).run().is_err() {
            return Ok(());
        }
    }
    match self::objects(version, table)? {
        Some(objects) if objects.is_empty() => nft(["delete"], version, table).run().map(drop),
        _ => Ok(()),
    }
}

/// What is in a table, without the table itself; `None` if there is none.
fn objects(version: Version, table: Table) -> Result<Option<Vec<Value>>, ToolError> {
    let shown = match nft(["-j", "list"], version, table).run() {
        Err(error) if error.said().contains("No such file or directory") => return Ok(None),
        shown => shown?,
    };
    let shown: Value = serde_json::from_str(&shown).unwrap_or_default();
    let objects = shown["nftables"].as_array().cloned().unwrap_or_default();
    let inside = |object: &Value| object.get("metainfo").or(object.get("table")).is_none();
    Ok(Some(objects.into_iter().filter(inside).collect()))
}

/// The names of the chains that are all there is, each as the kernel's own are and without a rule.
fn unused(objects: &[Value]) -> Option<Vec<&str>> {
    let chain = |object: &'_ Value| object["chain"]["policy"] == "accept";
    let names = objects.iter().map(|object| {
        chain(object)
            .then(|| object["chain"]["name"].as_str())
            .flatten()
    });
    names.collect()
}

fn nft<const N: usize>(verb: [&str; N], version: Version, table: Table) -> Call {
    let family = match version {
        Version::V4 => "ip",
        Version::V6 => "ip6",
    };
    let of = ["table", family, table.name()];
    Call::new(Program::Nft).args(verb).args(of)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_is_unused_when_it_has_nothing_but_empty_beginnings() {
        let begin =
            |policy: &str| json!({"chain": {"name": "OUTPUT", "hook": "output", "policy": policy}});
        assert_eq!(unused(&[]), Some(Vec::new()));
        assert_eq!(unused(&[begin("accept")]), Some(vec!["OUTPUT"]));
        assert_eq!(unused(&[begin("drop")]), None);
        for others in [
            json!({"rule": {}}),
            json!({"set": {}}),
            json!({"chain": {"name": "DEPBENCH-x"}}),
        ] {
            assert_eq!(unused(&[begin("accept"), others]), None);
        }
    }
}
