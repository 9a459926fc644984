//! Puts what happens in a trial into its files, in the trial's own time.

use history::Operation;
use results::{Event, EventKind, LoadStart, ResultsError, TrialWriter};
use vocab::time::{Monotonic, TrialTime, Wall};

use super::judge::History;
use crate::agent::clock;

/// The files of a trial, and the clock that its times refer to.
pub(crate) struct Recorder {
    writer: TrialWriter,
    zero: Option<LoadStart>,
    /// Events from before load started, whose time in the trial is not known until it does.
    early: Vec<(Monotonic, Event)>,
    history: History,
}

impl Recorder {
    pub(crate) fn new(writer: TrialWriter) -> Recorder {
        Recorder {
            writer,
            zero: None,
            early: Vec::new(),
            history: History::default(),
        }
    }

    /// Records an operation on a sampled key.
    pub(crate) fn operation(&mut self, operation: Operation) -> Result<(), ResultsError> {
        let line = serde_json::to_string(&operation).expect("an operation is plain values");
        self.writer.history(&line)?;
        self.history.add(operation);
        Ok(())
    }

    /// Notes why the recorded operations cannot be judged.
    pub(crate) fn cannot_judge(&mut self, reason: &str) {
        self.history.hinder(reason.to_owned());
    }

    /// Judges the operations recorded so far, on another thread; does nothing if there are none.
    pub(crate) async fn judge(&mut self) -> Result<(), ResultsError> {
        match std::mem::take(&mut self.history).judge().await {
            Some(verdict) => self.writer.judged(verdict),
            None => Ok(()),
        }
    }

    /// Fixes time zero.
    pub(crate) fn load_started(&mut self, start: LoadStart) -> Result<(), ResultsError> {
        self.writer.load_started(start)?;
        self.zero = Some(start);
        for (at, event) in std::mem::take(&mut self.early) {
            self.write(at, event)?;
        }
        Ok(())
    }

    /// When load started, by the monotonic clock.
    pub(crate) fn zero(&self) -> Option<Monotonic> {
        self.zero.map(|start| start.monotonic)
    }

    /// A moment in the trial's time; zero as long as load has not started.
    pub(crate) fn time(&self, at: Monotonic) -> TrialTime {
        let zero = self.zero.map_or(at, |start| start.monotonic);
        TrialTime::from_nanos(at.nanos() as i64 - zero.nanos() as i64)
    }

    /// An event of `kind` that happens now, for [`Recorder::event`].
    pub(crate) fn event_now(kind: EventKind) -> (Monotonic, Event) {
        Recorder::event_at(clock::now(), kind)
    }

    /// An event of `kind` at a moment of this machine's clock.
    pub(crate) fn event_at(at: Monotonic, kind: EventKind) -> (Monotonic, Event) {
        let ago = clock::now().since(at).as_nanos() as i64;
        let wall = Wall::from_unix_nanos(Wall::now().unix_nanos() - ago);
        (at, Event::new(TrialTime::default(), wall, kind))
    }

    /// Records an event.
    pub(crate) fn event(&mut self, at: Monotonic, event: Event) -> Result<(), ResultsError> {
        if self.zero.is_some() {
            return self.write(at, event);
        }
        self.early.push((at, event));
        Ok(())
    }

    /// The files, for what carries its own time.
    pub(crate) fn files(&mut self) -> &mut TrialWriter {
        &mut self.writer
    }

    /// Writes what was held back, and gives the files back to be finished.
    pub(crate) fn into_files(mut self) -> Result<TrialWriter, ResultsError> {
        if self.zero.is_none()
            && let Some((last, _)) = self.early.last()
        {
            // Load never started: the last event is as good a zero as any.
            let last = *last;
            for (at, event) in std::mem::take(&mut self.early) {
                let at = TrialTime::from_nanos(at.nanos() as i64 - last.nanos() as i64);
                self.writer.event(&Event { at, ..event })?;
            }
        }
        Ok(self.writer)
    }

    fn write(&mut self, at: Monotonic, event: Event) -> Result<(), ResultsError> {
        let at = self.time(at);
        self.writer.event(&Event { at, ..event })
    }
}
