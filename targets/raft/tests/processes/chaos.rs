//! kill -9 at random under load, with every client's history checked.
//!
//! `DEPFAST_CHAOS_SECONDS=300 cargo test -p depfast-raft --test processes chaos -- --nocapture` goes on for minutes.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use depfast::Rng;
use history::{Budget, Operation, Verdict, check};
use vocab::time::TrialTime;

use crate::client::Client;
use crate::group::Group;

const KEYS: u64 = 4;
const CLIENTS: u32 = 6;

/// What the clients of a run share.
struct World<'a> {
    start: Instant,
    addresses: &'a [String],
    over: AtomicBool,
    history: Mutex<Vec<Operation>>,
}

impl World<'_> {
    fn now(&self) -> TrialTime {
        TrialTime::from_nanos(i64::try_from(self.start.elapsed().as_nanos()).unwrap())
    }

    /// Writes and reads until it is over, at whoever answers. Half of the clients send their writes until these are
    /// answered, exactly once.
    fn ask_away(&self, number: u32, seed: u64) {
        let mut rng = Rng::new(seed);
        let (mut client, mut written, mut seq) = (None, 0, 0);
        let insists = number.is_multiple_of(2);
        while !self.over.load(Ordering::Relaxed) {
            let key = rng.below(0..KEYS);
            let name = format!("k{key}");
            let invoked = self.now();
            if rng.chance(0.4) {
                let found = self.try_once(&mut client, &mut rng, number, &["GET", &name]);
                if let Some(value) = found.filter(|text| !text.starts_with('-')) {
                    let read = Operation::read(number, key, value.parse().ok());
                    self.note(read.took(invoked, self.now()));
                }
                continue;
            }
            written += 1;
            let value = u64::from(number) << 32 | written;
            let text = value.to_string();
            let mut answer;
            if insists {
                seq += 1;
                let seq = seq.to_string();
                let words = ["DF.DO", &seq, &seq, "SET", &name, &text];
                loop {
                    answer = self.try_once(&mut client, &mut rng, number, &words);
                    if answer.as_deref() == Some("OK") || self.over.load(Ordering::Relaxed) {
                        break;
                    }
                }
            } else {
                answer = self.try_once(&mut client, &mut rng, number, &["SET", &name, &text]);
            }
            let operation = match answer.as_deref() {
                Some("OK") => Operation::write(number, key, value),
                Some(refused) if !insists && !refused.starts_with("-UNKNOWN") => continue,
                _ => Operation::unknown_write(number, key, value),
            };
            self.note(operation.took(invoked, self.now()));
        }
    }

    /// Asks whoever is connected, or somebody; errors that say to go elsewhere end the connection.
    fn try_once(
        &self,
        client: &mut Option<Client>,
        rng: &mut Rng,
        number: u32,
        words: &[&str],
    ) -> Option<String> {
        if client.is_none() {
            let choice = usize::try_from(rng.below(0..self.addresses.len() as u64)).unwrap();
            *client = Client::connect(&self.addresses[choice]).and_then(|mut client| {
                let opened = client.try_ask(&["DF.SESSION", &(number + 1).to_string()])?;
                (!opened.starts_with('-')).then_some(client)
            });
        }
        let Some(connected) = client else {
            thread::sleep(Duration::from_millis(5));
            return Some("-nobody was asked".into());
        };
        let answer = connected.try_ask(words);
        if answer.as_deref().is_none_or(|text| text.starts_with('-')) {
            *client = None;
        }
        answer
    }

    fn note(&self, operation: Operation) {
        self.history.lock().unwrap().push(operation);
    }
}

#[test]
fn chaos_breaks_no_promise() {
    let seconds = std::env::var("DEPFAST_CHAOS_SECONDS").ok();
    let seconds = seconds.map_or(5, |text| text.parse().unwrap());
    let mut group = Group::start(3);
    group.leader();
    let addresses = group.client_addresses();
    let world = World {
        start: Instant::now(),
        addresses: &addresses,
        over: AtomicBool::new(false),
        history: Mutex::default(),
    };
    let (mut rng, mut kills) = (Rng::new(u64::from(std::process::id())), 0);
    thread::scope(|scope| {
        for number in 1..=CLIENTS {
            let (world, seed) = (&world, rng.next_u64());
            scope.spawn(move || world.ask_away(number, seed));
        }
        while world.start.elapsed() < Duration::from_secs(seconds) {
            thread::sleep(rng.duration(&(Duration::from_millis(100)..Duration::from_millis(900))));
            // Half the time it is the leader; now and then all.
            let victims = match rng.below(0..8) {
                0 => group.ids(),
                1..=4 => vec![group.leader()],
                _ => vec![usize::try_from(rng.below(0..3)).unwrap()],
            };
            for id in &victims {
                group.kill(*id);
                kills += 1;
            }
            thread::sleep(rng.duration(&(Duration::from_millis(1)..Duration::from_millis(400))));
            for id in victims {
                group.start_replica(id);
            }
        }
        world.over.store(true, Ordering::Relaxed);
    });
    for key in 0..KEYS {
        let invoked = world.now();
        let name = format!("k{key}");
        let found = crate::ask_leader(&group, &mut None, ["GET", &name]);
        let read = Operation::read(0, key, found.parse().ok());
        world.note(read.took(invoked, world.now()));
    }
    let history = world.history.into_inner().unwrap();
    println!("{} operations, {kills} kills", history.len());
    assert!(!history.is_empty());
    if let Verdict::Violated(violation) = check(&history, Budget::default()) {
        panic!("not linearizable: {violation:?}");
    }
}
