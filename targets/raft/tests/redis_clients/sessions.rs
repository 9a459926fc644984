//! Commands that are sent again take effect once, also when the leader changes in between.

use crate::client::Client;
use crate::group::{Group, pause};

const SESSION: &str = "8301947521";

/// A connection to whoever leads, bound to the session.
fn connect(group: &Group, generation: &str) -> Option<Client> {
    let mut client = group.connect_to_leader();
    match client.ask(["DF.SESSION", SESSION, generation]) {
        Some(answer) if answer == generation => Some(client),
        Some(answer) => {
            assert!(!answer.starts_with("-NOSESSION"), "{answer}");
            None
        }
        None => None,
    }
}

#[test]
fn what_is_sent_again_after_a_change_of_leader_is_done_once() {
    let mut group = Group::start(3);
    let mut first = group.connect_to_leader();
    let generation = first.ask(["DF.SESSION", SESSION]).unwrap();
    assert!(generation.parse::<u64>().is_ok(), "{generation}");
    let mut client = Some(first);
    for seq in 1..=60_u32 {
        let (number, below) = (seq.to_string(), (seq - 1).to_string());
        let command = ["DF.DO", &number, &below, "INCR", "hits"];
        if seq == 30 {
            // Sent, and nobody waits for the answer; then its leader is gone.
            if let Some(client) = &mut client {
                client.send(b"DF.DO 30 29 INCR hits\r\n");
            }
            let leader = group.leader();
            group.kill(leader);
            client = None;
        }
        // Every command comes twice; what went wrong is sent again.
        for _ in 0..2 {
            let mut answer = String::new();
            for _ in 0..400 {
                let answered = match &mut client {
                    Some(client) => client.ask(command),
                    None => None,
                };
                match answered {
                    Some(text) if !text.starts_with('-') => {
                        answer = text;
                        break;
                    }
                    Some(text) => assert!(!text.starts_with("-STALE"), "{text}"),
                    None => {}
                }
                pause();
                client = connect(&group, &generation);
            }
            assert_eq!(answer, number);
        }
    }
}
