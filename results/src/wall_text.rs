//! Wall-clock moments as RFC 3339 text in UTC, whole to the nanosecond, for files that people read.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serializer};
use vocab::time::Wall;

pub(crate) fn format(wall: Wall) -> String {
    Timestamp::from_nanosecond(i128::from(wall.unix_nanos()))
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .to_string()
}

pub(crate) fn parse(text: &str) -> Result<Wall, String> {
    let moment: Timestamp = text
        .parse()
        .map_err(|_| format!("`{text}` is not a time such as 2026-11-18T11:06:40.123Z"))?;
    i64::try_from(moment.as_nanosecond())
        .map(Wall::from_unix_nanos)
        .map_err(|_| format!("`{text}` is out of range"))
}

pub(crate) fn serialize<S: Serializer>(wall: &Wall, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*wall))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Wall, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}
