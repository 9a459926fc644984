use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::mem::size_of_val;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use node::links::{LinkName, Links};

use super::decide::Course;
use super::job::LineJob;
use super::packets::{Packets, damage};
use crate::impairment::Impairment;

/// Packets that are redirected to a link behind which this program stands, and leave through another one, past its queue
/// and its filters. The link is gone with this value.
pub(super) struct TapPackets {
    tap: File,
    out: OwnedFd,
    /// The hardware address of the link: what the kernel itself sends there is not somebody's packet.
    own: [u8; 6],
    buffer: Box<[u8]>,
    lost: u64,
}

/// What comes before each packet: how its checksum and segmentation are to be completed.
const OFFLOAD_HEADER: usize = 10;
const ETHERNET_HEADER: usize = 14;
const LARGEST: usize = 68 << 10;
/// How many packets may come in before this program gets to run; where they wait on purpose is its own memory.
const QUEUE_LENGTHS: [u32; 3] = [50_000, 10_000, 4_000];
/// `PACKET_VNET_HDR`: packets are sent with such a header too.
const WITH_OFFLOAD_HEADER: libc::c_int = 15;

impl TapPackets {
    pub(super) fn open(name: &LinkName, out: &LinkName, job: &LineJob) -> io::Result<TapPackets> {
        // Only what is done to all packets alike may be done to several of them at once.
        let batches = matches!(job.impairment, Impairment::Delay(_));
        let tap = make(name, batches)?;
        let own = hardware_address(name)?;
        let links = Links::open().map_err(io::Error::other)?;
        // Some kernels refuse long ones. What is too short for a burst shows: the kernel counts what it drops.
        let _longest = QUEUE_LENGTHS
            .iter()
            .find(|packets| links.set_queue_length(name, **packets).is_ok());
        let out = links
            .set_up(name)
            .and_then(|()| links.index(out))
            .map_err(io::Error::other)?;
        Ok(TapPackets {
            tap,
            out: way_out(out)?,
            own,
            buffer: vec![0; LARGEST].into(),
            lost: 0,
        })
    }

    fn send(&mut self, packet: &[u8]) {
        // SAFETY: the pointer and the length are those of one slice, which outlives the call.
        let sent = unsafe {
            let (start, length) = (packet.as_ptr().cast(), packet.len());
            libc::send(self.out.as_raw_fd(), start, length, libc::MSG_DONTWAIT)
        };
        self.lost += u64::from(sent < 0);
    }
}

impl Packets for TapPackets {
    type Packet = Vec<u8>;

    fn fd(&self) -> BorrowedFd<'_> {
        self.tap.as_fd()
    }

    fn next(&mut self) -> io::Result<Option<(Vec<u8>, u32)>> {
        loop {
            let length = match self.tap.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                length => length?,
            };
            let packet = &self.buffer[..length];
            let source = packet.get(OFFLOAD_HEADER + 6..OFFLOAD_HEADER + 12);
            if source.is_some_and(|source| source != self.own) {
                let length = length - OFFLOAD_HEADER;
                return Ok(Some((packet.to_vec(), length as u32)));
            }
        }
    }

    fn lose(&mut self, _packet: Vec<u8>) -> io::Result<()> {
        Ok(())
    }

    fn pass(&mut self, mut packet: Vec<u8>, course: Course) -> io::Result<()> {
        match course {
            Course::Damaged(choice) => {
                let ip = packet.get_mut(OFFLOAD_HEADER + ETHERNET_HEADER..);
                damage(ip.unwrap_or_default(), choice);
            }
            Course::Twice => self.send(&packet),
            Course::Plain | Course::Lost | Course::NoRoom => {}
        }
        self.send(&packet);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<u64> {
        Ok(std::mem::take(&mut self.lost))
    }
}

/// Makes a link whose packets are read from the file.
fn make(name: &LinkName, batches: bool) -> io::Result<File> {
    let tap = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")?;
    let mut request = request(name);
    let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    // SAFETY: the request is one that this call takes, and outlives it.
    check(unsafe { libc::ioctl(tap.as_raw_fd(), libc::TUNSETIFF, &raw const request) })?;
    if batches {
        let offloads = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6;
        // SAFETY: this call takes a number.
        check(unsafe {
            libc::ioctl(
                tap.as_raw_fd(),
                libc::TUNSETOFFLOAD,
                libc::c_ulong::from(offloads),
            )
        })?;
    }
    Ok(tap)
}

/// A socket that sends frames through link `index`, past its qdisc.
fn way_out(index: u32) -> io::Result<OwnedFd> {
    // SAFETY: a plain call; the descriptor is new and owned by nobody else.
    let socket = unsafe {
        let socket = libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0);
        check(socket)?;
        OwnedFd::from_raw_fd(socket)
    };
    for option in [libc::PACKET_QDISC_BYPASS, WITH_OFFLOAD_HEADER] {
        let on: libc::c_int = 1;
        // SAFETY: the option's value is an integer that outlives the call.
        check(unsafe {
            let (value, length) = ((&raw const on).cast(), size_of_val(&on) as libc::socklen_t);
            libc::setsockopt(socket.as_raw_fd(), libc::SOL_PACKET, option, value, length)
        })?;
    }
    // SAFETY: all zeros is a valid address; the call reads it only.
    check(unsafe {
        let mut address: libc::sockaddr_ll = std::mem::zeroed();
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_ifindex = index as i32;
        let length = size_of_val(&address) as libc::socklen_t;
        libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length)
    })?;
    Ok(socket)
}

fn hardware_address(name: &LinkName) -> io::Result<[u8; 6]> {
    let mut request = request(name);
    // SAFETY: the call fills in the request, which outlives it, with an address of 6 bytes.
    unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        check(socket)?;
        let socket = OwnedFd::from_raw_fd(socket);
        check(libc::ioctl(
            socket.as_raw_fd(),
            libc::SIOCGIFHWADDR,
            &raw mut request,
        ))?;
        let bytes = request.ifr_ifru.ifru_hwaddr.sa_data;
        Ok(std::array::from_fn(|index| bytes[index] as u8))
    }
}

fn request(name: &LinkName) -> libc::ifreq {
    // SAFETY: all zeros is a valid request.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.as_str().bytes()) {
        *to = from as libc::c_char;
    }
    request
}

fn check(result: libc::c_int) -> io::Result<()> {
    match result {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
