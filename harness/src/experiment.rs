//! The experiment file: what it may say ([`Spec`]), how it is read ([`load`]), and the points of its sweep ([`Cell`]).
//!
//! Every key and value is kept with its place in the file until all checks are done, so that whatever is wrong can be
//! shown where it stands, and all of it at once.

mod cell;
mod check;
mod diagnostic;
mod document;
mod expectations;
mod inventory;
mod load;
mod paired;
mod phases;
mod read;
mod report;
pub mod schema;
mod spec;
pub mod starter;
mod sweep;

pub use cell::{Cell, Setting};
pub use diagnostic::Diagnostic;
pub use document::{Place, Source};
pub use load::{LoadError, from_bytes, from_text, load};
pub use paired::{Paired, Window};
pub use phases::Phases;
pub use report::{Color, Report};
pub use spec::Spec;
pub use sweep::{Axis, Sweep};

/// A whole experiment, checked: one file.
#[derive(Debug, Clone)]
pub struct Experiment {
    /// The file with every default written out; swept fields have the first value of their sweep.
    pub spec: Spec,
    /// Every target at every point of the sweep, in the order of the file; never empty.
    pub cells: Vec<Cell>,
}

impl Experiment {
    /// The file with every default written out, as YAML that [`from_text`] reads to the same experiment.
    ///
    /// # Panics
    /// Never: every part of a [`Spec`] can be written as YAML.
    pub fn resolved(&self) -> String {
        serde_yaml::to_string(&self.spec).expect("a spec holds nothing that YAML cannot say")
    }
}
