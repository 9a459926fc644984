use std::net::{SocketAddr, ToSocketAddrs as _};
use std::num::NonZeroU32;

use clap::{Args, ValueEnum};
use vocab::ids::Phase;
use vocab::problem::{FieldPath, Problems, Validate as _};
use vocab::units::{Bytes, Rate, Share, Span};
use workloads::{Arrivals, DriverKind, Keys, LoadJob, Mode, PhaseCut, Workload};

use super::{CliError, Exit};
use printer::Printer;

mod printer;

/// Drives load on servers that are up already, by hand: no cluster, no faults, no results but what is printed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  depbench load 127.0.0.1:6379
  depbench load --driver etcd --rate 2000/s --for 30s 10.0.0.1:2379 10.0.0.2:2379 10.0.0.3:2379")]
pub(super) struct Load {
    /// Where the servers take requests of clients, HOST:PORT.
    #[arg(required = true)]
    servers: Vec<String>,
    /// The protocol they speak.
    #[arg(long, default_value = "resp")]
    driver: Driver,
    /// Clients, each with at most one request in flight.
    #[arg(long, default_value_t = Workload::default().clients)]
    clients: NonZeroU32,
    /// Connections that the clients share.
    #[arg(long, default_value_t = Workload::default().connections)]
    connections: NonZeroU32,
    /// Share of the requests that write; the others read.
    #[arg(long, default_value_t = Workload::default().write)]
    write: Share,
    /// Size of a value.
    #[arg(long, default_value_t = Workload::default().value)]
    value: Bytes,
    /// How many keys are used, each as often as any other.
    #[arg(long, default_value_t = 100_000)]
    keys: u64,
    /// Requests per second, all clients together; without it each client sends as soon as it has its answer.
    #[arg(long)]
    rate: Option<Rate>,
    /// How long a request may take.
    #[arg(long, default_value_t = Workload::default().timeout)]
    timeout: Span,
    /// Writes take effect once: they are sent again, in a session, until they are answered. Built-in systems only.
    #[arg(long)]
    exactly_once: bool,
    /// How long before anything counts.
    #[arg(long, default_value = "1s")]
    warmup: Span,
    /// How long to measure.
    #[arg(long = "for", default_value = "10s")]
    length: Span,
    /// Chooses the keys.
    #[arg(long, default_value_t = 42)]
    seed: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Driver {
    /// Redis, alone or as a cluster with `-MOVED`.
    Resp,
    /// DepFast-Copilot: in sessions, every request to both pilots.
    Pilots,
    /// etcd version 3.
    Etcd,
}

impl Load {
    pub(super) fn execute(self) -> Result<Exit, CliError> {
        let workload = self.workload()?;
        let cuts = [(Phase::Warmup, self.warmup), (Phase::Baseline, self.length)];
        let job = LoadJob {
            hold: false,
            driver: match self.driver {
                Driver::Resp => DriverKind::Resp,
                Driver::Pilots => DriverKind::Pilots,
                Driver::Etcd => DriverKind::Etcd,
            },
            servers: self.addresses()?,
            workload,
            seed: self.seed,
            cuts: cuts
                .into_iter()
                .filter(|(_, length)| *length != Span::ZERO)
                .map(|(phase, length)| PhaseCut { phase, length })
                .collect(),
        };
        workloads::run_worker(&job, Printer::default())?;
        Ok(Exit::Pass)
    }

    fn workload(&self) -> Result<Workload, CliError> {
        let mode = match self.rate {
            Some(rate) => Mode::Open {
                rate,
                arrivals: Arrivals::Constant,
            },
            None => Mode::Closed {},
        };
        let workload = Workload {
            clients: self.clients,
            connections: self.connections.min(self.clients),
            write: self.write,
            value: self.value,
            keys: Keys::Uniform { count: self.keys },
            mode,
            timeout: self.timeout,
            exactly_once: self.exactly_once,
            ..Workload::default()
        };
        let mut problems = Problems::default();
        workload.validate(&FieldPath::root(), &mut problems);
        match problems.into_vec().into_iter().next() {
            Some(problem) => Err(CliError::Option(problem)),
            None => Ok(workload),
        }
    }

    fn addresses(&self) -> Result<Vec<SocketAddr>, CliError> {
        let mut addresses = Vec::new();
        for server in &self.servers {
            let found = server
                .to_socket_addrs()
                .map_err(|source| CliError::System {
                    what: format!("find the server `{server}`"),
                    source,
                })?;
            addresses.extend(found.take(1));
        }
        Ok(addresses)
    }
}
