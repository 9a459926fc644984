//! Carries out an undo. "Already gone" is success everywhere.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::entry::Header;
use super::marked;
use super::undo::{FileWrite, Undo};
use crate::cgroup;
use crate::identity::ProcessId;
use crate::links::Links;
use crate::namespace::{Namespace, NamespaceId, NetworkId};
use crate::netns::NetNs;
use crate::tag;
use crate::tool::iptables;

/// How long the processes of a PID namespace may take to end after the first of them.
const PATIENCE: Duration = Duration::from_secs(3);

/// Undoes what `header` says, in the namespaces it was made in; the reason if that fails.
pub(super) fn perform(header: &Header) -> Result<(), String> {
    match &header.undo {
        Undo::WriteFiles { writes } => writes.iter().try_for_each(write),
        Undo::RemoveCgroup { paths } => paths
            .iter()
            .try_for_each(|path| cgroup::remove_tree(path))
            .map_err(|error| error.to_string()),
        Undo::Resume { process } => signal(header, process, Signal::SIGCONT),
        Undo::Kill { process } => signal(header, process, Signal::SIGKILL),
        Undo::KillMarked { mark } => marked::kill_all(mark),
        Undo::RemoveDir { path } => remove_dir(path),
        Undo::DeleteQdisc {
            device,
            parent,
            handle,
        } => in_network(header.net_namespace, || {
            let links = Links::open().map_err(|error| error.to_string())?;
            links
                .delete_qdisc(device, *parent, *handle)
                .map_err(|error| error.to_string())
        }),
        Undo::DeleteLink { name } => in_network(header.net_namespace, || {
            let links = Links::open().map_err(|error| error.to_string())?;
            links.delete(name).map_err(|error| error.to_string())
        }),
        Undo::DeleteChain { chain } => in_network(header.net_namespace, || {
            iptables::delete(chain).map_err(|error| error.to_string())
        }),
    }
}

fn remove_dir(path: &Path) -> Result<(), String> {
    let parent = path.parent().unwrap_or(path);
    let real = match fs::canonicalize(parent) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        real => real.map_err(|error| error.to_string())?,
    };
    // The tag must be on what is really there: since the entry was written, someone may have put a link in the way.
    let real = real.join(path.file_name().unwrap_or_default());
    if !tag::is_tagged(&real) {
        return Err(format!("it leads to {}, which is not ours", real.display()));
    }
    match fs::remove_dir_all(&real) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(|error| error.to_string()),
    }
}

fn write(write: &FileWrite) -> Result<(), String> {
    match fs::write(&write.path, &write.content) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // The cgroup of the file was removed while it was open.
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(()),
        result => result.map_err(|error| {
            format!(
                "cannot write {:?} to {}: {error}",
                write.content,
                write.path.display()
            )
        }),
    }
}

fn signal(header: &Header, process: &ProcessId, signal: Signal) -> Result<(), String> {
    let here = NamespaceId::current(Namespace::Pid).map_err(|error| error.to_string())?;
    if here == header.pid_namespace {
        return match process.signal(signal) {
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        };
    }
    // A PID namespace without a process is over, and its processes with it; they die with its first process, but those
    // that wait for a disk not at once.
    let deadline = Instant::now() + PATIENCE;
    while let Some(path) = header.pid_namespace.find(Namespace::Pid) {
        if Instant::now() > deadline {
            return Err(format!(
                "{process} is numbered in the PID namespace of {}: heal from inside it",
                path.display()
            ));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Runs `undo` in network namespace `id`; one that is over took everything in it along.
fn in_network(
    id: NetworkId,
    undo: impl FnOnce() -> Result<(), String> + Send,
) -> Result<(), String> {
    let here = || NetworkId::current().map_err(|error| error.to_string());
    if here()? == id {
        return undo();
    }
    let Some(path) = id.inode.find(Namespace::Net) else {
        return Ok(());
    };
    let network = NetNs::open(&path).map_err(|error| error.to_string())?;
    let work = || match here()? == id {
        true => undo(),
        // Its inode was given to another one since.
        false => Ok(()),
    };
    network.run(work).map_err(|error| error.to_string())?
}
