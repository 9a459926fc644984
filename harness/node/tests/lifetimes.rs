//! What is undone when processes die: the journal at every step of a crash, owners alive and dead, the guardian.
//!
//! This program plays all parts: started with a role in its environment it is the process that gets killed.

#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

#[path = "lifetimes/crash.rs"]
mod crash;
#[path = "lifetimes/guardian.rs"]
mod guardian;
#[path = "lifetimes/heal.rs"]
mod heal;
#[path = "lifetimes/role.rs"]
mod role;
#[path = "lifetimes/stage.rs"]
mod stage;

use std::panic::catch_unwind;
use std::process::ExitCode;

type Test = (&'static str, fn());

const TESTS: [&[Test]; 3] = [&crash::TESTS, &heal::TESTS, &guardian::TESTS];

fn main() -> ExitCode {
    if let Some(code) = role::play() {
        return code;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        TESTS
            .iter()
            .flat_map(|group| group.iter())
            .for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let wanted = arguments.iter().find(|argument| !argument.starts_with('-'));
    let mut failed = 0;
    for (name, test) in TESTS.iter().flat_map(|group| group.iter()) {
        if wanted.is_some_and(|wanted| !name.contains(wanted.as_str())) {
            continue;
        }
        let outcome = catch_unwind(test);
        println!(
            "test {name} ... {}",
            if outcome.is_ok() { "ok" } else { "FAILED" }
        );
        failed += u32::from(outcome.is_err());
    }
    match failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
