//! A replica with its client port, as a process runs it.

use std::rc::Rc;

use depfast::{Env, real};
use kv::server::{serve_clients, until_end};

use crate::config::{Config, ConfigError};
use crate::replica::Copilot;

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
    let options = real::Options::new(&config.data_dir);
    real::run(options, |env| run(env, config)).map_err(|source| ServeError::Start { id, source })?
}

/// Runs one replica in an environment until that is asked to stop or the replica fails.
///
/// # Errors
///
/// As for [`serve`].
pub async fn run(env: Env, config: Config) -> Result<(), ServeError> {
    let id = config.id;
    let failed_to_start = |source| ServeError::Start { id, source };
    let copilot = Copilot::start(&env, &config)
        .await
        .map_err(failed_to_start)?;
    let replica = Rc::<Copilot>::clone(&copilot);
    let listen = config.client_listen.as_deref();
    serve_clients(&env, replica, id, &config.members, listen)
        .await
        .map_err(failed_to_start)?;
    let failed = async move { copilot.failed().await };
    until_end(&env, async {}, failed)
        .await
        .map_err(ServeError::Log)
}
