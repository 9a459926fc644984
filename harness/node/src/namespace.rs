//! Namespaces: which kinds there are, and how one is told from another.

use std::fmt;
use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, unshare};
use serde::{Deserialize, Serialize};

/// A kind of namespace that a node may have of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Namespace {
    /// Users and privileges.
    User,
    /// Process numbers: when number 1 ends, all others are killed.
    Pid,
    /// Mounted file systems.
    Mount,
    /// Links, addresses, routes, packet filters.
    Net,
}

impl Namespace {
    /// The name of its file under `/proc/PID/ns`.
    pub fn file_name(self) -> &'static str {
        match self {
            Namespace::User => "user",
            Namespace::Pid => "pid",
            Namespace::Mount => "mnt",
            Namespace::Net => "net",
        }
    }

    pub(crate) fn flag(self) -> CloneFlags {
        match self {
            Namespace::User => CloneFlags::CLONE_NEWUSER,
            Namespace::Pid => CloneFlags::CLONE_NEWPID,
            Namespace::Mount => CloneFlags::CLONE_NEWNS,
            Namespace::Net => CloneFlags::CLONE_NEWNET,
        }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.file_name())
    }
}

/// One namespace of this boot, by its inode. The kernel may give the number out again after the namespace ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NamespaceId(u64);

impl NamespaceId {
    /// The namespace of `kind` that the calling thread is in.
    ///
    /// # Errors
    /// When `/proc` is not mounted.
    pub fn current(kind: Namespace) -> io::Result<NamespaceId> {
        NamespaceId::of_file(
            Path::new("/proc/thread-self/ns")
                .join(kind.file_name())
                .as_path(),
        )
    }

    /// The namespace that a file under `/proc/PID/ns` or a bind mount of it stands for.
    ///
    /// # Errors
    /// When there is no such file or it may not be read.
    pub fn of_file(path: &Path) -> io::Result<NamespaceId> {
        Ok(NamespaceId(fs::metadata(path)?.ino()))
    }

    /// A file that stands for this namespace, through a process or thread that is in it, a descriptor that holds it, or
    /// (for networks) a name under `/run/netns`; `None` if it is over, or held by what this user may not look at.
    pub fn find(self, kind: Namespace) -> Option<PathBuf> {
        let is_this = |path: &PathBuf| self.is_at(kind, path);
        let file = |dir: PathBuf| dir.join("ns").join(kind.file_name());
        let processes = || numbered(Path::new("/proc"));
        // One that is dead but not yet asked for by its parent still shows the PID namespace that ended with it.
        let lives = |dir: &PathBuf| {
            let stat = fs::read_to_string(dir.join("stat")).unwrap_or_default();
            stat.rsplit_once(") ")
                .is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
        };
        let by_process = processes().filter(lives).map(file).find(is_this);
        let by_thread = || {
            let threads = |process: PathBuf| numbered(&process.join("task"));
            let living = processes().flat_map(threads).filter(lives);
            living.map(file).find(is_this)
        };
        let by_descriptor = || {
            let descriptors = |process: PathBuf| numbered(&process.join("fd"));
            // Following the link of every descriptor could wait for a dead file server; its text is enough to choose.
            let text = PathBuf::from(format!("{kind}:[{self}]"));
            let is_held = |path: &PathBuf| fs::read_link(path).is_ok_and(|link| link == text);
            processes().flat_map(descriptors).find(is_held)
        };
        let by_name = || {
            let names = entries(Path::new("/run/netns"));
            names.filter(|_| kind == Namespace::Net).find(is_this)
        };
        by_process
            .or_else(by_thread)
            .or_else(by_descriptor)
            .or_else(by_name)
    }

    /// Whether `path` leads to this namespace. Inodes are counted per file system, so that is compared as well.
    fn is_at(self, kind: Namespace, path: &Path) -> bool {
        let own = fs::metadata(Path::new("/proc/self/ns").join(kind.file_name()));
        match (own, fs::metadata(path)) {
            (Ok(own), Ok(there)) => there.dev() == own.dev() && there.ino() == self.0,
            _ => false,
        }
    }
}

fn entries(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}

/// The entries whose names are numbers: processes, threads, descriptors.
fn numbered(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    entries(dir).filter(|path| {
        let name = path.file_name().unwrap_or_default();
        name.as_encoded_bytes().iter().all(u8::is_ascii_digit)
    })
}

impl fmt::Display for NamespaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// How this user becomes root of a user namespace. Made before a fork, used after it.
#[derive(Debug)]
pub(crate) struct RootMap {
    users: String,
    groups: String,
}

impl RootMap {
    pub(crate) fn of_this_user() -> RootMap {
        RootMap {
            users: format!("0 {} 1", nix::unistd::geteuid()),
            groups: format!("0 {} 1", nix::unistd::getegid()),
        }
    }

    /// Moves the calling process, which must have one thread, into a new user namespace in which it is root. Makes
    /// system calls only.
    pub(crate) fn enter(&self) -> io::Result<()> {
        unshare(CloneFlags::CLONE_NEWUSER)?;
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", &self.users)?;
        fs::write("/proc/self/gid_map", &self.groups)
    }
}

/// One network namespace of this boot, never confused with a later one that was given the same inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkId {
    /// Its inode.
    pub inode: NamespaceId,
    /// The kernel's own number for it, never given out twice; `None` before Linux 5.14.
    pub cookie: Option<u64>,
}

impl NetworkId {
    /// The network namespace of the calling thread.
    ///
    /// # Errors
    /// When `/proc` is not mounted.
    pub fn current() -> io::Result<NetworkId> {
        Ok(NetworkId {
            inode: NamespaceId::current(Namespace::Net)?,
            cookie: network_cookie()?,
        })
    }
}

fn network_cookie() -> io::Result<Option<u64>> {
    let socket = std::os::unix::net::UnixDatagram::unbound()?;
    let mut cookie = 0_u64;
    let mut length = size_of_val(&cookie) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes into `cookie`, and both outlive the call.
    let got = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    Ok((got == 0).then_some(cookie))
}
