//! Runs one replica by hand:
//!
//! ```text
//! replica ID DATA_DIR DURABILITY PEER1,CLIENT1 PEER2,CLIENT2 PEER3,CLIENT3 …
//! ```

use std::collections::BTreeMap;
use std::error::Error;

use depfast_copilot::config::LOG_ENTRIES;
use depfast_copilot::{Config, Member, ReplicaId, Timing, serve};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [id, data_dir, durability, members @ ..] = arguments.as_slice() else {
        return Err("usage: replica ID DATA_DIR fsync|memory PEER,CLIENT…".into());
    };
    let mut group = BTreeMap::new();
    for (position, member) in (1..).zip(members) {
        let (peer, client) = member.split_once(',').ok_or("a member is PEER,CLIENT")?;
        group.insert(
            ReplicaId(position),
            Member {
                peer: peer.into(),
                client: client.into(),
            },
        );
    }
    serve(Config {
        id: ReplicaId(id.parse()?),
        members: group,
        peer_listen: None,
        client_listen: None,
        data_dir: data_dir.into(),
        durability: durability.parse()?,
        timing: Timing::default(),
        log_entries: LOG_ENTRIES,
    })?;
    Ok(())
}
