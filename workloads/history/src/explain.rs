//! Makes the part of a history that shows a violation as small as a person can read.

use std::collections::BTreeSet;

use crate::check::{check_key, read_value};
use crate::operation::{Input, Operation};
use crate::search::Found;

/// A part of `operations` that is violated by itself, from which no single operation can be left out.
///
/// Only reads, and writes whose value no remaining read found, are left out: no order explains the whole if none
/// explains such a part. When `budget` is used up, what was reached by then is given.
pub(crate) fn explain(operations: Vec<Operation>, mut budget: u64) -> Vec<Operation> {
    let mut smallest = operations;
    let mut chunk = smallest.len();
    loop {
        chunk = chunk.div_ceil(2);
        let mut from = 0;
        let mut shrunk = false;
        while from < smallest.len() {
            let part = without(&smallest, from..(from + chunk).min(smallest.len()));
            let found = if part.len() < smallest.len() {
                check_key(&part, &mut budget)
            } else {
                Found::Order
            };
            match found {
                Found::NoOrder => {
                    smallest = part;
                    shrunk = true;
                }
                Found::Order => from += chunk,
                Found::GaveUp => return smallest,
            }
        }
        if chunk <= 1 && !shrunk {
            return smallest;
        }
    }
}

/// Leaves out what may be left out of `range`.
fn without(operations: &[Operation], range: std::ops::Range<usize>) -> Vec<Operation> {
    let remaining_reads: BTreeSet<u64> = operations
        .iter()
        .enumerate()
        .filter(|(index, _)| !range.contains(index))
        .filter_map(|(_, operation)| read_value(operation))
        .collect();
    let keep = |operation: &Operation| match operation.input {
        Input::Write(value) => remaining_reads.contains(&value),
        Input::Read => false,
    };
    operations
        .iter()
        .enumerate()
        .filter(|(index, operation)| !range.contains(index) || keep(operation))
        .map(|(_, operation)| *operation)
        .collect()
}
