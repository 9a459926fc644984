use std::io::{self, Write};
use std::net::SocketAddr;
use std::rc::Rc;

use nix::sys::signal::{SigSet, Signal};

use crate::job::{DriverKind, LoadJob};
use crate::load::Reporter;
use crate::redis;
use crate::redis::session::Via;
use crate::report::LoadReport;

/// Why a load could not be made.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// None of the servers could be reached before the start.
    #[error("none of the servers {servers:?} could be reached; last: {}", failure.as_deref().unwrap_or("no attempt ended in time"))]
    Unreachable {
        /// The servers that were tried.
        servers: Vec<SocketAddr>,
        /// What went wrong with the last one, if anything did.
        failure: Option<String>,
    },
    /// A job without servers.
    #[error("the job names no server")]
    NoServers,
    /// A driver that this program was built without.
    #[error(
        "this program was built without the {0} driver: build it with the feature of that name"
    )]
    NotBuilt(&'static str),
    /// The system refused what every worker needs.
    #[error("the load worker could not go on: {0}")]
    System(#[from] io::Error),
}

/// Makes the load of `job` and writes what comes of it to `out`, one [`LoadReport`] a line, until the last phase is
/// over or nobody reads `out` any more.
///
/// Blocks; one thread makes the load, another one of low priority writes.
///
/// # Errors
/// What kept it from starting or going on; that was reported to `out`, too.
pub fn run_worker(job: &LoadJob, out: impl Write + Send + 'static) -> Result<(), LoadError> {
    if job.hold {
        // Before there is another thread that could take it.
        start_signal().thread_block().map_err(io::Error::from)?;
    }
    let reporter = Rc::new(Reporter::start(out));
    let result = drive(job, &reporter);
    if let Err(error) = &result {
        reporter.send(LoadReport::Failed {
            message: error.to_string(),
        });
    }
    result
}

/// The signal that lets held workers start.
pub(crate) fn start_signal() -> SigSet {
    SigSet::from(Signal::SIGUSR1)
}

fn drive(job: &LoadJob, reporter: &Rc<Reporter>) -> Result<(), LoadError> {
    if job.servers.is_empty() {
        return Err(LoadError::NoServers);
    }
    match job.driver {
        DriverKind::Resp if job.workload.exactly_once => {
            redis::session::run(job, Via::Leader, reporter)
        }
        DriverKind::Resp => redis::run(job, reporter),
        DriverKind::Pilots => redis::session::run(job, Via::Pilots, reporter),
        #[cfg(feature = "etcd")]
        DriverKind::Etcd => crate::etcd::run(job, reporter),
        #[cfg(not(feature = "etcd"))]
        DriverKind::Etcd => Err(LoadError::NotBuilt("etcd")),
    }
}
