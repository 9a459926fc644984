//! A block device over another that passes operations on late: the kernel's `dm-delay`.
//!
//! It is removed by the kernel itself when its last user, a mount, has gone; its name is in the journal for the moments
//! before there is one, and for taking the delay out of a mount's way.

mod control;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use vocab::units::Span;

use crate::blockdev::DeviceNumber;
use crate::facts::{Answer, tick};
use crate::journal::{Entry, Journal, JournalError, Undo};
use crate::tag;
use control::{Control, LEAVE_FILE_SYSTEM, Message, Request, TABLE, WHEN_CLOSED};

const TARGET: &str = "delay";

/// How long the users of a device may take to be gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// How much later operations are passed on; the kernel knows whole milliseconds, and keeps them to its tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delays {
    /// Reads.
    pub read: Span,
    /// Writes.
    pub write: Span,
    /// Flushes of the disk's cache, of which every sync makes one.
    pub flush: Span,
}

impl Delays {
    /// What the kernel's timers can keep: they are late by up to one tick, so no more than whole ticks are asked of them.
    fn in_whole_ticks(self, tick: Span) -> Delays {
        let tick = tick.duration().as_micros().max(1);
        let whole = |delay: Span| match delay.duration().as_micros() {
            0 => Span::ZERO,
            micros => {
                let whole = (micros / tick).max(1) * tick;
                Duration::from_micros(u64::try_from(whole).unwrap_or(u64::MAX)).into()
            }
        };
        Delays {
            read: whole(self.read),
            write: whole(self.write),
            flush: whole(self.flush),
        }
    }
}

/// What went through a device so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Passed {
    /// Reads and writes.
    pub transfers: u64,
    /// Flushes.
    pub flushes: u64,
}

/// A device that delays; it goes with its last user.
#[derive(Debug)]
pub struct DelayDevice {
    name: String,
    path: PathBuf,
    number: DeviceNumber,
    below: DeviceNumber,
    sectors: u64,
    /// Its user until it is mounted.
    _file: File,
    entry: Entry,
}

/// What changes and shows the delays of a device; it does not keep the device.
#[derive(Debug, Clone)]
pub struct DelayHandle {
    name: String,
    number: DeviceNumber,
    below: DeviceNumber,
    sectors: u64,
}

/// Whether the kernel has `dm-delay`, within reach of this process.
pub fn available() -> Answer {
    let control = match Control::open() {
        Ok(control) => control,
        Err(error) => {
            return Answer::No(format!(
                "{} cannot be opened: {error} (has the kernel the module dm-mod?)",
                Control::PATH
            ));
        }
    };
    match control.ask(Request::TargetVersion, Message::about(TARGET, 0)) {
        Ok(_) => Answer::Yes,
        Err(error) => Answer::No(format!(
            "the device mapper has no target `{TARGET}`: {error} (has the kernel the module dm-delay, and is it 5.4 or newer?)"
        )),
    }
}

impl DelayDevice {
    /// Lays a device without any delay over `below`, which is `number`.
    pub(crate) fn over(
        below: &Path,
        number: DeviceNumber,
        journal: &Journal,
    ) -> Result<DelayDevice, DelayError> {
        let step = |what: &str| DelayError::step(format!("{what} over {}", below.display()));
        let sectors = File::open(below)
            .and_then(|mut file| file.seek(SeekFrom::End(0)))
            .map_err(step("measure the disk for a delay"))?
            / 512;
        let control = Control::open().map_err(step("open the device mapper for a delay"))?;
        let name = name_for(&journal.owner().to_string());
        let entry = journal.record(Undo::RemoveDelay { name: name.clone() })?;
        let make = || -> io::Result<(DeviceNumber, PathBuf, File)> {
            control.ask(Request::Create, Message::about(&name, 0))?;
            let table = table(sectors, number, Delays::default());
            control.ask(Request::LoadTable, table(&name))?;
            let resumed = control.ask(Request::Resume, Message::about(&name, 0))?;
            let device = DeviceNumber::of(resumed.device());
            let path = PathBuf::from(format!("/dev/dm-{}", device.minor));
            let file = OpenOptions::new().read(true).write(true).open(&path)?;
            control.ask(Request::Remove, Message::about(&name, WHEN_CLOSED))?;
            Ok((device, path, file))
        };
        match make() {
            Ok((made, path, file)) => Ok(DelayDevice {
                name,
                path,
                number: made,
                below: number,
                sectors,
                _file: file,
                entry,
            }),
            Err(error) => {
                // The reason of the failure matters more; what cannot be undone now stays in the journal.
                let _stands = entry.undo();
                Err(step("make a device that delays")(error))
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Another way to it.
    pub fn handle(&self) -> DelayHandle {
        DelayHandle {
            name: self.name.clone(),
            number: self.number,
            below: self.below,
            sectors: self.sectors,
        }
    }

    /// Lets the kernel remove it; once it is mounted no more, and waits for that.
    pub(crate) fn remove(self) -> Result<(), JournalError> {
        let DelayDevice { _file, entry, .. } = self;
        drop(_file);
        entry.undo()
    }
}

impl DelayHandle {
    /// The device, for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Operations are passed on this much later from now on; those that wait are passed on at once.
    ///
    /// # Errors
    /// The device is gone, or the kernel refuses.
    pub fn set(&self, delays: Delays) -> Result<(), DelayError> {
        let set = || {
            let control = Control::open()?;
            let delays = delays.in_whole_ticks(tick());
            load(&control, &self.name, self.sectors, self.below, delays)
        };
        set().map_err(DelayError::step(format!("set the delay of {}", self.name)))
    }

    /// How much later operations are passed on.
    ///
    /// # Errors
    /// The device is gone.
    pub fn delays(&self) -> Result<Delays, DelayError> {
        let show = || {
            let control = Control::open()?;
            let message = control.ask(Request::Table, Message::about(&self.name, TABLE))?;
            delays_in(&message.text())
                .ok_or_else(|| io::Error::other(format!("its table is `{}`", message.text())))
        };
        show().map_err(DelayError::step(format!("read the delay of {}", self.name)))
    }

    /// What went through it so far, and what waits in it.
    ///
    /// # Errors
    /// The device is gone.
    pub fn passed(&self) -> Result<Passed, DelayError> {
        let count = || {
            let control = Control::open()?;
            let status = control.ask(Request::Table, Message::about(&self.name, 0))?;
            let waiting = numbers(&status.text());
            let own = numbers(&fs::read_to_string(statistics(self.number))?);
            // The kernel counts flushes where requests are made, which is below.
            let below = numbers(&fs::read_to_string(statistics(self.below))?);
            let number = |numbers: &[u64], index| numbers.get(index).copied().unwrap_or_default();
            Ok(Passed {
                transfers: number(&own, 0)
                    + number(&own, 4)
                    + number(&waiting, 0)
                    + number(&waiting, 1),
                flushes: number(&below, 15) + number(&waiting, 2),
            })
        };
        count().map_err(DelayError::step(format!("ask {}", self.name)))
    }
}

/// Takes the delay out of a device of ours and removes it, waiting for its last user; fine when it is gone.
pub(crate) fn remove(name: &str) -> io::Result<()> {
    let control = match Control::open() {
        // Without a device mapper there is no device.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        control => control?,
    };
    let gone = |error: &io::Error| error.raw_os_error() == Some(libc::ENXIO);
    if let Ok(shown) = control.ask(Request::Table, Message::about(name, TABLE))
        && delays_in(&shown.text()).is_some_and(|delays| delays != Delays::default())
        && let Some(below) = shown.text().split(' ').next().and_then(DeviceNumber::parse)
    {
        let set = load(&control, name, shown.sectors(), below, Delays::default());
        set.or_else(|error| if gone(&error) { Ok(()) } else { Err(error) })?;
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        match control.ask(Request::Remove, Message::about(name, WHEN_CLOSED)) {
            Err(error) if gone(&error) => return Ok(()),
            Err(error) => return Err(error),
            Ok(_) if Instant::now() > deadline => {
                return Err(io::Error::other("it is still in use, most likely mounted"));
            }
            Ok(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Whether a device of this name can be ours.
pub(crate) fn is_ours(name: &str) -> bool {
    name.starts_with(tag::PREFIX) && !name.contains('/')
}

/// The end of an owner's name tells it from all others.
fn name_for(owner: &str) -> String {
    const LONGEST: usize = 127 - tag::PREFIX.len();
    let start = owner.len().saturating_sub(LONGEST);
    let start = (start..owner.len()).find(|start| owner.is_char_boundary(*start));
    format!("{}{}", tag::PREFIX, &owner[start.unwrap_or_default()..])
}

fn load(
    control: &Control,
    name: &str,
    sectors: u64,
    below: DeviceNumber,
    delays: Delays,
) -> io::Result<()> {
    control.ask(Request::LoadTable, table(sectors, below, delays)(name))?;
    control.ask(Request::Resume, Message::about(name, LEAVE_FILE_SYSTEM))?;
    Ok(())
}

fn table(sectors: u64, below: DeviceNumber, delays: Delays) -> impl Fn(&str) -> Message {
    let millis = |delay: Span| delay.duration().as_micros().div_ceil(1000);
    let each = [delays.read, delays.write, delays.flush];
    let each = each.map(|delay| format!("{below} 0 {}", millis(delay)));
    move |name| Message::about(name, 0).with_table(sectors, TARGET, &each.join(" "))
}

/// What a table says: `7:0 0 20 7:0 0 20 7:0 0 50`.
fn delays_in(table: &str) -> Option<Delays> {
    let words: Vec<&str> = table.split_whitespace().collect();
    let delay = |index: usize| Some(Span::millis(words.get(index)?.parse().ok()?));
    Some(Delays {
        read: delay(2)?,
        write: delay(5)?,
        flush: delay(8)?,
    })
}

fn statistics(device: DeviceNumber) -> String {
    format!("/sys/dev/block/{device}/stat")
}

fn numbers(text: &str) -> Vec<u64> {
    text.split_whitespace()
        .map(|word| word.parse().unwrap_or_default())
        .collect()
}

/// A device that delays could not be made, changed or asked.
#[derive(Debug, thiserror::Error)]
pub enum DelayError {
    /// Its undo could not be noted, or carried out.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A system call.
    #[error("cannot {step}: {source}")]
    Step {
        /// What was tried.
        step: String,
        /// Why not.
        source: io::Error,
    },
}

impl DelayError {
    fn step(step: String) -> impl FnOnce(io::Error) -> DelayError {
        move |source| DelayError::Step { step, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_says_what_it_was_told() {
        let delays = Delays {
            read: Span::ZERO,
            write: Span::ZERO,
            flush: Span::millis(50),
        };
        let below = DeviceNumber { major: 7, minor: 3 };
        let text = table(8, below, delays)("depbench-x").text();
        assert_eq!(text, "7:3 0 0 7:3 0 0 7:3 0 50");
        assert_eq!(delays_in(&text), Some(delays));
        assert_eq!(delays_in("7:3 0 20"), None);
        let whole = Delays {
            flush: Span::millis(205),
            write: Span::millis(3),
            ..delays
        }
        .in_whole_ticks(Span::millis(10));
        assert_eq!(
            [whole.read, whole.write, whole.flush],
            [0, 10, 200].map(Span::millis)
        );
        let fine = Delays {
            flush: "1500us".parse().unwrap(),
            ..delays
        };
        assert!(table(8, below, fine)("depbench-x").text().ends_with(" 2"));
    }

    #[test]
    fn a_name_is_ours_and_fits() {
        let name = name_for(&format!("{}-n1-17-4711", "é".repeat(90)));
        assert!(name.len() <= 127 && is_ours(&name), "{name}");
        assert!(name.ends_with("-17-4711"));
        assert!(!is_ours("vg0-root") && !is_ours("depbench-/x"));
    }
}
