//! `depbench latency-layer`: a file system over a directory that passes everything on to it, late if it is told so.
//!
//! It stands from the start at zero delay, so that with and without the fault the server goes the same way to its disk.
//! A sync is passed on as a sync, and answered only after the disk has answered.

mod delay;
mod passthrough;
mod tree;

use std::path::PathBuf;
use std::sync::Arc;

use fuser::{Config, MountOption, Session};
use nix::mount::{MntFlags, umount2};
use nix::sys::stat::{Mode, umask};
use node::tag;
use serde::{Deserialize, Serialize};
use vocab::units::Span;

use super::lifeline::{Lifeline, sharpen_timers};
use super::{HelperError, Priority};
use crate::spec::DelayedOperations;
use delay::Delay;
use passthrough::Passthrough;
use tree::Tree;

/// What a layer is told first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatencyLayerJob {
    /// The directory it is laid over.
    pub dir: PathBuf,
}

/// What a layer can be told later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatencyOrder {
    /// How much later operations are passed on from now on.
    pub delay: Span,
    /// Which operations.
    pub on: DelayedOperations,
}

/// What a layer answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencyLayerState {
    /// Operations that were delayed so far.
    pub delayed: u64,
    /// How soon the layer runs when it is due.
    pub priority: Priority,
}

/// Operations under way at once: each holds a thread while it waits.
const THREADS: usize = 32;

/// Runs a layer until its stdin ends.
///
/// # Errors
/// No job, or the directory cannot be mounted on.
pub fn main() -> Result<(), HelperError> {
    let (lifeline, job) = Lifeline::job::<LatencyLayerJob>()?;
    // Modes of new files come with the umask of whoever makes them already taken off.
    umask(Mode::empty());
    sharpen_timers();
    let delay = Arc::new(Delay::default());
    let tree = Tree::of(&job.dir).map_err(HelperError::system("open the directory"))?;
    let mut config = Config::default();
    config.n_threads = Some(THREADS);
    config.clone_fd = true;
    config.mount_options = vec![
        MountOption::FSName(tag::LAYER.to_owned()),
        MountOption::DefaultPermissions,
        MountOption::NoAtime,
    ];
    let passthrough = Passthrough::new(tree, Arc::clone(&delay));
    let session = Session::new(passthrough, &job.dir, &config)
        .map_err(HelperError::system("mount a layer on the directory"))?;
    let priority = Priority::take_best();
    let serving = session
        .spawn()
        .map_err(HelperError::system("start a thread"))?;
    let state = || LatencyLayerState {
        delayed: delay.delayed(),
        priority,
    };
    lifeline.answer(&state());
    while let Some(line) = lifeline.next_line()? {
        // Every other line asks for the state.
        if let Ok(order) = serde_json::from_str::<LatencyOrder>(&line) {
            delay.set(order.delay, order.on);
        }
        lifeline.answer(&state());
    }
    // At once, whoever still has a file open: the layer ends with this process.
    let _gone = umount2(&job.dir, MntFlags::MNT_DETACH);
    std::mem::forget(serving);
    Ok(())
}
