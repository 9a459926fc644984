use super::{moment, seconds};
use crate::disk::row_file::{Fields, Row};
use crate::record::ProbeReading;

impl Row for ProbeReading {
    fn header() -> Vec<String> {
        ["at_s", "fault", "node", "moment", "probe", "value", "unit"]
            .map(str::to_owned)
            .to_vec()
    }

    fn fields(&self) -> Vec<String> {
        vec![
            seconds(self.at.nanos()),
            self.fault.to_string(),
            self.node.to_string(),
            self.moment.to_string(),
            self.probe.clone(),
            self.value.to_string(),
            self.unit.clone(),
        ]
    }

    fn parse(fields: &Fields<'_>) -> Result<Self, String> {
        Ok(ProbeReading {
            at: moment(fields.text("at_s")?)?,
            fault: fields.value("fault")?,
            node: fields.value("node")?,
            moment: fields.value("moment")?,
            probe: fields.text("probe")?.to_owned(),
            value: fields.value("value")?,
            unit: fields.text("unit")?.to_owned(),
        })
    }
}
