//! Machines that lack something that an experiment needs: the programs of network faults, and room.

use super::reach::check;
use crate::hosts::{Hosts, text};

fn slow(kind: &str) -> String {
    format!(
        "targets: [{{depfast-raft: {{}}}}]\nworkload: {{clients: 2, connections: 1}}\n\
         phases: {{warmup: 0s, baseline: 1s, fault: 1s}}\n\
         faults: [{{name: slow, type: {{{kind}}}, on: {{node: h1, allow_majority: true}}}}]\n"
    )
}

#[test]
fn a_program_of_network_faults_that_is_missing_on_one_machine_is_told() {
    let Some(hosts) = Hosts::up(2) else { return };
    for (programs, kind, package) in [
        ("iptables nft", "net.partition: {}", "iptables"),
        ("tc ip", "net.delay: {delay: 40ms}", "iproute2"),
    ] {
        let file = hosts.experiment("lacking", &slow(kind));
        check(&hosts, &file, 0);
        // What is mounted here is there for this host only.
        let each = |does: &str| {
            format!(
                "for program in {programs}; do file=$(PATH=$PATH:/usr/sbin:/sbin command -v $program) && {does}; done"
            )
        };
        hosts.on(1, &each("mount --bind /dev/null $(readlink -f $file)"));
        let said = check(&hosts, &file, 4);
        let told = "not possible: fault slow (net.";
        let (program, _) = programs.split_once(' ').unwrap();
        let remedy = format!("program `{program}` is not installed: install the package {package}");
        for part in [told, " on h1: ", &remedy] {
            assert!(said.contains(part), "{part}: {said}");
        }
        hosts.on(1, &each("umount $(readlink -f $file)"));
    }
    hosts.assert_clean();
    hosts.assert_no_masters();
}

/// No room for its directories, for a word more, and for the server's data.
#[test]
fn a_full_state_directory_is_told() {
    let Some(hosts) = Hosts::up(2) else { return };
    let file = hosts.experiment("full", &slow("process.pause: {}"));
    for (options, code, parts) in [
        (
            "nr_inodes=1",
            4,
            [
                "cannot start node h1: ",
                "make room on the node's file system",
            ],
        ),
        (
            "size=4k",
            2,
            [
                "note: h1: no CPU budget, no memory limits",
                "in the undo journal",
            ],
        ),
        (
            "size=1m",
            2,
            [
                "depfast-raft on h1 ended by itself",
                "make room where its data lies",
            ],
        ),
    ] {
        hosts.on(
            1,
            &format!("mount -t tmpfs -o {options} tmpfs /var/lib/depbench"),
        );
        let out = options.replace('=', "-");
        let ended = hosts.depbench(&["run", file.to_str().unwrap(), "--out", &out]);
        let said = text(&ended);
        assert_eq!(ended.status.code(), Some(code), "{options}: {said}");
        for part in parts.iter().chain(&["No space left on device"]) {
            assert!(said.contains(part), "{options}: {part}: {said}");
        }
        hosts.assert_gone("full", 1);
        let left = hosts.on(
            1,
            "find /var/lib/depbench -mindepth 2 ! -name gate; umount /var/lib/depbench",
        );
        assert_eq!(left, "", "{options}");
        hosts.assert_clean();
    }
    hosts.assert_no_masters();
}
