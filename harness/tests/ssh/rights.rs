//! Machines that the playbook prepared, and accounts with as few rights as it gives.

use std::fs;
use std::path::Path;

use super::reach::check;
use super::{QUIET, assert_carried_out, reasons};
use crate::hosts::{Hosts, PROGRAM, text};

/// The account is bench's, the program the one that the playbook installed.
const EXPERIMENT: &str = "name: prepared
cluster: {inventory: bench.yml}
targets: [{depfast-raft: {}}]
workload: {clients: 4, connections: 2}
phases: {warmup: 1s, baseline: 2s, fault: 3s}
faults: [{name: slow, type: {process.pause: {for: 300ms, period: 1s}}, on: {node: h1}}]
";

/// An account whose home is as good as new at every start.
pub(crate) const ACCOUNT: &str = "echo 'bench:x:2345:2345::/run/bench:/bin/sh' >> /etc/passwd
echo 'bench:x:2345:' >> /etc/group
echo 'bench:*:20000:0:99999:7:::' >> /etc/shadow
mkdir -p /run/bench && chown 2345:2345 /run/bench";

/// The lists of packages are this machine's, and nothing here reaches where newer ones are: old ones will do.
const LISTS_ARE_NEW: &str = "mkdir /run/periodic && touch /run/periodic/update-success-stamp &&
mount --bind /run/periodic /var/lib/apt/periodic";

/// What the inventory says to others, and is nobody's business in the results.
const SECRET: &str = "hunter2-of-the-registry";

/// No file below `dir` contains one of these.
fn assert_tells_nothing_of(dir: &Path, secrets: &[&str]) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_tells_nothing_of(&path, secrets);
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        for secret in secrets {
            let mut windows = bytes.windows(secret.len());
            let told = windows.any(|window| window == secret.as_bytes());
            assert!(!told, "{} tells {secret}", path.display());
        }
    }
}

/// The playbook prepares the hosts, once; then an account that may run nothing else as root drives an experiment.
#[test]
fn prepared_with_ansible() {
    let Some(hosts) = Hosts::bare(2) else { return };
    let playbook = [
        "/usr/bin/ansible-playbook",
        "/usr/local/bin/ansible-playbook",
    ];
    let playbook = playbook.iter().find(|path| Path::new(path).exists());
    let (Some(playbook), true) = (playbook, Path::new("/usr/bin/sudo").exists()) else {
        println!("skipped: ansible-core or sudo is not installed");
        return;
    };
    for host in [1, 2] {
        hosts.on(host, ACCOUNT);
        if Path::new("/var/lib/apt/periodic").exists() {
            hosts.on(host, LISTS_ARE_NEW);
        }
    }
    let config = hosts.dir().join("ssh_config");
    let inventory = hosts.file(
        "inventory.yml",
        &format!(
            "all:\n  vars:\n    ansible_user: root\n    ansible_ssh_common_args: -F {}\n    \
             depbench_node_time_package: ''\n    depbench_node_module_packages: []\n    \
             depbench_node_hugepages: ''\n    depbench_node_governor: ''\n    depbench_program_user: bench\n    \
             depbench_program_source: {}\n    \
             registry_token: {SECRET}\n  children:\n    servers: {{hosts: {{h1: {{}}}}}}\n    \
             clients: {{hosts: {{h2: {{}}}}}}\n",
            config.display(),
            PROGRAM,
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

    // The account may run this program as root, and nothing else.
    let config = config.to_str().unwrap();
    let id = hosts.run(
        "/usr/bin/ssh",
        &["-F", config, "-l", "bench", "h1", "sudo -n id"],
    );
    assert!(!id.status.success(), "{}", text(&id));

    let text_of = fs::read_to_string(&inventory).unwrap();
    hosts.file(
        "bench.yml",
        &text_of.replace("ansible_user: root", "ansible_user: bench"),
    );
    let file = hosts.file("prepared.yaml", EXPERIMENT);
    let ended = hosts.depbench(&["run", file.to_str().unwrap(), "--out", "out"]);
    assert!(
        matches!(ended.status.code(), Some(0 | 2)),
        "{}",
        text(&ended)
    );
    let out = file.with_file_name("out");
    let reasons = reasons(&out);
    assert_eq!(reasons.len(), 1, "{}", text(&ended));
    let key = fs::read_to_string(hosts.dir().join("key")).unwrap();
    let of_the_key = key.lines().nth(1).unwrap();
    assert_tells_nothing_of(&out, &[SECRET, of_the_key]);
    assert_carried_out(reasons[0].as_ref());
    hosts.on(1, "test ! -e /run/bench/.cache && test ! -e /root/.cache");
    hosts.assert_clean();
    let healed = hosts.depbench(&["heal", file.to_str().unwrap()]);
    assert!(healed.status.success(), "{}", text(&healed));

    play("teardown.yml");
    assert!(!installed.exists() && !rule.exists());
    hosts.assert_no_masters();
}

#[test]
fn an_account_becomes_root_with_doas() {
    let Some(hosts) = Hosts::up(2) else { return };
    if !Path::new("/usr/bin/doas").exists() {
        println!("skipped: doas is not installed");
        return;
    }
    hosts.on(1, ACCOUNT);
    let plain = fs::read_to_string(hosts.experiment("doas", QUIET)).unwrap();
    let login = "roles: [server], login: {user: bench, become: doas}";
    let file = hosts.file("doas.yaml", &plain.replacen("roles: [server]", login, 1));
    hosts.on(1, "rm -f /etc/doas.conf");
    for rule in ["", "permit bench as root", "permit nopass nobody as root"] {
        if !rule.is_empty() {
            hosts.on(1, &format!("echo '{rule}' > /etc/doas.conf"));
        }
        let said = check(&hosts, &file, 4);
        assert!(
            said.contains("h1") && said.contains("doas: "),
            "{rule}: {said}"
        );
        assert!(
            said.contains("`permit nopass` this account"),
            "{rule}: {said}"
        );
    }
    // Where only root may keep anything.
    hosts.on(1, "echo 'permit nopass bench as root' > /etc/doas.conf");
    hosts.on(1, "chmod 700 /var/lib/depbench");
    check(&hosts, &file, 0);
    let healed = hosts.depbench(&["heal", file.to_str().unwrap()]);
    assert!(healed.status.success(), "{}", text(&healed));
    hosts.assert_clean();
    hosts.assert_no_masters();
}
