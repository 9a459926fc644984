use node::journal::{Entry, Journal, Undo};

use crate::error::FaultError;

/// The changes of a fault that stand now, each with its undo on disk.
#[derive(Debug, Default)]
pub(crate) struct Standing(Vec<Entry>);

impl Standing {
    /// Adds a change that was noted before it was made.
    pub(crate) fn add(&mut self, entry: Entry) {
        self.0.push(entry);
    }

    /// Notes `undo`, then makes `change`. What was there already is somebody else's: its undo is forgotten.
    ///
    /// # Errors
    /// That of the change, or the undo could not be noted.
    pub(crate) fn make(
        &mut self,
        journal: &Journal,
        undo: Undo,
        change: impl FnOnce() -> Result<(), FaultError>,
    ) -> Result<(), FaultError> {
        let entry = journal.record(undo)?;
        match change() {
            Err(error) if error.is_taken() => {
                entry.undone()?;
                Err(error)
            }
            made => {
                self.0.push(entry);
                made
            }
        }
    }

    /// Whether nothing stands.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Undoes all changes, latest first; what cannot be undone now stays in the journal. Again is fine.
    ///
    /// # Errors
    /// The first undo that failed; the others are carried out all the same.
    pub(crate) fn undo(&mut self) -> Result<(), FaultError> {
        let undone = self.0.drain(..).rev().map(Entry::undo);
        // Collected first: a failure must not keep the rest from being undone.
        let results: Vec<_> = undone.collect();
        Ok(results.into_iter().collect::<Result<(), _>>()?)
    }
}
