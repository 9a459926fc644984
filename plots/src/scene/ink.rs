/// A colour by what it stands for, so that a report can show it otherwise in the dark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ink {
    /// The ground.
    Paper,
    /// Text to be read.
    Text,
    /// Text in second place.
    Muted,
    /// Axes and ticks.
    Axis,
    /// Lines of the grid.
    Grid,
    /// What belongs to a fault.
    Fault,
    /// One of several things that are compared.
    Series(usize),
}

/// Okabe and Ito's colours, which the colour-blind can tell apart, in an order in which neighbours also differ in
/// lightness.
const SERIES: [(&str, [u8; 3]); 7] = [
    ("c0", [0x00, 0x72, 0xb2]),
    ("c1", [0xd5, 0x5e, 0x00]),
    ("c2", [0x56, 0xb4, 0xe9]),
    ("c3", [0x00, 0x9e, 0x73]),
    ("c4", [0xcc, 0x79, 0xa7]),
    ("c5", [0xe6, 0x9f, 0x00]),
    ("c6", [0x55, 0x55, 0x55]),
];

impl Ink {
    /// Its name in style sheets.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Ink::Paper => "paper",
            Ink::Text => "text",
            Ink::Muted => "muted",
            Ink::Axis => "axis",
            Ink::Grid => "grid",
            Ink::Fault => "fault",
            Ink::Series(index) => SERIES[index % SERIES.len()].0,
        }
    }

    /// Red, green, blue on white paper.
    pub(crate) fn rgb(self) -> [u8; 3] {
        match self {
            Ink::Paper => [0xff; 3],
            Ink::Text => [0x1a; 3],
            Ink::Muted => [0x66; 3],
            Ink::Axis => [0x80; 3],
            Ink::Grid => [0xe4; 3],
            Ink::Fault => [0xd5, 0x5e, 0x00],
            Ink::Series(index) => SERIES[index % SERIES.len()].1,
        }
    }
}
