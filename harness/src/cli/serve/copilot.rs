use std::path::PathBuf;

use clap::Args;
use copilot::{Config, Durability, ReplicaId, ServeError, Timing};
use vocab::units::Span;

use super::{MemberArg, announce};

/// A replica of DepFast-Copilot; clients speak the Redis protocol to any of them.
#[derive(Debug, Args)]
#[command(after_help = "\
Example, the first of three, in memory; it is the pilot, the second is the copilot:
  depbench serve copilot --id 1 --data /tmp/c1 --durability memory --member 1=127.0.0.1:7001,127.0.0.1:6381 \\
    --member 2=127.0.0.1:7002,127.0.0.1:6382 --member 3=127.0.0.1:7003,127.0.0.1:6383")]
pub(super) struct CopilotArgs {
    /// Which of the members this replica is.
    #[arg(long)]
    id: u32,
    /// A member, this one included: its number, and where peers and clients reach it; once for each of 3, 5 or 7.
    #[arg(long = "member", value_name = "ID=PEER,CLIENT", required = true)]
    members: Vec<MemberArg>,
    /// Where the log file lies.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// What an acknowledged write has survived: `fsync`, the disks of a majority, or `memory`, its memory.
    #[arg(long, default_value = "fsync")]
    durability: Durability,
    /// How long a decided entry waits for the other pilot's before that pilot's work is taken over.
    #[arg(long, value_name = "TIME", default_value_t = Span::from(Timing::default().takeover))]
    takeover: Span,
    /// How long a pilot that has proposed waits for the other one's proposal (ping-pong batching).
    #[arg(long, value_name = "TIME", default_value_t = Span::from(Timing::default().batching))]
    batching: Span,
    /// How often a replica says that it lives.
    #[arg(long, value_name = "TIME", default_value_t = Span::from(Timing::default().heartbeat))]
    heartbeat: Span,
    /// A pilot that is silent for this long loses its role.
    #[arg(long, value_name = "TIME", default_value_t = Span::from(Timing::default().suspicion))]
    suspicion: Span,
    /// Listen for peers here instead of at the member's address.
    #[arg(long, value_name = "ADDRESS")]
    peer_listen: Option<String>,
    /// Listen for clients here instead of at the member's address.
    #[arg(long, value_name = "ADDRESS")]
    client_listen: Option<String>,
}

impl CopilotArgs {
    pub(super) fn serve(self) -> Result<(), ServeError> {
        let config = self.config();
        announce(
            "depfast-copilot",
            config.id,
            config.members.len(),
            &config.data_dir,
        );
        copilot::serve(config)
    }

    fn config(self) -> Config {
        let members = self
            .members
            .into_iter()
            .map(|arg| (ReplicaId(arg.id), arg.member))
            .collect();
        Config {
            peer_listen: self.peer_listen,
            client_listen: self.client_listen,
            durability: self.durability,
            timing: Timing {
                takeover: self.takeover.duration(),
                batching: self.batching.duration(),
                heartbeat: self.heartbeat.duration(),
                suspicion: self.suspicion.duration(),
                ..Timing::default()
            },
            ..Config::new(ReplicaId(self.id), members, self.data)
        }
    }
}

#[cfg(test)]
mod tests {
    use targets::{DepfastCopilot, Layout, MemberAddress, Target as _};

    use super::*;

    /// What the target starts a member with is understood here.
    #[test]
    fn a_target_starts_a_replica_with_these_options() {
        use clap::Parser as _;

        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: CopilotArgs,
        }
        let node = |number: u8| MemberAddress {
            node: format!("s{number}").parse().unwrap(),
            ip: [10, 77, number, 2].into(),
            data: "/data".into(),
        };
        let layout = Layout {
            members: (1..=5).map(node).collect(),
            program: "/depbench".into(),
        };
        let plan = DepfastCopilot::default().member(&layout, 1);
        let line = Line::try_parse_from(&plan.argv[2..]).unwrap();
        let config = line.args.config();
        assert_eq!((config.id, config.members.len()), (ReplicaId(2), 5));
        assert_eq!(config.durability, Durability::Memory);
        assert_eq!(config.timing, Timing::default());
        assert_eq!(config.validate(), Ok(()));
    }
}
