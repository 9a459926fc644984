//! `depbench delay-line`: takes packets out of the kernel and lets them go later, or not at all, or twice.

mod decide;
mod dice;
mod job;
mod packets;
mod queue;
mod tap;
mod waiting;

use std::io;
use std::time::{Duration, Instant};

pub use job::{Counts, LineJob, LineState, Medium};

use super::lifeline::{Lifeline, Wake, sharpen_timers};
use super::{HelperError, Priority};
use decide::{Course, Decider};
use packets::Packets;
use queue::QueuePackets;
use tap::TapPackets;
use waiting::Waiting;

/// Runs a delay line until its stdin ends; packets that wait then go at once.
///
/// # Errors
/// No job, no privilege, or a kernel without packet queues or taps.
pub fn main() -> Result<(), HelperError> {
    let (lifeline, job) = Lifeline::job::<LineJob>()?;
    sharpen_timers();
    stay_on_this_cpu();
    match &job.medium {
        Medium::Queue => {
            let packets = QueuePackets::open(&job);
            let packets = packets.map_err(HelperError::system("open a packet queue"))?;
            let number = packets.number();
            run(&lifeline, &job, packets, Some(number))
        }
        Medium::Tap { name, out } => {
            let packets = TapPackets::open(name, out, &job);
            let packets = packets.map_err(HelperError::system("make a tap link"))?;
            run(&lifeline, &job, packets, None)
        }
    }
}

/// Packets that are let go on one CPU after the other may overtake: each CPU has a queue of its own for what came in.
fn stay_on_this_cpu() {
    let mut here = nix::sched::CpuSet::new();
    // Where that is refused, they may.
    let _ = nix::sched::sched_getcpu()
        .and_then(|cpu| here.set(cpu))
        .and_then(|()| nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &here));
}

fn run<P: Packets>(
    lifeline: &Lifeline,
    job: &LineJob,
    packets: P,
    queue: Option<u16>,
) -> Result<(), HelperError> {
    let mut line = Line::new(job, packets);
    let priority = Priority::take_best();
    let state = |line: &Line<P>| LineState {
        queue,
        priority,
        counts: line.counts,
        mean_lateness: line.waiting.mean_lateness(),
        worst_lateness: line.waiting.worst_lateness(),
    };
    lifeline.answer(&state(&line));
    let ended = loop {
        match lifeline.wait(line.waiting.next_due(), Some(line.packets.fd())) {
            Ok(Wake::End) => break Ok(()),
            Ok(Wake::Asked) => lifeline.answer(&state(&line)),
            Ok(Wake::Deadline | Wake::Readable) => {
                if let Err(error) = line.step() {
                    break Err(HelperError::system("handle packets")(error));
                }
            }
            Err(error) => break Err(error),
        }
    };
    let emptied = line.let_everything_go();
    emptied.map_err(HelperError::system("let waiting packets go"))?;
    lifeline.answer(&state(&line));
    ended
}

const LARGEST_BATCH: usize = 256;

/// Packets between coming in and leaving.
struct Line<P: Packets> {
    packets: P,
    decider: Decider,
    waiting: Waiting<(P::Packet, Course)>,
    length: usize,
    counts: Counts,
}

impl<P: Packets> Line<P> {
    fn new(job: &LineJob, packets: P) -> Line<P> {
        Line {
            packets,
            decider: Decider::new(&job.impairment, job.seed),
            waiting: Waiting::new(),
            length: job.length as usize,
            counts: Counts::default(),
        }
    }

    /// Takes in what has come, lets go what is due.
    fn step(&mut self) -> io::Result<()> {
        // Bounded, so that a flood cannot keep due packets waiting.
        for _ in 0..LARGEST_BATCH {
            let Some((packet, length)) = self.packets.next()? else {
                break;
            };
            self.arrive(packet, length)?;
        }
        self.let_go(Instant::now())
    }

    fn arrive(&mut self, packet: P::Packet, length: u32) -> io::Result<()> {
        let now = Instant::now();
        let decision = self.decider.decide(now, length);
        self.counts.packets += 1;
        self.counts.hit += u64::from(decision.is_hit);
        match decision.course {
            Course::Lost => self.packets.lose(packet),
            Course::NoRoom => {
                self.counts.overflowed += 1;
                self.packets.lose(packet)
            }
            _ if self.waiting.len() >= self.length => {
                self.counts.overflowed += 1;
                self.packets.lose(packet)
            }
            course => {
                self.counts.bytes += u64::from(length);
                self.waiting.add(decision.due, (packet, course));
                Ok(())
            }
        }
    }

    fn let_go(&mut self, now: Instant) -> io::Result<()> {
        while let Some((packet, course)) = self.waiting.due(now) {
            self.packets.pass(packet, course)?;
        }
        self.counts.overflowed += self.packets.flush()?;
        Ok(())
    }

    fn let_everything_go(&mut self) -> io::Result<()> {
        self.let_go(Instant::now() + Duration::from_secs(3600))
    }
}
