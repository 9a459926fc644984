//! A blocking client.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use resp::{Reply, encode, parse_reply};

pub(crate) struct Client {
    stream: TcpStream,
    input: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: &str) -> Option<Self> {
        let stream = TcpStream::connect(address).ok()?;
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .ok()?;
        Some(Self {
            stream,
            input: Vec::new(),
        })
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next reply, as text; `None` if the connection has ended.
    pub(crate) fn reply(&mut self) -> Option<String> {
        // A busy machine may need minutes for what takes a moment.
        let mut patience = 18;
        loop {
            if let Some((reply, length)) = parse_reply(&self.input).unwrap() {
                let text = text(&reply);
                self.input.drain(..length);
                return Some(text);
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(count) => self.input.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return None,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && patience > 0 => {
                    patience -= 1;
                }
                Err(error) => panic!("no reply: {error}"),
            }
        }
    }

    /// Asks, and gets `None` for whatever is no answer.
    pub(crate) fn try_ask(&mut self, command: &[&str]) -> Option<String> {
        let mut out = Vec::new();
        encode::array(&mut out, command.len());
        for word in command {
            encode::bulk(&mut out, word.as_bytes());
        }
        self.stream.write_all(&out).ok()?;
        self.try_reply()
    }

    /// The next reply, or `None` for whatever is none.
    pub(crate) fn try_reply(&mut self) -> Option<String> {
        loop {
            if let Some((reply, length)) = parse_reply(&self.input).ok()? {
                let text = text(&reply);
                self.input.drain(..length);
                return Some(text);
            }
            let mut chunk = [0; 4096];
            let count = self
                .stream
                .read(&mut chunk)
                .ok()
                .filter(|count| *count > 0)?;
            self.input.extend_from_slice(&chunk[..count]);
        }
    }

    pub(crate) fn ask<const N: usize>(&mut self, command: [&str; N]) -> Option<String> {
        let mut out = Vec::new();
        encode::command(&mut out, command.map(str::as_bytes));
        self.stream.write_all(&out).ok()?;
        self.reply()
    }

    pub(crate) fn info(&mut self) -> Option<String> {
        self.ask(["INFO"])
    }
}

fn text(reply: &Reply<'_>) -> String {
    match reply {
        Reply::Simple(text) | Reply::Bulk(text) => String::from_utf8_lossy(text).into_owned(),
        Reply::Error(text) => format!("-{}", String::from_utf8_lossy(text)),
        Reply::Integer(number) => number.to_string(),
        Reply::Nil => "nil".into(),
        Reply::Array(replies) => format!(
            "[{}]",
            replies.iter().map(text).collect::<Vec<_>>().join(" ")
        ),
    }
}
