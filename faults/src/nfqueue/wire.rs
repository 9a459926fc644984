//! Messages of the netfilter queue protocol: a netlink header, a netfilter header, attributes.

/// `NFNL_SUBSYS_QUEUE`, the upper byte of every message type.
const SUBSYSTEM: u16 = libc::NFNL_SUBSYS_QUEUE as u16;
const PACKET: u16 = SUBSYSTEM << 8 | libc::NFQNL_MSG_PACKET as u16;
const CONFIG: u16 = SUBSYSTEM << 8 | libc::NFQNL_MSG_CONFIG as u16;
const VERDICT: u16 = SUBSYSTEM << 8 | libc::NFQNL_MSG_VERDICT as u16;
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

    /// Sets what is told of a packet, how many may wait, and whether segmentation is left to the hardware.
    pub(super) fn parameters(queue: u16, length: u32, content: Content) -> Message {
        let mask = libc::NFQA_CFG_F_GSO as u32;
        let (mode, range, flags) = match content {
            Content::Batches => (libc::NFQNL_COPY_META, 0, mask),
            Content::Nothing => (libc::NFQNL_COPY_META, 0, 0),
            // The length is told only when it is more than what is copied.
            Content::Length => (libc::NFQNL_COPY_PACKET, 1_u32, 0),
            Content::Whole => (libc::NFQNL_COPY_PACKET, 0xffff, 0),
        };
        let [a, b, c, d] = range.to_be_bytes();
        Message::config(queue)
            .attribute(libc::NFQA_CFG_PARAMS, &[a, b, c, d, mode as u8])
            .attribute(libc::NFQA_CFG_QUEUE_MAXLEN, &length.to_be_bytes())
            .attribute(libc::NFQA_CFG_FLAGS, &flags.to_be_bytes())
            .attribute(libc::NFQA_CFG_MASK, &mask.to_be_bytes())
    }

    /// Decides on one packet: `NF_ACCEPT` or `NF_DROP`, and what it is to be replaced by.
    pub(super) fn verdict(queue: u16, id: u32, verdict: i32, bytes: Option<&[u8]>) -> Message {
        let message = Message::new(VERDICT, libc::NLM_F_REQUEST, queue)
            .attribute(libc::NFQA_VERDICT_HDR, &verdict_header(verdict, id));
        match bytes {
            Some(bytes) => message.attribute(libc::NFQA_PAYLOAD, bytes),
            None => message,
        }
    }

    /// Lets every packet of the queue pass up to `last`, which is the newest of them.
    pub(super) fn accept_up_to(queue: u16, last: u32) -> Message {
        Message::new(VERDICT_BATCH, libc::NLM_F_REQUEST, queue).attribute(
            libc::NFQA_VERDICT_HDR,
            &verdict_header(libc::NF_ACCEPT, last),
        )
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

fn verdict_header(verdict: i32, id: u32) -> [u8; 8] {
    let mut header = [0; 8];
    header[..4].copy_from_slice(&(verdict as u32).to_be_bytes());
    header[4..].copy_from_slice(&id.to_be_bytes());
    header
}

/// What the kernel tells of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// That it is there; what the hardware would cut into several is one.
    Batches,
    /// That it is there.
    Nothing,
    /// How long it is.
    Length,
    /// All of it, with its checksums filled in.
    Whole,
}

/// What the kernel says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A packet waits, under this id, with this length and content as far as they were asked for.
    Packet(u32, u32, Vec<u8>),
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
        PACKET => packet(body).unwrap_or(Answer::Other),
        _ if i32::from(kind) == libc::NLMSG_ERROR => match body.first_chunk::<4>() {
            Some(code) => Answer::Done(-i32::from_ne_bytes(*code)),
            None => Answer::Other,
        },
        _ => Answer::Other,
    }
}

/// Id, length and content; `None` without an id.
fn packet(body: &[u8]) -> Option<Answer> {
    let mut attributes = body.get(NETFILTER_HEADER..)?;
    let (mut id, mut length, mut content) = (None, None, Vec::new());
    while let Some((kind, value, rest)) = split(attributes) {
        attributes = rest;
        match i32::from(kind) {
            libc::NFQA_PACKET_HDR => id = value.first_chunk().copied().map(u32::from_be_bytes),
            libc::NFQA_CAP_LEN => length = value.first_chunk().copied().map(u32::from_be_bytes),
            libc::NFQA_PAYLOAD => content = value.to_vec(),
            _ => {}
        }
    }
    let length = length.unwrap_or(content.len() as u32);
    id.map(|id| Answer::Packet(id, length, content))
}

/// Takes the first attribute off: its kind, its value, and what follows it.
fn split(attributes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = usize::from(u16::from_ne_bytes(attributes.get(..2)?.try_into().ok()?));
    let kind = u16::from_ne_bytes(attributes.get(2..4)?.try_into().ok()?);
    let value = attributes.get(4..length)?;
    let rest = attributes.get(length.next_multiple_of(4)..);
    Some((kind, value, rest.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(id: u32) -> Vec<u8> {
        let mut header = id.to_be_bytes().to_vec();
        header.extend_from_slice(&[8, 0, 2]);
        Message::new(PACKET, 0, 7)
            .attribute(libc::NFQA_IFINDEX_INDEV, &[0, 0, 0, 1])
            .attribute(libc::NFQA_PACKET_HDR, &header)
            .0
    }

    #[test]
    fn packets_are_recognised_one_after_the_other() {
        let bytes = [notice(1), notice(70_000)].concat();
        let found: Vec<Answer> = answers(&bytes).collect();
        let bare = |id| Answer::Packet(id, 0, Vec::new());
        assert_eq!(found, [bare(1), bare(70_000)]);
    }

    #[test]
    fn length_and_content_come_with_a_packet() {
        let notice = |content: &[u8]| Message(notice(9)).attribute(libc::NFQA_PAYLOAD, content);
        let whole = notice(b"abcde");
        let found: Vec<Answer> = answers(&whole.0).collect();
        assert_eq!(found, [Answer::Packet(9, 5, b"abcde".to_vec())]);
        let cut = notice(b"a").attribute(libc::NFQA_CAP_LEN, &1500_u32.to_be_bytes());
        let found: Vec<Answer> = answers(&cut.0).collect();
        assert_eq!(found, [Answer::Packet(9, 1500, b"a".to_vec())]);
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
        let whole = notice(5);
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
        let drop = Message::verdict(7, 8, libc::NF_DROP, Some(b"xyz"));
        assert_eq!(drop.bytes()[24..32], [0, 0, 0, 0, 0, 0, 0, 8]);
        assert_eq!(drop.bytes().len(), 40);
    }
}
