//! The "reversed backlog": what one peer held back arrives all at once, and must not keep others waiting.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::net::TcpStream;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use bytes::Bytes;
use depfast::{Endpoint, NodeId, Responder, Rpc, Service, ValueEvent, real};

const LATE: u32 = 1;
const PROMPT: u32 = 2;
/// More than several turns' worth of messages, but few enough for the sockets' buffers.
const BACKLOG: u32 = 4000;

/// Notes how many late messages were handled before a prompt one that arrived with them.
struct Counting {
    handled: Cell<u32>,
    before_prompt: ValueEvent<Option<u32>>,
    greeted: ValueEvent<u32>,
    /// Says that everything was sent.
    sent: RefCell<Option<Receiver<()>>>,
}

const GREETING: u8 = 0;

impl Service for Counting {
    fn handle(&self, from: NodeId, method: u8, _body: Bytes, _respond: Responder) {
        if method == GREETING {
            return self.greeted.update(|greeted| *greeted += 1);
        }
        if let Some(sent) = self.sent.take() {
            // The first message of all: keeps the worker busy until the others have arrived as well.
            sent.recv_timeout(Duration::from_secs(60)).unwrap();
        }
        match from.0 {
            LATE => self.handled.set(self.handled.get() + 1),
            _ => self.before_prompt.set(Some(self.handled.get())),
        }
    }
}

/// A call as it travels: length, kind, method, id.
fn call(method: u8) -> Vec<u8> {
    [&10u32.to_le_bytes()[..], &[0, method], &[0; 8]].concat()
}

fn dial(address: &str, me: u32) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let hello = [&b"DPF1"[..], &me.to_le_bytes()].concat();
    stream.write_all(&hello).unwrap();
    stream.write_all(&call(GREETING)).unwrap();
    stream
}

#[test]
fn a_backlog_that_arrives_at_once_lets_others_through() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let directory = tempfile::tempdir().unwrap();
    let before_prompt = real::run(real::Options::new(directory.path()), |env| async move {
        let endpoint = Endpoint {
            me: NodeId(0),
            listen: address.clone(),
            peers: [].into(),
            queue_bytes: 1 << 20,
        };
        let rpc = Rpc::join(&env, endpoint).await.unwrap();
        let (done, sent) = channel();
        let service = Rc::new(Counting {
            handled: Cell::new(0),
            before_prompt: ValueEvent::new(&env, None),
            greeted: ValueEvent::new(&env, 0),
            sent: RefCell::new(Some(sent)),
        });
        rpc.serve(Rc::<Counting>::clone(&service));
        let mut peers = [LATE, PROMPT].map(|me| dial(&address, me));
        service.greeted.at_least(2).wait("both are connected").await;
        let sender = std::thread::spawn(move || {
            peers[0]
                .write_all(&call(1).repeat(BACKLOG as usize))
                .unwrap();
            peers[1].write_all(&call(1)).unwrap();
            done.send(()).unwrap();
            peers
        });
        service
            .before_prompt
            .wait("the prompt one", Option::is_some)
            .await;
        let _kept_open = sender.join().unwrap();
        service.before_prompt.get().unwrap()
    });
    let before_prompt = before_prompt.unwrap();
    assert!(
        before_prompt < BACKLOG / 2,
        "{before_prompt} of {BACKLOG} came first"
    );
}
