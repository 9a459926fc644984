//! A replica with its client port, as a process runs it.

use std::rc::Rc;
use std::time::Duration;

use depfast::{Env, real};
use kv::server::{serve_clients, until_end};
use kv::{Replica, Role};

use crate::config::{Config, ConfigError};
use crate::replica::Raft;

/// How long the last answers have to leave.
const FAREWELL: Duration = Duration::from_millis(20);

/// Why a replica does not start, or had to stop.
pub type ServeError = kv::ServeError<ConfigError>;

/// Runs one replica on this thread until the process is asked to stop (SIGTERM or SIGINT) or the replica fails.
///
/// # Errors
///
/// Says why the replica does not start, or had to stop.
pub fn serve(config: Config) -> Result<(), ServeError> {
    config.validate()?;
    let id = config.id;
    let options = real::Options {
        larger_turns: true,
        ..real::Options::new(&config.data_dir)
    };
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
    if !config.mitigation {
        // Nobody acts on what they find, but whoever watches the group wants to know.
        kv::health::watch(&env);
    }
    let replica = Rc::<Raft>::clone(&raft);
    let listen = config.client_listen.as_deref();
    serve_clients(&env, replica, id, &config.members, listen)
        .await
        .map_err(failed_to_start)?;

    let (leaving, leaves) = (Rc::clone(&raft), env.clone());
    let farewell = async move {
        if leaving.status().role == Role::Leader && leaving.hand_over(None).await {
            // Clients that asked meanwhile are told whom to ask instead.
            leaves.timeout("farewell", FAREWELL).await;
        }
    };
    let failed = async move { raft.failed().await };
    until_end(&env, farewell, failed)
        .await
        .map_err(ServeError::Log)
}
