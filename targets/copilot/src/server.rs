//! A replica with its client port, as a process runs it.

use std::io;
use std::rc::Rc;

use depfast::{Env, ValueEvent, real};
use kv::{Front, Limits};

use crate::config::{Config, ConfigError};
use crate::replica::Copilot;

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
    let clients = |id| config.members.get(id).map(|member| member.client.clone());
    let front = Front {
        env: env.clone(),
        replica: Rc::<Copilot>::clone(&copilot),
        addresses: config
            .members
            .keys()
            .filter_map(|id| Some((*id, clients(id)?)))
            .collect(),
        limits: Limits::default(),
    };
    let listen = config.client_listen.clone().or_else(|| clients(&id));
    front
        .serve(&listen.unwrap_or_default())
        .await
        .map_err(failed_to_start)?;

    let end = ValueEvent::new(&env, None);
    let (terminated, stopped) = (env.clone(), end.clone());
    env.spawn(async move {
        terminated.terminated().await;
        stopped.set(Some(Ok(())));
    });
    let failed = end.clone();
    env.spawn(async move { failed.set(Some(Err(copilot.failed().await))) });
    end.wait("end", Option::is_some).await;
    end.update(Option::take)
        .expect("waited for it")
        .map_err(ServeError::Log)
}
