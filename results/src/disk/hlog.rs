//! The standard HdrHistogram interval log, which HdrHistogram tools of other languages read too. The tag of a line
//! is `phase/operation`; values are microseconds; times are seconds since load started.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{
    IntervalLogIterator, IntervalLogWriterBuilder, LogEntry, Tag,
};
use vocab::ids::Phase;

use super::whole_file::read_whole_lines;
use crate::error::ResultsError;
use crate::record::{Interval, Latency, OpKind};

/// The lines before the first interval.
pub(super) fn write_header(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(
        b"#[Histogram log format version 1.3]\n\
          #[values in microseconds, times in seconds since load started, tag = phase/operation]\n\
          \"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n",
    )
}

/// One interval's line.
pub(super) fn write_interval(mut out: &mut dyn Write, interval: &Interval) -> io::Result<()> {
    let tag = format!("{}/{}", interval.phase, interval.op);
    let start = Duration::from_nanos(u64::try_from(interval.start.nanos()).unwrap_or(0));
    IntervalLogWriterBuilder::new()
        .begin_log_with(&mut out, &mut V2DeflateSerializer::new())?
        .write_histogram(
            interval.latency.histogram(),
            start,
            interval.length.duration(),
            Tag::new(&tag),
        )
        .map_err(|error| io::Error::other(error.to_string()))
}

/// A line read back.
pub(super) struct HlogLine {
    pub(super) phase: Phase,
    pub(super) op: OpKind,
    pub(super) latency: Latency,
}

/// Hands every whole line of the log to `take`, in order, and keeps none.
pub(super) fn read(path: &Path, mut take: impl FnMut(HlogLine)) -> Result<(), ResultsError> {
    let bytes = read_whole_lines(path)?;
    for (index, entry) in IntervalLogIterator::new(&bytes).enumerate() {
        let entry = entry.map_err(|error| {
            ResultsError::malformed(path, None, &format!("entry {}: {error:?}", index + 1))
        })?;
        let LogEntry::Interval(line) = entry else {
            continue;
        };
        let malformed = |message: String| {
            ResultsError::malformed(path, None, &format!("entry {}: {message}", index + 1))
        };
        let tag = line.tag().map(|tag| tag.as_str()).unwrap_or_default();
        let (phase, op) =
            read_tag(tag).ok_or_else(|| malformed(format!("`{tag}` is not phase/operation")))?;
        let latency = Latency::decode(line.encoded_histogram())
            .map_err(|error| malformed(error.to_string()))?;
        take(HlogLine { phase, op, latency });
    }
    Ok(())
}

fn read_tag(tag: &str) -> Option<(Phase, OpKind)> {
    let (phase, op) = tag.split_once('/')?;
    let phase = Phase::ALL
        .into_iter()
        .find(|known| known.to_string() == phase)?;
    Some((phase, op.parse().ok()?))
}
