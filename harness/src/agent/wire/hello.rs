use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Changes whenever a frame's meaning does.
const PROTOCOL: u32 = 1;

/// What no login shell prints.
const MAGIC: &[u8] = b"\n\x02DEPBENCH-AGENT\x03 ";

/// How much a login shell may say before the agent speaks, in bytes.
const MAX_NOISE: usize = 1024 * 1024;

/// How long the line itself may be, in bytes.
const MAX_LINE: usize = 64 * 1024;

/// The agent's first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Version of the protocol.
    pub protocol: u32,
    /// Identity of the program, as [`crate::agent::program_hash`] gives it.
    pub program: String,
    /// Whether it could set itself up.
    pub greeting: Greeting,
}

/// Whether an agent could set itself up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Greeting {
    /// It waits for requests.
    Ready,
    /// It has ended; the reason.
    Refused(String),
}

/// No agent answered, or one that this controller does not understand.
#[derive(Debug, thiserror::Error)]
pub enum HelloError {
    /// The stream ended or was flooded; `noise` is the end of what was heard.
    #[error("no agent answered{}", heard(.noise))]
    Silent {
        /// The last that was heard, for a person.
        noise: String,
    },
    /// The stream broke.
    #[error("the connection broke: {0}")]
    Io(#[from] std::io::Error),
    /// The line behind the magic is not a hello.
    #[error("the agent's first line cannot be understood: {0}")]
    Garbled(#[from] serde_json::Error),
    /// The program on the node is another build.
    #[error(
        "the agent is another build of depbench (protocol {theirs}, program {their_program}) than this controller \
         (protocol {PROTOCOL}, program {our_program}): copy this program to the node"
    )]
    OtherBuild {
        /// The agent's protocol.
        theirs: u32,
        /// The agent's program.
        their_program: String,
        /// This program.
        our_program: String,
    },
    /// The agent could not set itself up.
    #[error("{0}")]
    Refused(String),
}

fn heard(noise: &str) -> String {
    if noise.is_empty() {
        String::new()
    } else {
        format!("; the last it said: `{noise}`")
    }
}

impl Hello {
    /// The line of an agent that runs as `program`.
    pub fn new(program: String, greeting: Greeting) -> Hello {
        Hello {
            protocol: PROTOCOL,
            program,
            greeting,
        }
    }

    /// The bytes to print.
    pub fn line(&self) -> Vec<u8> {
        let mut line = MAGIC.to_vec();
        line.extend(serde_json::to_vec(self).expect("a hello has only string keys"));
        line.push(b'\n');
        line
    }

    /// Whether the agent is the same program as this one, and ready.
    ///
    /// # Errors
    /// Another build, or an agent that could not set itself up.
    pub fn check(self, our_program: &str) -> Result<(), HelloError> {
        if self.protocol != PROTOCOL || self.program != our_program {
            return Err(HelloError::OtherBuild {
                theirs: self.protocol,
                their_program: self.program,
                our_program: our_program.to_owned(),
            });
        }
        match self.greeting {
            Greeting::Refused(reason) => Err(HelloError::Refused(reason)),
            Greeting::Ready => Ok(()),
        }
    }
}

/// Skips everything up to the agent's first line and reads it; the stream then stands at the first frame.
///
/// # Errors
/// The stream ends, breaks, or holds a megabyte without the magic.
pub async fn read_hello(from: &mut (impl AsyncRead + Unpin)) -> Result<Hello, HelloError> {
    // One byte at a time, so that nothing behind the line is swallowed.
    let mut heard = Vec::new();
    while !heard.ends_with(MAGIC) {
        let mut byte = [0];
        if heard.len() > MAX_NOISE || from.read(&mut byte).await? == 0 {
            return Err(HelloError::Silent {
                noise: tail(&heard),
            });
        }
        heard.push(byte[0]);
    }
    let mut line = Vec::new();
    loop {
        let mut byte = [0];
        if line.len() > MAX_LINE || from.read(&mut byte).await? == 0 {
            return Err(HelloError::Silent { noise: tail(&line) });
        }
        if byte[0] == b'\n' {
            return Ok(serde_json::from_slice(&line)?);
        }
        line.push(byte[0]);
    }
}

fn tail(heard: &[u8]) -> String {
    let text = String::from_utf8_lossy(&heard[heard.len().saturating_sub(400)..])
        .trim()
        .to_owned();
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Hello {
        Hello::new("abc".into(), Greeting::Ready)
    }

    async fn read(bytes: &[u8]) -> (Result<Hello, HelloError>, usize) {
        let mut rest = bytes;
        let hello = read_hello(&mut rest).await;
        (hello, rest.len())
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_talkative_login_shell_is_skipped() {
        let mut bytes =
            b"Last login: today\n\nDEPBENCH-AGENT {}\n\x1b[1mmotd\x02DEPBENCH\n".to_vec();
        bytes.extend(hello().line());
        bytes.extend(b"frame");
        let (got, rest) = read(&bytes).await;
        assert_eq!(got.unwrap(), hello());
        assert_eq!(rest, 5);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_was_heard_instead_is_shown() {
        let (got, _) = read(b"bash: depbench: command not found\n").await;
        let error = got.unwrap_err().to_string();
        assert!(error.contains("command not found"), "{error}");
        assert!(matches!(read(b"").await.0, Err(HelloError::Silent { .. })));
        let (got, _) = read(&[MAGIC, b"{}\n"].concat()).await;
        assert!(matches!(got, Err(HelloError::Garbled(_))));
        let flood = vec![b'x'; MAX_NOISE + 10];
        assert!(matches!(
            read(&flood).await.0,
            Err(HelloError::Silent { .. })
        ));
    }

    #[test]
    fn another_build_is_refused() {
        assert!(hello().check("abc").is_ok());
        assert!(matches!(
            hello().check("abd"),
            Err(HelloError::OtherBuild { .. })
        ));
        let refused = Hello::new("abc".into(), Greeting::Refused("no namespaces".into()));
        assert_eq!(
            refused.check("abc").unwrap_err().to_string(),
            "no namespaces"
        );
    }
}
