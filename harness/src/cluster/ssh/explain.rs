//! What ssh and the machine said, with what to do about it.

use std::error::Error;

use crate::causes::with_causes;

const NO_SUDO: &str = "install sudo there, log in as root, or write `login: {become: none}`";

const NO_DOAS: &str = "install doas there, log in as root, or write `login: {become: none}`";

const NOT_PERMITTED: &str =
    "`permit nopass` this account in /etc/doas.conf there, or write `login: {become: none}`";

const DROPPED: &str = "sshd there ended the connection: it may have too many (`MaxStartups`), or refuse this account or address; its \
     log says why";

/// Words that ssh, sshd, sudo or the kernel say, and the remedy.
const REMEDIES: &[(&str, &str)] = &[
    // Without a word of ssh itself.
    (
        "failed to connect to the remote host: No such file or directory",
        "there is no `ssh` on this machine's `PATH`: install the OpenSSH client here",
    ),
    // Before what ssh says of every key that it refuses.
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "the machine is another one than before: if that is right, remove its old key with `ssh-keygen -R HOST`",
    ),
    (
        "Host key verification failed",
        "log in once by hand and compare the key, or write `host_keys: accept-new`",
    ),
    (
        "by UNKNOWN port",
        "the way there broke off, at a jump host or another proxy: log in once by hand to see what it says; its key must be \
         known, too",
    ),
    (
        "Permission denied (",
        "the key is not accepted: give `login: {user: …, identity: …}`, or load it into the ssh agent",
    ),
    (
        "Could not resolve hostname",
        "is `host` right? it may be an alias of the ssh configuration",
    ),
    ("Connection refused", "is sshd running there, on this port?"),
    (
        "timed out",
        "is the machine up, and may this one reach its port?",
    ),
    ("No route to host", "is the machine up?"),
    (
        "Network is unreachable",
        "this machine has no way there: is its network up, and has it addresses of the same kind (IPv4, IPv6) as `host`?",
    ),
    ("Connection reset by", DROPPED),
    ("Connection closed by", DROPPED),
    (
        "must have a tty",
        "remove `requiretty` for this account from the sudoers there, log in as root, or write `login: {become: none}`",
    ),
    (
        "a password is required",
        "allow this account `NOPASSWD` for the depbench program, or write `login: {become: none}`",
    ),
    (
        "is not in the sudoers file",
        "allow this account sudo, or write `login: {become: none}`",
    ),
    ("sudo: command not found", NO_SUDO),
    ("sudo: not found", NO_SUDO),
    ("env: 'sudo'", NO_SUDO),
    ("env: ‘sudo’", NO_SUDO),
    ("execute 'sudo'", NO_SUDO),
    ("doas is not enabled", NOT_PERMITTED),
    ("doas: Authentication required", NOT_PERMITTED),
    ("doas: Operation not permitted", NOT_PERMITTED),
    ("doas: command not found", NO_DOAS),
    ("doas: not found", NO_DOAS),
    ("env: 'doas'", NO_DOAS),
    ("env: ‘doas’", NO_DOAS),
    ("execute 'doas'", NO_DOAS),
    (
        "No space left on device",
        "make room on the node's file system",
    ),
    (
        "Read-only file system",
        "make it writable (an error of its disk makes it so: see `dmesg` there), or give `login: {state_dir: …}` on another one",
    ),
    (
        "Exec format error",
        "that program is for another architecture than the machine: is `programs` right?",
    ),
    ("Is the server running", "is the machine up?"),
];

/// What failed in a step, with its causes and a remedy if one is known.
pub(super) fn step(what: &str, error: &dyn Error) -> String {
    with_remedy(&format!("cannot {what}: {}", with_causes(error)))
}

/// Adds what to do about it, if that is known.
pub(super) fn with_remedy(text: &str) -> String {
    // ssh ends its lines as if at a terminal.
    let text = text.replace("\r\n", "\n");
    match REMEDIES.iter().find(|(words, _)| text.contains(words)) {
        Some((_, remedy)) => format!("{}; {remedy}", text.trim_end().trim_end_matches('.')),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_and_remedies_are_told() {
        let cause = std::io::Error::other("root@n1: Permission denied (publickey).");
        let error = openssh::Error::Connect(cause);
        let text = step("connect to n1", &error);
        assert!(
            text.starts_with("cannot connect to n1: failed to connect"),
            "{text}"
        );
        assert!(
            text.contains("publickey") && text.contains("identity"),
            "{text}"
        );
        assert!(!text.contains(".;"), "{text}");
        assert_eq!(with_remedy("odd\r\nlines"), "odd\nlines");
    }

    #[test]
    fn every_way_to_fail_has_its_remedy() {
        let absent = std::io::Error::from_raw_os_error(nix::libc::ENOENT);
        let text = step("connect to n1", &openssh::Error::Connect(absent));
        assert!(text.contains("install the OpenSSH client here"), "{text}");
        for (said, remedy) in [
            (
                "Can't open user config file x: No such file or directory",
                "",
            ),
            ("connect to host n1 port 22: Network is unreachable", "IPv6"),
            (
                "kex_exchange_identification: read: Connection reset by peer",
                "MaxStartups",
            ),
            (
                "kex_exchange_identification: Connection closed by remote host",
                "MaxStartups",
            ),
            ("Connection closed by UNKNOWN port 65535", "jump host"),
            ("sudo: sorry, you must have a tty to run sudo", "requiretty"),
            ("env: 'sudo': No such file or directory", "install sudo"),
            ("env: ‘doas’: No such file or directory", "install doas"),
            ("cannot make x: Read-only file system", "state_dir"),
        ] {
            let told = step(
                "log in",
                &openssh::Error::Connect(std::io::Error::other(said)),
            );
            let (_, added) = told.split_once(said).unwrap();
            assert!(added.contains(remedy), "{told}");
            assert_eq!(added.is_empty(), remedy.is_empty(), "{told}");
        }
    }
}
