//! `depbench delay-line`: takes packets from a kernel queue and lets them go later.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::lifeline::{Lifeline, Wake, sharpen_timers};
use super::{HelperError, Priority};
use crate::nfqueue::{PacketBuffer, PacketId, Queue};

/// What a delay line is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DelayJob {
    /// How long a packet is kept.
    pub delay: Duration,
    /// How much shorter or longer, drawn evenly for each packet; packets keep their order.
    pub jitter: Duration,
    /// How many packets may wait.
    pub length: u32,
    /// Where the draws start.
    pub seed: u64,
}

/// What a delay line answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelayState {
    /// The kernel queue it holds: packets sent there are delayed.
    pub queue: u16,
    /// How soon it runs.
    pub priority: Priority,
    /// Packets let go so far.
    pub packets: u64,
    /// How much later than due they went, on average.
    pub mean_lateness: Duration,
    /// How much later than due the latest went.
    pub worst_lateness: Duration,
}

/// Runs a delay line until its stdin ends; packets that wait then go at once.
///
/// # Errors
/// No job, no privilege, or a kernel without packet queues.
pub fn main() -> Result<(), HelperError> {
    let (lifeline, job) = Lifeline::job::<DelayJob>()?;
    let queue = Queue::open(job.length).map_err(HelperError::system("open a packet queue"))?;
    sharpen_timers();
    let priority = Priority::take_best();
    let mut line = DelayLine::new(&job);
    lifeline.answer(&line.state(&queue, priority));
    let ended = run(&lifeline, &queue, &mut line, priority);
    if let Some(last) = line.everything() {
        queue
            .release(last)
            .map_err(HelperError::system("let waiting packets go"))?;
    }
    lifeline.answer(&line.state(&queue, priority));
    ended
}

fn run(
    lifeline: &Lifeline,
    queue: &Queue,
    line: &mut DelayLine,
    priority: Priority,
) -> Result<(), HelperError> {
    let mut buffer = PacketBuffer::new();
    loop {
        match lifeline.wait(line.next_due(), Some(queue.as_fd()))? {
            Wake::End => return Ok(()),
            Wake::Asked => lifeline.answer(&line.state(queue, priority)),
            Wake::Deadline | Wake::Readable => {
                step(queue, line, &mut buffer).map_err(HelperError::system("use the queue"))?;
            }
        }
    }
}

fn step(queue: &Queue, line: &mut DelayLine, buffer: &mut PacketBuffer) -> io::Result<()> {
    // Bounded, so that a flood cannot keep due packets waiting.
    for _ in 0..LARGEST_BATCH {
        let Some(packet) = queue.next(buffer)? else {
            break;
        };
        line.arrive(packet, Instant::now());
    }
    line.due(Instant::now())
        .map_or(Ok(()), |last| queue.release(last))
}

const LARGEST_BATCH: usize = 256;

/// Which packets wait, and until when.
struct DelayLine {
    delay: Duration,
    jitter: Duration,
    random: u64,
    waiting: VecDeque<(Instant, PacketId)>,
    packets: u64,
    lateness: Duration,
    worst: Duration,
}

impl DelayLine {
    fn new(job: &DelayJob) -> DelayLine {
        DelayLine {
            delay: job.delay,
            jitter: job.jitter,
            random: job.seed,
            waiting: VecDeque::new(),
            packets: 0,
            lateness: Duration::ZERO,
            worst: Duration::ZERO,
        }
    }

    fn arrive(&mut self, packet: PacketId, now: Instant) {
        let due = now + self.draw();
        // Nothing overtakes: a verdict releases everything before it, and networks seldom reorder.
        let due = self.waiting.back().map_or(due, |(last, _)| due.max(*last));
        self.waiting.push_back((due, packet));
    }

    fn next_due(&self) -> Option<Instant> {
        self.waiting.front().map(|(due, _)| *due)
    }

    /// Takes out what is due and names the last of it.
    fn due(&mut self, now: Instant) -> Option<PacketId> {
        let mut last = None;
        while let Some((due, packet)) = self.waiting.pop_front_if(|(due, _)| *due <= now) {
            let late = now.saturating_duration_since(due);
            self.packets += 1;
            self.lateness += late;
            self.worst = self.worst.max(late);
            last = Some(packet);
        }
        last
    }

    fn everything(&mut self) -> Option<PacketId> {
        self.waiting.drain(..).next_back().map(|(_, packet)| packet)
    }

    /// `delay` ± at most `jitter`.
    fn draw(&mut self) -> Duration {
        if self.jitter.is_zero() {
            return self.delay;
        }
        // SplitMix64: a whole random generator would be a dependency for one line.
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let fraction = ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64;
        (self.delay + self.jitter.mul_f64(2.0 * fraction)).saturating_sub(self.jitter)
    }

    fn state(&self, queue: &Queue, priority: Priority) -> DelayState {
        let mean = self.lateness.as_nanos() / u128::from(self.packets.max(1));
        DelayState {
            queue: queue.number(),
            priority,
            packets: self.packets,
            mean_lateness: Duration::from_nanos(mean as u64),
            worst_lateness: self.worst,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(delay: u64, jitter: u64) -> DelayLine {
        DelayLine::new(&DelayJob {
            delay: Duration::from_millis(delay),
            jitter: Duration::from_millis(jitter),
            length: 1,
            seed: 42,
        })
    }

    #[test]
    fn packets_go_when_due_and_not_before() {
        let mut line = line(40, 0);
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        line.arrive(PacketId::new(1), start);
        line.arrive(PacketId::new(2), after(1));
        line.arrive(PacketId::new(3), after(30));
        assert_eq!(line.next_due(), Some(after(40)));
        assert_eq!(line.due(after(39)), None);
        assert_eq!(line.due(after(43)), Some(PacketId::new(2)));
        assert_eq!(line.next_due(), Some(after(70)));
        assert_eq!((line.packets, line.worst), (2, Duration::from_millis(3)));
        assert_eq!(line.everything(), Some(PacketId::new(3)));
        assert_eq!(line.next_due(), None);
    }

    #[test]
    fn jitter_stays_in_its_bounds_and_reaches_them() {
        let mut line = line(40, 10);
        let draws: Vec<Duration> = (0..10_000).map(|_| line.draw()).collect();
        let bounds = Duration::from_millis(30)..Duration::from_millis(50);
        assert!(draws.iter().all(|draw| bounds.contains(draw)));
        let mean = draws.iter().sum::<Duration>().as_secs_f64() / draws.len() as f64;
        assert!((0.0398..0.0402).contains(&mean), "{mean}");
        assert!(draws.iter().min().unwrap() < &Duration::from_micros(30_100));
        assert!(draws.iter().max().unwrap() > &Duration::from_micros(49_900));
    }

    #[test]
    fn jitter_never_lets_a_packet_overtake() {
        let mut line = line(40, 40);
        let start = Instant::now();
        for number in 0..1000 {
            line.arrive(
                PacketId::new(number),
                start + Duration::from_micros(10) * number,
            );
        }
        let dues: Vec<Instant> = line.waiting.iter().map(|(due, _)| *due).collect();
        assert!(dues.is_sorted());
    }
}
