use std::io;
use std::os::fd::BorrowedFd;

use super::decide::Course;

/// Where packets come from and go to.
pub(super) trait Packets {
    /// A packet that was taken in.
    type Packet;

    /// Readable when a packet has come.
    fn fd(&self) -> BorrowedFd<'_>;

    /// The next packet that came in with its length in bytes, without waiting; `None` when there is none now.
    fn next(&mut self) -> io::Result<Option<(Self::Packet, u32)>>;

    /// Lets a packet vanish.
    fn lose(&mut self, packet: Self::Packet) -> io::Result<()>;

    /// Lets a packet go on, at the latest with the next [`Packets::flush`].
    fn pass(&mut self, packet: Self::Packet, course: Course) -> io::Result<()>;

    /// Carries out what was put off. Gives how many packets were lost on their way out since the last time.
    fn flush(&mut self) -> io::Result<u64>;
}

/// Flips the bit that `choice` chooses of what an IP packet carries, beyond its own header, so that the checksum of the
/// protocol above finds it. A packet that carries nothing is left whole.
pub(super) fn damage(packet: &mut [u8], choice: u64) {
    let start = match packet.first().map(|first| (first >> 4, first & 0x0f)) {
        Some((4, words)) => usize::from(words) * 4,
        Some((6, _)) => 40,
        _ => return,
    };
    let Some(carried) = packet.get_mut(start..).filter(|bytes| !bytes.is_empty()) else {
        return;
    };
    let bit = choice % (carried.len() as u64 * 8);
    carried[(bit / 8) as usize] ^= 1 << (bit % 8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_one_bit_beyond_the_header() {
        let mut whole = vec![0x45; 20];
        whole.extend([0; 12]);
        for choice in 0..500 {
            let mut packet = whole.clone();
            damage(&mut packet, choice);
            assert_eq!(packet[..20], whole[..20]);
            let flipped: u32 = packet[20..].iter().map(|byte| byte.count_ones()).sum();
            assert_eq!(flipped, 1);
        }
        for mut odd in [
            vec![],
            vec![0x45; 20],
            vec![0x60; 40],
            vec![0x4f; 8],
            vec![0; 64],
        ] {
            let before = odd.clone();
            damage(&mut odd, 7);
            assert_eq!(odd, before);
        }
    }
}
