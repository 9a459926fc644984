//! The environment of a process on Linux: tokio on one thread, I/O threads for files, timers by timerfd.

mod budget;
mod clock;
mod connection;
mod coroutine;
mod cpu;
mod directory;
mod disk;
mod file;
mod peers;
mod queue;
mod slice;
mod stream;
mod turns;

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::LocalSet;

use crate::detect::CpuTimes;
use crate::disk::DiskBackend;
use crate::env::{Backend, Env, Inbox, LocalFuture, Transport};
use crate::rpc::Endpoint;
use crate::stream::Listener;
use crate::time::Instant;
use crate::timers::Timers;
use budget::Budgets;
use clock::Clock;
use coroutine::Panics;
use cpu::{Cpu, Wakefulness};
use turns::Turns;

/// How the process takes part in the world.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory that [`Env::disk`] shows; it is created if need be.
    pub data_dir: PathBuf,
    /// Where the random numbers start.
    pub seed: u64,
    /// Whether the worker waits up to half a millisecond from one turn to the next while a CPU budget holds it back. Batches
    /// become larger and cheaper; a protocol in which replicas wait for one another in turn only becomes slower.
    pub larger_turns: bool,
}

impl Options {
    /// Options with a seed that differs from run to run.
    pub fn new(data_dir: impl AsRef<Path>) -> Self {
        let nanos = std::time::UNIX_EPOCH
            .elapsed()
            .map_or(0, |since| since.as_nanos() as u64);
        Self {
            data_dir: data_dir.as_ref().to_owned(),
            seed: nanos ^ (u64::from(std::process::id()) << 40),
            larger_turns: false,
        }
    }
}

/// Runs `main` and the coroutines it starts on this thread, until `main` returns.
///
/// A panic in any coroutine ends the run with that panic: a node that has lost a coroutine must not go on by halves.
///
/// # Errors
///
/// Fails if the system refuses the few descriptors that are needed.
pub fn run<T, F>(options: Options, main: impl FnOnce(Env) -> F) -> io::Result<T>
where
    T: 'static,
    F: Future<Output = T> + 'static,
{
    slice::ask_for_short_slices();
    let wakefulness = Wakefulness::new();
    let (sleeper, waker) = (Arc::clone(&wakefulness), Arc::clone(&wakefulness));
    let turns = || Arc::new(Turns::new(Budgets::of_this_process()));
    let begun = options.larger_turns.then(turns);
    let ended = begun.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .on_thread_park(move || {
            sleeper.fall_asleep();
            if let Some(turns) = &ended {
                turns.end();
            }
        })
        .on_thread_unpark(move || {
            waker.wake_up();
            if let Some(turns) = &begun {
                turns.begin();
            }
        })
        .build()?;
    let local = LocalSet::new();
    runtime.block_on(local.run_until(async move {
        let (disk, completions) = disk::RealDisk::new(options.data_dir);
        let panics = Panics::default();
        let clock = Rc::new(Clock::new()?);
        let backend = RealBackend {
            clock: Rc::clone(&clock),
            panics: panics.clone(),
            disk: Rc::new(disk),
            cpu: Cpu::new(wakefulness),
        };
        backend.spawn(Box::pin(async move { clock.drive().await }));
        backend.spawn(Box::pin(completions.drive()));
        let env = Env::new(Rc::new(backend), options.seed);
        // A coroutine like all others: what runs here directly is polled whenever any of them is.
        let (finished, output) = tokio::sync::oneshot::channel();
        let main = main(env.clone());
        env.spawn(async move {
            let _nobody_waits_after_a_panic = finished.send(main.await);
        });
        tokio::select! {
            Ok(output) = output => Ok(output),
            payload = panics.wait() => std::panic::resume_unwind(payload),
        }
    }))
}

struct RealBackend {
    clock: Rc<Clock>,
    panics: Panics,
    disk: Rc<disk::RealDisk>,
    cpu: Cpu,
}

impl Backend for RealBackend {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn timers(&self) -> &Timers {
        self.clock.timers()
    }

    fn arm(&self, at: Instant) {
        self.clock.arm(at);
    }

    fn spawn(&self, coroutine: LocalFuture<()>) {
        tokio::task::spawn_local(self.panics.guard(coroutine));
    }

    fn disk(&self) -> Rc<dyn DiskBackend> {
        Rc::<disk::RealDisk>::clone(&self.disk)
    }

    fn listen(&self, address: String) -> LocalFuture<io::Result<Listener>> {
        Box::pin(stream::listen(address))
    }

    fn join(
        &self,
        endpoint: Endpoint,
        inbox: Rc<dyn Inbox>,
    ) -> LocalFuture<io::Result<Rc<dyn Transport>>> {
        let panics = self.panics.clone();
        Box::pin(async move { peers::join(endpoint, inbox, panics).await })
    }

    fn cpu_times(&self) -> CpuTimes {
        self.cpu.times()
    }

    fn resident_memory(&self) -> u64 {
        cpu::resident_memory()
    }

    fn terminated(&self) -> LocalFuture<()> {
        Box::pin(async {
            let signals = (
                signal(SignalKind::terminate()),
                signal(SignalKind::interrupt()),
            );
            if let (Ok(mut terminate), Ok(mut interrupt)) = signals {
                tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            } else {
                std::future::pending::<()>().await;
            }
        })
    }
}
