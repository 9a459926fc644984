use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::decide::Course;
use super::job::LineJob;
use super::packets::{Packets, damage};
use crate::impairment::Impairment;
use crate::nfqueue::{Content, Packet, PacketBuffer, PacketId, Queue, Verdicts};
use crate::raw_ip::RawIp;
use crate::spec::Order;

/// Packets of a kernel queue.
pub(super) struct QueuePackets {
    queue: Queue,
    buffer: PacketBuffer,
    verdicts: Verdicts,
    /// The newest of those that go on, when all leave in the order they came in: one verdict is enough for many.
    last: Option<PacketId>,
    leave_in_order: bool,
    /// For copies.
    raw: Option<RawIp>,
}

impl QueuePackets {
    pub(super) fn open(job: &LineJob) -> io::Result<QueuePackets> {
        let content = match &job.impairment {
            Impairment::Delay(_) => Content::Batches,
            Impairment::Loss(_) | Impairment::Reorder(_) => Content::Nothing,
            Impairment::Rate(_) => Content::Length,
            Impairment::Duplicate(_) | Impairment::Corrupt(_) => Content::Whole,
        };
        let leave_in_order = match &job.impairment {
            Impairment::Delay(delay) => delay.order == Order::Keep,
            Impairment::Reorder(_) => false,
            _ => true,
        };
        let copies = matches!(job.impairment, Impairment::Duplicate(_));
        let queue = Queue::open(job.length, content)?;
        Ok(QueuePackets {
            verdicts: Verdicts::new(queue.number()),
            queue,
            buffer: PacketBuffer::new(),
            last: None,
            leave_in_order,
            raw: copies.then(RawIp::open).transpose()?,
        })
    }

    /// Tells the kernel what was decided so far.
    fn release(&mut self) -> io::Result<()> {
        // Single verdicts before the one that lets go all before it.
        self.queue.judge(&mut self.verdicts)?;
        match self.last.take() {
            Some(last) => self.queue.release(last),
            None => Ok(()),
        }
    }

    pub(super) fn number(&self) -> u16 {
        self.queue.number()
    }
}

impl Packets for QueuePackets {
    type Packet = Packet;

    fn fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }

    fn next(&mut self) -> io::Result<Option<(Packet, u32)>> {
        let next = self.queue.next(&mut self.buffer)?;
        Ok(next.map(|packet| {
            let length = packet.length;
            (packet, length)
        }))
    }

    fn lose(&mut self, packet: Packet) -> io::Result<()> {
        self.verdicts.drop(packet.id);
        Ok(())
    }

    fn pass(&mut self, packet: Packet, course: Course) -> io::Result<()> {
        match course {
            Course::Damaged(choice) => {
                let mut bytes = packet.bytes;
                damage(&mut bytes, choice);
                self.verdicts.replace(packet.id, &bytes);
                return Ok(());
            }
            Course::Twice => {
                // The copy comes after the packet, and that after those before it.
                self.last = Some(packet.id);
                self.release()?;
                // A copy that finds no way, as to a group of hosts on the link, is none.
                let _ = self.raw.as_ref().map(|raw| raw.send(&packet.bytes));
                return Ok(());
            }
            Course::Plain | Course::Lost | Course::NoRoom => {}
        }
        match self.leave_in_order {
            true => self.last = Some(packet.id),
            false => self.verdicts.accept(packet.id),
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<u64> {
        self.release()?;
        Ok(0)
    }
}
