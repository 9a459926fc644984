use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::unix::AsyncFd;
use vocab::time::Monotonic;

/// Sleeps until a moment of the monotonic clock; sub-millisecond, which tokio's own timer is not.
#[derive(Debug)]
pub(super) struct Alarm(AsyncFd<Timer>);

#[derive(Debug)]
struct Timer(TimerFd);

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl Alarm {
    pub(super) fn new() -> io::Result<Alarm> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        // SAFETY: the timer's descriptor is open, the same one, and the timer's own for as long as the timer lives.
        let timer = unsafe { AsyncFd::register(Timer(timer)) };
        Ok(Alarm(timer?))
    }

    /// Sleeps until `moment`.
    pub(super) async fn sleep_until(&self, moment: Monotonic) -> io::Result<()> {
        // A timer at zero would be no timer.
        let at = Duration::from_nanos(moment.nanos().max(1));
        let expiration = Expiration::OneShot(TimeSpec::from_duration(at));
        let Timer(timer) = self.0.get_ref();
        timer.set(expiration, TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
        loop {
            let mut ready = self.0.readable().await?;
            match timer.wait() {
                Ok(()) => return Ok(()),
                Err(nix::errno::Errno::EAGAIN) => ready.clear_ready(),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}
