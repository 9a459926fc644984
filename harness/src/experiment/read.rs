//! From the tree of a document to typed values, with everything that is wrong found in one go.
//!
//! serde stops at the first error. [`read`] reports it, takes the offending node out and starts again, so that a
//! person sees all errors of a file at once.

mod access;
mod error;
mod explain;
mod remedy;
mod whole;

pub(crate) use explain::missing_section as missing;
pub(crate) use whole::read;
