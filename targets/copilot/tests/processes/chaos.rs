//! kill -9 and SIGSTOP at random, each role in turn, under load, with every client's history checked.
//!
//! `DEPFAST_CHAOS_SECONDS=300 cargo test -p depfast-copilot --test processes chaos -- --nocapture` goes on for minutes;
//! `DEPFAST_SEED=7` chooses the same victims and moments again.

use std::thread;
use std::time::{Duration, Instant};

use depfast::Rng;
use depfast_copilot::Durability;

use crate::group::Group;
use crate::under_load;

const ROLES: [&str; 3] = ["pilot", "copilot", "follower"];

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn chaos_breaks_no_promise() {
    let length = Duration::from_secs(number("DEPFAST_CHAOS_SECONDS").unwrap_or(6));
    let seed = number("DEPFAST_SEED").unwrap_or_else(|| std::process::id().into());
    println!("DEPFAST_SEED={seed}");
    let mut rng = Rng::new(seed);
    let mut group = Group::start(5, Durability::Fsync);
    let (mut kills, mut pauses) = (0, 0);
    under_load(&mut group, |group| {
        let end = Instant::now() + length;
        let all: Vec<usize> = (0..5).collect();
        for role in ROLES.iter().cycle() {
            if Instant::now() > end {
                return;
            }
            // Now and then a second one, whatever it is: a minority of five.
            let mut victims = vec![group.holder(role, &all)];
            if rng.chance(0.3) {
                let other = usize::try_from(rng.below(0..5)).unwrap();
                victims.extend((other != victims[0]).then_some(other));
            }
            let out = rng.duration(&(Duration::from_millis(50)..Duration::from_millis(2500)));
            if rng.chance(0.5) {
                victims.iter().for_each(|id| group.kill(*id));
                thread::sleep(out);
                victims.iter().for_each(|id| group.start_replica(*id));
                kills += victims.len();
            } else {
                victims.iter().for_each(|id| group.signal(*id, "STOP"));
                thread::sleep(out);
                victims.iter().for_each(|id| group.signal(*id, "CONT"));
                pauses += victims.len();
            }
            for id in victims {
                let key = format!("after-{kills}-{pauses}-{id}");
                assert_eq!(group.insist(id, &["SET", &key, "v"]), "OK");
            }
        }
    });
    println!("{kills} kills, {pauses} pauses");
    assert!(kills + pauses > 0);
}
