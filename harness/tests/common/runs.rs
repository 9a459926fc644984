//! Runs of the program as a person makes them: an experiment file, a directory for everything, and what came of it.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use results::{RunDir, Validity};
use tempfile::TempDir;

use super::PROGRAM;
use super::leftovers::{self, Leftovers, Scope};

/// Longer than anything here takes, also on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(600);

/// How long agents may take to undo everything once their controller is gone: a lease, and what a busy machine takes.
pub const UNDONE_WITHIN: Duration = Duration::from_secs(120);

/// Two clusters at once would share two cores, and each would make the other's trials invalid.
static ALONE: Mutex<()> = Mutex::new(());

/// Why a trial on a busy machine may be invalid although everything works.
const HONEST_REASONS: [&str; 3] = [
    // A server that gets little of the machine anyway does not want more than a fault leaves it.
    "had no effect",
    // What a busy machine reads late may be outside of a tolerance.
    "was not as asked",
    // What else runs looks like what a fault left.
    "left something behind",
];

/// Whether this test can be run; says why not.
pub fn needs_program(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let found = path
        .split(':')
        .any(|dir| Path::new(dir).join(program).exists());
    if !found {
        println!("skipped: {program} is not installed");
    }
    found
}

/// An experiment of a test's own, everything it makes, and what must not be left of it.
pub struct Lab {
    name: String,
    dir: TempDir,
    state: PathBuf,
    honest: Vec<&'static str>,
    _alone: Option<MutexGuard<'static, ()>>,
}

impl Lab {
    /// The only one at a time in this test program.
    pub fn new(test: &str) -> Lab {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lab = Lab::beside(test, Path::new(""));
        lab.state = lab.path().join("state");
        lab._alone = Some(alone);
        lab
    }

    /// Another experiment at the same time and with the same state directory.
    pub fn neighbour(&self, test: &str) -> Lab {
        Lab::beside(test, &self.state)
    }

    fn beside(test: &str, state: &Path) -> Lab {
        let name = format!("t-{test}-{}", std::process::id());
        assert!(
            name.len() <= 23,
            "a run's name begins with 23 characters of its experiment's: {name}"
        );
        let dir = tempfile::Builder::new()
            .prefix("db-test-")
            .tempdir()
            .unwrap();
        Lab {
            name,
            dir,
            state: state.to_owned(),
            honest: HONEST_REASONS.to_vec(),
            _alone: None,
        }
    }

    /// Allows trials to be invalid for another reason.
    pub fn allow(&mut self, reason: &'static str) {
        self.honest.push(reason);
    }

    /// The experiment's name, with which those of its runs begin.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Where everything lies that must outlive the program's processes.
    pub fn state(&self) -> PathBuf {
        self.state.clone()
    }

    /// The directory of results that [`Lab::start`] names.
    pub fn out(&self) -> PathBuf {
        self.path().join("out")
    }

    /// Writes an experiment file; `body` is all of it but the name.
    pub fn file(&self, body: &str) -> PathBuf {
        let path = self.path().join("experiment.yaml");
        fs::write(&path, format!("name: {}\n{body}", self.name)).unwrap();
        path
    }

    /// Starts a run of an experiment.
    pub fn start(&self, body: &str) -> Program {
        let (file, out) = (self.file(body), self.out());
        self.depbench(&[
            "run",
            file.to_str().unwrap(),
            "--out",
            out.to_str().unwrap(),
        ])
    }

    /// Starts what is missing of the run.
    pub fn resume(&self) -> Program {
        self.depbench(&["run", "--resume", self.out().to_str().unwrap()])
    }

    /// Draws the report of the run again.
    pub fn report(&self) -> Ended {
        self.depbench(&["report", self.out().to_str().unwrap()])
            .end()
    }

    /// Starts the program.
    pub fn depbench(&self, arguments: &[&str]) -> Program {
        let mut command = Command::new(PROGRAM);
        command.args(arguments);
        self.spawn(command)
    }

    /// Starts any program that is to use this directory.
    pub fn spawn(&self, mut command: Command) -> Program {
        command
            .env("DEPBENCH_STATE_DIR", self.state())
            .current_dir(self.path());
        Program::start(command, self.path())
    }

    /// The results of the run.
    pub fn results(&self) -> RunDir {
        RunDir::open(&self.out()).unwrap()
    }

    /// What became of each trial that was begun, in the order of the experiment.
    pub fn validities(&self) -> Vec<Validity> {
        let trials = self.results().trials().unwrap();
        trials
            .iter()
            .map(|trial| trial.record().validity())
            .collect()
    }

    /// All trials ran to their end, they are valid unless the machine was too busy, and the program ended accordingly.
    pub fn assert_sound(&self, ended: &Ended, trials: usize) {
        let validities = self.validities();
        assert_eq!(validities.len(), trials, "{ended}");
        self.assert_honest(&validities, ended);
        let valid = validities
            .iter()
            .all(|validity| validity.reason().is_none());
        ended.expect(if valid { 0 } else { 2 });
    }

    /// These trials are valid, or say that the machine was too busy.
    pub fn assert_honest(&self, validities: &[Validity], ended: &Ended) {
        for reason in validities.iter().filter_map(Validity::reason) {
            println!("invalid: {reason}");
            assert!(
                self.honest.iter().any(|honest| reason.contains(honest)),
                "{reason}\n{ended}"
            );
        }
    }

    /// What is there of the experiment's runs.
    pub fn leftovers(&self) -> Leftovers {
        // The names of runs begin with the experiment's.
        let run = self.name.parse().unwrap();
        let mut left = leftovers::find(&Scope::Run {
            run: &run,
            state: &self.state(),
        });
        left.extend(self.processes());
        left
    }

    fn processes(&self) -> Vec<String> {
        let mut found = Vec::new();
        for process in fs::read_dir("/proc").unwrap().flatten() {
            let text = |file: &str| {
                let bytes = fs::read(process.path().join(file)).unwrap_or_default();
                String::from_utf8_lossy(&bytes).replace('\0', " ")
            };
            let (cmdline, environ) = (text("cmdline"), text("environ"));
            let ours = cmdline.contains(&format!("\"run\":\"{}-", self.name))
                || environ.contains(&format!("DEPBENCH_RUN={}-", self.name));
            if ours {
                found.push(format!(
                    "process {}: {cmdline:.100}",
                    process.path().display()
                ));
            }
        }
        found
    }

    /// Nothing is there of the experiment's runs.
    pub fn assert_clean(&self) {
        assert_eq!(self.leftovers(), Leftovers::new());
    }

    /// Waits until nothing is left, at most `within`.
    pub fn assert_clean_within(&self, within: Duration) {
        let begun = Instant::now();
        loop {
            let left = self.leftovers();
            if left.is_empty() {
                println!("clean after {:?}", begun.elapsed());
                return;
            }
            assert!(
                begun.elapsed() < within,
                "after {within:?} there is left: {left:#?}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// A program that runs.
pub struct Program {
    child: Child,
    out: PathBuf,
    err: PathBuf,
    begun: Instant,
}

impl Program {
    fn start(mut command: Command, dir: &Path) -> Program {
        let number = fs::read_dir(dir).unwrap().count();
        let file = |ending: &str| dir.join(format!("program-{number}.{ending}"));
        let (out, err) = (file("out"), file("err"));
        command.stdin(Stdio::null());
        command
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(&err).unwrap());
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Program {
            child,
            out,
            err,
            begun: Instant::now(),
        }
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Waits until it has said `words` on standard error so many times; gives all it said there.
    pub fn until(&mut self, words: &str, times: usize) -> String {
        self.until_in(&self.err.clone(), words, times)
    }

    /// The same on standard output.
    pub fn until_printed(&mut self, words: &str, times: usize) -> String {
        self.until_in(&self.out.clone(), words, times)
    }

    fn until_in(&mut self, file: &Path, words: &str, times: usize) -> String {
        loop {
            let status = self.child.try_wait().unwrap();
            let said = fs::read_to_string(file).unwrap();
            if said.matches(words).count() >= times {
                return said;
            }
            assert_eq!(status, None, "ended without saying `{words}`: {said}");
            assert!(
                self.begun.elapsed() < PATIENCE,
                "never said `{words}`: {said}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until its first fault is in force; gives the node that is slow.
    pub fn until_slow(&mut self) -> String {
        let said = self.until("fault-effective ", 1);
        let (_, from) = said.split_once("fault-effective ").unwrap();
        from.split_once(':').unwrap().0.to_owned()
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// Waits for its end.
    pub fn end(mut self) -> Ended {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None => assert!(Instant::now() < deadline, "still runs: {}", self.said()),
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let read = |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        let ended = Ended {
            status,
            out: read(&self.out),
            err: read(&self.err),
        };
        println!("{status} after {:.1?}", self.begun.elapsed());
        ended
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.err).unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Of a test that failed; agents undo everything when their controller is gone.
        let _ended_before = self.child.kill();
        let _status = self.child.wait();
    }
}

/// A program that has ended.
pub struct Ended {
    pub status: ExitStatus,
    pub out: String,
    pub err: String,
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}\n--- standard output\n{}\n--- standard error\n{}",
            self.status, self.out, self.err
        )
    }
}

impl Ended {
    /// It ended with this exit code.
    pub fn expect(&self, code: i32) -> &Ended {
        assert_eq!(self.status.code(), Some(code), "{self}");
        self
    }

    /// It was killed.
    pub fn expect_killed(&self) -> &Ended {
        assert_eq!(self.status.signal(), Some(Signal::SIGKILL as i32), "{self}");
        self
    }

    /// One of its outputs contains all of these.
    pub fn says(&self, words: &[&str]) -> &Ended {
        for words in words {
            assert!(
                self.out.contains(words) || self.err.contains(words),
                "`{words}` is not in: {self}"
            );
        }
        self
    }
}
