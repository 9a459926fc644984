use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use node::guardian::AgentSide;
use node::journal::Undo;

use super::options::Options;

/// Where the node's disk is mounted, or what stands for it.
fn disk_dir(dir: &Path) -> PathBuf {
    dir.join("disk")
}

/// Where servers keep their data, in the node's directory.
pub fn data_dir(dir: &Path) -> PathBuf {
    disk_dir(dir).join("data")
}

/// Where logs lie, in the node's directory.
pub fn logs_dir(dir: &Path) -> PathBuf {
    dir.join("logs")
}

/// What an agent has before it serves: its options, its journal and guardian, its directory.
pub(super) struct Home {
    pub(super) options: Options,
    pub(super) side: AgentSide,
}

impl Home {
    /// Makes the node's directory, whose removal is in the journal first.
    ///
    /// # Errors
    /// When it is there already or cannot be made.
    pub(super) fn make(options: Options, side: AgentSide) -> Result<Home, String> {
        let dir = &options.dir;
        if dir.exists() {
            return Err(format!(
                "{} is there already: is a run of this name alive? else `depbench heal`",
                dir.display()
            ));
        }
        // Undone with the rest of the journal, latest first.
        let record = |undo: Undo| match side.journal.record(undo) {
            Ok(_stands) => Ok(()),
            Err(error) => Err(error.to_string()),
        };
        record(Undo::RemoveDir { path: dir.clone() })?;
        if options.isolation.is_shared() {
            // Of no PID namespace that would end with the agent.
            let mark = side.journal.owner().to_string();
            record(Undo::KillMarked { mark })?;
        }
        let make = |path: &Path| -> io::Result<()> {
            DirBuilder::new().recursive(true).mode(0o700).create(path)
        };
        for path in [dir, &logs_dir(dir), &Home::tmp_of(dir), &disk_dir(dir)] {
            make(path).map_err(|error| format!("cannot make {}: {error}", path.display()))?;
        }
        Ok(Home { options, side })
    }

    /// Where the node's disk is mounted.
    pub(super) fn disk(&self) -> PathBuf {
        disk_dir(&self.options.dir)
    }

    /// Where servers keep their data.
    pub(super) fn data(&self) -> PathBuf {
        data_dir(&self.options.dir)
    }

    /// Where logs lie.
    pub(super) fn logs(&self) -> PathBuf {
        logs_dir(&self.options.dir)
    }

    /// For temporary files of what runs on the node.
    pub(super) fn tmp(&self) -> PathBuf {
        Home::tmp_of(&self.options.dir)
    }

    fn tmp_of(dir: &Path) -> PathBuf {
        dir.join("tmp")
    }
}
