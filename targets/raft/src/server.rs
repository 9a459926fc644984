//! A replica with its client port, as a process runs it.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use depfast::{Env, ValueEvent, real};
use kv::{Front, Limits, Replica, Role};

use crate::config::{Config, ConfigError};
use crate::replica::Raft;

/// How long the last answers have to leave.
const FAREWELL: Duration = Duration::from_millis(20);

/// Why a replica does not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The log cannot be read, or an address is not available.
    #[error("failed to start replica {id}")]
    Start {
        /// The replica.
        id: depfast::NodeId,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The log cannot be written. What was acknowledged is on a majority; the replica recovers when it is restarted.
    #[error("replica stopped because its log could not be made durable")]
    Log(#[source] Rc<io::Error>),
}

/// Runs one replica on this thread until the process is asked to stop (SIGTERM or SIGINT) or the replica fails.
///
/// # Errors
///
/// Says why the replica does not start, or had to stop.
pub fn serve(config: Config) -> Result<(), ServeError> {
    config.validate()?;
    let id = config.id;
    let options = real::Options::new(&config.data_dir);
    real::run(options, |env| run(env, config)).map_err(|source| ServeError::Start { id, source })?
}

/// Runs one replica in an environment until that is asked to stop or the replica fails. One that leads hands over before
/// it stops.
///
/// # Errors
///
/// As for [`serve`].
pub async fn run(env: Env, config: Config) -> Result<(), ServeError> {
    let id = config.id;
    let failed_to_start = |source| ServeError::Start { id, source };
    let raft = Raft::start(&env, &config).await.map_err(failed_to_start)?;
    let own = config
        .members
        .get(&id)
        .map(|member| member.client.clone())
        .unwrap_or_default();
    let front = Front {
        env: env.clone(),
        replica: Rc::<Raft>::clone(&raft),
        addresses: config
            .members
            .iter()
            .map(|(id, member)| (*id, member.client.clone()))
            .collect(),
        limits: Limits::default(),
    };
    front
        .serve(config.client_listen.as_ref().unwrap_or(&own))
        .await
        .map_err(failed_to_start)?;

    let (end, failing) = (ValueEvent::new(&env, None), env.clone());
    let (leaving, stopped) = (Rc::clone(&raft), end.clone());
    env.clone().spawn(async move {
        env.terminated().await;
        if leaving.status().role == Role::Leader && leaving.hand_over(None).await {
            // Clients that asked meanwhile are told whom to ask instead.
            env.timeout("farewell", FAREWELL).await;
        }
        stopped.set(Some(Ok(())));
    });
    let failed = end.clone();
    failing.spawn(async move { failed.set(Some(Err(raft.failed().await))) });
    end.wait("end", Option::is_some).await;
    end.update(Option::take)
        .expect("waited for it")
        .map_err(ServeError::Log)
}
