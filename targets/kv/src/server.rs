//! What every replica has in common as a process runs it: members with addresses, a promise, a client port, an end.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::io;
use std::rc::Rc;
use std::str::FromStr;

use depfast::{Env, NodeId, ValueEvent};

use crate::front::{Front, Limits};
use crate::replica::Replica;

/// How a member is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Where its peers reach it, `host:port`.
    pub peer: String,
    /// Where clients reach it, `host:port`.
    pub client: String,
}

/// What an acknowledged write has survived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// It is on stable storage of a majority.
    #[default]
    Fsync,
    /// It is in the memory of a majority, as in the papers; a replica that restarts has forgotten everything, its votes
    /// included, so it must not come back to a group that is alive.
    Memory,
}

/// Not a kind of durability.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown durability `{0}` (known: fsync, memory)")]
pub struct UnknownDurability(String);

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fsync => "fsync",
            Self::Memory => "memory",
        })
    }
}

impl FromStr for Durability {
    type Err = UnknownDurability;

    fn from_str(text: &str) -> Result<Self, UnknownDurability> {
        match text {
            "fsync" => Ok(Self::Fsync),
            "memory" => Ok(Self::Memory),
            other => Err(UnknownDurability(other.to_owned())),
        }
    }
}

/// Why a replica does not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum ServeError<C: Error + 'static> {
    /// The configuration cannot work.
    #[error(transparent)]
    Config(#[from] C),
    /// The log cannot be read, or an address is not available.
    #[error("failed to start replica {id}")]
    Start {
        /// The replica.
        id: NodeId,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The log cannot be written. What was acknowledged is on a majority; the replica recovers when it is restarted.
    #[error("replica stopped because its log could not be made durable")]
    Log(#[source] Rc<io::Error>),
}

/// Serves the clients of a replica from then on, at its member's address unless `listen` differs.
///
/// # Errors
///
/// Fails if the address is not available.
pub async fn serve_clients(
    env: &Env,
    replica: Rc<dyn Replica>,
    id: NodeId,
    members: &BTreeMap<NodeId, Member>,
    listen: Option<&str>,
) -> io::Result<()> {
    let own = members.get(&id).map(|member| member.client.as_str());
    let listen = listen.or(own).unwrap_or_default();
    let front = Front {
        env: env.clone(),
        replica,
        addresses: members
            .iter()
            .map(|(id, member)| (*id, member.client.clone()))
            .collect(),
        limits: Limits::default(),
    };
    front.serve(listen).await.map(|_| ())
}

/// Suspends the coroutine until the process is asked to stop and `farewell` is over, or until the replica fails.
///
/// # Errors
///
/// Says how the replica failed.
pub async fn until_end(
    env: &Env,
    farewell: impl Future<Output = ()> + 'static,
    failed: impl Future<Output = Rc<io::Error>> + 'static,
) -> Result<(), Rc<io::Error>> {
    let end = ValueEvent::new(env, None);
    let (terminated, stopped) = (env.clone(), end.clone());
    env.spawn(async move {
        terminated.terminated().await;
        farewell.await;
        stopped.set(Some(Ok(())));
    });
    let failing = end.clone();
    env.spawn(async move { failing.set(Some(Err(failed.await))) });
    end.wait("end", Option::is_some).await;
    end.update(Option::take).expect("waited for it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durability_is_read_as_it_is_written() {
        for durability in [Durability::Fsync, Durability::Memory] {
            assert_eq!(durability.to_string().parse(), Ok(durability));
        }
        let unknown = "sometimes".parse::<Durability>().unwrap_err();
        assert!(unknown.to_string().contains("fsync, memory"));
    }
}
