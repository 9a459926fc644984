//! Carries out an undo. "Already gone" is success everywhere.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, umount2};
use nix::sys::signal::Signal;

use super::entry::Header;
use super::marked;
use super::undo::{FileWrite, Undo};
use crate::cgroup;
use crate::devmapper;
use crate::identity::ProcessId;
use crate::links::{LinkName, Links};
use crate::namespace::{Namespace, NamespaceId, NetworkId};
use crate::netns::NetNs;
use crate::swapdisk;
use crate::tag;
use crate::tool::{iptables, tc};

/// How long a namespace may take to be over after its first process has ended.
const PATIENCE: Duration = Duration::from_secs(3);

/// Undoes what `header` says, in the namespaces it was made in; the reason if that fails.
pub(super) fn perform(header: &Header) -> Result<(), String> {
    match &header.undo {
        Undo::WriteFiles { writes } => writes.iter().try_for_each(write),
        Undo::RemoveCgroup { paths } => paths
            .iter()
            .try_for_each(|path| cgroup::remove_tree(path))
            .map_err(|error| error.to_string()),
        Undo::ReleaseCgroup { lodgings } => lodgings
            .iter()
            .try_for_each(cgroup::release)
            .map_err(|error| error.to_string()),
        Undo::Resume { process } => signal(header, process, Signal::SIGCONT),
        Undo::Kill { process } => signal(header, process, Signal::SIGKILL),
        Undo::KillMarked { mark } => marked::kill_all(mark),
        Undo::SwapOff { device, image } => swapdisk::swap_off(device, *image)
            .map_err(|error| format!("{}: {error}", device.display())),
        Undo::RemoveDelay { name } => {
            devmapper::remove(name).map_err(|error| format!("{name}: {error}"))
        }
        Undo::Unmount { path } => unmount(header, path),
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
        Undo::DeleteFilters { device, preference } => in_network(header.net_namespace, || {
            let links = Links::open().map_err(|error| error.to_string())?;
            links
                .delete_filters(device, *preference)
                .map_err(|error| error.to_string())
        }),
        Undo::DeleteClsact { device } => in_network(header.net_namespace, || clsact(device)),
        Undo::DeleteLink { name } => in_network(header.net_namespace, || {
            let links = Links::open().map_err(|error| error.to_string())?;
            links.delete(name).map_err(|error| error.to_string())
        }),
        Undo::DeleteTable { version, table } => in_network(header.net_namespace, || {
            iptables::delete_if_unused(*version, *table).map_err(|error| error.to_string())
        }),
        Undo::DeleteChain { chain } => in_network(header.net_namespace, || {
            iptables::delete(chain).map_err(|error| error.to_string())
        }),
    }
}

/// Deletes the place for filters before a link's qdisc, unless somebody has put a filter there.
fn clsact(device: &LinkName) -> Result<(), String> {
    let links = Links::open().map_err(|error| error.to_string())?;
    match links.index(device) {
        Err(error) if error.is(libc::ENODEV) => return Ok(()),
        Err(error) => return Err(error.to_string()),
        Ok(_) => {}
    }
    for shown in tc::show_filters(device) {
        let filters = shown.run().map_err(|error| error.to_string())?;
        if !filters.trim().is_empty() {
            return Ok(());
        }
    }
    links
        .delete_clsact(device)
        .map_err(|error| error.to_string())
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

/// Takes a file system of ours off `path`, open files or not; one of a mount namespace that is over went with it.
fn unmount(header: &Header, path: &Path) -> Result<(), String> {
    let here = NamespaceId::current(Namespace::Mount).map_err(|error| error.to_string())?;
    if here != header.mount_namespace {
        return wait_until_over(header.mount_namespace, Namespace::Mount, path.display());
    }
    let mounts =
        fs::read_to_string("/proc/thread-self/mountinfo").map_err(|error| error.to_string())?;
    if !mounts.lines().any(|line| is_layer_at(line, path)) {
        return Ok(());
    }
    umount2(path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)
        .map_err(|error| io::Error::from(error).to_string())
}

fn is_layer_at(mount: &str, path: &Path) -> bool {
    let Some((mount, source)) = mount.split_once(" - ") else {
        return false;
    };
    let at = mount.split(' ').nth(4).unwrap_or_default();
    let mut source = source.split(' ');
    let is_fuse = source.next() == Some("fuse");
    is_fuse && source.next() == Some(tag::LAYER) && Path::new(at) == path
}

fn wait_until_over(
    id: NamespaceId,
    namespace: Namespace,
    what: impl fmt::Display,
) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    while let Some(path) = id.find(namespace) {
        if Instant::now() > deadline {
            return Err(format!(
                "{what} is of the namespace of {}: heal from inside it",
                path.display()
            ));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
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
    wait_until_over(header.pid_namespace, Namespace::Pid, process)
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
