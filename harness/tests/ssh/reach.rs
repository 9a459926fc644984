//! What keeps machines from being reached, and the program from getting there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::rights::ACCOUNT;
use super::{QUIET, assert_carried_out, reasons};
use crate::hosts::{Hosts, PROGRAM, text};

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
    let witness = hosts
        .dir()
        .join(format!("h1/tmp/witness-{}", std::process::id()));
    let outside = format!("/tmp/witness-{}", std::process::id());
    for hostile in [
        "/tmp/a'; touch WITNESS; '",
        "/tmp/$(touch WITNESS)",
        "/tmp/`touch WITNESS`",
        "/tmp/a\\\"; touch WITNESS; \\\"",
        "/tmp/a\\n touch WITNESS",
        "/tmp/a && touch WITNESS",
        "/tmp/a | tee WITNESS",
        "/tmp/a > WITNESS",
    ] {
        let hostile = hostile.replace("WITNESS", &outside);
        let login = |field: &str| format!("roles: [server], login: {{{field}: \"{hostile}\"}}");
        for (field, text_of) in [
            ("state_dir", login("state_dir")),
            ("program", login("program")),
            ("identity", login("identity")),
            ("user", login("user")),
            ("host", format!("roles: [server], host: \"{hostile}\"")),
        ] {
            let file = hosts.file(
                "hostile.yaml",
                &good.replacen("roles: [server]", &text_of, 1),
            );
            let ended = hosts.depbench(&["check", file.to_str().unwrap()]);
            let said = text(&ended);
            assert!(!witness.exists(), "on the node: {field} {hostile}: {said}");
            assert!(
                !Path::new(&outside).exists(),
                "here: {field} {hostile}: {said}"
            );
            // Odd, but a path like others; there is no program, account or host of that name.
            let expected: &[i32] = match field {
                "state_dir" | "identity" => &[0, 4],
                _ => &[3, 4],
            };
            let code = ended.status.code().unwrap_or(-1);
            assert!(expected.contains(&code), "{field} {hostile}: {code} {said}");
        }
    }
    hosts.assert_no_masters();
}

/// Says what `depbench check` does, which must end with this code.
pub(crate) fn check(hosts: &Hosts, file: &Path, code: i32) -> String {
    let ended = hosts.depbench(&["check", file.to_str().unwrap()]);
    let said = text(&ended);
    assert_eq!(ended.status.code(), Some(code), "{said}");
    said
}

/// Where the first host keeps programs.
pub(crate) fn cache(hosts: &Hosts) -> PathBuf {
    hosts.dir().join("h1/root/.cache/depbench")
}

#[test]
fn what_keeps_the_program_from_a_machine_is_explained() {
    let Some(hosts) = Hosts::up(2) else { return };
    let file = hosts.experiment("reach", QUIET);
    for (options, remedy) in [
        ("noexec", "mounted `noexec`"),
        ("size=1m", "make room on the node's file system"),
    ] {
        hosts.on(
            1,
            &format!("mkdir -p /root/.cache && mount -t tmpfs -o {options} tmpfs /root/.cache"),
        );
        let said = check(&hosts, &file, 4);
        assert!(
            said.contains("h1") && said.contains(remedy),
            "{options}: {said}"
        );
        hosts.on(1, "umount /root/.cache");
    }
    if Path::new("/usr/bin/sudo").exists() {
        hosts.on(1, ACCOUNT);
        let text_of = fs::read_to_string(&file).unwrap();
        let login = "roles: [server], login: {user: bench}";
        let file = hosts.file("sudo.yaml", &text_of.replacen("roles: [server]", login, 1));
        let said = check(&hosts, &file, 4);
        assert!(said.contains("h1") && said.contains("NOPASSWD"), "{said}");
    }
    hosts.assert_no_masters();
}

/// The header of a program for Linux on 32-bit processors of Intel's kind, and nothing behind it.
const FOREIGN: &[u8] = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x03\0\x01\0\0\0";

#[test]
fn a_machine_of_another_architecture_needs_a_program_of_its_own() {
    let Some(hosts) = Hosts::bare(2) else { return };
    let other = Path::new("/usr/bin/setarch");
    if !cfg!(target_arch = "x86_64") || !other.exists() {
        println!("skipped: no setarch for a processor of 64 bits");
        return;
    }
    let plain = fs::read_to_string(hosts.experiment("architecture", QUIET)).unwrap();
    let with = |programs: String| {
        let programs = format!("    programs: {{{programs}}}\n    config:");
        hosts.file("named.yaml", &plain.replace("    config:", &programs))
    };

    // What is named for an architecture is what its machines get: another build than the controller's, here.
    let mut program = fs::read(PROGRAM).unwrap();
    program.extend(b"another build");
    let build = hosts.file("build", "");
    fs::write(&build, &program).unwrap();
    check(&hosts, &with(format!("x86_64: {}", build.display())), 0);
    let listed: Vec<_> = fs::read_dir(cache(&hosts)).unwrap().flatten().collect();
    let [brought] = listed.as_slice() else {
        panic!("{listed:?}")
    };
    assert!(fs::read(brought.path()).unwrap() == program);

    // The kernel tells a process of this personality that it is a machine of the other architecture.
    let key = fs::read_to_string(hosts.dir().join("key.pub")).unwrap();
    let forced = r#"command="exec setarch i686 sh -c \"$SSH_ORIGINAL_COMMAND\"" "#;
    fs::write(hosts.dir().join("h1/tmp/keys"), format!("{forced}{key}")).unwrap();
    hosts.on(1, "cat /tmp/keys > /run/authorized_keys");
    let foreign = hosts.file("foreign", "");
    fs::write(&foreign, FOREIGN).unwrap();
    for (programs, parts) in [
        (
            String::new(),
            [
                "cannot start node h1: the machine is i686 and",
                "`programs: {ARCHITECTURE: FILE}`",
            ],
        ),
        (
            format!("i686: {PROGRAM}"),
            ["that program is for x86_64,", "expected one for i686"],
        ),
        (
            format!("i686: {}", config_of(&hosts)),
            ["that is no program for Linux", "expected one for i686"],
        ),
        (
            "i686: /no/such".to_owned(),
            ["cannot read the program /no/such", "No such file"],
        ),
        (
            format!("i686: {}", foreign.display()),
            ["cannot start node h1: ", "for another architecture"],
        ),
    ] {
        let said = check(&hosts, &with(programs), 4);
        for part in parts {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    hosts.assert_clean();
    hosts.assert_no_masters();
}

fn config_of(hosts: &Hosts) -> String {
    hosts.dir().join("ssh_config").display().to_string()
}

#[test]
fn a_program_that_is_missing_on_one_machine_is_told() {
    let Some(hosts) = Hosts::up(3) else { return };
    let target = "targets: [{etcd: {path: /tmp/etcd}}]";
    let file = hosts.experiment(
        "missing",
        &QUIET.replace("targets: [{depfast-raft: {}}]", target),
    );
    hosts.on(1, "ln -s /bin/echo /tmp/etcd");
    let said = check(&hosts, &file, 4);
    assert!(said.contains("not possible: target etcd on h2: "), "{said}");
    assert!(said.contains("install the package etcd-server"), "{said}");
    assert!(!said.contains("target etcd on h1: "), "{said}");
    hosts.assert_no_masters();
}

/// A fault that needs root.
const LIMITED: &str = "targets: [{depfast-raft: {}}]
workload: {clients: 2, connections: 1}
phases: {warmup: 0s, baseline: 1s, fault: 1s}
faults: [{name: slow, type: {cpu.quota: {share: 5%}}, on: {node: h1, allow_majority: true}}]
";

/// One that listens elsewhere and accepts another key.
const OTHER_SSHD: &str = "cat /tmp/other.pub > /run/other_keys && : > /run/authorized_keys
/usr/sbin/sshd -f /dev/null -h /run/hostkey -p 2222 -o UsePAM=no -o PidFile=none \
    -o AuthorizedKeysFile=/run/other_keys -o StrictModes=no";

#[test]
fn the_file_says_how_to_log_in() {
    let Some(hosts) = Hosts::up(2) else { return };
    let key = hosts.dir().join("other");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .status();
    assert!(made.unwrap().success());
    fs::copy(
        hosts.dir().join("other.pub"),
        hosts.dir().join("h1/tmp/other.pub"),
    )
    .unwrap();
    hosts.on(1, OTHER_SSHD);
    let known = hosts.dir().join("known_hosts");
    let keys = fs::read_to_string(&known).unwrap();
    let there = keys.replace("10.78.0.11 ", "[10.78.0.11]:2222 ");
    fs::write(&known, keys + &there).unwrap();

    let plain = fs::read_to_string(hosts.experiment("login", LIMITED)).unwrap();
    let with = |login: &str| {
        let fields = format!("roles: [server], login: {{{login}}}}}");
        hosts.file(
            "login.yaml",
            &plain.replacen("roles: [server]}", &fields, 1),
        )
    };
    let identity = format!("identity: {}", key.display());
    for login in ["port: 2222", &identity] {
        let said = check(&hosts, &with(login), 4);
        assert!(said.contains("cannot start node h1: "), "{login}: {said}");
        assert!(said.contains("identity"), "{login}: {said}");
    }
    // An account that is root already becomes nobody.
    let file = with(&format!("port: 2222, {identity}, become: none"));
    let ended = hosts.depbench(&["run", file.to_str().unwrap(), "--out", "out"]);
    let said = text(&ended);
    assert!(matches!(ended.status.code(), Some(0 | 2)), "{said}");
    let reasons = reasons(&file.with_file_name("out"));
    assert_eq!(reasons.len(), 1, "{said}");
    assert_carried_out(reasons[0].as_ref());
    assert!(said.contains("fault-effective h1: cgroup quota"), "{said}");
    let healed = hosts.depbench(&["heal", file.to_str().unwrap()]);
    assert!(healed.status.success(), "{}", text(&healed));
    hosts.assert_clean();
    hosts.assert_no_masters();
}
