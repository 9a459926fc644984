//! CSV files of one kind of row.

use std::marker::PhantomData;
use std::path::Path;
use std::str::FromStr;

use csv::StringRecord;

use super::line_file::LineFile;
use super::whole_file::read_whole_lines;
use crate::error::ResultsError;

/// Something that is one line of a CSV file.
pub(super) trait Row: Sized {
    /// The names of the columns.
    fn header() -> Vec<String>;
    /// The fields, one for each column.
    fn fields(&self) -> Vec<String>;
    /// From the fields of a line; columns may stand in any order, and there may be more.
    fn parse(fields: &Fields<'_>) -> Result<Self, String>;
}

/// The fields of a line, by column.
pub(super) struct Fields<'a> {
    header: &'a StringRecord,
    line: &'a StringRecord,
}

impl Fields<'_> {
    /// The text in a column.
    pub(super) fn text(&self, column: &str) -> Result<&str, String> {
        self.header
            .iter()
            .position(|name| name == column)
            .and_then(|index| self.line.get(index))
            .ok_or_else(|| format!("there is no column `{column}`"))
    }

    /// What stands in a column.
    pub(super) fn value<T: FromStr>(&self, column: &str) -> Result<T, String> {
        self.optional(column)?
            .ok_or_else(|| format!("column `{column}` is empty"))
    }

    /// What stands in a column that may be empty.
    pub(super) fn optional<T: FromStr>(&self, column: &str) -> Result<Option<T>, String> {
        let text = self.text(column)?;
        if text.is_empty() {
            return Ok(None);
        }
        text.parse()
            .map(Some)
            .map_err(|_| format!("`{text}` cannot stand in column `{column}`"))
    }
}

/// A CSV file that grows by rows.
pub(super) struct RowFile<R> {
    file: LineFile,
    rows: PhantomData<R>,
}

impl<R: Row> RowFile<R> {
    pub(super) fn create(path: &Path) -> Result<RowFile<R>, ResultsError> {
        let mut file = RowFile {
            file: LineFile::create(path)?,
            rows: PhantomData,
        };
        file.put(&R::header())?;
        file.flush()?;
        Ok(file)
    }

    pub(super) fn push(&mut self, row: &R) -> Result<(), ResultsError> {
        self.put(&row.fields())
    }

    pub(super) fn flush(&mut self) -> Result<(), ResultsError> {
        self.file.flush()
    }

    pub(super) fn sync(&mut self) -> Result<(), ResultsError> {
        self.file.sync()
    }

    fn put(&mut self, fields: &[String]) -> Result<(), ResultsError> {
        self.file.write(|out| {
            let mut csv = csv::WriterBuilder::new()
                .buffer_capacity(1 << 10)
                .from_writer(out);
            // A line's end within a field would make a torn tail hard to see.
            csv.write_record(fields.iter().map(|field| one_line(field)))?;
            csv.flush()
        })
    }
}

/// All whole rows of a CSV file.
pub(super) fn read_rows<R: Row>(path: &Path) -> Result<Vec<R>, ResultsError> {
    let bytes = read_whole_lines(path)?;
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    let malformed = |error: csv::Error| {
        let line = error.position().map(csv::Position::line);
        ResultsError::malformed(path, line, &error)
    };
    let header = reader.headers().map_err(malformed)?.clone();
    reader
        .records()
        .map(|line| {
            let line = line.map_err(malformed)?;
            R::parse(&Fields {
                header: &header,
                line: &line,
            })
            .map_err(|message| {
                let number = line.position().map(csv::Position::line);
                ResultsError::malformed(path, number, &message)
            })
        })
        .collect()
}

fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
