//! Machines on which sshd answers and something else does not, or answers less than it should.

use std::fs::{self, File};
use std::process::Command;
use std::time::{Duration, Instant};

use super::QUIET;
use crate::hosts::{Hosts, processes, text, wait_until};

/// Has a host find this script before the program of the same name.
fn instead(hosts: &Hosts, program: &str, script: &str) {
    fs::write(
        hosts.dir().join("h1/tmp/instead"),
        format!("#!/bin/sh\n{script}\n"),
    )
    .unwrap();
    hosts.on(1, &format!("install /tmp/instead /usr/local/bin/{program}"));
}

#[test]
fn a_shell_that_hangs_is_told() {
    let Some(hosts) = Hosts::up(2) else { return };
    let file = hosts.experiment("hung", QUIET);
    instead(&hosts, "uname", "exec sleep 100000");
    for verb in ["heal", "check"] {
        let ended = hosts.depbench(&[verb, file.to_str().unwrap()]);
        let said = text(&ended);
        assert!(!ended.status.success(), "{said}");
        for part in [
            "h1",
            "cannot look around: no answer within 30s",
            "log in by hand",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    hosts.assert_clean();
    hosts.assert_no_masters();
}

#[test]
fn an_sshd_that_tells_no_connection_means_no_network_faults() {
    let Some(hosts) = Hosts::up(2) else { return };
    let fault = "faults:\n  - {name: cut, type: {net.partition: {}}, on: {node: h1}}\n";
    let phases = QUIET.replace("baseline: 2s", "baseline: 2s, fault: 2s");
    let file = hosts.experiment("untold", &format!("{phases}{fault}"));
    let plain = fs::read_to_string(&file).unwrap();
    let named = plain.replace(
        "roles: [server]}",
        "roles: [server], data_address: 10.78.0.11}",
    );
    fs::write(&file, named).unwrap();
    let check = || hosts.depbench(&["check", file.to_str().unwrap()]);
    let before = check();
    assert!(
        !text(&before).contains("SSH_CONNECTION"),
        "{}",
        text(&before)
    );
    instead(&hosts, "sh", "unset SSH_CONNECTION; exec /bin/sh \"$@\"");
    let checked = check();
    assert_eq!(checked.status.code(), Some(4), "{}", text(&checked));
    let told = "on h1: sshd there does not tell the connection";
    assert!(text(&checked).contains(told), "{}", text(&checked));
    hosts.assert_clean();
    hosts.assert_no_masters();
}

/// A device of this machine that nobody needs.
struct Loop(String);

impl Loop {
    fn make(hosts: &Hosts) -> Option<Loop> {
        let image = hosts.file("disk", "");
        let open = File::options().write(true).open(&image).unwrap();
        open.set_len(64 << 20).unwrap();
        let mut losetup = Command::new("losetup");
        let made = losetup.args(["--find", "--show"]).arg(&image).output();
        let made = made.unwrap();
        if !made.status.success() {
            println!("skipped: no loop device: {}", text(&made));
            return None;
        }
        Some(Loop(
            String::from_utf8_lossy(&made.stdout).trim().to_owned(),
        ))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _detached = Command::new("losetup").args(["--detach", &self.0]).status();
    }
}

#[test]
fn formatting_is_told_and_interrupted() {
    let Some(hosts) = Hosts::up(2) else { return };
    let Some(disk) = Loop::make(&hosts) else {
        return;
    };
    let device = disk.0.as_str();
    let file = hosts.experiment("large", QUIET);
    let plain = fs::read_to_string(&file).unwrap();
    let prepared = format!("roles: [server], prepare: {{mkfs: {{device: {device}}}}}}}");
    fs::write(&file, plain.replace("roles: [server]}", &prepared)).unwrap();
    let file = file.to_str().unwrap();
    instead(&hosts, "mkfs.ext4", "exec sleep 77777");
    let is_formatting = || processes().iter().any(|line| line.contains("sleep 77777"));
    let consent = format!("h1:{device}");
    let (mut controller, mut terminal) =
        hosts.at_terminal(&["run", file, "--out", "out", "--yes-format", &consent]);
    wait_until("the device is being formatted", is_formatting);
    let told = format!("formatting {device} on h1: minutes, if it is large");
    assert!(terminal.seen().contains(&told), "{}", terminal.seen());
    let pressed = Instant::now();
    terminal.press_ctrl_c();
    let ended = controller.wait().unwrap();
    let said = terminal.end();
    assert_eq!(ended.code(), Some(130), "{said}");
    assert!(pressed.elapsed() < Duration::from_secs(50), "{said}");
    assert!(
        said.contains("interrupted; everything was undone"),
        "{said}"
    );
    wait_until("nobody formats any more", || !is_formatting());
    hosts.assert_clean();
    hosts.assert_no_masters();
}
