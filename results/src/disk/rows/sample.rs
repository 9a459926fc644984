use super::{moment, optional, seconds};
use crate::disk::row_file::{Fields, Row};
use crate::record::NodeSample;

type Counter = fn(&mut NodeSample) -> &mut Option<u64>;

/// The counters by column, in the order of the file.
const COUNTERS: [(&str, Counter); 13] = [
    ("cpu_ns", |sample| &mut sample.cpu_ns),
    ("throttled_ns", |sample| &mut sample.throttled_ns),
    ("periods", |sample| &mut sample.periods),
    ("throttled_periods", |sample| &mut sample.throttled_periods),
    ("memory_bytes", |sample| &mut sample.memory_bytes),
    ("major_faults", |sample| &mut sample.major_faults),
    ("disk_read_bytes", |sample| &mut sample.disk_read_bytes),
    ("disk_write_bytes", |sample| &mut sample.disk_write_bytes),
    ("net_rx_bytes", |sample| &mut sample.net_rx_bytes),
    ("net_tx_bytes", |sample| &mut sample.net_tx_bytes),
    ("pressure_cpu_us", |sample| &mut sample.pressure_cpu_us),
    ("pressure_io_us", |sample| &mut sample.pressure_io_us),
    ("pressure_memory_us", |sample| {
        &mut sample.pressure_memory_us
    }),
];

impl Row for NodeSample {
    fn header() -> Vec<String> {
        ["at_s", "node", "scope"]
            .into_iter()
            .chain(COUNTERS.iter().map(|(column, _)| *column))
            .map(str::to_owned)
            .collect()
    }

    fn fields(&self) -> Vec<String> {
        let mut sample = self.clone();
        let mut fields = vec![
            seconds(self.at.nanos()),
            self.node.to_string(),
            self.scope.to_string(),
        ];
        fields.extend(
            COUNTERS
                .iter()
                .map(|(_, counter)| optional(*counter(&mut sample), |count| count.to_string())),
        );
        fields
    }

    fn parse(fields: &Fields<'_>) -> Result<Self, String> {
        let mut sample = NodeSample::new(
            moment(fields.text("at_s")?)?,
            fields.value("node")?,
            fields.value("scope")?,
        );
        for (column, counter) in COUNTERS {
            *counter(&mut sample) = fields.optional(column)?;
        }
        Ok(sample)
    }
}
