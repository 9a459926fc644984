//! Keys of machines: unknown ones, known ones, and those that have changed.

use std::fs;

use super::QUIET;
use crate::hosts::{Hosts, text};

#[test]
fn an_unknown_key_is_refused_unless_new_ones_are_accepted_and_a_changed_one_always() {
    let Some(hosts) = Hosts::up(2) else { return };
    let config = hosts.dir().join("ssh_config");
    let known = hosts.file("known", "");
    let own = fs::read_to_string(&config).unwrap();
    let own = own.replace(
        hosts.dir().join("known_hosts").to_str().unwrap(),
        known.to_str().unwrap(),
    );
    let own = hosts.file("own_config", &own);
    let strict = fs::read_to_string(hosts.experiment("keys", QUIET)).unwrap();
    let strict = strict.replace(config.to_str().unwrap(), own.to_str().unwrap());
    let accepting = strict.replace("    config:", "    host_keys: accept-new\n    config:");
    let [strict, accepting] = [("strict.yaml", strict), ("accepting.yaml", accepting)]
        .map(|(name, text)| hosts.file(name, &text));
    let check = |file: &std::path::Path, code| {
        let ended = hosts.depbench(&["check", file.to_str().unwrap()]);
        let said = text(&ended);
        assert_eq!(ended.status.code(), Some(code), "{said}");
        said
    };

    let refused = check(&strict, 4);
    for host in ["h1", "h2"] {
        let told = format!("cannot start node {host}: cannot connect to {host}: ");
        assert!(refused.contains(&told), "{refused}");
    }
    assert!(
        refused.contains("write `host_keys: accept-new`"),
        "{refused}"
    );
    assert_eq!(fs::read_to_string(&known).unwrap(), "");

    check(&accepting, 0);
    let accepted = fs::read_to_string(&known).unwrap();
    for address in ["10.78.0.11 ", "10.78.0.12 "] {
        assert!(accepted.contains(address), "{accepted}");
    }
    check(&strict, 0);

    // Another machine at the same address has another key.
    let changed: String = accepted
        .lines()
        .map(|line| match line.split_once(' ') {
            Some(("10.78.0.11", _)) => {
                let other = accepted
                    .lines()
                    .find_map(|line| line.strip_prefix("10.78.0.12 "));
                format!("10.78.0.11 {}\n", other.unwrap())
            }
            _ => format!("{line}\n"),
        })
        .collect();
    fs::write(&known, &changed).unwrap();
    for file in [&strict, &accepting] {
        let refused = check(file, 4);
        assert!(
            refused.contains("cannot start node h1: ") && refused.contains("`ssh-keygen -R HOST`"),
            "{refused}"
        );
        assert!(!refused.contains("accept-new"), "{refused}");
        assert!(!refused.contains("cannot start node h2: "), "{refused}");
    }
    assert_eq!(fs::read_to_string(&known).unwrap(), changed);
    hosts.assert_clean();
    hosts.assert_no_masters();
}
