//! Files of groups, whose errors name them.

use std::fs;
use std::path::Path;

use super::CgroupError;

/// All that is in one.
pub(super) fn read(path: &Path) -> Result<String, CgroupError> {
    fs::read_to_string(path).map_err(CgroupError::file("read", path))
}

/// Writes a value in one write: unlike a buffered writer, this sees the kernel's refusal.
pub(super) fn write(path: &Path, value: &str) -> Result<(), CgroupError> {
    let action = format!("write {value:?} to");
    fs::write(path, value).map_err(CgroupError::file(action, path))
}
