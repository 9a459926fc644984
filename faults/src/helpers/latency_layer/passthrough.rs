mod requests;

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirEntryExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use fuser::{FileAttr, FileHandle, FileType, INodeNo, TimeOrNow};
use nix::fcntl::{self, AT_FDCWD, FallocateFlags};
use nix::sys::stat::{self, UtimensatFlags};
use nix::sys::time::TimeSpec;

use super::delay::{Delay, Operation};
use super::tree::{Handle, Synced, Tree};

/// Flags that are done with, or that concern the kernel's side only. `O_DIRECT` would want aligned buffers: writes go to
/// the page cache instead, and to the disk when they are synced, which a direct write has no promise of either.
const NOT_PASSED_ON: i32 = libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW | libc::O_DIRECT;

/// Passes every operation on to a directory, late if it is to.
pub(super) struct Passthrough {
    tree: Tree,
    delay: Arc<Delay>,
}

impl Passthrough {
    pub(super) fn new(tree: Tree, delay: Arc<Delay>) -> Passthrough {
        Passthrough { tree, delay }
    }

    /// Changes a directory, then looks its new entry up.
    fn make(
        &self,
        parent: INodeNo,
        name: &OsStr,
        make: impl FnOnce(&dyn AsFd) -> nix::Result<()>,
    ) -> io::Result<FileAttr> {
        self.delay.wait(Operation::Other);
        make(&*self.tree.node(parent)?)?;
        self.tree.look_up(parent, name)
    }

    /// Changes a directory.
    fn change(
        &self,
        parent: INodeNo,
        change: impl FnOnce(&dyn AsFd) -> nix::Result<()>,
    ) -> io::Result<()> {
        self.delay.wait(Operation::Other);
        Ok(change(&*self.tree.node(parent)?)?)
    }

    fn sync(&self, inode: INodeNo, handle: FileHandle, data_only: bool) -> io::Result<()> {
        self.delay.wait(Operation::Sync);
        match &*self.tree.handle(handle)? {
            Handle::File(file, _) if data_only => file.sync_data(),
            Handle::File(file, _) => file.sync_all(),
            Handle::Dir(_) => File::open(self.tree.path(inode)?)?.sync_all(),
        }
    }

    fn open_file(&self, inode: INodeNo, flags: i32) -> io::Result<FileHandle> {
        let file = open(&self.tree.path(inode)?, flags)?;
        Ok(self.tree.keep(Handle::File(file, synced(flags))))
    }

    fn read_at(&self, handle: FileHandle, offset: u64, size: u32) -> io::Result<Vec<u8>> {
        self.delay.wait(Operation::Other);
        let handle = self.tree.handle(handle)?;
        let mut data = vec![0; size as usize];
        let mut length = 0;
        // Less than was asked for means the end of the file to the kernel.
        while length < data.len() {
            let at = offset + length as u64;
            match handle.file()?.read_at(&mut data[length..], at)? {
                0 => break,
                more => length += more,
            }
        }
        data.truncate(length);
        Ok(data)
    }

    fn write_at(&self, handle: FileHandle, offset: u64, data: &[u8]) -> io::Result<()> {
        let handle = self.tree.handle(handle)?;
        self.delay.wait(match &*handle {
            Handle::File(_, Synced::Yes) => Operation::Sync,
            _ => Operation::Other,
        });
        handle.file()?.write_all_at(data, offset)
    }

    fn allocate(&self, handle: FileHandle, offset: u64, length: u64, mode: i32) -> io::Result<()> {
        self.delay.wait(Operation::Other);
        let mode = FallocateFlags::from_bits_truncate(mode);
        let handle = self.tree.handle(handle)?;
        let (offset, length) = (offset as i64, length as i64);
        Ok(fcntl::fallocate(handle.file()?, mode, offset, length)?)
    }

    fn set(&self, inode: INodeNo, change: &Change, handle: Option<FileHandle>) -> io::Result<()> {
        let path = self.tree.path(inode)?;
        if let Some(mode) = change.mode {
            fs::set_permissions(&path, Permissions::from_mode(mode))?;
        }
        if change.uid.is_some() || change.gid.is_some() {
            std::os::unix::fs::chown(&path, change.uid, change.gid)?;
        }
        if let Some(size) = change.size {
            self.delay.wait(Operation::Other);
            match handle {
                Some(handle) => self.tree.handle(handle)?.file()?.set_len(size)?,
                None => open(&path, libc::O_WRONLY)?.set_len(size)?,
            }
        }
        if change.accessed.is_some() || change.modified.is_some() {
            let (accessed, modified) = (time(change.accessed), time(change.modified));
            let follow = UtimensatFlags::FollowSymlink;
            stat::utimensat(AT_FDCWD, &path, &accessed, &modified, follow)?;
        }
        Ok(())
    }

    fn list(&self, inode: INodeNo) -> io::Result<FileHandle> {
        let mut entries = vec![
            (inode.0, FileType::Directory, ".".into()),
            (inode.0, FileType::Directory, "..".into()),
        ];
        for entry in fs::read_dir(self.tree.path(inode)?)? {
            let entry = entry?;
            let kind = FileType::from_std(entry.file_type()?).unwrap_or(FileType::RegularFile);
            entries.push((entry.ino(), kind, entry.file_name()));
        }
        Ok(self.tree.keep(Handle::Dir(entries)))
    }
}

/// What is to become of a file's attributes.
struct Change {
    mode: Option<u32>,
    uid: Option<u32>,
    gid: Option<u32>,
    size: Option<u64>,
    accessed: Option<TimeOrNow>,
    modified: Option<TimeOrNow>,
}

fn time(time: Option<TimeOrNow>) -> TimeSpec {
    match time {
        None => TimeSpec::UTIME_OMIT,
        Some(TimeOrNow::Now) => TimeSpec::UTIME_NOW,
        Some(TimeOrNow::SpecificTime(time)) => {
            TimeSpec::from_duration(time.duration_since(UNIX_EPOCH).unwrap_or_default())
        }
    }
}

fn open(path: &Path, flags: i32) -> io::Result<File> {
    let access = flags & libc::O_ACCMODE;
    OpenOptions::new()
        .read(access != libc::O_WRONLY)
        .write(access != libc::O_RDONLY)
        .custom_flags(flags & !NOT_PASSED_ON & !libc::O_ACCMODE)
        .open(path)
}

fn synced(flags: i32) -> Synced {
    // `O_SYNC` has the bits of `O_DSYNC`.
    match flags & libc::O_DSYNC {
        0 => Synced::No,
        _ => Synced::Yes,
    }
}
