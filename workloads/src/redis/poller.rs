use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use vocab::time::Monotonic;

/// What the alarm is called among the connections.
const ALARM: u64 = u64::MAX;

/// Waits for sockets and for moments; sub-millisecond, which epoll's own timeout is not.
#[derive(Debug)]
pub(crate) struct Poller {
    epoll: Epoll,
    alarm: TimerFd,
    alarm_at: Option<Monotonic>,
    events: Vec<EpollEvent>,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Poller> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let alarm = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        epoll.add(&alarm, interest(EpollFlags::EPOLLIN, ALARM))?;
        Ok(Poller {
            epoll,
            alarm,
            alarm_at: None,
            events: vec![EpollEvent::empty(); 256],
        })
    }

    /// Tells of `socket` from now on, whenever it becomes readable or writable, as `name`; until it is closed.
    pub(crate) fn watch(&self, socket: impl AsFd, name: usize) -> io::Result<()> {
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP;
        Ok(self.epoll.add(socket, interest(flags, name as u64))?)
    }

    /// Makes the waits end at `moment` as well.
    pub(crate) fn set_alarm(&mut self, moment: Monotonic) -> io::Result<()> {
        if self.alarm_at == Some(moment) {
            return Ok(());
        }
        let at = TimeSpec::from_duration(Duration::from_nanos(moment.nanos()));
        self.alarm.set(
            Expiration::OneShot(at),
            TimerSetTimeFlags::TFD_TIMER_ABSTIME,
        )?;
        self.alarm_at = Some(moment);
        Ok(())
    }

    /// Waits until something happens, `limit` at most (in whole milliseconds), and appends the names of the sockets
    /// it happened to.
    pub(crate) fn wait(&mut self, limit: Duration, names: &mut Vec<usize>) -> io::Result<()> {
        let millis = limit.as_micros().div_ceil(1000).min(1000) as u16;
        let count = match self
            .epoll
            .wait(&mut self.events, EpollTimeout::from(millis))
        {
            Ok(count) => count,
            Err(nix::errno::Errno::EINTR) => 0,
            Err(errno) => return Err(errno.into()),
        };
        let happened = self.events[..count].iter().map(EpollEvent::data);
        names.extend(
            happened
                .filter(|name| *name != ALARM)
                .map(|name| name as usize),
        );
        Ok(())
    }
}

fn interest(flags: EpollFlags, name: u64) -> EpollEvent {
    EpollEvent::new(flags | EpollFlags::EPOLLET, name)
}
