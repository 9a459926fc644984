use clap::{ArgGroup, Args};
use faults::presets::{PRESETS, Preset};
use faults::spec::{ClientTraffic, Link};
use faults::{FaultType, Place};
use node::journal::Purpose;
use vocab::ids::NodeName;
use vocab::problem::{FieldPath, Problem};
use vocab::units::Span;

use super::{CliError, Exit, heal, output};
use crate::cluster::running;
use crate::cluster::{Settings, StateDir, run_of};
use crate::control::fault;
use crate::inject::{Told, process};
use crate::runtime::{self, Stop};

/// Makes a node of a cluster that is up, or any process of this machine, slow: now, and for as long as it is asked.
///
/// A node belongs to `depbench run` or `depbench run --keep`, which carries the fault out. A process is taken into groups
/// of depbench with all its threads, and given back afterwards. The fault is cleared when its time is over, at Ctrl-C, and
/// whatever is killed; if everything is, by `depbench heal`.
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("victim").required(true).args(["node", "pid"])),
    group(ArgGroup::new("what").required(true).args(["fault", "preset"])),
    after_help = "\
A fault is TYPE=VALUE, TYPE=PARAMETER=VALUE,…, TYPE alone, or what stands after `type:` in a file:
  cpu.quota=5%   net.delay=40ms,jitter=5ms   process.pause=for=100ms,period=1s   '{cpu.quota: {share: 5%}}'
`depbench list` shows all types, their parameters, and the presets.

Examples:
  depbench inject --node s2 --fault cpu.quota=5% --for 30s
  depbench inject --node s1 --to s3 --fault net.delay=40ms
  sudo depbench inject --pid 4711 --preset atc22-slow-cpu-follower"
)]
pub(super) struct Inject {
    /// The node: `s2`, or `RUN/s2` when several runs are up.
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    /// The process on this machine.
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(i32).range(2..))]
    pid: Option<i32>,
    /// What to inject.
    #[arg(long, value_name = "FAULT")]
    fault: Option<FaultType>,
    /// A fault of the papers by name.
    #[arg(long, value_name = "NAME", value_parser = preset)]
    preset: Option<FaultType>,
    /// For how long; without it until Ctrl-C.
    #[arg(long = "for", value_name = "TIME")]
    length: Option<Span>,
    /// Only what the node sends to this one (network faults).
    #[arg(long, value_name = "NODE", requires = "node")]
    to: Option<NodeName>,
    /// Leave the traffic with clients alone (network faults).
    #[arg(long, requires = "node", conflicts_with = "to")]
    spare_clients: bool,
}

fn preset(name: &str) -> Result<FaultType, String> {
    let names = || PRESETS.iter().map(|preset| preset.name);
    Preset::named(name)
        .map(|preset| preset.fault())
        .ok_or_else(|| {
            let near = vocab::problem::nearest(name, names())
                .map(|near| format!("did you mean `{near}`? "))
                .unwrap_or_default();
            format!(
                "{near}expected one of {}",
                names().collect::<Vec<_>>().join(", ")
            )
        })
}

impl Inject {
    pub(super) fn execute(self) -> Result<Exit, CliError> {
        runtime::block_on(self.inject())?
    }

    async fn inject(self) -> Result<Exit, CliError> {
        let kind = self
            .fault
            .clone()
            .or(self.preset.clone())
            .expect("one of the two is required");
        if let Some(length) = self.length.filter(|length| *length < Span::seconds(1)) {
            return Err(CliError::Option(Problem {
                at: FieldPath::root().key("for"),
                message: format!("{length} is too short to be felt, expected at least 1s"),
                help: None,
            }));
        }
        let interrupted = std::cell::Cell::new(false);
        let mut signals = Stop::catch().map_err(|source| CliError::System {
            what: "catch signals".to_owned(),
            source,
        })?;
        let stop = async {
            signals.stopped().await;
            interrupted.set(true);
        };
        let mut without_effect = false;
        let mut lost_output = None;
        let tell = |told: Told| {
            without_effect |= matches!(&told, Told::Judged(effect) if effect.objection().is_some());
            if let Err(error) = output::print(&said(&told, self.length)) {
                lost_output = Some(error);
            }
        };
        match (&self.node, self.pid) {
            (Some(node), _) => {
                let up = running::everywhere(&StateDir::of_this_user()).await?;
                let node = running::find(&up, node)?;
                let Purpose { run, node } = node.purpose();
                let order = fault::Order {
                    place: self.place(node, &kind)?,
                    length: self.length,
                    kind,
                };
                fault::ask(run, order, stop, tell).await?;
            }
            (None, pid) => {
                let pid = pid.expect("one of the two is required");
                heal::before_a_run();
                let settings = Settings::new(run_of("inject"))?;
                process::inject(pid, &kind, self.length, &settings, stop, tell).await?;
            }
        }
        if let Some(error) = lost_output {
            return Err(error);
        }
        Ok(match without_effect {
            // An end that was asked for is no interruption when no other was given.
            _ if interrupted.get() && self.length.is_some() => Exit::Interrupted,
            true => Exit::Inconclusive,
            false => Exit::Pass,
        })
    }

    fn place(&self, node: &NodeName, kind: &FaultType) -> Result<Place, CliError> {
        let option = if self.to.is_some() {
            "to"
        } else {
            "spare-clients"
        };
        let place = Place {
            clients: match self.spare_clients {
                true => ClientTraffic::Exempt,
                false => ClientTraffic::Included,
            },
            ..match &self.to {
                None => Place::node(node.clone()),
                Some(to) => Place::link(Link {
                    from: node.clone(),
                    to: to.clone(),
                }),
            }
        };
        match place.is_of_the_network() && !kind.is_of_the_network() {
            true => Err(CliError::Option(Problem {
                at: FieldPath::root().key(option),
                message: format!("{} makes a node slow, not a link", kind.name()),
                help: None,
            })),
            false => Ok(place),
        }
    }
}

fn said(told: &Told, length: Option<Span>) -> String {
    match told {
        Told::Injected(detail) => {
            let until = length.map_or("until Ctrl-C".to_owned(), |length| format!("for {length}"));
            format!("injected, {until}: {detail}\n")
        }
        Told::Judged(effect) => format!("{effect}\n"),
        Told::Cleared => "cleared\n".to_owned(),
    }
}
