//! What must be known of a machine before an agent can be started there.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use faults::Connection;
use openssh::Session;

use super::deadline::{SURVEY, within};

/// Printed first, because login shells are talkative.
const MARK: &str = "DEPBENCH-SURVEY";

/// `$1` is the node's name; then come architectures, each with the identity of its program. Nothing is ever written into
/// this text.
const SCRIPT: &str = r#"
LC_ALL=C; export LC_ALL
say() { printf '%s=%s\n' "$1" "$2"; }
cache=${XDG_CACHE_HOME:-$HOME/.cache}/depbench
echo DEPBENCH-SURVEY
say system "$(uname -s)"
arch=$(uname -m)
say arch "$arch"
say uid "$(id -u)"
say home "$HOME"
say cache "$cache"
say connection "${SSH_CONNECTION:-}"
say boot "$(cat /proc/sys/kernel/random/boot_id)"
node=$1
shift
while [ "$1" != "$arch" ] && [ "$#" -gt 0 ]; do shift 2; done
[ "$#" -gt 0 ] || exit 0
[ -x "$cache/depbench-$2" ] && say present yes
part=$cache/depbench-$2.$node.part
[ -f "$part" ] && say partial "$(wc -c < "$part")"
exit 0
"#;

/// A machine as its account sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Survey {
    pub(super) arch: String,
    pub(super) is_root: bool,
    pub(super) home: String,
    /// Where uploaded programs lie.
    pub(super) cache: String,
    /// The connection that control travels on, if ssh told.
    pub(super) control: Option<Connection>,
    /// Tells the boots of the machine apart.
    pub(super) boot: String,
    /// Whether the program for it is there.
    pub(super) present: bool,
    /// How much of it an upload that broke off has left, in bytes.
    pub(super) partial: u64,
}

/// Looks at the machine at the other end.
pub(super) async fn survey(
    session: &Session,
    programs: impl Iterator<Item = [&str; 2]>,
    node: &str,
) -> Result<Survey, String> {
    let mut command = session.command("sh");
    command.args(["-c", SCRIPT, "sh", node]);
    command.args(programs.flatten());
    let output = within(SURVEY, "look around", command.output()).await?;
    let said = String::from_utf8_lossy(&output.stdout);
    parse(&said).map_err(|missing| {
        let complaint = String::from_utf8_lossy(&output.stderr);
        format!(
            "cannot look around: {missing}; the login shell must run `sh`. It said: {}",
            format!("{said} {complaint}").trim()
        )
    })
}

fn parse(said: &str) -> Result<Survey, String> {
    let (_, said) = said
        .split_once(MARK)
        .ok_or("the script did not run".to_owned())?;
    let said: BTreeMap<&str, &str> = said
        .lines()
        .filter_map(|line| line.split_once('='))
        .collect();
    let get = |key: &str| {
        let value = said.get(key).filter(|value| !value.is_empty());
        value
            .map(|value| (*value).to_owned())
            .ok_or(format!("`{key}` is missing"))
    };
    if get("system")? != "Linux" {
        return Err(format!("the system is {}, expected Linux", get("system")?));
    }
    Ok(Survey {
        arch: get("arch")?,
        is_root: get("uid")? == "0",
        home: get("home")?,
        cache: get("cache")?,
        control: said.get("connection").and_then(|text| connection(text)),
        boot: get("boot")?,
        present: said.contains_key("present"),
        partial: said
            .get("partial")
            .and_then(|size| size.trim().parse().ok())
            .unwrap_or(0),
    })
}

/// `client address, client port, server address, server port`, as sshd tells.
fn connection(text: &str) -> Option<Connection> {
    let mut parts = text.split(' ');
    let mut end = || -> Option<SocketAddr> {
        // A link-local address has its zone behind a percent sign.
        let ip: IpAddr = parts.next()?.split('%').next()?.parse().ok()?;
        Some(SocketAddr::new(ip, parts.next()?.parse().ok()?))
    };
    let remote = end()?;
    Some(Connection {
        local: end()?,
        remote,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_talkative_shell_is_understood() {
        let said = "uid=7\nWelcome\nDEPBENCH-SURVEY\nsystem=Linux\narch=x86_64\nuid=0\nhome=/root\n\
                    cache=/root/.cache/depbench\nconnection=10.0.0.9 50022 10.0.0.1 22\nboot=1f\npartial= 17\n";
        let survey = parse(said).unwrap();
        assert!(survey.is_root && !survey.present);
        assert_eq!(survey.partial, 17);
        let control = survey.control.unwrap();
        assert_eq!(control.local.to_string(), "10.0.0.1:22");
        assert_eq!(control.remote.to_string(), "10.0.0.9:50022");
    }

    #[test]
    fn what_is_missing_is_said() {
        assert!(parse("sh: not found").unwrap_err().contains("did not run"));
        let bsd = parse("DEPBENCH-SURVEY\nsystem=FreeBSD\n").unwrap_err();
        assert!(bsd.contains("expected Linux"), "{bsd}");
        assert_eq!(
            connection("fe80::1%eth0 1 fe80::2%eth0 22")
                .unwrap()
                .local
                .port(),
            22
        );
        assert_eq!(connection("UNKNOWN 65535 UNKNOWN 65535"), None);
        assert_eq!(connection(""), None);
    }
}
