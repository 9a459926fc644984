use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use vocab::ids::{NodeName, RunName};
use vocab::time::Wall;

use super::owner::{Owner, OwnerName};
use super::undo::{Lifetime, Undo};
use super::{JournalError, perform, store};
use crate::identity::{BootId, ProcessId};
use crate::namespace::{Namespace, NamespaceId, NetworkId};

/// For what an owner changes this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Purpose {
    /// The run.
    pub run: RunName,
    /// The node of the run.
    pub node: NodeName,
}

/// The version of the entry files that this program writes and understands.
pub(super) const VERSION: u32 = 1;

/// What an entry file holds: an undo, and all that is needed to judge whether and where it applies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    version: u32,
    /// When it was written.
    pub at: Wall,
    /// In which boot the change was made.
    pub boot: BootId,
    /// Who made it.
    pub owner: OwnerName,
    /// The process that wrote the entry, numbered as in `pid_namespace`.
    pub process: ProcessId,
    /// For what it was made.
    pub purpose: Purpose,
    /// Where process numbers apply.
    pub pid_namespace: NamespaceId,
    /// Where links, qdiscs and chains are.
    pub net_namespace: NetworkId,
    /// Where paths were seen.
    pub mount_namespace: NamespaceId,
    /// What to do.
    pub undo: Undo,
}

impl Header {
    pub(super) fn new(owner: &Owner, undo: Undo) -> Result<Header, JournalError> {
        let gather = || {
            Ok(Header {
                version: VERSION,
                at: Wall::now(),
                boot: BootId::current()?,
                owner: owner.name().clone(),
                process: ProcessId::current()?,
                purpose: owner.purpose().clone(),
                pid_namespace: NamespaceId::current(Namespace::Pid)?,
                net_namespace: NetworkId::current()?,
                mount_namespace: NamespaceId::current(Namespace::Mount)?,
                undo,
            })
        };
        gather().map_err(JournalError::Identity)
    }

    /// Reads an entry; a text that is not an entry of this version is an error that says so.
    pub(super) fn read(path: &Path) -> Result<Header, String> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let text = fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
        let Versioned { version } = serde_json::from_slice(&text)
            .map_err(|error| format!("is no journal entry: {error}"))?;
        if version != VERSION {
            return Err(format!(
                "has version {version}, this program knows {VERSION}: heal with the depbench that wrote it"
            ));
        }
        let header: Header = serde_json::from_slice(&text)
            .map_err(|error| format!("is no journal entry: {error}"))?;
        header.undo.check()?;
        Ok(header)
    }

    /// Whether the change cannot have outlived the boot it was made in.
    pub(super) fn ended_with_its_boot(&self, now: &BootId) -> bool {
        self.boot != *now && self.undo.lifetime() == Lifetime::Boot
    }
}

/// A change whose undo is on disk. Dropping it leaves the undo standing: it is then carried out by the guardian or
/// the next heal.
#[must_use = "undo it, or mark it undone; else only the guardian or a heal will"]
#[derive(Debug)]
pub struct Entry {
    header: Header,
    path: PathBuf,
    /// The entry belongs to a lock that must not be freed before it.
    owner: Arc<Owner>,
}

impl Entry {
    pub(super) fn new(header: Header, path: PathBuf, owner: Arc<Owner>) -> Entry {
        Entry {
            header,
            path,
            owner,
        }
    }

    /// The undo that is on disk.
    pub fn undo_kept(&self) -> &Undo {
        &self.header.undo
    }

    /// Whose entry this is.
    pub fn owner(&self) -> &OwnerName {
        self.owner.name()
    }

    /// Undoes the change now, in the namespaces it was made in, and forgets it.
    ///
    /// # Errors
    /// When the undo fails; it then stays on disk for a later heal.
    pub fn undo(self) -> Result<(), JournalError> {
        perform::perform(&self.header).map_err(|reason| JournalError::Failed {
            undo: self.header.undo.to_string(),
            reason,
        })?;
        self.undone()
    }

    /// Forgets a change that was undone by other means, or never made.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn undone(self) -> Result<(), JournalError> {
        store::forget(&self.path)
    }
}
