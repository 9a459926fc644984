use std::fs::File;
use std::io;
use std::path::Path;

use nix::fcntl::{Flock, FlockArg};

use super::RunError;

/// The right to write to a run's directory, which one run has at a time; it ends with the process, however that ends.
pub(super) struct Claim {
    _lock: Flock<File>,
}

impl Claim {
    pub(super) fn of(dir: &Path) -> Result<Claim, RunError> {
        let refused = |source| RunError::System {
            what: "cannot claim the directory of the run",
            source,
        };
        let file = File::open(dir).map_err(refused)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Claim { _lock: lock }),
            Err((_, nix::Error::EWOULDBLOCK)) => Err(RunError::NotResumable {
                dir: dir.to_owned(),
                reason: "a run is going on in it".to_owned(),
            }),
            Err((_, error)) => Err(refused(io::Error::from(error))),
        }
    }
}
