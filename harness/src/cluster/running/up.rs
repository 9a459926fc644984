use node::journal::Purpose;

use super::{RunningError, RunningNode, list};
use crate::cluster::state::StateDir;
use crate::control::client;

/// A node that is up, wherever it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Up {
    /// Made out of this machine.
    Here(RunningNode),
    /// A machine of its own, within reach of its controller, which runs on this one.
    There(Purpose),
}

impl Up {
    /// Run and node.
    pub fn purpose(&self) -> &Purpose {
        match self {
            Up::Here(node) => &node.purpose,
            Up::There(purpose) => purpose,
        }
    }

    /// `run/node`.
    pub fn full_name(&self) -> String {
        let Purpose { run, node } = self.purpose();
        format!("{run}/{node}")
    }
}

/// All nodes that are up.
///
/// # Errors
/// When the state directory or `/proc` cannot be read.
pub async fn everywhere(state: &StateDir) -> Result<Vec<Up>, RunningError> {
    let here = list(state)?;
    let told = client::nodes().await.map_err(|source| RunningError::Read {
        path: "/proc/net/unix".into(),
        source,
    })?;
    // Controllers name all their nodes, wherever these are.
    let is_here = |there: &Purpose| here.iter().any(|node| node.purpose.run == there.run);
    let there: Vec<Up> = told
        .into_iter()
        .filter(|purpose| !is_here(purpose))
        .map(Up::There)
        .collect();
    let mut up: Vec<Up> = here.into_iter().map(Up::Here).chain(there).collect();
    up.sort_by_key(Up::full_name);
    Ok(up)
}

/// The one node among these that is called `wanted`: `s1`, or `run/s1` when several runs have one.
///
/// # Errors
/// None, or several.
pub fn find(up: &[Up], wanted: &str) -> Result<Up, RunningError> {
    let fits = |node: &&Up| node.purpose().node.as_str() == wanted || node.full_name() == wanted;
    let mut fitting = up.iter().filter(fits);
    match (fitting.next(), fitting.next()) {
        (Some(one), None) => Ok(one.clone()),
        (None, _) => Err(RunningError::Unknown {
            wanted: wanted.to_owned(),
            up: up.iter().map(Up::full_name).collect(),
        }),
        (Some(_), Some(_)) => Err(RunningError::Ambiguous {
            wanted: wanted.to_owned(),
            up: up.iter().filter(fits).map(Up::full_name).collect(),
        }),
    }
}
