use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A file in `dir` that nobody else sees: its name is gone before anything is written, its space when it is closed.
pub(super) fn nameless_file(dir: &Path, number: usize, flags: i32) -> io::Result<File> {
    let name = format!(".depbench-{}-{number}", std::process::id());
    let path = dir.join(name);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(flags)
        .open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

/// Bytes at an address that `O_DIRECT` accepts.
pub(super) struct PageBuffer {
    memory: Vec<u8>,
    start: usize,
    length: usize,
}

/// The alignment that every disk is content with.
const PAGE: usize = 4096;

impl PageBuffer {
    /// So many bytes, none of them zero: some disks make nothing of zeros.
    pub(super) fn new(length: usize) -> PageBuffer {
        let memory = vec![0xA5; length + PAGE];
        let start = memory.as_ptr().align_offset(PAGE);
        PageBuffer {
            memory,
            start,
            length,
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned() {
        for length in [1, 4096, 1 << 20] {
            let buffer = PageBuffer::new(length);
            assert_eq!(buffer.bytes().as_ptr() as usize % PAGE, 0);
            assert_eq!(buffer.bytes().len(), length);
        }
    }
}
