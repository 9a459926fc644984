//! Messages of the netfilter queue protocol: a netlink header, a netfilter header, attributes.

/// `NFNL_SUBSYS_QUEUE`, the upper byte of every message type.
const SUBSYSTEM: u16 = libc::NFNL_SUBSYS_QUEUE as u16;
const PACKET: u16 = SUBSYSTEM << 8 | libc::NFQNL_MSG_PACKET as u16;
const CONFIG: u16 = SUBSYSTEM << 8 | libc::NFQNL_MSG_CONFIG as u16;
const VERDICT_BATCH: u16 = SUBSYSTEM << 8 | libc::NFQNL_MSG_VERDICT_BATCH as u16;

const HEADER: usize = 16;
const NETFILTER_HEADER: usize = 4;

/// A message to the kernel under construction.
pub(super) struct Message(Vec<u8>);

impl Message {
    /// Takes hold of a queue, or lets go of it.
    pub(super) fn command(queue: u16, command: i32) -> Message {
        let family = (libc::AF_UNSPEC as u16).to_be_bytes();
        Message::config(queue).attribute(
            libc::NFQA_CFG_CMD,
            &[command as u8, 0, family[0], family[1]],
        )
    }

    /// Sets what is told of a packet (nothing of its content), how many may wait, and that segmentation is left
    /// to the hardware.
    pub(super) fn parameters(queue: u16, length: u32) -> Message {
        let gso = (libc::NFQA_CFG_F_GSO as u32).to_be_bytes();
        Message::config(queue)
            .attribute(
                libc::NFQA_CFG_PARAMS,
                &[0, 0, 0, 0, libc::NFQNL_COPY_META as u8],
            )
            .attribute(libc::NFQA_CFG_QUEUE_MAXLEN, &length.to_be_bytes())
            .attribute(libc::NFQA_CFG_FLAGS, &gso)
            .attribute(libc::NFQA_CFG_MASK, &gso)
    }

    /// Lets every packet of the queue pass up to `last`, which is the newest of them.
    pub(super) fn accept_up_to(queue: u16, last: u32) -> Message {
        let mut verdict = [0; 8];
        verdict[..4].copy_from_slice(&(libc::NF_ACCEPT as u32).to_be_bytes());
        verdict[4..].copy_from_slice(&last.to_be_bytes());
        Message::new(VERDICT_BATCH, libc::NLM_F_REQUEST, queue)
            .attribute(libc::NFQA_VERDICT_HDR, &verdict)
    }

    /// The whole message.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn config(queue: u16) -> Message {
        Message::new(CONFIG, libc::NLM_F_REQUEST | libc::NLM_F_ACK, queue)
    }

    fn new(kind: u16, flags: i32, queue: u16) -> Message {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&(flags as u16).to_ne_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&[libc::AF_UNSPEC as u8, 0]);
        bytes.extend_from_slice(&queue.to_be_bytes());
        Message(bytes).with_length()
    }

    fn attribute(mut self, kind: i32, value: &[u8]) -> Message {
        self.0
            .extend_from_slice(&(value.len() as u16 + 4).to_ne_bytes());
        self.0.extend_from_slice(&(kind as u16).to_ne_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self.with_length()
    }

    fn with_length(mut self) -> Message {
        let length = self.0.len() as u32;
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self
    }
}

/// What the kernel says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A packet waits, under this id.
    Packet(u32),
    /// The last request was done (0) or refused (the error number).
    Done(i32),
    /// Something that does not concern a delayer.
    Other,
}

/// Splits what one read gave into answers; stops at the first thing that is not a message.
pub(super) fn answers(bytes: &[u8]) -> impl Iterator<Item = Answer> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(rest.get(..4)?.try_into().ok()?) as usize;
        let message = rest.get(..length).filter(|_| length >= HEADER)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(answer(message))
    })
}

fn answer(message: &[u8]) -> Answer {
    let kind = u16::from_ne_bytes([message[4], message[5]]);
    let body = &message[HEADER..];
    match kind {
        PACKET => packet_id(body).map_or(Answer::Other, Answer::Packet),
        _ if i32::from(kind) == libc::NLMSG_ERROR => match body.first_chunk::<4>() {
            Some(code) => Answer::Done(-i32::from_ne_bytes(*code)),
            None => Answer::Other,
        },
        _ => Answer::Other,
    }
}

fn packet_id(body: &[u8]) -> Option<u32> {
    let mut attributes = body.get(NETFILTER_HEADER..)?;
    loop {
        let length = u16::from_ne_bytes(attributes.get(..2)?.try_into().ok()?) as usize;
        let kind = u16::from_ne_bytes(attributes.get(2..4)?.try_into().ok()?);
        let value = attributes.get(4..length)?;
        if i32::from(kind) == libc::NFQA_PACKET_HDR {
            return Some(u32::from_be_bytes(*value.first_chunk()?));
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(id: u32) -> Vec<u8> {
        let mut header = id.to_be_bytes().to_vec();
        header.extend_from_slice(&[8, 0, 2]);
        Message::new(PACKET, 0, 7)
            .attribute(libc::NFQA_IFINDEX_INDEV, &[0, 0, 0, 1])
            .attribute(libc::NFQA_PACKET_HDR, &header)
            .0
    }

    #[test]
    fn packets_are_recognised_one_after_the_other() {
        let bytes = [packet(1), packet(70_000)].concat();
        let found: Vec<Answer> = answers(&bytes).collect();
        assert_eq!(found, [Answer::Packet(1), Answer::Packet(70_000)]);
    }

    #[test]
    fn acknowledgements_carry_the_error() {
        let mut refused = Message::new(libc::NLMSG_ERROR as u16, 0, 0).0;
        refused[HEADER..HEADER + 4].copy_from_slice(&(-libc::EPERM).to_ne_bytes());
        assert_eq!(
            answers(&refused).collect::<Vec<_>>(),
            [Answer::Done(libc::EPERM)]
        );
    }

    #[test]
    fn no_cut_of_a_message_is_misread() {
        let whole = packet(5);
        for end in 0..whole.len() {
            assert_eq!(answers(&whole[..end]).count(), 0, "{end}");
        }
        for length in 0..=u8::MAX {
            let mut wrong = whole.clone();
            wrong[HEADER + NETFILTER_HEADER] = length;
            assert_eq!(answers(&wrong).count(), 1);
        }
    }

    #[test]
    fn a_verdict_names_queue_and_newest_packet() {
        let verdict = Message::accept_up_to(0x0102, 0x0304_0506);
        assert_eq!(verdict.bytes().len(), 32);
        assert_eq!(verdict.bytes()[18..20], [1, 2]);
        assert_eq!(verdict.bytes()[24..32], [0, 0, 0, 1, 3, 4, 5, 6]);
    }
}
