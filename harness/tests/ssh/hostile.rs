//! Machines that say what nobody expects: it is neither interpreted nor obeyed.

use std::fs;

use super::QUIET;
use crate::hosts::{Hosts, text};

/// Printed by a login shell before everything else.
const GARBAGE: &str = r#"printf 'Welcome \033[31m\033]0;title\007 "$(touch /tmp/witness)" \047; touch /tmp/witness\r\n'
printf 'DEPBENCH-SURVEY\nsystem=Plan9\narch=`touch /tmp/witness`\nuid=99\nhome=/nowhere\n'
printf '\n\002DEPBENCH\000\377\376' ; printf 'complaint \033[2J\n' >&2
"#;

/// What a machine says it is.
const ARCHITECTURE: &str = r#"#!/bin/sh
[ "$1" = -s ] && exec /usr/bin/uname -s
printf 'vax\033[31m"$(touch /tmp/witness)`touch /tmp/witness`\047; touch /tmp/witness; \047'
"#;

/// Neither here nor there.
fn assert_not_obeyed(hosts: &Hosts, said: &str) {
    for witness in [hosts.dir().join("h1/tmp/witness"), "/tmp/witness".into()] {
        assert!(!witness.exists(), "{}: {said}", witness.display());
    }
    assert!(!said.contains('\u{1b}'), "{said:?}");
}

#[test]
fn a_talkative_shell_is_no_trouble() {
    let Some(hosts) = Hosts::bare(2) else { return };
    let file = hosts.experiment("talkative", QUIET);
    let file = file.to_str().unwrap();
    fs::write(hosts.dir().join("h1/root/.bashrc"), GARBAGE).unwrap();
    let config = hosts.dir().join("ssh_config");
    let heard = hosts.run(
        "/usr/bin/ssh",
        &["-F", config.to_str().unwrap(), "h1", "true"],
    );
    if !text(&heard).contains("Welcome") {
        println!("skipped: root's shell reads no .bashrc");
        return;
    }
    // Uploaded, started, and asked; then healed.
    for verb in ["check", "heal"] {
        let done = hosts.depbench(&[verb, file]);
        assert!(done.status.success(), "{verb}: {}", text(&done));
        assert_not_obeyed(&hosts, &text(&done));
    }
    hosts.assert_clean();
    hosts.assert_no_masters();
}

#[test]
fn what_a_machine_says_of_itself_is_shown_and_not_obeyed() {
    let Some(hosts) = Hosts::up(2) else { return };
    let file = hosts.experiment("odd", QUIET);
    fs::write(hosts.dir().join("h1/tmp/uname"), ARCHITECTURE).unwrap();
    hosts.on(
        1,
        "cp /tmp/uname /usr/local/bin/uname && chmod 755 /usr/local/bin/uname",
    );
    let refused = hosts.depbench(&["check", file.to_str().unwrap()]);
    let said = text(&refused);
    assert_eq!(refused.status.code(), Some(4), "{said}");
    assert!(
        said.contains("h1") && said.contains("vax\\u{1b}[31m"),
        "{said}"
    );
    assert!(
        said.contains("build depbench for that architecture"),
        "{said}"
    );
    assert_not_obeyed(&hosts, &said);

    // Also what the agent's end says.
    hosts.on(1, "rm /usr/local/bin/uname");
    fs::write(
        hosts.dir().join("h1/tmp/odd"),
        "#!/bin/sh\ncat /tmp/said >&2; exit 1\n",
    )
    .unwrap();
    fs::write(
        hosts.dir().join("h1/tmp/said"),
        "\u{1b}[31m$(touch /tmp/witness)\u{7}\n",
    )
    .unwrap();
    hosts.on(1, "chmod 755 /tmp/odd");
    let text_of = fs::read_to_string(&file).unwrap();
    let odd = "roles: [server], login: {program: /tmp/odd}}";
    let file = hosts.file("odd.yaml", &text_of.replace("roles: [server]}", odd));
    let refused = hosts.depbench(&["check", file.to_str().unwrap()]);
    let said = text(&refused);
    assert_eq!(refused.status.code(), Some(4), "{said}");
    assert!(
        said.contains("h1") && said.contains("\\u{1b}[31m$(touch"),
        "{said}"
    );
    assert_not_obeyed(&hosts, &said);
    hosts.assert_no_masters();
}
