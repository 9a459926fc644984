use std::net::SocketAddr;
use std::time::Duration;

use tonic::Status;

use super::client::Client;

/// What a member says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberStatus {
    /// The member that answered.
    pub member: u64,
    /// The member it takes for the leader; none during an election.
    pub leader: Option<u64>,
    /// The Raft term it is in.
    pub term: u64,
    /// The version of etcd it runs.
    pub version: String,
}

impl MemberStatus {
    /// Whether the member takes itself for the leader.
    pub fn is_leader(&self) -> bool {
        self.leader == Some(self.member)
    }
}

/// A member did not say what it does.
#[derive(Debug, thiserror::Error)]
pub enum PollError {
    /// It did not answer in time.
    #[error("etcd at {server} did not answer within {limit:?}")]
    Timeout {
        /// Who was asked.
        server: SocketAddr,
        /// How long it had.
        limit: Duration,
    },
    /// It could not be asked, or answered an error.
    #[error("etcd at {server} could not be polled: {}", status.message())]
    Failed {
        /// Who was asked.
        server: SocketAddr,
        /// What came back.
        status: Box<Status>,
    },
}

/// Asks one member again and again; the connection is made with the first poll, and again when it broke.
#[derive(Debug, Clone)]
pub struct MemberPoll {
    server: SocketAddr,
    limit: Duration,
    client: Client,
}

impl MemberPoll {
    /// Polls the member that serves clients at `server`, giving it `limit` for each answer.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new(server: SocketAddr, limit: Duration) -> MemberPoll {
        MemberPoll {
            server,
            limit,
            client: Client::lazy(server, limit),
        }
    }

    /// What the member says now; any member answers for itself, without asking the others.
    ///
    /// # Errors
    /// When it could not be asked, or did not answer in time.
    pub async fn status(&mut self) -> Result<MemberStatus, PollError> {
        let server = self.server;
        let answer = tokio::time::timeout(self.limit, self.client.status()).await;
        let response = answer
            .map_err(|_| PollError::Timeout {
                server,
                limit: self.limit,
            })?
            .map_err(|status| PollError::Failed {
                server,
                status: Box::new(status),
            })?;
        Ok(MemberStatus {
            member: response
                .header
                .map(|header| header.member_id)
                .unwrap_or_default(),
            leader: Some(response.leader).filter(|leader| *leader != 0),
            term: response.raft_term,
            version: response.version,
        })
    }
}
