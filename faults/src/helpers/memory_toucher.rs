//! `depbench memory-toucher`: holds memory and keeps writing to it.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use vocab::units::{ByteRate, Bytes};

use super::HelperError;
use super::lifeline::{Lifeline, Wake};

/// What a toucher is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryToucherJob {
    /// How much memory.
    pub bytes: Bytes,
    /// How much of it is touched in a second; as much as can be without it.
    pub rate: Option<ByteRate>,
}

/// What a toucher answers, to the job as soon as it holds all of its memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryToucherState {
    /// Bytes touched so far.
    pub touched: u64,
}

/// Touched at a stretch.
const STRETCH: usize = 1 << 20;

/// Runs a toucher until its stdin ends.
///
/// # Errors
/// No job, or no memory.
pub fn main() -> Result<(), HelperError> {
    let (lifeline, job) = Lifeline::job::<MemoryToucherJob>()?;
    let mut memory = Vec::new();
    memory
        .try_reserve_exact(job.bytes.as_usize())
        .map_err(|_| HelperError::system("get the memory")(nix::Error::ENOMEM))?;
    memory.resize(job.bytes.as_usize(), 1_u8);
    let touched = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&touched);
    thread::Builder::new()
        .name("memory-toucher".to_owned())
        .spawn(move || touch_for_ever(&mut memory, job.rate, &counter))
        .map_err(HelperError::system("start a thread"))?;
    let state = || MemoryToucherState {
        touched: touched.load(Ordering::Relaxed),
    };
    lifeline.answer(&state());
    while lifeline.wait_for_end()? == Wake::Asked {
        lifeline.answer(&state());
    }
    Ok(())
}

fn touch_for_ever(memory: &mut [u8], rate: Option<ByteRate>, counter: &AtomicU64) {
    let start = Instant::now();
    let mut touched = 0_u64;
    for value in (0..=u8::MAX).cycle() {
        for stretch in memory.chunks_mut(STRETCH) {
            stretch.fill(value);
            black_box(&*stretch);
            touched += stretch.len() as u64;
            counter.store(touched, Ordering::Relaxed);
            if let Some(rate) = rate {
                let due = touched as f64 / rate.per_second().0 as f64;
                let early = Duration::from_secs_f64(due).saturating_sub(start.elapsed());
                thread::sleep(early);
            }
        }
    }
}
