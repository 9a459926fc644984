//! Random faults on nodes and processes of this machine, whose controllers, agents and guardians are killed at random
//! moments; after each round the machine must be as it was before.
//!
//! - `hold`: a controller in a process of its own, to be killed;
//! - `home`: the state directory of a soak;
//! - `stranger`: a process of somebody else, which must come out of it unharmed;
//! - `kill`: who is killed, and in what order;
//! - `condition`: what is compared before and after.

mod condition;
mod hold;
mod home;
mod kill;
mod stranger;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use faults::FaultType;
use node::journal;
use vocab::ids::RunName;
use vocab::units::Span;

use crate::cluster::{StateDir, run_of};
use crate::plan::Generator;
use condition::Condition;
use home::Home;
use stranger::Stranger;

pub use hold::{Hold, hold};
pub use home::heal_abandoned;
pub use kill::{Blow, Healer};

/// Short, so that rounds are.
const LEASE: Span = Span::seconds(3);

/// How long a machine may take to be as before; a busy one takes its time.
const PATIENCE: Duration = Duration::from_secs(90);

/// How long a controller may take until its faults are in.
const UP_WITHIN: Duration = Duration::from_secs(90);

/// What to do.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How often.
    pub rounds: u32,
    /// Of everything random.
    pub seed: u64,
    /// The depbench program.
    pub program: PathBuf,
}

/// One round.
#[derive(Debug, Clone)]
pub struct Round {
    /// From 1.
    pub number: u32,
    /// What was slow: `node` or `process`.
    pub victim: &'static str,
    /// The faults.
    pub faults: Vec<String>,
    /// Who was killed, or cut off.
    pub blow: Blow,
    /// When: before all faults were in, or after.
    pub early: bool,
    /// How many of the faults were in; `None` if that was not waited for.
    pub injected: Option<usize>,
    /// How long it took until the machine was as before.
    pub healed: Duration,
    /// What was different at the end; nothing if all was undone.
    pub left: Vec<String>,
}

/// All rounds.
#[derive(Debug, Default)]
pub struct Tally {
    /// In turn.
    pub rounds: Vec<Round>,
}

/// Goes through all rounds; `told` hears of each.
///
/// # Errors
/// When a round cannot be begun, for reasons that have nothing to do with undoing.
pub fn soak(settings: &Settings, mut told: impl FnMut(&Round)) -> io::Result<Tally> {
    let name = run_of("soak");
    let home = Home::make(&name)?;
    let state = StateDir::at(home.path())?;
    let mut random = Generator::new(settings.seed);
    let mut tally = Tally::default();
    let stranger = Stranger::start()?;
    for number in 1..=settings.rounds {
        let run: RunName = format!("{name}-{number}")
            .parse()
            .map_err(io::Error::other)?;
        let ground = Ground {
            run,
            state: &state,
            home: home.path(),
            program: &settings.program,
            stranger: &stranger,
        };
        let round = ground.round(number, &mut random)?;
        told(&round);
        tally.rounds.push(round);
    }
    drop(stranger);
    home.remove().map_err(io::Error::other)?;
    Ok(tally)
}

/// Where one round takes place.
struct Ground<'a> {
    run: RunName,
    state: &'a StateDir,
    home: &'a Path,
    program: &'a PathBuf,
    stranger: &'a Stranger,
}

impl Ground<'_> {
    fn round(&self, number: u32, random: &mut Generator) -> io::Result<Round> {
        let on_node = random.below(2) == 0;
        let blow = Blow::ALL[random.below(Blow::ALL.len())];
        // Whoever is spared goes on with what it was doing, so it must have done it.
        let early = random.below(3) == 0 && !blow.spares_controller();
        let count = if on_node { 1 + random.below(2) } else { 1 };
        let faults: Vec<FaultType> = (0..count)
            .map(|_| hold::random_fault(random, on_node))
            .collect();
        let wait = Duration::from_millis(random.below(if early { 1200 } else { 600 }) as u64);
        let before = Condition::now(&self.run, self.home, self.stranger);

        let mut controller = Controller::start(self, &faults, on_node)?;
        let injected = if early { None } else { controller.until_up() };
        std::thread::sleep(wait);
        let begun = Instant::now();
        kill::strike(blow, controller.pid());
        if blow.healer() == Healer::Heal {
            // As a person would, once everything has died.
            heal(self.state)?;
        }
        let mut left = before.until_back(
            &self.run,
            self.home,
            self.stranger,
            blow.spares_controller(),
        );
        let healed = begun.elapsed();
        controller.end();
        if left.is_empty() {
            // What was left alone because its controller lived.
            left = before.until_back(&self.run, self.home, self.stranger, false);
        }
        if !left.is_empty() {
            // For the rounds to come.
            heal(self.state)?;
        }
        Ok(Round {
            number,
            victim: if on_node { "node" } else { "process" },
            faults: faults.iter().map(ToString::to_string).collect(),
            blow,
            early,
            injected,
            healed,
            left,
        })
    }
}

fn heal(state: &StateDir) -> io::Result<()> {
    journal::heal(&state.journal())
        .map(|_report| ())
        .map_err(io::Error::other)
}

/// The process that holds the faults up.
struct Controller {
    child: Child,
    told: std::sync::mpsc::Receiver<String>,
}

impl Controller {
    fn start(ground: &Ground<'_>, faults: &[FaultType], on_node: bool) -> io::Result<Controller> {
        let hold = Hold {
            run: ground.run.clone(),
            state: ground.home.to_owned(),
            lease: LEASE,
            faults: faults.to_vec(),
            process: (!on_node).then(|| ground.stranger.pid()),
            killer: std::process::id() as i32,
        };
        let mut child = Command::new(ground.program)
            .arg("soak-hold")
            .arg(serde_json::to_string(&hold)?)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let out = child.stdout.take().expect("it was asked to be a pipe");
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            use std::io::BufRead as _;
            for line in io::BufReader::new(out).lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Controller { child, told })
    }

    fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Waits until its faults are in, and says how many are: some may not be possible at the moment.
    fn until_up(&self) -> Option<usize> {
        let line = self.told.recv_timeout(UP_WITHIN).ok()?;
        line.parse().ok()
    }

    /// Kills it if it still lives.
    fn end(&mut self) {
        let _ended_before = self.child.kill();
        let _status = self.child.wait();
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.end();
    }
}

impl Tally {
    /// Whether nothing was left in any round.
    pub fn is_clean(&self) -> bool {
        self.rounds.iter().all(|round| round.left.is_empty())
    }

    fn of(&self, healer: Healer) -> impl Iterator<Item = &Round> {
        self.rounds
            .iter()
            .filter(move |round| round.blow.healer() == healer)
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "round {:>3}  {:<7}  {:<38}  {}{}  ",
            self.number,
            self.victim,
            self.faults.join(", "),
            self.blow,
            if self.early { ", early" } else { "" }
        )?;
        match self.left.is_empty() {
            true => write!(f, "as before after {:.1} s", self.healed.as_secs_f64()),
            false => write!(f, "LEFT: {}", self.left.join("; ")),
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<44} {:>6} {:>9} {:>5} {:>12} {:>12}",
            "who undid it", "rounds", "as before", "left", "median s", "longest s"
        )?;
        for healer in [Healer::Agent, Healer::Guardian, Healer::Heal] {
            let mut times: Vec<f64> = self
                .of(healer)
                .map(|round| round.healed.as_secs_f64())
                .collect();
            times.sort_by(f64::total_cmp);
            let clean = self
                .of(healer)
                .filter(|round| round.left.is_empty())
                .count();
            let time = |at: usize| {
                times
                    .get(at)
                    .map_or("-".to_owned(), |time| format!("{time:.1}"))
            };
            writeln!(
                f,
                "{:<44} {:>6} {:>9} {:>5} {:>12} {:>12}",
                healer.to_string(),
                times.len(),
                clean,
                times.len() - clean,
                time(times.len() / 2),
                time(times.len().saturating_sub(1))
            )?;
        }
        let late = || self.rounds.iter().filter(|round| !round.early);
        write!(
            f,
            "{} rounds before all faults were in; in the others {} of {} faults were",
            self.rounds.len() - late().count(),
            late().filter_map(|round| round.injected).sum::<usize>(),
            late().map(|round| round.faults.len()).sum::<usize>()
        )
    }
}
