use std::fs;
use std::io;

use vocab::units::Bytes;

/// Memory of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MachineMemory {
    /// All there is.
    pub total: Bytes,
    /// What new programs can have without swapping, page cache that can be dropped included.
    pub available: Bytes,
    /// Swap space.
    pub swap: Bytes,
}

impl MachineMemory {
    /// Reads `/proc/meminfo`.
    ///
    /// # Errors
    /// When `/proc` is not mounted.
    pub fn read() -> io::Result<MachineMemory> {
        let text = fs::read_to_string("/proc/meminfo")?;
        let kibibytes = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key))?;
            line.trim().trim_end_matches(" kB").parse::<u64>().ok()
        };
        let bytes = |key| Bytes(kibibytes(key).unwrap_or_default() * 1024);
        Ok(MachineMemory {
            total: bytes("MemTotal:"),
            available: bytes("MemAvailable:"),
            swap: bytes("SwapTotal:"),
        })
    }
}
