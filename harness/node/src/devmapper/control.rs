use std::fs::{File, OpenOptions};
use std::io;
use std::mem;
use std::os::fd::AsRawFd;

/// What a request asks for, by the kernel's numbers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Request {
    Create = 0x03,
    Remove = 0x04,
    /// To swap the loaded table in, and go on.
    Resume = 0x06,
    LoadTable = 0x09,
    Table = 0x0C,
    /// Which version of a target there is; loads its module.
    TargetVersion = 0x11,
}

/// `_IOWR(0xfd, …, struct dm_ioctl)`.
const REQUESTS: libc::Ioctl = 0xC138_FD00;

/// Ask for the table, not for how it fares.
pub(super) const TABLE: u32 = 1 << 4;
/// Do not freeze the file system above: what it writes then would be delayed as well.
pub(super) const LEAVE_FILE_SYSTEM: u32 = 1 << 10;
/// Remove it once its last user has closed it.
pub(super) const WHEN_CLOSED: u32 = 1 << 17;

const NAME: usize = 128;
const TEXT: usize = 1024;

/// `struct dm_ioctl`, `struct dm_target_spec` and the target's arguments.
#[repr(C)]
pub(super) struct Message {
    version: [u32; 3],
    size: u32,
    start: u32,
    targets: u32,
    open_count: i32,
    flags: u32,
    event: u32,
    padding: u32,
    device: u64,
    name: [u8; NAME],
    uuid: [u8; 129],
    unused: [u8; 7],
    first_sector: u64,
    sectors: u64,
    status: i32,
    next: u32,
    kind: [u8; 16],
    text: [u8; TEXT],
}

impl Message {
    pub(super) fn about(name: &str, flags: u32) -> Message {
        // SAFETY: all fields are plain numbers, for which zero is valid.
        let mut message: Message = unsafe { mem::zeroed() };
        message.version = [4, 0, 0];
        message.size = size_of::<Message>() as u32;
        message.start = mem::offset_of!(Message, first_sector) as u32;
        message.flags = flags;
        put(&mut message.name, name);
        message
    }

    /// The same with a table of one target.
    pub(super) fn with_table(mut self, sectors: u64, kind: &str, arguments: &str) -> Message {
        self.targets = 1;
        self.sectors = sectors;
        self.next = (size_of::<Message>() - mem::offset_of!(Message, first_sector)) as u32;
        put(&mut self.kind, kind);
        put(&mut self.text, arguments);
        self
    }

    pub(super) fn device(&self) -> u64 {
        self.device
    }

    pub(super) fn sectors(&self) -> u64 {
        self.sectors
    }

    /// What a target says.
    pub(super) fn text(&self) -> String {
        let end = self.text.iter().position(|byte| *byte == 0);
        String::from_utf8_lossy(&self.text[..end.unwrap_or(TEXT)]).into_owned()
    }
}

/// As much as there is room for, and a zero behind it.
fn put(field: &mut [u8], text: &str) {
    let length = text.len().min(field.len() - 1);
    field[..length].copy_from_slice(&text.as_bytes()[..length]);
}

/// The kernel's device mapper.
pub(super) struct Control(File);

impl Control {
    pub(super) const PATH: &str = "/dev/mapper/control";

    pub(super) fn open() -> io::Result<Control> {
        let options = OpenOptions::new().read(true).write(true).open(Self::PATH);
        options.map(Control)
    }

    pub(super) fn ask(&self, request: Request, mut message: Message) -> io::Result<Message> {
        let number = REQUESTS | request as libc::Ioctl;
        // SAFETY: the request reads and writes within the message, which says its size and outlives the call.
        match unsafe { libc::ioctl(self.0.as_raw_fd(), number, &raw mut message) } {
            0 => Ok(message),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_lies_as_the_kernel_expects() {
        // What the request numbers say of `struct dm_ioctl`, and where its first target begins.
        assert_eq!(mem::offset_of!(Message, first_sector), 0x138);
        assert_eq!(mem::offset_of!(Message, text), 0x138 + 40);
        let message = Message::about(&"n".repeat(200), 0).with_table(8, "delay", "7:0 0 0");
        assert_eq!(message.name[NAME - 1], 0);
        assert_eq!(message.text(), "7:0 0 0");
    }
}
