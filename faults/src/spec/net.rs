//! Faults of the network. All of them touch what the node sends, and not what it receives, but for `net.partition`,
//! which says so itself.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocab::problem::{FieldPath, Problems, Validate};
use vocab::units::{ByteRate, Bytes, Share, Span};

/// Parameters of `net.delay`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetDelay {
    /// One way, of what the node sends; a round trip grows by it once.
    pub delay: Span,
    /// How far a packet's delay is from `delay`: at most so far for `uniform`, the standard deviation for `normal`, netem's scale for `pareto`.
    #[serde(default)]
    pub jitter: Span,
    /// How the delays spread around `delay`.
    #[serde(default)]
    pub distribution: Distribution,
    /// How much a packet's delay is like the one before: 0% not at all.
    #[serde(default = "nothing")]
    pub correlation: Share,
    /// Whether jitter may let a packet overtake another one.
    #[serde(default)]
    pub order: Order,
}

/// How jitter spreads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// Evenly from delay - jitter to delay + jitter.
    #[default]
    Uniform,
    /// Around the delay as the normal distribution does, cut off at four times the jitter.
    Normal,
    /// Mostly shorter than the delay, some much longer: netem's table of that name.
    Pareto,
}

/// Whether packets may overtake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// They leave in the order they came in: a packet waits for the one before.
    #[default]
    Keep,
    /// Each leaves when its own delay is over.
    Free,
}

/// Parameters of `net.loss`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetLoss {
    /// Of the packets the node sends.
    pub share: Share,
    /// How much more likely a loss is after a loss: 0% not at all. Losses then come in bursts; the share stays.
    #[serde(default = "nothing")]
    pub correlation: Share,
}

/// Parameters of `net.duplicate`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetDuplicate {
    /// Of the packets the node sends: these arrive twice.
    pub share: Share,
}

/// Parameters of `net.corrupt`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetCorrupt {
    /// Of the packets the node sends: one bit of these is flipped, which a receiver's checksums find.
    pub share: Share,
}

/// Parameters of `net.reorder`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetReorder {
    /// Of the packets the node sends: these are held back, so that later ones overtake them.
    pub share: Share,
    /// How long they are held back.
    pub delay: Span,
}

/// Parameters of `net.rate`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetRate {
    /// What the node can send at most, packet headers included.
    pub rate: ByteRate,
    /// How long a packet may wait for its turn; what would wait longer is dropped, as by a full queue.
    #[serde(default = "default_queue")]
    pub queue: Span,
}

/// Parameters of `net.partition`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetPartition {
    /// Which packets are cut off.
    #[serde(default)]
    pub direction: Direction,
}

/// The way packets go, seen from the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Both ways.
    #[default]
    Both,
    /// What the node sends.
    Out,
    /// What the node is sent.
    In,
}

fn nothing() -> Share {
    Share::NONE
}

fn default_queue() -> Span {
    Span::millis(100)
}

/// The longest delay: packets in flight are kept by the kernel, and no protocol waits longer.
const LONGEST_DELAY: Span = Span::seconds(30);

/// Below this a single full-size packet takes a second and a half.
const SLOWEST_RATE: Bytes = Bytes(1_000);

impl Validate for NetDelay {
    fn validate(&self, at: &FieldPath, problems: &mut Problems) {
        check_delay(self.delay, &at.key("delay"), problems);
        if self.jitter > self.delay {
            problems.add(
                at.key("jitter"),
                format!(
                    "{} would send packets before they arrive, expected at most the delay, {}",
                    self.jitter, self.delay
                ),
            );
        }
        if self.jitter == Span::ZERO {
            let given = [
                ("distribution", self.distribution != Distribution::default()),
                ("correlation", self.correlation != Share::NONE),
                ("order", self.order != Order::default()),
            ];
            for (field, _) in given.into_iter().filter(|(_, given)| *given) {
                let message = "all packets wait equally long, expected a `jitter` above 0s with it";
                problems.add(at.key(field), message);
            }
        }
        check_correlation(self.correlation, at, problems);
    }
}

impl Validate for NetLoss {
    fn validate(&self, at: &FieldPath, problems: &mut Problems) {
        check_share(self.share, at, problems);
        check_correlation(self.correlation, at, problems);
    }
}

impl Validate for NetDuplicate {
    fn validate(&self, at: &FieldPath, problems: &mut Problems) {
        if self.share == Share::NONE {
            problems.add(at.key("share"), "0% is no fault, expected above 0%");
        }
    }
}

impl Validate for NetCorrupt {
    fn validate(&self, at: &FieldPath, problems: &mut Problems) {
        check_share(self.share, at, problems);
    }
}

impl Validate for NetReorder {
    fn validate(&self, at: &FieldPath, problems: &mut Problems) {
        if self.share == Share::NONE || self.share == Share::ALL {
            problems.add_with_help(
                at.key("share"),
                format!(
                    "{} leaves the order as it is, expected above 0% and below 100%",
                    self.share
                ),
                "use `net.delay` to delay all",
            );
        }
        check_delay(self.delay, &at.key("delay"), problems);
    }
}

impl Validate for NetRate {
    fn validate(&self, at: &FieldPath, problems: &mut Problems) {
        if self.rate.per_second() < SLOWEST_RATE {
            problems.add(
                at.key("rate"),
                format!(
                    "{} is below a packet per second, expected at least {SLOWEST_RATE}/s",
                    self.rate
                ),
            );
        }
        check_delay(self.queue, &at.key("queue"), problems);
    }
}

fn check_delay(delay: Span, at: &FieldPath, problems: &mut Problems) {
    if delay == Span::ZERO {
        problems.add(at.clone(), "0s is no time at all, expected above 0s");
    }
    if delay > LONGEST_DELAY {
        problems.add(
            at.clone(),
            format!("{delay} is too long, expected at most {LONGEST_DELAY}"),
        );
    }
}

fn check_share(share: Share, at: &FieldPath, problems: &mut Problems) {
    if share == Share::NONE {
        problems.add(
            at.key("share"),
            "0% is no fault, expected above 0% and below 100%",
        );
    }
    if share == Share::ALL {
        problems.add_with_help(
            at.key("share"),
            "100% lets nothing through, expected above 0% and below 100%",
            "use `net.partition` to cut the node off",
        );
    }
}

fn check_correlation(correlation: Share, at: &FieldPath, problems: &mut Problems) {
    if correlation == Share::ALL {
        problems.add(
            at.key("correlation"),
            "100% never changes again, expected below 100%",
        );
    }
}

impl fmt::Display for NetDelay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.delay)?;
        if self.jitter != Span::ZERO {
            write!(f, " ± {}", self.jitter)?;
        }
        match self.distribution {
            Distribution::Uniform => {}
            Distribution::Normal => f.write_str(" normal")?,
            Distribution::Pareto => f.write_str(" pareto")?,
        }
        if self.correlation != Share::NONE {
            write!(f, " correlated {}", self.correlation)?;
        }
        match self.order {
            Order::Keep => Ok(()),
            Order::Free => f.write_str(" out of order"),
        }
    }
}

impl fmt::Display for NetLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.share)?;
        match self.correlation == Share::NONE {
            true => Ok(()),
            false => write!(f, " correlated {}", self.correlation),
        }
    }
}

impl fmt::Display for NetDuplicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.share.fmt(f)
    }
}

impl fmt::Display for NetCorrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.share.fmt(f)
    }
}

impl fmt::Display for NetReorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}", self.share, self.delay)
    }
}

impl fmt::Display for NetRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rate.fmt(f)
    }
}

impl fmt::Display for NetPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.direction {
            Direction::Both => "both ways",
            Direction::Out => "of what it sends",
            Direction::In => "of what it is sent",
        })
    }
}
