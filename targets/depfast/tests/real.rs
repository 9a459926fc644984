//! The environment of a process: files, timers, sockets.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::net::TcpListener;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use depfast::disk::Flush;
use depfast::{Endpoint, Env, NodeId, Responder, Rpc, RpcError, Service, real};

fn run<T: 'static, F: Future<Output = T> + 'static>(main: impl FnOnce(Env) -> F) -> T {
    let directory = tempfile::tempdir().unwrap();
    real::run(real::Options::new(directory.path().join("data")), main).unwrap()
}

#[test]
fn timers_fire_in_order_however_short() {
    let order = run(|env| async move {
        let order = Rc::new(RefCell::new(Vec::new()));
        for micros in [3000, 200, 900, 50, 2000] {
            let (env, order) = (env.clone(), Rc::clone(&order));
            env.clone().spawn(async move {
                let start = env.now();
                env.timeout("short", Duration::from_micros(micros)).await;
                assert!(env.now() - start >= Duration::from_micros(micros));
                order.borrow_mut().push(micros);
            });
        }
        env.timeout("all", Duration::from_millis(20)).await;
        order.take()
    });
    assert_eq!(order, [50, 200, 900, 2000, 3000]);
}

#[test]
fn what_is_written_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let options = real::Options::new(directory.path().join("new"));
    real::run(options.clone(), |env| async move {
        let file = env.disk().open("file").wait("open").await.unwrap();
        let parts = (0..2000u32)
            .map(|number| Bytes::copy_from_slice(&number.to_le_bytes()))
            .collect();
        file.write(3, parts, Flush::Data)
            .wait("write")
            .await
            .unwrap();
        assert_eq!(
            file.read(3 + 4 * 1999, 100).wait("read").await.unwrap()[..],
            1999u32.to_le_bytes()
        );
        file.truncate(7).wait("truncate").await.unwrap();
    })
    .unwrap();
    real::run(options, |env| async move {
        let file = env.disk().open("file").wait("open").await.unwrap();
        assert_eq!(file.length_when_opened(), 7);
        assert_eq!(file.read(0, 100).wait("read").await.unwrap()[..], [0; 7]);
    })
    .unwrap();
}

#[test]
fn files_are_renamed_and_removed() {
    run(|env| async move {
        let disk = env.disk();
        for name in ["one", "two"] {
            let file = disk.open(name).wait("open").await.unwrap();
            let name = Bytes::copy_from_slice(name.as_bytes());
            file.write(0, vec![name], Flush::Data)
                .wait("write")
                .await
                .unwrap();
        }
        disk.rename("one", "two").wait("rename").await.unwrap();
        assert_eq!(disk.list().wait("list").await.unwrap(), ["two"]);
        let file = disk.open("two").wait("open").await.unwrap();
        assert_eq!(file.read(0, 100).wait("read").await.unwrap(), "one");
        disk.remove("two").wait("remove").await.unwrap();
        disk.remove("two").wait("remove").await.unwrap();
        let gone = disk.open_existing("two").wait("open").await;
        assert_eq!(gone.err().unwrap().kind(), std::io::ErrorKind::NotFound);
        // Whoever has a file open can still use it.
        assert_eq!(file.read(0, 100).wait("read").await.unwrap(), "one");
    });
}

#[test]
fn allocated_space_reads_as_zeros() {
    run(|env| async move {
        let file = env.disk().open("file").wait("open").await.unwrap();
        let old = vec![Bytes::from_static(b"old")];
        file.write(0, old, Flush::No).wait("write").await.unwrap();
        file.allocate(5000).wait("allocate").await.unwrap();
        let bytes = file.read(0, 6000).wait("read").await.unwrap();
        assert_eq!((bytes.len(), &bytes[..4]), (5000, &b"old\0"[..]));
    });
}

#[test]
#[should_panic(expected = "a coroutine is lost")]
fn a_panic_anywhere_ends_the_run() {
    run(|env| async move {
        env.spawn(async { panic!("a coroutine is lost") });
        env.timeout("forever", Duration::from_secs(3600)).await;
    });
}

/// Answers every call with its body.
struct Echo;

impl Service for Echo {
    fn handle(&self, _from: NodeId, _method: u8, body: Bytes, respond: Responder) {
        respond.send(vec![body]);
    }
}

fn free_addresses(count: usize) -> Vec<String> {
    let held: Vec<_> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    held.iter()
        .map(|listener| listener.local_addr().unwrap().to_string())
        .collect()
}

async fn join(env: &Env, me: u32, addresses: &[String]) -> Rpc {
    let all: BTreeMap<_, _> = (0..).map(NodeId).zip(addresses.iter().cloned()).collect();
    let (listen, me) = (all[&NodeId(me)].clone(), NodeId(me));
    let peers = all.into_iter().filter(|(id, _)| *id != me).collect();
    let rpc = Rpc::join(
        env,
        Endpoint {
            me,
            listen,
            peers,
            queue_bytes: 1 << 20,
        },
    )
    .await
    .unwrap();
    rpc.serve(Rc::new(Echo));
    rpc
}

/// Calls until the connection is there.
async fn call(env: &Env, rpc: &Rpc, to: NodeId, body: &Bytes) -> Bytes {
    for _ in 0..1000 {
        match rpc.call(to, 1, vec![body.clone()]).wait("echo").await {
            Ok(answer) => return answer,
            Err(RpcError::Disconnected) => {
                env.timeout("connecting", Duration::from_millis(5)).await;
            }
            Err(other) => panic!("{other}"),
        }
    }
    panic!("no connection");
}

#[test]
fn peers_call_each_other() {
    run(|env| async move {
        let addresses = free_addresses(2);
        let one = join(&env, 0, &addresses).await;
        assert!(matches!(
            one.call(NodeId(1), 1, Vec::new()).wait("early").await,
            Err(RpcError::Disconnected)
        ));
        let other = join(&env, 1, &addresses).await;
        for size in [0, 1, 3000, 5 << 20] {
            let body = Bytes::from(vec![7; size]);
            assert_eq!(call(&env, &one, NodeId(1), &body).await, body);
            assert_eq!(call(&env, &other, NodeId(0), &body).await, body);
        }
    });
}

#[test]
fn a_peer_that_reads_nothing_costs_a_bounded_queue() {
    run(|env| async move {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let addresses = [
            free_addresses(1).remove(0),
            silent.local_addr().unwrap().to_string(),
        ];
        let rpc = join(&env, 0, &addresses).await;
        let body = Bytes::from(vec![7; 100_000]);
        let mut refused = 0;
        for _ in 0..1000 {
            match rpc.call(NodeId(1), 1, vec![body.clone()]).error() {
                Some(RpcError::QueueFull) => refused += 1,
                Some(RpcError::Disconnected) => {
                    env.timeout("connecting", Duration::from_millis(1)).await;
                }
                Some(other) => panic!("{other}"),
                None => env.yield_now().await,
            }
        }
        assert!(
            refused > 100,
            "{refused} of a thousand messages were dropped at once"
        );
    });
}

#[test]
fn clients_are_served_over_tcp() {
    run(|env| async move {
        let listener = env.listen("127.0.0.1:0").await.unwrap();
        let address = listener.address();
        let client = std::thread::spawn(move || {
            use std::io::{Read, Write};
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            stream.write_all(b"hello").unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        });
        let stream = listener.accept().await.unwrap();
        let mut input = BytesMut::new();
        while stream.read(&mut input).await.unwrap() > 0 {}
        input.extend_from_slice(&vec![b'.'; 1 << 20]);
        stream.write_all(&input).await.unwrap();
        stream.close();
        let answer = client.join().unwrap();
        assert_eq!((answer.len(), &answer[..6]), (5 + (1 << 20), "hello."));
    });
}
