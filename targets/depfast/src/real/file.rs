//! What the thread of a file does.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::uio::pwritev;

use crate::disk::{FileOp, Flush};

pub(super) fn perform(file: &File, operation: FileOp) -> io::Result<Bytes> {
    match operation {
        FileOp::Read { offset, length } => return read(file, offset, length),
        FileOp::Write {
            offset,
            parts,
            flush,
        } => {
            write(file, offset, &parts)?;
            if flush == Flush::Data {
                file.sync_data().map_err(|error| flush_failed(&error))?;
            }
        }
        FileOp::Truncate { length } => {
            file.set_len(length)?;
            file.sync_all().map_err(|error| flush_failed(&error))?;
        }
        FileOp::Allocate { length } => {
            allocate(file, length)?;
            file.sync_all().map_err(|error| flush_failed(&error))?;
        }
    }
    Ok(Bytes::new())
}

/// Has a kind of its own: the kernel has dropped what it could not write, so trying again would only seem to succeed.
fn flush_failed(error: &io::Error) -> io::Error {
    io::Error::other(format!("the flush failed: {error}"))
}

fn read(file: &File, offset: u64, length: usize) -> io::Result<Bytes> {
    let mut buffer = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    buffer.truncate(filled);
    Ok(buffer.into())
}

/// The kernel takes at most 1024 pieces in one call.
const PIECES: usize = 1024;

fn write(file: &File, mut offset: u64, parts: &[Bytes]) -> io::Result<()> {
    for group in parts.chunks(PIECES) {
        let slices: Vec<_> = group.iter().map(|part| io::IoSlice::new(part)).collect();
        let total: usize = group.iter().map(Bytes::len).sum();
        let position = i64::try_from(offset).map_err(io::Error::other)?;
        let written = pwritev(file, &slices, position)?;
        if written < total {
            // A short write is rare; finish it piece by piece.
            let rest = group.concat();
            file.write_all_at(&rest[written..], offset + written as u64)?;
        }
        offset += total as u64;
    }
    Ok(())
}

/// How many zeros are written at a time where space cannot be reserved otherwise.
const ZEROS: usize = 1 << 20;

fn allocate(file: &File, length: u64) -> io::Result<()> {
    let total = i64::try_from(length).map_err(io::Error::other)?;
    match fallocate(file, FallocateFlags::empty(), 0, total) {
        Err(Errno::EOPNOTSUPP) => {}
        result => return Ok(result?),
    }
    let zeros = vec![0; ZEROS];
    let mut end = file.metadata()?.len();
    while end < length {
        let count = usize::try_from(length - end).map_or(ZEROS, |rest| rest.min(ZEROS));
        file.write_all_at(&zeros[..count], end)?;
        end += count as u64;
    }
    Ok(())
}
