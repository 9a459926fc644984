use super::{moment, optional, seconds};
use crate::disk::row_file::{Fields, Row};
use crate::record::Event;
use crate::wall_text;

impl Row for Event {
    fn header() -> Vec<String> {
        ["at_s", "wall", "kind", "node", "fault", "detail"]
            .map(str::to_owned)
            .to_vec()
    }

    fn fields(&self) -> Vec<String> {
        vec![
            seconds(self.at.nanos()),
            wall_text::format(self.wall),
            self.kind.to_string(),
            optional(self.node.as_ref(), ToString::to_string),
            optional(self.fault.as_ref(), ToString::to_string),
            self.detail.clone(),
        ]
    }

    fn parse(fields: &Fields<'_>) -> Result<Self, String> {
        Ok(Event {
            at: moment(fields.text("at_s")?)?,
            wall: wall_text::parse(fields.text("wall")?)?,
            kind: fields.value("kind")?,
            node: fields.optional("node")?,
            fault: fields.optional("fault")?,
            detail: fields.text("detail")?.to_owned(),
        })
    }
}
