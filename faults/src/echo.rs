//! Round trips by ICMP echo, sent by depbench itself: no `ping` needed, and a grain of microseconds.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::panic::resume_unwind;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, recv, sendto,
    socket,
};
use nix::sys::time::TimeSpec;

use crate::helpers::Priority;

/// Some echoes: how many, and how far apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Volley {
    /// How many are sent.
    pub(crate) count: u16,
    /// The time between two.
    pub(crate) spacing: Duration,
}

impl Volley {
    /// Enough for a median.
    pub(crate) const FEW: Volley = Volley {
        count: 7,
        spacing: Duration::from_millis(10),
    };
    /// Enough to see what happens to some of them.
    pub(crate) const MANY: Volley = Volley {
        count: 200,
        spacing: Duration::from_millis(2),
    };
}

/// What became of a volley.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Echoes {
    /// The answers in the order in which they came: which echo, and how long it took.
    answers: Vec<(u16, Duration)>,
    /// How many echoes were sent.
    sent: u16,
}

impl Echoes {
    /// The median round trip; `None` when none was answered.
    pub(crate) fn median(&self) -> Option<Duration> {
        let mut round_trips: Vec<Duration> = self.first_answers().map(|(_, took)| took).collect();
        round_trips.sort_unstable();
        round_trips.get(round_trips.len() / 2).copied()
    }

    /// Those not answered, of those sent.
    pub(crate) fn lost(&self) -> f64 {
        1.0 - self.first_answers().count() as f64 / f64::from(self.sent)
    }

    /// Those answered more than once, of those sent.
    pub(crate) fn duplicated(&self) -> f64 {
        let again = self.answers.len() - self.first_answers().count();
        again as f64 / f64::from(self.sent)
    }

    /// Those whose answer came after the answer to a later one, of those sent.
    pub(crate) fn overtaken(&self) -> f64 {
        let mut latest = 0;
        let overtaken = self.first_answers().filter(|(number, _)| {
            let overtaken = *number < latest;
            latest = latest.max(*number);
            overtaken
        });
        overtaken.count() as f64 / f64::from(self.sent)
    }

    fn first_answers(&self) -> impl Iterator<Item = (u16, Duration)> {
        let mut seen = vec![false; usize::from(self.sent)];
        self.answers.iter().copied().filter(move |(number, _)| {
            let slot = seen.get_mut(usize::from(*number));
            slot.is_some_and(|slot| !std::mem::replace(slot, true))
        })
    }
}

const HEADER: usize = 8;

/// Sends a volley to `target` from this thread's network namespace, and waits for the last answers up to `patience`.
///
/// By a thread that runs as soon as an answer is there: on a busy machine an ordinary one, woken late, would take its own
/// waiting for the network's.
///
/// # Errors
/// No privilege for raw sockets here, or no route to the target.
pub(crate) fn echo(target: IpAddr, volley: Volley, patience: Duration) -> io::Result<Echoes> {
    std::thread::scope(|scope| {
        let prompt = scope.spawn(|| {
            Priority::take_best();
            send_and_listen(target, volley, patience)
        });
        prompt.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

fn send_and_listen(target: IpAddr, volley: Volley, patience: Duration) -> io::Result<Echoes> {
    let (family, protocol) = match target {
        IpAddr::V4(_) => (AddressFamily::Inet, SockProtocol::Icmp),
        IpAddr::V6(_) => (AddressFamily::Inet6, SockProtocol::IcmpV6),
    };
    let socket = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
    // Raw sockets see every echo of the namespace; the identifier tells ours.
    let identifier = std::process::id() as u16 ^ socket.as_raw_fd() as u16;
    let mut ear = Ear {
        socket,
        identifier,
        version_6: target.is_ipv6(),
        sent: Vec::new(),
        answers: Vec::new(),
    };
    let to = SockaddrStorage::from(SocketAddr::new(target, 0));
    let start = Instant::now();
    for number in 0..volley.count {
        let packet = request(identifier, number, ear.version_6);
        ear.sent.push(Instant::now());
        sendto(ear.socket.as_raw_fd(), &packet, &to, MsgFlags::empty())?;
        ear.listen(start + volley.spacing * u32::from(number + 1))?;
    }
    let end = Instant::now() + patience;
    ear.listen_for_all(end)?;
    Ok(Echoes {
        answers: ear.answers,
        sent: volley.count,
    })
}

/// Takes in answers.
struct Ear {
    socket: OwnedFd,
    identifier: u16,
    version_6: bool,
    sent: Vec<Instant>,
    answers: Vec<(u16, Duration)>,
}

impl Ear {
    /// Until `until`.
    fn listen(&mut self, until: Instant) -> io::Result<()> {
        while self.next(until)? {}
        Ok(())
    }

    /// Until `until`, or shortly after every echo was answered: a second answer comes right after the first.
    fn listen_for_all(&mut self, until: Instant) -> io::Result<()> {
        while self.is_waiting() {
            if !self.next(until)? {
                return Ok(());
            }
        }
        self.listen(Instant::now() + Volley::MANY.spacing)
    }

    fn is_waiting(&self) -> bool {
        let mut answered = vec![false; self.sent.len()];
        for (number, _) in &self.answers {
            answered[usize::from(*number)] = true;
        }
        answered.contains(&false)
    }

    /// Takes in one packet; false when none came until `until`.
    fn next(&mut self, until: Instant) -> io::Result<bool> {
        let left = until.saturating_duration_since(Instant::now());
        let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        match ppoll(&mut fds, Some(TimeSpec::from_duration(left)), None) {
            Ok(0) => return Ok(false),
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
        let mut buffer = [0; 1500];
        let length = match recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(length) => length,
            // The kernel woke us for a packet that it then found damaged.
            Err(nix::errno::Errno::EAGAIN) => return Ok(true),
            Err(error) => return Err(error.into()),
        };
        let now = Instant::now();
        let number = reply(&buffer[..length], self.identifier, self.version_6);
        let sent = number.and_then(|number| Some((number, self.sent.get(usize::from(number))?)));
        if let Some((number, at)) = sent {
            self.answers
                .push((number, now.saturating_duration_since(*at)));
        }
        Ok(true)
    }
}

fn request(identifier: u16, number: u16, version_6: bool) -> [u8; HEADER] {
    let mut packet = [0; HEADER];
    packet[0] = if version_6 { 128 } else { 8 };
    packet[4..6].copy_from_slice(&identifier.to_be_bytes());
    packet[6..8].copy_from_slice(&number.to_be_bytes());
    // For version 6, where the checksum covers addresses too, the kernel fills it in.
    let sum = !ones_complement_sum(&packet);
    packet[2..4].copy_from_slice(&sum.to_be_bytes());
    packet
}

fn ones_complement_sum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks_exact(2);
    let sum: u32 = words
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    (folded + (folded >> 16)) as u16
}

/// The number of the echo that a packet answers, if it answers one of ours undamaged. Version 4 comes with its IP header,
/// and before the kernel has looked at its checksum.
fn reply(packet: &[u8], identifier: u16, version_6: bool) -> Option<u16> {
    let (start, kind) = match version_6 {
        true => (0, 129),
        false => (usize::from(packet.first()? & 0x0f) * 4, 0),
    };
    let icmp = packet.get(start..)?.first_chunk::<HEADER>()?;
    let whole = version_6 || ones_complement_sum(&packet[start..]) == 0xffff;
    let ours = whole && icmp[0] == kind && icmp[4..6] == identifier.to_be_bytes();
    ours.then(|| u16::from_be_bytes([icmp[6], icmp[7]]))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn answers_are_told_from_others() {
        let mut packet = vec![0x45; 20];
        packet.extend_from_slice(&request(7, 3, false));
        assert_eq!(reply(&packet, 7, false), None, "a request is no answer");
        packet[20] = 0;
        // The request's type is the first byte of what the checksum covers.
        packet[22] += 8;
        assert_eq!(reply(&packet, 7, false), Some(3));
        packet[27] ^= 4;
        assert_eq!(reply(&packet, 7, false), None, "damaged");
        packet[27] ^= 4;
        assert_eq!(reply(&packet, 8, false), None);
        for end in 0..packet.len() {
            assert_eq!(reply(&packet[..end], 7, false), None);
        }
        let mut packet = request(7, 3, true);
        packet[0] = 129;
        assert_eq!(reply(&packet, 7, true), Some(3));
    }

    #[test]
    fn what_became_of_echoes_is_counted() {
        let ms = Duration::from_millis;
        let echoes = Echoes {
            answers: vec![(0, ms(1)), (2, ms(1)), (1, ms(9)), (2, ms(2)), (4, ms(3))],
            sent: 5,
        };
        assert_eq!(echoes.median(), Some(ms(3)));
        assert!((echoes.lost() - 0.2).abs() < 1e-9);
        assert!((echoes.duplicated() - 0.2).abs() < 1e-9);
        assert!((echoes.overtaken() - 0.2).abs() < 1e-9);
    }

    #[test]
    fn the_loopback_answers() {
        for target in [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] {
            match echo(target, Volley::FEW, Duration::from_secs(1)) {
                Ok(echoes) => assert!(echoes.lost() == 0.0 && echoes.duplicated() == 0.0),
                Err(error) => println!("skipped: needs root and {target}: {error}"),
            }
        }
    }
}
