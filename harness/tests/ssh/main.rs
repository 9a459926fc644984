//! Experiments on machines that are reached over SSH: namespaces with an sshd each. Needs root, sshd and ssh; skipped
//! with a reason otherwise.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod hosts;

use std::fs;

use hosts::{Hosts, text, wait_until};
use results::RunDir;

const REST: &str = "targets: [{depfast-raft: {}}, {etcd: {}}]
workload: {clients: 8, connections: 4}
phases: {warmup: 1s, baseline: 2s, fault: 3s, recovery: 1s}
faults:
  - name: slow
    type: {process.pause: {for: 300ms, period: 1s}}
    on: {role: follower}
trials: 1
";

/// Without a fault: one server is enough.
const QUIET: &str = "targets: [{depfast-raft: {}}]\nphases: {warmup: 1s, baseline: 2s}\n";

/// Reasons for which a trial on a busy machine may be invalid although everything works.
const HONEST: [&str; 2] = ["had no effect", "left something behind"];

#[test]
fn a_whole_experiment() {
    let Some(hosts) = Hosts::up(4) else { return };
    let rest = if std::path::Path::new("/usr/bin/etcd").exists() {
        REST.to_owned()
    } else {
        println!("without etcd, which is not installed");
        REST.replace(", {etcd: {}}", "")
    };
    let file = hosts.experiment("over-ssh", &rest);
    let ended = hosts.depbench(&["run", file.to_str().unwrap(), "--out", "out"]);
    assert!(
        matches!(ended.status.code(), Some(0 | 2)),
        "{}",
        text(&ended)
    );
    let run = RunDir::open(&file.with_file_name("out")).unwrap();
    let trials = run.trials().unwrap();
    assert_eq!(
        trials.len(),
        rest.matches(": {}}").count().min(2),
        "{}",
        text(&ended)
    );
    for trial in &trials {
        let validity = trial.record().validity().clone();
        if let Some(reason) = validity.reason() {
            assert!(
                HONEST.iter().any(|honest| reason.contains(honest)),
                "{reason}"
            );
        }
        let intervals = trial.intervals().unwrap();
        assert!(intervals.iter().map(|interval| interval.ok).sum::<u64>() > 0);
    }
    hosts.assert_clean();

    // The program is there now: nothing is uploaded again.
    let cache = hosts.dir().join("h1/root/.cache/depbench");
    let before = listing(&cache);
    assert_eq!(before.len(), 1, "{before:?}");
    let checked = hosts.depbench(&["check", file.to_str().unwrap()]);
    assert!(checked.status.success(), "{}", text(&checked));
    assert!(
        text(&checked).contains("machines over SSH"),
        "{}",
        text(&checked)
    );
    assert_eq!(listing(&cache), before);
    hosts.assert_clean();
    hosts.assert_no_masters();
}

#[test]
fn the_controller_is_killed_in_the_middle_of_a_fault() {
    let Some(hosts) = Hosts::up(4) else { return };
    let file = hosts.experiment(
        "killed",
        &REST.replace(", {etcd: {}}", "").replace("3s", "60s"),
    );
    let mut controller = hosts.start(&["run", file.to_str().unwrap(), "--out", "out"]);
    let events = file.with_file_name("out/trials/depfast-raft/1/events.csv");
    wait_until("the fault is in force", || {
        assert!(controller.try_wait().unwrap().is_none(), "it ended early");
        fs::read_to_string(&events).is_ok_and(|text| text.contains("fault-effective"))
    });
    assert!(!hosts.left().is_empty());
    // The script has become nsenter, and that depbench.
    controller.kill().unwrap();
    controller.wait().unwrap();
    hosts.assert_clean();
    hosts.assert_no_masters();
}

#[test]
fn a_link_is_cut_for_longer_than_the_lease() {
    let Some(hosts) = Hosts::up(4) else { return };
    let rest = REST
        .replace(", {etcd: {}}", "")
        .replace("fault: 3s", "fault: 40s");
    let file = hosts.experiment("cut", &rest);
    let controller = hosts.start(&["run", file.to_str().unwrap(), "--out", "out"]);
    let events = file.with_file_name("out/trials/depfast-raft/1/events.csv");
    wait_until("the fault is in force", || {
        fs::read_to_string(&events).is_ok_and(|text| text.contains("fault-effective"))
    });
    let slow = fs::read_to_string(&events).unwrap();
    let slow = slow.lines().find(|line| line.contains("fault-effective"));
    let slow = slow
        .unwrap()
        .split(',')
        .find_map(|field| field.strip_prefix('h'));
    let slow: usize = slow.unwrap().parse().unwrap();
    hosts.link("cut", slow);
    // The node cannot be told anything: it must find out by itself.
    wait_until("the cut-off host healed itself", || {
        !hosts
            .left()
            .iter()
            .any(|path| path.starts_with(hosts.state(slow)))
    });
    let ended = controller.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(2), "{}", text(&ended));
    let run = RunDir::open(&file.with_file_name("out")).unwrap();
    let trial = run.trials().unwrap().remove(0);
    let validity = trial.record().validity().clone();
    let reason = validity.reason().unwrap();
    assert!(
        reason.contains(&format!("node h{slow} lost its agent")),
        "{reason}"
    );
    hosts.link("join", slow);
    hosts.assert_clean();
    hosts.assert_no_masters();
}

#[test]
fn trouble_is_explained() {
    let Some(hosts) = Hosts::up(2) else { return };
    let good = fs::read_to_string(hosts.experiment("good", QUIET)).unwrap();
    let cases = [
        ("host key", "known_hosts", "", "accept-new"),
        (
            "key of the account",
            "IdentityFile",
            "IdentityFile /dev/null #",
            "identity",
        ),
        (
            "name",
            "HostName 10.78.0.11",
            "HostName no-such-host.invalid",
            "alias",
        ),
        (
            "port",
            "HostName 10.78.0.11",
            "HostName 10.78.0.11\n    Port 9",
            "is sshd running",
        ),
    ];
    let config = hosts.dir().join("ssh_config");
    let sane = fs::read_to_string(&config).unwrap();
    for (what, from, to, remedy) in cases {
        let text_of = match what {
            "host key" => sane.replace("/known_hosts", "/no_known_hosts"),
            _ => sane.replace(from, to),
        };
        assert_ne!(text_of, sane, "{what}");
        let odd = hosts.file("odd_config", &text_of);
        let file = hosts.file(
            "odd.yaml",
            &good.replace(config.to_str().unwrap(), odd.to_str().unwrap()),
        );
        let ended = hosts.depbench(&["check", file.to_str().unwrap()]);
        let said = text(&ended);
        assert_eq!(ended.status.code(), Some(4), "{what}: {said}");
        assert!(
            said.contains("h1") && said.contains(remedy),
            "{what}: {said}"
        );
    }
    hosts.assert_clean();
    hosts.assert_no_masters();
}

#[test]
fn nothing_from_the_file_reaches_a_shell() {
    let Some(hosts) = Hosts::up(2) else { return };
    let good = fs::read_to_string(hosts.experiment("hostile", QUIET)).unwrap();
    let witness = hosts.dir().join("h1/tmp/witness");
    for hostile in [
        "/tmp/a'; touch /tmp/witness; '",
        "/tmp/$(touch /tmp/witness)",
        "/tmp/`touch /tmp/witness`",
        "/tmp/a\\\"; touch /tmp/witness; \\\"",
        "/tmp/a\\n touch /tmp/witness",
        "/tmp/a && touch /tmp/witness",
        "/tmp/a | tee /tmp/witness",
        "/tmp/a > /tmp/witness",
    ] {
        for field in ["state_dir", "program"] {
            let login = format!("roles: [server], login: {{{field}: \"{hostile}\"}}");
            let file = hosts.file("hostile.yaml", &good.replacen("roles: [server]", &login, 1));
            let ended = hosts.depbench(&["check", file.to_str().unwrap()]);
            assert!(!witness.exists(), "{field} {hostile}: {}", text(&ended));
            // Odd, but a path like others; there is no program of that name.
            let odd = if field == "program" {
                4
            } else {
                ended.status.code().unwrap_or(-1)
            };
            assert_eq!(ended.status.code(), Some(odd), "{}", text(&ended));
        }
    }
    hosts.assert_no_masters();
}

/// The playbook prepares the hosts, once; then an account that may run nothing else as root drives an experiment.
#[test]
fn prepared_with_ansible() {
    let Some(hosts) = Hosts::up(2) else { return };
    let playbook = [
        "/usr/bin/ansible-playbook",
        "/usr/local/bin/ansible-playbook",
    ];
    let playbook = playbook
        .iter()
        .find(|path| std::path::Path::new(path).exists());
    let (Some(playbook), true) = (playbook, std::path::Path::new("/usr/bin/sudo").exists()) else {
        println!("skipped: ansible-core or sudo is not installed");
        return;
    };
    let config = hosts.dir().join("ssh_config");
    let inventory = hosts.file(
        "inventory.yml",
        &format!(
            "all:\n  vars:\n    ansible_user: root\n    ansible_ssh_common_args: -F {}\n    \
             depbench_node_time_package: ''\n    depbench_node_module_packages: []\n    \
             depbench_node_hugepages: ''\n    depbench_node_governor: ''\n    depbench_program_user: daemon\n    \
             depbench_program_source: {}\n  children:\n    servers: {{hosts: {{h1: {{}}}}}}\n    \
             clients: {{hosts: {{h2: {{}}}}}}\n",
            config.display(),
            hosts::PROGRAM,
        ),
    );
    let play = |book: &str| {
        let book = format!("{}/../ansible/{book}", env!("CARGO_MANIFEST_DIR"));
        let played = hosts.run(playbook, &["-i", inventory.to_str().unwrap(), &book]);
        assert!(played.status.success(), "{}", text(&played));
        let said = text(&played);
        said.matches(" changed=0 ").count()
    };
    assert_eq!(play("site.yml"), 0);
    assert_eq!(play("site.yml"), 2, "the second time nothing changes");

    let installed = hosts.dir().join("h1/up/usr/local/bin/depbench");
    let rule = hosts.dir().join("h1/up/etc/sudoers.d/depbench");
    assert!(installed.exists() && rule.exists());
    let good = fs::read_to_string(hosts.experiment("prepared", QUIET)).unwrap();
    let login = "    login: {program: /usr/local/bin/depbench}\n    nodes:";
    let file = hosts.file("prepared.yaml", &good.replace("    nodes:", login));
    let checked = hosts.depbench(&["check", file.to_str().unwrap()]);
    assert!(checked.status.success(), "{}", text(&checked));
    assert!(
        !hosts.dir().join("h1/root/.cache").exists(),
        "nothing was uploaded"
    );

    play("teardown.yml");
    assert!(!installed.exists() && !rule.exists());
    hosts.assert_no_masters();
}

fn listing(dir: &std::path::Path) -> Vec<(std::ffi::OsString, std::time::SystemTime)> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| {
            (
                entry.file_name(),
                entry.metadata().unwrap().modified().unwrap(),
            )
        })
        .collect()
}
