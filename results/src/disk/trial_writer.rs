use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use vocab::ids::NodeName;
use vocab::time::Wall;

use super::hlog;
use super::line_file::LineFile;
use super::row_file::RowFile;
use super::rows::IntervalRow;
use super::whole_file::{read_json, replace, write_json};
use crate::error::ResultsError;
use crate::record::{
    Event, HistoryVerdict, Interval, LoadStart, NodeSample, ProbeReading, TrialRecord, TrialSetup,
    TrialState, Validity,
};

/// Writes a trial's files while it goes.
///
/// Everything up to the last interval, event and probe is in the files at any moment, whatever kills the process.
/// Dropped without [`TrialWriter::finish`], the trial stays marked incomplete.
pub struct TrialWriter {
    dir: PathBuf,
    record: TrialRecord,
    intervals: RowFile<IntervalRow>,
    latencies: LineFile,
    events: RowFile<Event>,
    samples: RowFile<NodeSample>,
    probes: RowFile<ProbeReading>,
    history: LineFile,
}

impl TrialWriter {
    /// Begins a trial in `dir`; what an incomplete trial left there goes.
    pub(super) fn create(
        dir: &Path,
        setup: TrialSetup,
        began: Wall,
    ) -> Result<TrialWriter, ResultsError> {
        let record_path = dir.join("trial.json");
        if record_path.exists() && read_json::<TrialRecord>(&record_path)?.is_complete() {
            return Err(ResultsError::TrialComplete {
                path: dir.to_owned(),
            });
        }
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(ResultsError::write(dir)(error));
            }
            _ => {}
        }
        let logs = dir.join("logs");
        fs::create_dir_all(&logs).map_err(ResultsError::write(&logs))?;
        let record = TrialRecord {
            setup,
            began,
            load: None,
            history: None,
            state: TrialState::Incomplete,
        };
        write_json(&record_path, &record)?;
        let mut latencies = LineFile::create(&dir.join("latency.hlog"))?;
        latencies.write(hlog::write_header)?;
        Ok(TrialWriter {
            record,
            intervals: RowFile::create(&dir.join("intervals.csv"))?,
            latencies,
            events: RowFile::create(&dir.join("events.csv"))?,
            samples: RowFile::create(&dir.join("nodes.csv"))?,
            probes: RowFile::create(&dir.join("probes.csv"))?,
            history: LineFile::create(&dir.join("history.jsonl"))?,
            dir: dir.to_owned(),
        })
    }

    /// Notes when load started: time zero of everything else.
    ///
    /// # Errors
    /// When `trial.json` cannot be replaced.
    pub fn load_started(&mut self, start: LoadStart) -> Result<(), ResultsError> {
        self.record.load = Some(start);
        self.write_record()
    }

    /// Notes what the history says of the target.
    ///
    /// # Errors
    /// When `trial.json` cannot be replaced.
    pub fn judged(&mut self, verdict: HistoryVerdict) -> Result<(), ResultsError> {
        self.record.history = Some(verdict);
        self.write_record()
    }

    /// Adds an interval of load, and hands everything so far to the kernel.
    ///
    /// # Errors
    /// When one of the files cannot be written.
    pub fn interval(&mut self, interval: &Interval) -> Result<(), ResultsError> {
        self.intervals.push(&IntervalRow::from(interval))?;
        self.latencies
            .write(|out| hlog::write_interval(out, interval))?;
        self.flush()
    }

    /// Adds an event.
    ///
    /// # Errors
    /// When `events.csv` cannot be written.
    pub fn event(&mut self, event: &Event) -> Result<(), ResultsError> {
        self.events.push(event)?;
        self.events.flush()
    }

    /// Adds a sample; it is on its way to the file with the next interval.
    ///
    /// # Errors
    /// When `nodes.csv` cannot be written.
    pub fn sample(&mut self, sample: &NodeSample) -> Result<(), ResultsError> {
        self.samples.push(sample)
    }

    /// Adds a probe's reading.
    ///
    /// # Errors
    /// When `probes.csv` cannot be written.
    pub fn probe(&mut self, reading: &ProbeReading) -> Result<(), ResultsError> {
        self.probes.push(reading)?;
        self.probes.flush()
    }

    /// Adds a line to the history of operations as it is; it is on its way to the file with the next interval.
    ///
    /// # Errors
    /// When `history.jsonl` cannot be written.
    pub fn history(&mut self, line: &str) -> Result<(), ResultsError> {
        self.history.write(|out| {
            out.write_all(line.trim_end().as_bytes())?;
            out.write_all(b"\n")
        })
    }

    /// Keeps the slowness propagation graph, as JSON and in the language of Graphviz.
    ///
    /// # Errors
    /// When one of the files cannot be written.
    pub fn waits(&self, json: &str, dot: &str) -> Result<(), ResultsError> {
        replace(&self.dir.join("waits.json"), json.as_bytes())?;
        replace(&self.dir.join("waits.dot"), dot.as_bytes())
    }

    /// Where the log `name` of `node` belongs; its directory exists.
    pub fn log_path(&self, node: &NodeName, name: &str) -> PathBuf {
        let safe: String = name
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || c == '-' {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        self.dir.join("logs").join(format!("{node}-{safe}.log"))
    }

    /// The directory of the trial's files.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Puts everything on the disk, and then marks the trial complete.
    ///
    /// # Errors
    /// When a file cannot be written; the trial then stays incomplete.
    pub fn finish(mut self, validity: Validity, ended: Wall) -> Result<(), ResultsError> {
        self.intervals.sync()?;
        self.latencies.sync()?;
        self.events.sync()?;
        self.samples.sync()?;
        self.probes.sync()?;
        self.history.sync()?;
        self.record.state = TrialState::Complete { validity, ended };
        self.write_record()
    }

    fn flush(&mut self) -> Result<(), ResultsError> {
        self.intervals.flush()?;
        self.latencies.flush()?;
        self.samples.flush()?;
        self.history.flush()
    }

    fn write_record(&self) -> Result<(), ResultsError> {
        write_json(&self.dir.join("trial.json"), &self.record)
    }
}
