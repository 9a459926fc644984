//! A machine that is connected, looked at, and has this program.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use openssh::{ControlPersist, KnownHosts, Session, SessionBuilder};
use tokio::sync::mpsc::UnboundedSender;

use super::cargo::Cargo;
use super::explain::step;
use super::survey::{Survey, survey};
use super::upload::upload;
use crate::cluster::local::Progress;
use crate::cluster::spec::{Become, HostKeys, SshLogin, SshNode, SshSpec};

/// How long a machine may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(20);

/// So many unanswered signs of life, which is what ssh takes when nobody says otherwise, end the connection.
const SIGNS_PER_LEASE: u32 = 3;

/// How long an ssh master outlives its last channel: it must not outlive a killed controller for long.
const IDLE: NonZeroUsize = NonZeroUsize::new(20).expect("not zero");

/// A machine, ready for agents.
#[derive(Clone)]
pub(super) struct Host {
    pub(super) node: SshNode,
    pub(super) login: SshLogin,
    pub(super) session: Arc<Session>,
    pub(super) survey: Survey,
    /// The program there,
    pub(super) program: String,
    /// and how its build is told from others.
    pub(super) hash: String,
}

impl Host {
    /// Connects, looks around, brings the program.
    pub(super) async fn reach(
        spec: &SshSpec,
        node: &SshNode,
        control: &Path,
        cargo: &Cargo,
        progress: UnboundedSender<Progress>,
    ) -> Result<Host, String> {
        let login = node.login.or(&spec.login);
        let session = connect(spec, node, &login, control).await?;
        let survey = survey(&session, cargo.identities(), node.name.as_str()).await?;
        let build = cargo.build(&survey.arch)?;
        let program = match &login.program {
            Some(program) => program.display().to_string(),
            None => {
                let tell = |step| {
                    // Nobody may be looking.
                    let _unheard = progress.send(step);
                };
                upload(&session, &survey, build, &node.name, tell).await?
            }
        };
        Ok(Host {
            node: node.clone(),
            login,
            session: Arc::new(session),
            survey,
            program,
            hash: build.hash.clone(),
        })
    }

    /// Whether agents run as root there.
    pub(super) fn privileged(&self) -> bool {
        self.survey.is_root || self.becoming() != Become::None
    }

    /// The words before the agent's arguments.
    pub(super) fn command(&self) -> Vec<String> {
        // What goes wrong is told apart by its words, which are to be English.
        let before: &[&str] = match (self.survey.is_root, self.becoming()) {
            (true, _) | (false, Become::None) => &[],
            (false, Become::Sudo) => &["env", "LC_ALL=C", "sudo", "-n", "--"],
            (false, Become::Doas) => &["env", "LC_ALL=C", "doas", "-n"],
        };
        let before = before.iter().map(|word| (*word).to_owned());
        before.chain([self.program.clone()]).collect()
    }

    /// Where runs keep what they keep.
    pub(super) fn state_dir(&self) -> String {
        match &self.login.state_dir {
            Some(dir) => dir.display().to_string(),
            None if self.privileged() => "/var/lib/depbench".to_owned(),
            None => format!("{}/.local/state/depbench", self.survey.home),
        }
    }

    fn becoming(&self) -> Become {
        self.login.r#become.unwrap_or_default()
    }
}

/// From sign of life to sign of life, in whole seconds, which is what ssh understands: rounded up, for a connection must not
/// end before the lease.
fn between_signs(lease: Duration) -> Duration {
    let exact = lease / SIGNS_PER_LEASE;
    Duration::from_secs(exact.as_secs() + u64::from(exact.subsec_nanos() > 0))
}

async fn connect(
    spec: &SshSpec,
    node: &SshNode,
    login: &SshLogin,
    control: &Path,
) -> Result<Session, String> {
    let mut builder = SessionBuilder::default();
    builder
        .known_hosts_check(match spec.host_keys {
            HostKeys::Strict => KnownHosts::Strict,
            HostKeys::AcceptNew => KnownHosts::Add,
        })
        .connect_timeout(CONNECT)
        .server_alive_interval(between_signs(spec.lease.duration()))
        .control_directory(control)
        .control_persist(ControlPersist::IdleFor(IDLE));
    if let Some(user) = &login.user {
        builder.user(user.clone());
    }
    if let Some(port) = login.port {
        builder.port(port.get());
    }
    if let Some(identity) = &login.identity {
        builder.keyfile(identity);
    }
    if let Some(config) = &spec.config {
        builder.config_file(config);
    }
    builder
        .connect_mux(node.destination())
        .await
        .map_err(|error| step(&format!("connect to {}", node.destination()), &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_outlives_stalls_shorter_than_the_lease() {
        for (lease, interval) in [(3000, 1), (3001, 2), (8000, 3), (15000, 5), (300_000, 100)] {
            let between = between_signs(Duration::from_millis(lease));
            assert_eq!(between, Duration::from_secs(interval), "{lease} ms");
        }
    }
}
