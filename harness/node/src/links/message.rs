//! Route netlink messages, as bytes.

use std::net::IpAddr;

use nix::libc;

/// Attributes that libc does not name.
pub(super) mod attribute {
    /// The other end of a veth pair.
    pub(in crate::links) const VETH_INFO_PEER: u16 = 1;
}

/// Flags of a request that makes something new.
pub(super) const CREATE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;

const HEADER: usize = 16;
const LINK_HEADER: usize = 16;

/// A request under construction.
#[derive(Debug)]
pub(super) struct Message(Vec<u8>);

impl Message {
    pub(super) fn link(kind: u16, index: u32, flags: u16) -> Message {
        let mut message = Message::new(kind, flags);
        message.link_header(index);
        message
    }

    pub(super) fn address(index: u32, address: IpAddr, prefix: u8) -> Message {
        let mut message = Message::new(libc::RTM_NEWADDR, CREATE);
        message.bytes(&[family(address), prefix, 0, libc::RT_SCOPE_UNIVERSE]);
        message.bytes(&index.to_ne_bytes());
        message
    }

    pub(super) fn route(network: IpAddr, prefix: u8) -> Message {
        let mut message = Message::new(libc::RTM_NEWROUTE, CREATE);
        let source_prefix_and_tos = [0, 0];
        message.bytes(&[family(network), prefix]);
        message.bytes(&source_prefix_and_tos);
        message.bytes(&[
            libc::RT_TABLE_MAIN,
            libc::RTPROT_STATIC,
            libc::RT_SCOPE_UNIVERSE,
            libc::RTN_UNICAST,
        ]);
        message.bytes(&0_u32.to_ne_bytes());
        message
    }

    /// A `tcmsg`; `info` is for filters.
    pub(super) fn traffic(kind: u16, index: u32, handle: u32, parent: u32, info: u32) -> Message {
        let mut message = Message::new(kind, 0);
        message.bytes(&[0; 4]);
        for field in [index, handle, parent, info] {
            message.bytes(&field.to_ne_bytes());
        }
        message
    }

    fn new(kind: u16, flags: u16) -> Message {
        let flags = flags | (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
        let mut message = Message(Vec::with_capacity(256));
        message.bytes(&0_u32.to_ne_bytes());
        message.bytes(&kind.to_ne_bytes());
        message.bytes(&flags.to_ne_bytes());
        message.bytes(&[0; 8]);
        message
    }

    /// An `ifinfomsg`.
    pub(super) fn link_header(&mut self, index: u32) {
        self.bytes(&[0; 4]);
        self.bytes(&index.to_ne_bytes());
        self.bytes(&[0; 8]);
    }

    /// Sets `flags` of the link; to be called right after [`Message::link`].
    pub(super) fn link_flags(&mut self, flags: u32) {
        let at = HEADER + LINK_HEADER - 8;
        self.0[at..at + 4].copy_from_slice(&flags.to_ne_bytes());
        self.0[at + 4..at + 8].copy_from_slice(&flags.to_ne_bytes());
    }

    pub(super) fn text(&mut self, kind: u16, text: &str) {
        self.nested(kind, |value| {
            value.0.extend_from_slice(text.as_bytes());
            value.0.push(0);
        });
    }

    pub(super) fn number(&mut self, kind: u16, number: u32) {
        self.nested(kind, |value| value.bytes(&number.to_ne_bytes()));
    }

    pub(super) fn address_attribute(&mut self, kind: u16, address: IpAddr) {
        self.nested(kind, |value| match address {
            IpAddr::V4(address) => value.bytes(&address.octets()),
            IpAddr::V6(address) => value.bytes(&address.octets()),
        });
    }

    /// An attribute whose value `fill` writes.
    pub(super) fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Message)) {
        let start = self.0.len();
        self.bytes(&[0; 2]);
        self.bytes(&kind.to_ne_bytes());
        fill(self);
        let length = (self.0.len() - start) as u16;
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        while !self.0.len().is_multiple_of(4) {
            self.0.push(0);
        }
    }

    /// The finished message with its length and number.
    pub(super) fn finish(mut self, sequence: u32) -> Vec<u8> {
        let length = self.0.len() as u32;
        self.0[0..4].copy_from_slice(&length.to_ne_bytes());
        self.0[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.0
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

fn family(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => libc::AF_INET as u8,
        IpAddr::V6(_) => libc::AF_INET6 as u8,
    }
}

/// The link number in the payload of an `RTM_NEWLINK` answer.
pub(super) fn link_index(answer: &[u8]) -> Option<u32> {
    let bytes = answer.get(4..8)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}
