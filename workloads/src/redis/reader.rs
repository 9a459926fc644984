use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use resp::{ErrorReply, Reply, encode, parse_reply};

use super::start::server_after;
use crate::load::read_value;
use crate::read_back::ReadOne;

/// Reads values one by one, following `-MOVED`.
#[derive(Debug)]
pub(crate) struct Reader<'s> {
    servers: &'s [SocketAddr],
    server: SocketAddr,
    stream: Option<TcpStream>,
}

impl<'s> Reader<'s> {
    pub(crate) fn new(servers: &'s [SocketAddr]) -> Reader<'s> {
        Reader {
            servers,
            server: servers[0],
            stream: None,
        }
    }

    /// The complete reply to a GET.
    fn ask(&mut self, key: &[u8], limit: Duration) -> io::Result<Vec<u8>> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => TcpStream::connect_timeout(&self.server, limit)?,
        };
        stream.set_read_timeout(Some(limit))?;
        let mut request = Vec::new();
        encode::command(&mut request, [b"GET", key]);
        stream.write_all(&request)?;
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        while parse_reply(&answer).map_err(io::Error::other)?.is_none() {
            match stream.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => answer.extend_from_slice(&buffer[..count]),
            }
        }
        self.stream = Some(stream);
        Ok(answer)
    }

    fn go_to(&mut self, server: SocketAddr) {
        self.server = server;
        self.stream = None;
    }
}

impl ReadOne for Reader<'_> {
    fn read_one(&mut self, key: &[u8], limit: Duration) -> Result<Option<u64>, String> {
        let server = self.server;
        // One silent member must not use up the time for all.
        let limit = limit.min(Duration::from_secs(1));
        let answer = self.ask(key, limit);
        let failure = match &answer {
            Err(error) => error.to_string(),
            Ok(answer) => match parse_reply(answer) {
                Ok(Some((Reply::Bulk(value), _))) => return Ok(Some(read_value(value))),
                Ok(Some((Reply::Nil, _))) => return Ok(None),
                Ok(Some((Reply::Error(text), _))) => {
                    if let ErrorReply::Moved { address, .. } = ErrorReply::read(text)
                        && let Ok(address) = address.parse()
                    {
                        self.go_to(address);
                        return Err(format!("{server}: moved to {address}"));
                    }
                    String::from_utf8_lossy(text).into_owned()
                }
                other => format!("unexpected answer {other:?}"),
            },
        };
        self.go_to(server_after(self.servers, server));
        Err(format!("{server}: {failure}"))
    }
}
