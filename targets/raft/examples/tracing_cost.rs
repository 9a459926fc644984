//! What tracing costs a leader of DepFast-Raft: its CPU time per request with recording and without, in paired windows.
//!
//! ```text
//! cargo run --release -p depfast-raft --example tracing_cost -- 40
//! ```
//!
//! measures 40 pairs of windows of half a second each. Three replicas keep their logs in memory, so that nothing of the
//! time is the disk's; clients keep 64 writes in flight.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the clients are threads outside the replicas' world"
)]

#[path = "../../depfast/examples/paired/mod.rs"]
mod paired;

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use depfast::real;
use depfast_raft::{Config, Durability, Member, ReplicaId, Timing, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const LEADER: ReplicaId = ReplicaId(1);
const CLIENTS: u32 = 8;
/// Writes that each client has in flight.
const PIPELINE: u32 = 8;

/// Writes that were answered.
static ANSWERED: AtomicU64 = AtomicU64::new(0);

fn config(id: ReplicaId, members: &BTreeMap<ReplicaId, Member>, directory: &Path) -> Config {
    let timing = Timing::new(Duration::from_millis(300), Duration::from_millis(50));
    let longest = match id {
        LEADER => timing.election_timeout.end,
        // It votes soon, but hardly ever stands itself.
        _ => Duration::from_secs(3600),
    };
    Config {
        durability: Durability::Memory,
        timing: Timing {
            election_timeout: timing.election_timeout.start..longest,
            ..timing
        },
        ..Config::new(id, members.clone(), directory.to_owned())
    }
}

/// Writes as fast as it is answered.
fn client(address: &str, number: u32) -> std::io::Result<()> {
    let mut stream = loop {
        match TcpStream::connect(address) {
            Ok(stream) => break stream,
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    stream.set_nodelay(true)?;
    let mut answers = [0; 5 * PIPELINE as usize];
    for round in 0_u32.. {
        let mut requests = Vec::new();
        for place in 0..PIPELINE {
            let key = (round.wrapping_mul(7919) + place * 104_729 + number) % 100_000;
            write!(
                requests,
                "*3\r\n$3\r\nSET\r\n$8\r\nk{key:07}\r\n$16\r\nsixteen bytes ok\r\n"
            )?;
        }
        stream.write_all(&requests)?;
        stream.read_exact(&mut answers)?;
        if answers.starts_with(b"+OK\r\n") {
            ANSWERED.fetch_add(u64::from(PIPELINE), Ordering::Relaxed);
        } else {
            // There is no leader yet; what else was said is of no interest.
            std::thread::sleep(Duration::from_millis(100));
            return client(address, number);
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let pairs = paired::asked()?;
    let directory = std::env::temp_dir();
    // Held together, so that no two are the same.
    let held: Vec<_> = (0..6)
        .map(|_| TcpListener::bind("127.0.0.1:0"))
        .collect::<Result<_, _>>()?;
    let addresses = held.iter().map(TcpListener::local_addr);
    let addresses = addresses.collect::<Result<Vec<_>, _>>()?;
    drop(held);
    let members: BTreeMap<_, _> = (1..)
        .map(ReplicaId)
        .zip(addresses.chunks(2))
        .map(|(id, pair)| {
            let [peer, client] = [0, 1].map(|place| pair[place].to_string());
            (id, Member { peer, client })
        })
        .collect();
    // Threads end with the process.
    for id in members.keys().filter(|id| **id != LEADER) {
        let config = config(*id, &members, &directory);
        std::thread::spawn(move || {
            let options = real::Options::new(&config.data_dir);
            real::run(options, |env| run(env, config)).map(|served| served.is_ok())
        });
    }
    for number in 0..CLIENTS {
        let address = members[&LEADER].client.clone();
        std::thread::spawn(move || client(&address, number));
    }
    let config = config(LEADER, &members, &directory);
    let measured = real::run(real::Options::new(&directory), |env| async move {
        let serving = env.clone();
        env.spawn(async move {
            if let Err(error) = run(serving, config).await {
                eprintln!("{error}");
                std::process::exit(1);
            }
        });
        let answered = || ANSWERED.load(Ordering::Relaxed);
        while answered() < 100_000 {
            env.timeout("warm-up", paired::WINDOW).await;
        }
        paired::measure(&env, pairs, answered).await
    })?;
    let load =
        format!("3 replicas in memory, {CLIENTS} connections with {PIPELINE} writes in flight");
    paired::print(&measured, &load);
    Ok(())
}
