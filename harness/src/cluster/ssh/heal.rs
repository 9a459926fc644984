use std::path::Path;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use vocab::ids::NodeName;

use super::cargo::Cargo;
use super::control::ControlDir;
use super::deadline::{SETTLING, within};
use super::explain::with_remedy;
use super::host::Host;
use crate::causes::visible;
use crate::cluster::error::ClusterError;
use crate::cluster::spec::{SshNode, SshSpec};

/// What a machine says of what was left on it.
#[derive(Debug)]
pub struct Healed {
    /// Its node.
    pub node: NodeName,
    /// What was undone there; or what was not, or why it could not be asked.
    pub outcome: Result<String, String>,
}

/// Has every machine of a cluster undo what dead runs left there, and nothing of a live one.
///
/// # Errors
/// When this machine cannot reach any other.
pub async fn heal(spec: &SshSpec, program: &Path) -> Result<Vec<Healed>, ClusterError> {
    let cargo = Cargo::of(program, &spec.programs)?;
    let control = ControlDir::for_sockets()?;
    let mut healing = JoinSet::new();
    for node in &spec.nodes {
        let (spec, node, cargo) = (spec.clone(), node.clone(), cargo.clone());
        let control = control.path().to_owned();
        healing.spawn(async move {
            let outcome = heal_one(&spec, &node, &control, &cargo).await;
            Healed {
                outcome: match outcome {
                    Ok(said) => Ok(visible(&said)),
                    Err(said) => Err(visible(&said)),
                },
                node: node.name,
            }
        });
    }
    let mut healed = healing.join_all().await;
    healed.sort_by(|one, other| one.node.cmp(&other.node));
    Ok(healed)
}

async fn heal_one(
    spec: &SshSpec,
    node: &SshNode,
    control: &Path,
    cargo: &Cargo,
) -> Result<String, String> {
    let (unheard, _) = mpsc::unbounded_channel();
    let host = Host::reach(spec, node, control, cargo, unheard).await?;
    let command = host.command();
    let (program, before) = command.split_first().expect("a command has a program");
    let mut heal = host.session.command(program.as_str());
    heal.args(before).arg("heal");
    // Without it, an account may be allowed less.
    if let Some(dir) = &host.login.state_dir {
        heal.arg("--state-dir").arg(dir.display().to_string());
    }
    let output = within(SETTLING, "undo what was left", heal.output()).await?;
    let said = [&output.stdout, &output.stderr].map(|part| String::from_utf8_lossy(part));
    let said = said.concat().trim().to_owned();
    match output.status.success() {
        true => Ok(said),
        false => Err(with_remedy(&said)),
    }
}
