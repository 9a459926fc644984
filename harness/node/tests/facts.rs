//! Facts are found out without side effects, and travel as JSON.

use node::facts::{Facts, Isolation};

#[test]
fn facts_are_gathered_and_travel() {
    let facts = Facts::gather().unwrap();
    println!("{}", serde_json::to_string_pretty(&facts).unwrap());
    assert!(facts.cpus > 0 && facts.memory.0 > 0 && !facts.kernel.is_empty());
    assert_eq!(facts.arch, std::env::consts::ARCH);
    if nix::unistd::geteuid().is_root() && facts.isolation == Isolation::AsRoot {
        assert!(facts.is_root());
    }
    let text = serde_json::to_string(&facts).unwrap();
    assert_eq!(serde_json::from_str::<Facts>(&text).unwrap(), facts);
}
