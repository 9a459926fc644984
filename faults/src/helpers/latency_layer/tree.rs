use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{FileAttr, FileHandle, FileType, INodeNo};
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};

/// The files that the kernel knows of, each kept by a descriptor: names may change meanwhile.
pub(super) struct Tree {
    nodes: Mutex<HashMap<u64, Known>>,
    handles: Mutex<HashMap<u64, Arc<Handle>>>,
    next_handle: AtomicU64,
}

struct Known {
    descriptor: Arc<OwnedFd>,
    lookups: u64,
}

/// An open file or directory.
pub(super) enum Handle {
    /// A file, and whether each write to it is synced.
    File(File, Synced),
    /// What was in the directory when it was opened.
    Dir(Vec<(u64, FileType, std::ffi::OsString)>),
}

/// Whether each write is synced (`O_SYNC`, `O_DSYNC`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Synced {
    Yes,
    No,
}

const LOOK: OFlag = OFlag::O_PATH
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

impl Tree {
    /// Opens the root, before anything is mounted on it.
    pub(super) fn of(dir: &Path) -> io::Result<Tree> {
        let root = open(dir, LOOK | OFlag::O_DIRECTORY, Mode::empty())?;
        let root = Known {
            descriptor: Arc::new(root),
            lookups: 1,
        };
        Ok(Tree {
            nodes: Mutex::new(HashMap::from([(INodeNo::ROOT.0, root)])),
            handles: Mutex::default(),
            next_handle: AtomicU64::new(1),
        })
    }

    /// The descriptor of a file; only good for looking and as a directory.
    pub(super) fn node(&self, inode: INodeNo) -> io::Result<Arc<OwnedFd>> {
        let nodes = lock(&self.nodes);
        let known = nodes.get(&inode.0).map(|node| Arc::clone(&node.descriptor));
        known.ok_or_else(|| io::Error::from_raw_os_error(libc::ESTALE))
    }

    /// The file by a path that leads to it whatever it is called and whatever is mounted above it.
    pub(super) fn path(&self, inode: INodeNo) -> io::Result<PathBuf> {
        Ok(path_of(&*self.node(inode)?))
    }

    /// Finds a name in a directory, and remembers the file until the kernel forgets it as often.
    pub(super) fn look_up(&self, parent: INodeNo, name: &OsStr) -> io::Result<FileAttr> {
        let parent = self.node(parent)?;
        let descriptor = openat(&*parent, name, LOOK, Mode::empty())?;
        let stat = fstat(&descriptor)?;
        match lock(&self.nodes).entry(stat.st_ino) {
            Entry::Occupied(mut known) => known.get_mut().lookups += 1,
            Entry::Vacant(vacant) => {
                vacant.insert(Known {
                    descriptor: Arc::new(descriptor),
                    lookups: 1,
                });
            }
        }
        attributes(&stat, INodeNo(stat.st_ino))
    }

    /// Takes back so many lookups.
    pub(super) fn forget(&self, inode: INodeNo, lookups: u64) {
        let mut nodes = lock(&self.nodes);
        if let Entry::Occupied(mut known) = nodes.entry(inode.0) {
            let left = known.get().lookups.saturating_sub(lookups);
            known.get_mut().lookups = left;
            if left == 0 && inode != INodeNo::ROOT {
                known.remove();
            }
        }
    }

    /// The attributes of a file.
    pub(super) fn attributes(&self, inode: INodeNo) -> io::Result<FileAttr> {
        attributes(&fstat(&*self.node(inode)?)?, inode)
    }

    /// Keeps what was opened.
    pub(super) fn keep(&self, handle: Handle) -> FileHandle {
        let number = self.next_handle.fetch_add(1, Ordering::Relaxed);
        lock(&self.handles).insert(number, Arc::new(handle));
        FileHandle(number)
    }

    /// What was opened.
    pub(super) fn handle(&self, handle: FileHandle) -> io::Result<Arc<Handle>> {
        let found = lock(&self.handles).get(&handle.0).cloned();
        found.ok_or_else(|| io::Error::from_raw_os_error(libc::EBADF))
    }

    /// Closes what was opened.
    pub(super) fn close(&self, handle: FileHandle) {
        // Closed outside the lock: a disk may take its time.
        let _closed = lock(&self.handles).remove(&handle.0);
    }
}

impl Handle {
    /// The file, if it is one.
    pub(super) fn file(&self) -> io::Result<&File> {
        match self {
            Handle::File(file, _) => Ok(file),
            Handle::Dir(_) => Err(io::Error::from_raw_os_error(libc::EISDIR)),
        }
    }
}

fn path_of(descriptor: &impl AsFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", descriptor.as_fd().as_raw_fd()))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn attributes(stat: &FileStat, inode: INodeNo) -> io::Result<FileAttr> {
    let kind = match SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) {
        SFlag::S_IFREG => FileType::RegularFile,
        SFlag::S_IFDIR => FileType::Directory,
        SFlag::S_IFLNK => FileType::Symlink,
        SFlag::S_IFSOCK => FileType::Socket,
        SFlag::S_IFIFO => FileType::NamedPipe,
        SFlag::S_IFCHR => FileType::CharDevice,
        SFlag::S_IFBLK => FileType::BlockDevice,
        _ => return Err(io::Error::from_raw_os_error(libc::EIO)),
    };
    Ok(FileAttr {
        ino: inode,
        size: stat.st_size as u64,
        blocks: stat.st_blocks as u64,
        atime: time(stat.st_atime, stat.st_atime_nsec),
        mtime: time(stat.st_mtime, stat.st_mtime_nsec),
        ctime: time(stat.st_ctime, stat.st_ctime_nsec),
        crtime: UNIX_EPOCH,
        kind,
        perm: (stat.st_mode & 0o7777) as u16,
        nlink: stat.st_nlink as u32,
        uid: stat.st_uid,
        gid: stat.st_gid,
        rdev: stat.st_rdev as u32,
        blksize: stat.st_blksize as u32,
        flags: 0,
    })
}

fn time(seconds: i64, nanos: i64) -> SystemTime {
    let since = Duration::new(seconds.max(0) as u64, nanos.max(0) as u32);
    UNIX_EPOCH + since
}
