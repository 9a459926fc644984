use results::ResultsError;
use vocab::ids::NodeName;

use crate::cluster::NodeError;

/// Why a trial gave no numbers.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// A member of the target could not be started.
    #[error("cannot start {target} on {node}: {reason}{}", brought_by(*.package))]
    Start {
        /// The system under test.
        target: String,
        /// Where.
        node: NodeName,
        /// Why, and what would help.
        reason: String,
        /// What brings the program.
        package: Option<&'static str>,
    },
    /// A member ended before the trial did.
    #[error("{target} on {node} ended by itself ({cause}){}{}", said(.log), remedy(.log))]
    Ended {
        /// The system under test.
        target: String,
        /// Where.
        node: NodeName,
        /// How.
        cause: String,
        /// The end of what it printed.
        log: String,
    },
    /// The target did not get ready.
    #[error("{target} was not ready within {within:?}: {accounts}")]
    NotReady {
        /// The system under test.
        target: String,
        /// How long was waited.
        within: std::time::Duration,
        /// What each member last said.
        accounts: String,
    },
    /// The load worker failed.
    #[error("the load failed: {0}")]
    Load(String),
    /// A fault could not be placed, injected, probed or cleared.
    #[error("fault {fault}: {reason}")]
    Fault {
        /// Its name.
        fault: vocab::ids::FaultName,
        /// What failed.
        reason: String,
    },
    /// A node failed.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The results could not be written: the only error that ends the run.
    #[error(transparent)]
    Results(#[from] ResultsError),
}

fn said(log: &str) -> String {
    if log.is_empty() {
        String::new()
    } else {
        format!("; the last it said:\n{log}")
    }
}

/// What to do about what it said, if that is known.
fn remedy(log: &str) -> &'static str {
    match log.contains("No space left on device") {
        true => "\nmake room where its data lies, or give the node a disk for it",
        false => "",
    }
}

fn brought_by(package: Option<&str>) -> String {
    package.map_or_else(String::new, |package| {
        format!(" (on Debian and Ubuntu the package {package} brings it)")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_comes_with_what_to_do() {
        let ended = |log: &str| {
            let ended = TrialError::Ended {
                target: "etcd".to_owned(),
                node: "s1".parse().expect("a name"),
                cause: "exit code 1".to_owned(),
                log: log.to_owned(),
            };
            ended.to_string()
        };
        let full = ended("write: No space left on device");
        assert!(
            full.starts_with("etcd on s1 ended by itself (exit code 1)"),
            "{full}"
        );
        assert!(full.contains("make room where its data lies"), "{full}");
        assert!(!ended("panic").contains("make room"));
    }
}
