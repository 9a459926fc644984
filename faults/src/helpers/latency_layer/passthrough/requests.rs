//! The kernel's requests, each answered with what came of it below.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use fuser::{
    BsdFileFlags, Errno, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, LockOwner,
    OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use nix::fcntl::{self, AT_FDCWD, OFlag};
use nix::sys::stat::{self, Mode, SFlag};
use nix::sys::statvfs::fstatvfs;
use nix::unistd::{self, LinkatFlags, UnlinkatFlags};

use super::super::tree::Handle;
use super::{Change, Passthrough};

/// How long the kernel may believe what it was told: nobody else changes what lies below.
const VALID: Duration = Duration::from_secs(3600);

const OPENED: FopenFlags = FopenFlags::FOPEN_KEEP_CACHE;
const FIRST: Generation = Generation(0);

/// Answers a request with what came of it.
macro_rules! answer {
    ($reply:ident, $result:expr, |$value:pat_param| $yes:expr) => {
        match $result {
            Ok($value) => $yes,
            Err(error) => $reply.error(Errno::from(error)),
        }
    };
}

impl Filesystem for Passthrough {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        answer!(reply, self.tree.look_up(parent, name), |found| {
            reply.entry(&VALID, &found, FIRST);
        });
    }

    fn forget(&self, _: &Request, inode: INodeNo, lookups: u64) {
        self.tree.forget(inode, lookups);
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        answer!(reply, self.tree.attributes(inode), |attributes| {
            reply.attr(&VALID, &attributes);
        });
    }

    fn setattr(
        &self,
        _: &Request,
        inode: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        accessed: Option<TimeOrNow>,
        modified: Option<TimeOrNow>,
        _: Option<SystemTime>,
        handle: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let change = Change {
            mode,
            uid,
            gid,
            size,
            accessed,
            modified,
        };
        let set = self.set(inode, &change, handle);
        answer!(
            reply,
            set.and_then(|()| self.tree.attributes(inode)),
            |attributes| reply.attr(&VALID, &attributes)
        );
    }

    fn readlink(&self, _: &Request, inode: INodeNo, reply: ReplyData) {
        let target = self
            .tree
            .node(inode)
            .and_then(|link| Ok(fcntl::readlinkat(&*link, "")?));
        answer!(reply, target, |target| reply.data(target.as_bytes()));
    }

    fn mknod(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        device: u32,
        reply: ReplyEntry,
    ) {
        let kind = SFlag::from_bits_truncate(mode & SFlag::S_IFMT.bits());
        let made = self.make(parent, name, |dir| {
            stat::mknodat(dir, name, kind, permissions(mode), u64::from(device))
        });
        answer!(reply, made, |made| reply.entry(&VALID, &made, FIRST));
    }

    fn mkdir(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        reply: ReplyEntry,
    ) {
        let made = self.make(parent, name, |dir| {
            stat::mkdirat(dir, name, permissions(mode))
        });
        answer!(reply, made, |made| reply.entry(&VALID, &made, FIRST));
    }

    fn symlink(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        let made = self.make(parent, name, |dir| unistd::symlinkat(target, dir, name));
        answer!(reply, made, |made| reply.entry(&VALID, &made, FIRST));
    }

    fn link(&self, _: &Request, inode: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let made = self.tree.path(inode).and_then(|path| {
            self.make(parent, name, |dir| {
                unistd::linkat(AT_FDCWD, &path, dir, name, LinkatFlags::AT_SYMLINK_FOLLOW)
            })
        });
        answer!(reply, made, |made| reply.entry(&VALID, &made, FIRST));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let changed = self.change(parent, |dir| {
            unistd::unlinkat(dir, name, UnlinkatFlags::NoRemoveDir)
        });
        answer!(reply, changed, |()| reply.ok());
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let changed = self.change(parent, |dir| {
            unistd::unlinkat(dir, name, UnlinkatFlags::RemoveDir)
        });
        answer!(reply, changed, |()| reply.ok());
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let flags = fcntl::RenameFlags::from_bits_truncate(flags.bits());
        let changed = self.tree.node(new_parent).and_then(|new| {
            self.change(parent, |old| {
                fcntl::renameat2(old, name, &*new, new_name, flags)
            })
        });
        answer!(reply, changed, |()| reply.ok());
    }

    fn open(&self, _: &Request, inode: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        answer!(reply, self.open_file(inode, flags.0), |handle| {
            reply.opened(handle, OPENED);
        });
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let made = self.make(parent, name, |dir| {
            let wanted = OFlag::O_CREAT | OFlag::O_WRONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
            let exclusive = OFlag::from_bits_truncate(flags & libc::O_EXCL);
            fcntl::openat(dir, name, wanted | exclusive, permissions(mode)).map(drop)
        });
        let opened = made.and_then(|made| Ok((made, self.open_file(made.ino, flags)?)));
        answer!(reply, opened, |(made, handle)| {
            reply.created(&VALID, &made, FIRST, handle, OPENED);
        });
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        answer!(reply, self.read_at(handle, offset, size), |data| reply
            .data(&data));
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        answer!(reply, self.write_at(handle, offset, data), |()| reply
            .written(data.len() as u32));
    }

    fn fallocate(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        answer!(reply, self.allocate(handle, offset, length, mode), |()| {
            reply.ok();
        });
    }

    fn fsync(
        &self,
        _: &Request,
        inode: INodeNo,
        handle: FileHandle,
        data_only: bool,
        reply: ReplyEmpty,
    ) {
        answer!(reply, self.sync(inode, handle, data_only), |()| reply.ok());
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.tree.close(handle);
        reply.ok();
    }

    fn opendir(&self, _: &Request, inode: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        answer!(reply, self.list(inode), |handle| {
            reply.opened(handle, FopenFlags::empty());
        });
    }

    fn readdir(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let handle = self.tree.handle(handle);
        let Ok(Handle::Dir(entries)) = handle.as_deref() else {
            return reply.error(Errno::EBADF);
        };
        let rest = entries.iter().enumerate().skip(offset as usize);
        for (index, (inode, kind, name)) in rest {
            if reply.add(INodeNo(*inode), index as u64 + 1, *kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        reply: ReplyEmpty,
    ) {
        self.tree.close(handle);
        reply.ok();
    }

    fn fsyncdir(
        &self,
        _: &Request,
        inode: INodeNo,
        handle: FileHandle,
        data_only: bool,
        reply: ReplyEmpty,
    ) {
        answer!(reply, self.sync(inode, handle, data_only), |()| reply.ok());
    }

    fn statfs(&self, _: &Request, inode: INodeNo, reply: ReplyStatfs) {
        let found = self.tree.node(inode).and_then(|node| Ok(fstatvfs(&*node)?));
        answer!(reply, found, |disk| reply.statfs(
            disk.blocks(),
            disk.blocks_free(),
            disk.blocks_available(),
            disk.files(),
            disk.files_free(),
            disk.block_size() as u32,
            disk.name_max() as u32,
            disk.fragment_size() as u32,
        ));
    }
}

fn permissions(mode: u32) -> Mode {
    Mode::from_bits_truncate(mode & 0o7777)
}
