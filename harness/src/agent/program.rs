use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Tells builds of depbench apart: the length and the CRC-32 of the program file. Against accident, not against malice.
///
/// # Errors
/// When the file cannot be read.
pub fn program_hash(program: &Path) -> io::Result<String> {
    let mut file = File::open(program)?;
    let mut hasher = crc32fast::Hasher::new();
    let mut piece = vec![0; 1 << 20];
    let mut length = 0;
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(format!("{length}-{:08x}", hasher.finalize())),
            n => {
                hasher.update(&piece[..n]);
                length += n;
            }
        }
    }
}
