use std::net::SocketAddr;
use std::time::Duration;

use resp::{Reply, encode, parse_reply};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use vocab::ids::Role;
use workloads::etcd::MemberPoll;

/// A member's own account of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// What it says it does at the moment; `None` while it has no role, such as during an election.
    pub role: Option<Role>,
    /// Term, epoch or view, if the system has one.
    pub term: Option<u64>,
    /// It serves clients, itself or by naming a leader.
    pub ready: bool,
}

/// A member could not be asked.
#[derive(Debug, Clone, thiserror::Error, Serialize, Deserialize)]
pub enum StatusError {
    /// No connection, or it broke.
    #[error("no answer: {0}")]
    Unreachable(String),
    /// It answered something that this target never says.
    #[error("unexpected answer: {0}")]
    Unexpected(String),
    /// It did not answer in time.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
}

/// An etcd member is given no longer than this; the caller usually gives it less.
const LONGEST_POLL: Duration = Duration::from_secs(10);

/// INFO of any server is far shorter.
const LONGEST_INFO: usize = 1 << 20;

/// The waits of a member are a few kilobytes, its alerts some fifty at most.
const LONGEST_ANSWER: usize = 1 << 18;

/// What a member that is built on DepFast tells of its waits, as it told it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waits {
    /// The answer to `DF.TRACE`.
    pub trace: String,
    /// The answer to `DF.ALERTS`.
    pub alerts: String,
}

/// Asks a member that is built on DepFast for whom it has waited, and what its detectors have found.
///
/// # Errors
/// When it cannot be asked, or knows nothing of that.
pub async fn waits(address: SocketAddr) -> Result<Waits, StatusError> {
    Ok(Waits {
        trace: ask(address, b"DF.TRACE", LONGEST_ANSWER).await?,
        alerts: ask(address, b"DF.ALERTS", LONGEST_ANSWER).await?,
    })
}

/// Asks a member that speaks the Redis protocol.
pub(crate) async fn from_info(address: SocketAddr) -> Result<Status, StatusError> {
    parse_info(&ask(address, b"INFO", LONGEST_INFO).await?)
}

/// Sends a command without arguments whose answer is a text.
async fn ask(address: SocketAddr, command: &[u8], longest: usize) -> Result<String, StatusError> {
    let unreachable = |error: std::io::Error| StatusError::Unreachable(error.to_string());
    let mut stream = TcpStream::connect(address).await.map_err(unreachable)?;
    let mut request = Vec::new();
    encode::command(&mut request, [command]);
    stream.write_all(&request).await.map_err(unreachable)?;
    let mut answer = Vec::new();
    while answer.len() < longest {
        if stream.read_buf(&mut answer).await.map_err(unreachable)? == 0 {
            return Err(StatusError::Unreachable("the connection was closed".into()));
        }
        match parse_reply(&answer) {
            Ok(None) => {}
            Ok(Some((Reply::Bulk(text), _))) => {
                return Ok(String::from_utf8_lossy(text).into_owned());
            }
            Ok(Some((other, _))) => return Err(StatusError::Unexpected(format!("{other:?}"))),
            Err(error) => return Err(StatusError::Unexpected(error.to_string())),
        }
    }
    Err(StatusError::Unexpected(format!(
        "more than {longest} bytes"
    )))
}

/// Asks an etcd member.
pub(crate) async fn from_etcd(address: SocketAddr) -> Result<Status, StatusError> {
    let mut poll = MemberPoll::new(address, LONGEST_POLL);
    let status = poll
        .status()
        .await
        .map_err(|error| StatusError::Unreachable(error.to_string()))?;
    let role = status.leader.map(|_| {
        if status.is_leader() {
            Role::Leader
        } else {
            Role::Follower
        }
    });
    Ok(Status {
        role,
        term: Some(status.term),
        ready: role.is_some(),
    })
}

/// Reads the answer to the Redis command INFO: `role:` and `term:`.
fn parse_info(info: &str) -> Result<Status, StatusError> {
    let field = |name: &str| {
        info.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim)
    };
    let role = match field("role") {
        Some("leader" | "master") => Some(Role::Leader),
        Some("follower" | "slave") => Some(Role::Follower),
        Some("pilot") => Some(Role::Pilot),
        Some("copilot") => Some(Role::Copilot),
        Some(_) => None,
        None => return Err(StatusError::Unexpected("INFO without a role".into())),
    };
    let term = field("term").and_then(|term| term.parse().ok());
    Ok(Status {
        role,
        term,
        ready: role.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_names_role_and_term() {
        let status = parse_info("# Replication\r\nrole:leader\r\nterm:7\r\n").unwrap();
        assert_eq!(
            status,
            Status {
                role: Some(Role::Leader),
                term: Some(7),
                ready: true
            }
        );
        let status = parse_info("role:candidate\r\nterm:8\r\n").unwrap();
        assert_eq!(
            status,
            Status {
                role: None,
                term: Some(8),
                ready: false
            }
        );
        assert_eq!(
            parse_info("role:master\r\n").unwrap().role,
            Some(Role::Leader)
        );
        assert!(parse_info("nothing").is_err());
    }
}
