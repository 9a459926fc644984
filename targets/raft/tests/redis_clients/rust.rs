//! The Rust crate `redis` with its cluster client.

use redis::cluster::{ClusterClient, ClusterConnection};
use redis::{Commands, RedisResult};

use crate::group::{Group, pause};

#[test]
fn the_rust_library_finds_the_leader_and_the_next_one() {
    let mut group = Group::start(3);
    let old = group.leader();
    let addresses: Vec<_> = (0..3)
        .map(|id| format!("redis://{}", group.client_address(id)))
        .collect();
    let client = ClusterClient::new(addresses).unwrap();
    let mut connection = client.get_connection().unwrap();
    for key in 0..100_u32 {
        connection.set::<_, _, ()>(key, key).unwrap();
    }
    assert_eq!(connection.get::<_, u32>(42).unwrap(), 42);
    assert_eq!(connection.get::<_, Option<u32>>("none").unwrap(), None);
    assert_eq!(connection.incr::<_, _, i64>("n", 5).unwrap(), 5);
    let names = ["{t}a", "{t}b"];
    connection
        .mset::<_, _, ()>(&[(names[0], 1), (names[1], 2)])
        .unwrap();
    assert_eq!(connection.mget::<_, Vec<u32>>(&names).unwrap(), [1, 2]);

    group.kill(old);
    // This library's blocking connections keep to the members they know until one of these answers, so the client makes
    // another connection, as a pool does; it finds the new leader through a member that is left.
    let set = || -> RedisResult<ClusterConnection> {
        let mut connection = client.get_connection()?;
        connection.set::<_, _, ()>("after", 1)?;
        Ok(connection)
    };
    let mut last = set();
    for _ in 0..400 {
        if last.is_ok() {
            break;
        }
        pause();
        last = set();
    }
    assert_eq!(last.unwrap().get::<_, u32>(42).unwrap(), 42);
}
