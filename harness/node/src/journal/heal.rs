use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::JournalError;
use super::entry::{Header, Purpose};
use super::owner::{Gate, LOCK, Lock, OwnerName, remove_if_empty};
use super::undo::Undo;
use super::{perform, store};
use crate::identity::BootId;

/// What a heal found and did.
#[derive(Debug, Default)]
pub struct Report {
    /// What was undone.
    pub healed: Vec<Healed>,
    /// Owners that are alive (or just being healed by someone else); nothing of theirs was touched.
    pub live: Vec<OwnerName>,
    /// What could not be undone; it stays in the journal.
    pub unhealed: Vec<Unhealed>,
}

impl Report {
    /// Whether nothing stale is left.
    pub fn is_complete(&self) -> bool {
        self.unhealed.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for healed in &self.healed {
            writeln!(f, "{healed}")?;
        }
        for unhealed in &self.unhealed {
            writeln!(f, "{unhealed}")?;
        }
        for owner in &self.live {
            writeln!(f, "left alone: {owner} is alive")?;
        }
        match (self.healed.len(), self.unhealed.len()) {
            (0, 0) if self.live.is_empty() => f.write_str("nothing to heal"),
            (0, 0) => f.write_str("nothing else to heal"),
            (done, 0) => write!(f, "{done} healed"),
            (done, failed) => write!(f, "{done} healed, {failed} could not be healed"),
        }
    }
}

/// A change that was undone.
#[derive(Debug)]
pub struct Healed {
    /// Whose change it was.
    pub owner: OwnerName,
    /// For what it was made.
    pub purpose: Purpose,
    /// The undo.
    pub undo: Undo,
    /// How it went.
    pub outcome: Outcome,
}

impl fmt::Display for Healed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Purpose { run, node } = &self.purpose;
        let how = match self.outcome {
            Outcome::Undone => "healed",
            Outcome::EndedWithItsBoot => "ended with its boot",
        };
        write!(f, "{how}: {run}/{node}: {}", self.undo)
    }
}

/// How an undo went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was carried out, or there was nothing left to undo.
    Undone,
    /// The change was kernel state of an earlier boot.
    EndedWithItsBoot,
}

/// An entry that stays in the journal.
#[derive(Debug)]
pub struct Unhealed {
    /// The entry's file.
    pub path: PathBuf,
    /// Why it could not be undone.
    pub reason: String,
}

impl fmt::Display for Unhealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not healed: {}: {}", self.path.display(), self.reason)
    }
}

/// Undoes everything that dead owners left in the journal at `dir`, latest first, and never anything of a live owner.
///
/// Heals may run at the same time; each stale owner is healed by one of them. A journal that does not exist has
/// nothing to heal.
///
/// # Errors
/// When the journal cannot be read. What cannot be undone is in the report and stays in the journal.
pub fn heal(dir: &Path) -> Result<Report, JournalError> {
    let mut report = Report::default();
    if !dir.try_exists().map_err(JournalError::file("open", dir))? {
        return Ok(report);
    }
    let begun = Instant::now();
    let mut tried = BTreeSet::new();
    loop {
        let found = look_through(dir)?;
        for (owner_dir, lock) in found.stale {
            let owner = OwnerName::of_dir(&owner_dir);
            if tried.insert(owner.clone()) {
                heal_entries(&owner_dir, &owner, &mut report)?;
                remove_if_empty(&owner_dir)?;
            }
            drop(lock);
        }
        if found.dying.is_empty() || begun.elapsed() > DYING {
            report.live = [found.live, found.dying].concat();
            return Ok(report);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// How long what is left of an owner whose first process was killed may hold its lock: a child between its fork and its
/// exec, or an agent that has noticed and undoes everything, on a machine that does much else.
const DYING: Duration = Duration::from_secs(30);

/// The owners in a journal.
#[derive(Default)]
struct Owners {
    /// Dead ones, locked for whoever heals them.
    stale: Vec<(PathBuf, Lock)>,
    /// Those whose first process is gone, though something still holds their lock.
    dying: Vec<OwnerName>,
    live: Vec<OwnerName>,
}

fn look_through(journal: &Path) -> Result<Owners, JournalError> {
    let _gate = Gate::enter(journal)?;
    let mut owners = Owners::default();
    for entry in fs::read_dir(journal).map_err(JournalError::file("list", journal))? {
        let dir = entry.map_err(JournalError::file("list", journal))?.path();
        if !dir.is_dir() {
            continue;
        }
        let name = OwnerName::of_dir(&dir);
        match Lock::take(&dir.join(LOCK)) {
            Ok(Some(lock)) => owners.stale.push((dir, lock)),
            Ok(None) if name.may_live() => owners.live.push(name),
            Ok(None) => owners.dying.push(name),
            // Its maker died before it held anything, or a healer is just removing it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let _ = fs::remove_dir(&dir);
            }
            Err(error) => return Err(JournalError::file("lock", &dir)(error)),
        }
    }
    Ok(owners)
}

/// Undoes the entries in the directory of an owner whose lock the caller holds.
pub(super) fn heal_entries(
    dir: &Path,
    owner: &OwnerName,
    report: &mut Report,
) -> Result<(), JournalError> {
    let boot = BootId::current().map_err(JournalError::Identity)?;
    store::sweep_unfinished(dir)?;
    for path in store::list(dir)? {
        match heal_entry(&path, &boot) {
            Ok((header, outcome)) => report.healed.push(Healed {
                owner: owner.clone(),
                purpose: header.purpose,
                undo: header.undo,
                outcome,
            }),
            Err(reason) => report.unhealed.push(Unhealed { path, reason }),
        }
    }
    Ok(())
}

fn heal_entry(path: &Path, boot: &BootId) -> Result<(Header, Outcome), String> {
    let header = Header::read(path)?;
    let outcome = if header.ended_with_its_boot(boot) {
        Outcome::EndedWithItsBoot
    } else {
        perform::perform(&header)?;
        Outcome::Undone
    };
    store::forget(path).map_err(|error| error.to_string())?;
    Ok((header, outcome))
}
