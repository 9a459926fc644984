//! The undo journal: before any change its undo is on disk.
//!
//! The journal is a directory with one directory per **owner**: an agent together with its guardian. An owner's
//! directory holds a `lock` and one JSON file per change that still stands. The lock is a `flock` on one open file
//! description shared by guardian and agent (and closed on exec, so that nothing they start holds it): it can be taken
//! if and only if both are dead, and then, and only then, [`heal`] undoes what stands there.
//!
//! Every entry is written to a temporary file, synced and renamed, and the directory is synced, before
//! [`Journal::record`] returns: a crash leaves an entry whole or not at all.
//!
//! ```no_run
//! # use node::journal::{Journal, Undo, default_dir, Purpose};
//! # fn main() -> Result<(), node::journal::JournalError> {
//! let purpose = Purpose { run: "demo".parse().expect("a name"), node: "s1".parse().expect("a name") };
//! let journal = Journal::open(&default_dir(), &purpose)?;
//! let entry = journal.record(Undo::write_file("/sys/fs/cgroup/cpu/depbench-demo-s1/cpu.cfs_quota_us", "-1"))?;
//! // … change the value …
//! entry.undo()?; // restores it, then forgets the entry
//! # Ok(())
//! # }
//! ```

mod entry;
mod heal;
mod marked;
mod owner;
mod perform;
mod store;
mod undo;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::unistd::{AccessFlags, access, geteuid};

pub use entry::{Entry, Header, Purpose};
pub use heal::{Healed, Outcome, Report, Unhealed, heal};
pub use owner::OwnerName;
pub use undo::{FileWrite, Undo};

use owner::Owner;

/// Where the journal lies: `$DEPBENCH_STATE_DIR/journal`, else `/var/lib/depbench/journal` for who may write there
/// (root), else `depbench/journal` under `$XDG_STATE_HOME` or `~/.local/state`.
///
/// To be asked before a user namespace is entered, where everybody looks like root.
pub fn default_dir() -> PathBuf {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(dir) = variable("DEPBENCH_STATE_DIR") {
        return PathBuf::from(dir).join("journal");
    }
    // Root of a user namespace looks like root, but is none here.
    let may_write = access("/var/lib", AccessFlags::W_OK).is_ok();
    if geteuid().is_root() && may_write {
        return PathBuf::from("/var/lib/depbench/journal");
    }
    let state = variable("XDG_STATE_HOME").map(PathBuf::from);
    let home = || PathBuf::from(variable("HOME").unwrap_or_else(|| "/tmp".into()));
    state
        .unwrap_or_else(|| home().join(".local/state"))
        .join("depbench/journal")
}

/// An open journal: the place where one owner notes how to undo what it does. Clones share the owner.
///
/// Dropping the last clone in the last process of the owner frees the owner's lock; entries that still stand are then
/// stale and are undone by the next [`heal`].
#[derive(Debug, Clone)]
pub struct Journal {
    owner: Arc<Owner>,
    sequence: Arc<AtomicU64>,
}

impl Journal {
    /// Opens the journal in `dir` (made if absent) as a new owner, whose lock this process holds from now on.
    ///
    /// A process that is forked off afterwards shares the lock until it ends or execs.
    ///
    /// # Errors
    /// When the directory cannot be made or written.
    pub fn open(dir: &Path, purpose: &Purpose) -> Result<Journal, JournalError> {
        Ok(Journal {
            owner: Arc::new(Owner::open(dir, purpose)?),
            sequence: Arc::new(AtomicU64::new(1)),
        })
    }

    /// Puts `undo` on disk; only after that may the change be made.
    ///
    /// Namespaces are those of the calling thread.
    ///
    /// # Errors
    /// When the undo would touch what is not ours, or cannot be written; the change must then not be made.
    pub fn record(&self, undo: Undo) -> Result<Entry, JournalError> {
        undo.check().map_err(JournalError::Refused)?;
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        let header = Header::new(&self.owner, undo)?;
        let path = store::write(self.owner.dir(), sequence, &header)?;
        Ok(Entry::new(header, path, Arc::clone(&self.owner)))
    }

    /// Whose journal this is.
    pub fn owner(&self) -> &OwnerName {
        self.owner.name()
    }

    /// The owner's directory, for nameless files that live as long as what is noted here.
    pub fn dir(&self) -> &Path {
        self.owner.dir()
    }

    /// Undoes everything of this owner that still stands, latest first.
    ///
    /// For the owner itself: at the end of its work, or in the guardian after the agent died.
    ///
    /// # Errors
    /// When the owner's directory cannot be read; what could not be undone is in the report.
    pub fn heal_own(&self) -> Result<Report, JournalError> {
        let mut report = Report::default();
        heal::heal_entries(self.owner.dir(), self.owner.name(), &mut report)?;
        Ok(report)
    }

    /// Removes the owner's directory, unless an entry still stands.
    ///
    /// # Errors
    /// When the directory cannot be removed for another reason.
    pub fn close(&self) -> Result<(), JournalError> {
        self.owner.remove_if_empty()
    }
}

/// The journal could not be written, read, or carried out.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A file of the journal.
    #[error("cannot {action} {} in the undo journal: {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// An undo that would touch what does not carry our tag.
    #[error("undo refused: {0}")]
    Refused(String),
    /// An undo that was tried and failed; its entry stands.
    #[error("cannot undo: {undo}: {reason}")]
    Failed {
        /// What was to be undone.
        undo: String,
        /// Why it failed.
        reason: String,
    },
    /// This process cannot be named in an entry.
    #[error("cannot tell which process and boot this is")]
    Identity(#[source] std::io::Error),
}

impl JournalError {
    fn file(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> JournalError {
        let path = path.to_owned();
        move |source| JournalError::File {
            action,
            path,
            source,
        }
    }
}
