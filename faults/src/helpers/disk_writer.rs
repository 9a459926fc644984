//! `depbench disk-writer`: writes to a disk as fast as it takes it, into files without a name, over and over.

use std::fs::File;
use std::io;
use std::num::NonZeroU32;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use nix::sys::statvfs::statvfs;
use serde::{Deserialize, Serialize};
use vocab::units::Bytes;

use super::HelperError;
use super::lifeline::{Lifeline, Wake};
use super::scratch::{PageBuffer, nameless_file};
use crate::spec::WriteSync;

/// What a writer is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskWriterJob {
    /// Where it makes its files.
    pub dir: PathBuf,
    /// Threads that write.
    pub writers: NonZeroU32,
    /// How much each write is.
    pub block: Bytes,
    /// How each write gets to the disk.
    pub sync: WriteSync,
}

/// What a writer answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskWriterState {
    /// Bytes written so far.
    pub written: u64,
    /// Writes that failed.
    pub failed: u64,
}

/// The largest file of one writer.
const LARGEST_FILE: u64 = 256 << 20;

#[derive(Default)]
struct Counters {
    written: AtomicU64,
    failed: AtomicU64,
}

/// Runs a writer until its stdin ends.
///
/// # Errors
/// No job, a directory in which no file can be made, or too little room on its disk.
pub fn main() -> Result<(), HelperError> {
    let (lifeline, job) = Lifeline::job::<DiskWriterJob>()?;
    let blocks = blocks(&job).map_err(HelperError::system("find room on the disk"))?;
    let counters = Arc::new(Counters::default());
    for number in 0..job.writers.get() as usize {
        let flags = match job.sync {
            WriteSync::Direct => nix::libc::O_DIRECT,
            WriteSync::Fsync | WriteSync::None => 0,
        };
        let file =
            nameless_file(&job.dir, number, flags).map_err(HelperError::system("make a file"))?;
        let (counters, sync, block) = (
            Arc::clone(&counters),
            job.sync,
            PageBuffer::new(job.block.as_usize()),
        );
        thread::Builder::new()
            .name("disk-writer".to_owned())
            .spawn(move || write_for_ever(&file, &block, blocks, sync, &counters))
            .map_err(HelperError::system("start a thread"))?;
    }
    let state = || DiskWriterState {
        written: counters.written.load(Ordering::Relaxed),
        failed: counters.failed.load(Ordering::Relaxed),
    };
    lifeline.answer(&state());
    while lifeline.wait_for_end()? == Wake::Asked {
        lifeline.answer(&state());
    }
    Ok(())
}

/// The blocks of each file: a quarter of the free room for all files, so that the server never runs out of it.
fn blocks(job: &DiskWriterJob) -> io::Result<u64> {
    let each = free(&job.dir)? / 4 / u64::from(job.writers.get());
    match each.min(LARGEST_FILE) / job.block.0 {
        0 => Err(io::Error::other(format!(
            "a quarter of it does not hold {} blocks of {}",
            job.writers, job.block
        ))),
        blocks => Ok(blocks),
    }
}

fn free(dir: &Path) -> io::Result<u64> {
    let disk = statvfs(dir)?;
    Ok(disk.blocks_available() * disk.fragment_size())
}

fn write_for_ever(
    file: &File,
    block: &PageBuffer,
    blocks: u64,
    sync: WriteSync,
    counters: &Counters,
) {
    let length = block.bytes().len() as u64;
    for number in (0..blocks).cycle() {
        let mut written = file.write_all_at(block.bytes(), number * length);
        if sync == WriteSync::Fsync {
            written = written.and_then(|()| file.sync_data());
        }
        match written {
            Ok(()) => counters.written.fetch_add(length, Ordering::Relaxed),
            Err(_) => {
                // A disk that refuses is not to be asked without end.
                thread::sleep(std::time::Duration::from_millis(10));
                counters.failed.fetch_add(1, Ordering::Relaxed)
            }
        };
    }
}
