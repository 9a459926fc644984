//! This program, brought to a machine once per build.

use std::borrow::Cow;
use std::io::SeekFrom;

use openssh::{Session, Stdio};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use vocab::ids::NodeName;

use super::cargo::Build;
use super::explain::{step, with_remedy};
use super::survey::Survey;
use crate::cluster::local::Progress;

/// From progress to progress, in bytes.
const PIECE: usize = 1 << 20;

/// Appends standard input to `$2` in the directory `$1`, which is private to the account.
const APPEND: &str = r#"umask 077 && mkdir -p "$1" && cat >> "$2""#;

/// Makes the program `$2` out of the upload `$1`, once it says itself that it is the build `$3`. What is not whole is
/// removed: nothing could be added to it. An upload whose connection broke off may hold it open where nobody has noticed
/// that yet, and what is open for writing is not executed: a copy is.
const FINISH: &str = r#"
chmod 700 "$1" || exit 1
said=$("$1" fingerprint)
code=$?
if [ "$code" -eq 126 ]; then
    cp "$1" "$1.copy" && mv -f "$1.copy" "$1" || { rm -f "$1.copy"; exit 126; }
    said=$("$1" fingerprint)
    code=$?
fi
[ "$code" -eq 126 ] && exit 126
[ "$said" = "$3" ] || { rm -f "$1"; echo "what arrived is damaged, or for another architecture, and was removed: try again" >&2; exit 1; }
mv -f "$1" "$2"
"#;

/// Brings `program` to the machine, from where an earlier upload broke off; gives its path there.
pub(super) async fn upload(
    session: &Session,
    survey: &Survey,
    build: &Build,
    node: &NodeName,
    tell: impl Fn(Progress),
) -> Result<String, String> {
    let Build { program, hash } = build;
    let path = format!("{}/depbench-{hash}", survey.cache);
    if survey.present {
        return Ok(path);
    }
    let read = |error: std::io::Error| format!("cannot read {}: {error}", program.display());
    let mut file = File::open(program).await.map_err(read)?;
    let size = file.metadata().await.map_err(read)?.len();
    let part = format!("{path}.{node}.part");
    let mut sent = if survey.partial <= size {
        survey.partial
    } else {
        0
    };
    file.seek(SeekFrom::Start(sent)).await.map_err(read)?;
    if sent < size {
        let mut copying = session
            .command("sh")
            .args(["-c", APPEND, "sh", &survey.cache, &part])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .await
            .map_err(|error| step("upload this program", &error))?;
        let mut stdin = copying.stdin().take().ok_or("no standard input")?;
        let mut piece = vec![0; PIECE];
        tell(Progress::Bringing {
            node: node.clone(),
            there: sent,
            total: size,
        });
        loop {
            let read = file.read(&mut piece).await.map_err(read)?;
            // A broken pipe is explained by what the other end says.
            if read == 0 || stdin.write_all(&piece[..read]).await.is_err() {
                break;
            }
            sent += read as u64;
            tell(Progress::Upload {
                node: node.clone(),
                done: sent,
                total: size,
            });
        }
        drop(stdin);
        let output = copying
            .wait_with_output()
            .await
            .map_err(|error| step("upload this program", &error))?;
        if !output.status.success() {
            return Err(failed(&survey.cache, &output.stderr));
        }
    }
    let finished = session
        .command("sh")
        .args(["-c", FINISH, "sh", &part, &path, hash])
        .output()
        .await
        .map_err(|error| step("start the uploaded program", &error))?;
    match finished.status.code() {
        Some(0) => {
            tell(Progress::Brought(node.clone()));
            Ok(path)
        }
        Some(126) if said(&finished.stderr).contains("Exec format error") => {
            Err(failed(&survey.cache, &finished.stderr))
        }
        Some(126) => Err(format!(
            "{} may not be executed, as on a file system that is mounted `noexec`: install the program elsewhere and \
             give `login: {{program: …}}`; it said: {}",
            part,
            said(&finished.stderr).trim()
        )),
        _ => Err(failed(&survey.cache, &finished.stderr)),
    }
}

fn failed(cache: &str, stderr: &[u8]) -> String {
    let said = said(stderr);
    with_remedy(&format!(
        "cannot upload this program to {cache}: {}",
        said.trim()
    ))
}

fn said(stderr: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(stderr)
}
