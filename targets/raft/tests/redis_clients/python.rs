//! Python's library `redis` with its cluster client.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::group::Group;

const SCRIPT: &str = include_str!("cluster.py");
const LIBRARY: &str = "redis==8.1.0";

/// A Python with the library, made once per target directory; or why there is none.
fn interpreter() -> Result<PathBuf, String> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-redis");
    let python = directory.join("bin/python");
    let has_library = |python: &Path| {
        let mut import = Command::new(python);
        import
            .args(["-c", "import redis.cluster"])
            .stderr(Stdio::null());
        import.status().is_ok_and(|status| status.success())
    };
    if has_library(&python) {
        return Ok(python);
    }
    let make = |program: &Path, args: &[&str]| {
        let output = Command::new(program).args(args).output();
        match output {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
            Err(error) => Err(format!("{}: {error}", program.display())),
        }
    };
    let place = directory
        .to_str()
        .ok_or("the target directory is no text")?;
    make(Path::new("python3"), &["-m", "venv", "--clear", place])?;
    let install = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--retries",
        "1",
        "--timeout",
        "15",
        LIBRARY,
    ];
    make(&python, &install)?;
    Ok(python)
}

struct Script(Child);

impl Drop for Script {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _status = self.0.wait();
    }
}

#[test]
fn the_python_library_finds_the_leader_and_the_next_one() {
    let python = match interpreter() {
        Ok(python) => python,
        Err(reason) => {
            eprintln!("skipped: Python's {LIBRARY} cannot be installed: {reason}");
            return;
        }
    };
    for protocol in ["2", "3"] {
        let mut group = Group::start(3);
        let leader = group.leader();
        let port = group
            .client_address(group.follower())
            .rsplit_once(':')
            .unwrap()
            .1;
        let child = Command::new(&python)
            .args(["-c", SCRIPT, port, protocol])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut script = Script(child);
        let mut lines = BufReader::new(script.0.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "served");
        group.kill(leader);
        script
            .0
            .stdin
            .take()
            .unwrap()
            .write_all(b"go on\n")
            .unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), "served again");
        assert!(script.0.wait().unwrap().success());
    }
}
