//! This program, brought to a machine once per build.

use std::borrow::Cow;
use std::io::SeekFrom;

use openssh::{Session, Stdio};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use vocab::ids::NodeName;

use super::cargo::Build;
use super::deadline::{SETTLING, STANDSTILL, hangs, within};
use super::explain::{step, with_remedy};
use super::survey::Survey;
use crate::cluster::local::Progress;

/// From progress to progress, in bytes.
const PIECE: usize = 1 << 20;

const UPLOAD: &str = "upload this program";

/// Appends standard input to `$2` in the directory `$1`, which is private to the account.
const APPEND: &str = r#"LC_ALL=C; export LC_ALL; umask 077 && mkdir -p "$1" && cat >> "$2""#;

/// Makes the program `$2` out of the upload `$1`, once it says itself that it is the build `$3`. What is not whole is
/// removed: nothing could be added to it. An upload whose connection broke off may hold it open where nobody has noticed
/// that yet, and what is open for writing is not executed: a copy is.
const FINISH: &str = r#"
LC_ALL=C; export LC_ALL
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
            .map_err(|error| step(UPLOAD, &error))?;
        let mut stdin = copying.stdin().take().ok_or("no standard input")?;
        let mut piece = vec![0; PIECE];
        tell(Progress::Bringing {
            node: node.clone(),
            there: sent,
            total: size,
        });
        loop {
            let read = file.read(&mut piece).await.map_err(read)?;
            if read == 0 || !put(&mut stdin, &piece[..read]).await? {
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
        let output = within(SETTLING, UPLOAD, copying.wait_with_output()).await?;
        if !output.status.success() {
            return Err(failed(&survey.cache, &output.stderr));
        }
    }
    let mut finish = session.command("sh");
    finish.args(["-c", FINISH, "sh", &part, &path, hash]);
    let finished = within(SETTLING, "start the uploaded program", finish.output()).await?;
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

/// Writes all of a piece, however long that takes, as long as some of it is taken now and then; whether the other end
/// still takes any. Why it does not, it says itself.
async fn put(stdin: &mut (impl AsyncWrite + Unpin), mut piece: &[u8]) -> Result<bool, String> {
    while !piece.is_empty() {
        let taken = timeout(STANDSTILL, stdin.write(piece)).await;
        let taken = taken.map_err(|_| {
            let symptom = format_args!("nothing was taken for {STANDSTILL:?}");
            hangs(UPLOAD, symptom)
        })?;
        match taken {
            Ok(taken) if taken > 0 => piece = &piece[taken..],
            _ => return Ok(false),
        }
    }
    Ok(true)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::duplex;
    use tokio::time::sleep;

    #[tokio::test(start_paused = true)]
    async fn a_slow_way_is_waited_for_and_one_that_stands_still_is_not() {
        let (mut here, mut there) = duplex(10);
        let slowly = async {
            let mut taken = [0; 10];
            for _ in 0..20 {
                sleep(STANDSTILL - Duration::from_secs(1)).await;
                there.read_exact(&mut taken).await.unwrap();
            }
        };
        let (put_all, ()) = tokio::join!(put(&mut here, &[7; 200]), slowly);
        assert_eq!(put_all, Ok(true));
        let told = put(&mut here, &[7; 200]).await.unwrap_err();
        assert!(told.contains("nothing was taken for 60s"), "{told}");
        drop(there);
        assert_eq!(put(&mut here, &[7; 200]).await, Ok(false));
    }
}
