//! One node calls another over TCP.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use depbench::agent::wire::{ExitCause, Spawn};
use depbench::cluster::Node;

use super::spawn;

const PORT: u16 = 7171;

#[test]
#[ignore = "runs on a node: accepts one connection and answers"]
fn serve_one_connection() {
    let address = std::env::var("ADDRESS").unwrap();
    let listener = TcpListener::bind(address).unwrap();
    println!("LISTENING");
    let (mut stream, _) = listener.accept().unwrap();
    let mut word = [0; 5];
    stream.read_exact(&mut word).unwrap();
    stream.write_all(&word).unwrap();
}

#[test]
#[ignore = "runs on a node: connects and expects an answer"]
fn call_a_server() {
    let address = std::env::var("ADDRESS").unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    let mut stream = loop {
        match TcpStream::connect(&address) {
            Ok(stream) => break stream,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    };
    stream.write_all(b"hello").unwrap();
    let mut word = [0; 5];
    stream.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"hello");
    println!("ANSWERED");
}

/// A test of this file that runs on a node and is ignored otherwise.
fn helper(name: &str, test: &str, address: &str) -> Spawn {
    let me: PathBuf = std::env::current_exe().unwrap();
    let test = format!("common::calls::{test}");
    let argv = [
        me.to_str().unwrap(),
        "--exact",
        &test,
        "--ignored",
        "--nocapture",
        "--quiet",
    ];
    let mut spawn = spawn(name, &argv);
    spawn.env.insert("ADDRESS".into(), address.into());
    spawn
}

/// Starts a server on one node and has the other call it.
pub async fn assert_reaches(client: &Node, server: &Node) {
    let address = format!("{}:{PORT}", server.address());
    let listening = server
        .spawn(helper("listen", "serve_one_connection", &address))
        .await
        .unwrap();
    let mut job = client
        .run_job(helper("call", "call_a_server", &address), Vec::new())
        .await
        .unwrap();
    let mut lines = Vec::new();
    while let Some(line) = job.next_line().await {
        lines.push(line);
    }
    assert!(
        lines.iter().any(|line| line.contains("ANSWERED")),
        "{lines:?}"
    );
    assert_eq!(
        job.process().wait().await.unwrap().cause,
        ExitCause::Code(0)
    );
    assert_eq!(listening.wait().await.unwrap().cause, ExitCause::Code(0));
}
