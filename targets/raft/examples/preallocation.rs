//! What it costs to flush a log into space that was prepared in different ways.
//!
//! ```text
//! cargo run --release -p depfast-raft --example preallocation -- DIRECTORY [BATCH_BYTES [FLUSHES]]
//! ```
//!
//! Writes batches one after the other into a file in DIRECTORY, each followed by one `fdatasync`: into a file that
//! grows, into one whose space was allocated (`fallocate`), into one where zeros are written ahead, and into one that
//! was written before (a segment that is used again). The ways take turns, so that a busy machine slows all alike.
//! What is written is counted at the block device, so DIRECTORY should have one for itself.

use std::error::Error;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use depfast::disk::Flush;
use depfast::{Env, File, real};
use nix::sys::stat;

const ROUNDS: u32 = 5;
const AHEAD: usize = 128 << 10;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Grown,
    Allocated,
    ZerosAhead,
    Reused,
}

const WAYS: [(Way, &str); 4] = [
    (Way::Grown, "growing file"),
    (Way::Allocated, "allocated"),
    (Way::ZerosAhead, "allocated, zeros ahead"),
    (Way::Reused, "used again"),
];

/// What all flushes in one way have cost.
#[derive(Clone, Copy, Default)]
struct Cost {
    time: Duration,
    bytes: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let directory = arguments.first().ok_or("which directory?")?;
    let number = |position: usize, default| match arguments.get(position) {
        Some(text) => text.parse::<usize>(),
        None => Ok(default),
    };
    let (batch, flushes) = (number(1, 4096)?, number(2, 1000)?);
    let options = real::Options::new(directory);
    let path = PathBuf::from(directory);
    let costs = real::run(options, move |env| compare(env, path, batch, flushes))??;
    println!("{flushes} flushes of {batch} bytes, {ROUNDS} times in turns, in {directory}");
    let base = costs[3].time.as_secs_f64();
    for ((_, name), cost) in WAYS.iter().zip(&costs) {
        let count = f64::from(ROUNDS) * flushes as f64;
        println!(
            "{name:24} {:8.1} us a flush, {:5.2} x used again, {:5.2} x the bytes",
            cost.time.as_secs_f64() * 1e6 / count,
            cost.time.as_secs_f64() / base,
            cost.bytes as f64 / (count * batch as f64),
        );
    }
    Ok(())
}

async fn compare(
    env: Env,
    directory: PathBuf,
    batch: usize,
    flushes: usize,
) -> io::Result<[Cost; 4]> {
    let mut costs = [Cost::default(); 4];
    for _ in 0..ROUNDS {
        for ((way, _), cost) in WAYS.iter().zip(&mut costs) {
            let file = prepare(&env, *way, batch * flushes).await?;
            let (start, bytes) = (env.now(), bytes_written(&directory)?);
            flush_all(&file, *way, batch, flushes).await?;
            cost.time += env.now() - start;
            cost.bytes += bytes_written(&directory)? - bytes;
        }
    }
    env.disk().remove("preallocation").wait("remove").await?;
    Ok(costs)
}

async fn prepare(env: &Env, way: Way, size: usize) -> io::Result<File> {
    env.disk().remove("preallocation").wait("remove").await?;
    let file = env.disk().open("preallocation").wait("open").await?;
    if way != Way::Grown {
        let size = (size + AHEAD) as u64;
        file.allocate(size).wait("allocate").await?;
    }
    if way == Way::Reused {
        let old = vec![Bytes::from(vec![1; size + AHEAD])];
        file.write(0, old, Flush::Data).wait("write").await?;
    }
    Ok(file)
}

async fn flush_all(file: &File, way: Way, batch: usize, flushes: usize) -> io::Result<()> {
    let (batch, zeros) = (Bytes::from(vec![7; batch]), Bytes::from(vec![0; AHEAD]));
    let mut ahead = 0;
    for number in 0..flushes {
        let start = number * batch.len();
        let end = start + batch.len();
        let mut parts = vec![batch.clone()];
        if way == Way::ZerosAhead && end > ahead {
            parts.push(zeros.clone());
            ahead = end + zeros.len();
        }
        file.write(start as u64, parts, Flush::Data)
            .wait("flush")
            .await?;
    }
    Ok(())
}

/// What was written so far to the block device that holds `directory`, by whomever, the file system's journal included.
fn bytes_written(directory: &Path) -> io::Result<u64> {
    let device = std::fs::metadata(directory)?.dev();
    let (major, minor) = (stat::major(device), stat::minor(device));
    let text = std::fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat"))?;
    let sectors = text.split_whitespace().nth(6);
    let sectors = sectors.and_then(|sectors| sectors.parse::<u64>().ok());
    sectors
        .map(|sectors| sectors * 512)
        .ok_or_else(|| io::Error::other("the kernel does not count what is written there"))
}
