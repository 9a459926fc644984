//! A machine in the making.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use faults::spec::DelayedBy;
use faults::{HelperProgram, Latency, LatencyDevice, LatencyLayer, LatencyWish};
use node::cgroup::{Admission, Child, CpuQuota, CpuSet, Hierarchies, Mode, NodeCgroup, NodeSpec};
use node::devmapper;
use node::identity::ProcessId;
use node::tag;

use super::Machine;
use crate::agent::disk::{self, Making, NoDisk, OwnDisk};
use crate::agent::home::Home;
use crate::agent::options::Isolation;
use crate::agent::process::Ground;
use crate::agent::wire::{Budget, Disk, Layer, Place, Prepare, Prepared, RequestId};

/// A machine whose disk is being written, which takes seconds.
pub(in crate::agent) struct Building {
    /// To be answered when it is done.
    pub(in crate::agent) request: RequestId,
    prepare: Prepare,
    groups: Option<NodeCgroup>,
    limitations: Vec<String>,
    disk: Option<Making>,
    /// Why the machine cannot be as it was asked for.
    refused: Option<String>,
    adopted: Option<ProcessId>,
}

impl Building {
    /// Makes the groups and begins with the disk.
    pub(in crate::agent) fn begin(request: RequestId, prepare: Prepare, home: &Home) -> Building {
        let mut limitations = Vec::new();
        let groups = make_groups(&prepare, home).unwrap_or_else(|limitation| {
            limitations.push(limitation);
            None
        });
        let disk = disk::begin(&prepare.disk, prepare.layer, home);
        Building {
            request,
            prepare,
            groups,
            limitations,
            disk,
            refused: None,
            adopted: None,
        }
    }

    /// Makes groups around a process that is there already; an error when it cannot be had.
    pub(in crate::agent) fn adopt(
        request: RequestId,
        pid: i32,
        home: &Home,
    ) -> Result<Building, String> {
        if home.options.isolation != Isolation::None {
            return Err("only an agent that shares its machine's processes can adopt one".into());
        }
        let process = ProcessId::of(pid)
            .map_err(|error| error.to_string())?
            .ok_or_else(|| format!("there is no process {pid}"))?;
        let hierarchies = Hierarchies::detect();
        let mut limitations = Vec::new();
        let groups = match hierarchies.mode() {
            Mode::None => {
                limitations.push(format!("no cgroups: {}", hierarchies.refused().join("; ")));
                None
            }
            Mode::V1 | Mode::V2 => {
                let purpose = &home.options.purpose;
                let spec = NodeSpec {
                    run: purpose.run.clone(),
                    node: purpose.node.clone(),
                    budget: None,
                    cpus: None,
                };
                let journal = &home.side.journal;
                let adopted = NodeCgroup::adopt(&hierarchies, &spec, journal, process);
                Some(adopted.map_err(|error| error.to_string())?)
            }
        };
        Ok(Building {
            request,
            prepare: Prepare {
                budget: Budget::Unlimited,
                cpus: Vec::new(),
                disk: Disk::Shared,
                layer: Layer::None,
            },
            groups,
            limitations,
            disk: None,
            refused: None,
            adopted: Some(process),
        })
    }

    /// Waits for the disk. Cancel-safe.
    pub(in crate::agent) async fn finish(&mut self) -> Option<OwnDisk> {
        let result = match &mut self.disk {
            None => return None,
            Some(disk) => disk.await,
        };
        self.disk = None;
        let limitation = match result {
            Ok(Ok(disk)) => return disk,
            Ok(Err(NoDisk::Refused(reason))) => {
                self.refused = Some(reason);
                return None;
            }
            Ok(Err(NoDisk::Limitation(reason))) => reason,
            Err(error) => error.to_string(),
        };
        self.limitations
            .push(format!("no disk of its own: {limitation}"));
        None
    }

    /// What makes operations on the data late, if anything is to: the disk's device, else a layer.
    fn latency(&mut self, data: &Path, disk: Option<&OwnDisk>, home: &Home) -> Option<Latency> {
        let Layer::Latency(wish) = self.prepare.layer else {
            return None;
        };
        if let Some(device) = disk.and_then(OwnDisk::delay) {
            let dir = data.to_owned();
            return Some(Latency::Device(LatencyDevice { dir, device }));
        }
        let made = match wish.by {
            DelayedBy::DmDelay => Err(match devmapper::available().reason() {
                Some(reason) => reason.to_owned(),
                None => "dm-delay needs a disk of the node's own".to_owned(),
            }),
            DelayedBy::Auto | DelayedBy::Fuse => {
                let (groups, journal) = (self.groups.as_ref(), &home.side.journal);
                LatencyLayer::mount(data, groups, journal, &HelperProgram::myself())
                    .map_err(|error| error.to_string())
            }
        };
        match made {
            Ok(layer) => Some(Latency::Layer(layer)),
            Err(error) => {
                self.limitations.push(format!("no disk.latency: {error}"));
                None
            }
        }
    }

    /// The finished machine and what to tell of it.
    pub(in crate::agent) fn done(
        mut self,
        disk: Option<OwnDisk>,
        home: &Home,
    ) -> Result<(Machine, Prepared), String> {
        if let Some(reason) = self.refused {
            // What is there already is in the journal, and undone with the rest.
            return Err(reason);
        }
        let data = home.data();
        fs::create_dir_all(&data)
            .map_err(|error| format!("cannot make {}: {error}", data.display()))?;
        let latency = self.latency(&data, disk.as_ref(), home);
        let budget = match (&self.groups, self.prepare.budget) {
            (Some(_), budget) => budget,
            (None, _) => Budget::NoGroups,
        };
        let prepared = Prepared {
            data: data.clone(),
            logs: home.logs(),
            budget,
            disk: if disk.is_some() {
                self.prepare.disk
            } else {
                Disk::Shared
            },
            layer: match (self.prepare.layer, &latency) {
                (Layer::Latency(wish), Some(latency)) => Layer::Latency(LatencyWish {
                    by: latency.means(),
                    ..wish
                }),
                _ => Layer::None,
            },
            limitations: self.limitations,
        };
        let ground = Ground {
            data,
            logs: home.logs(),
            tmp: home.tmp(),
            admissions: admissions(self.groups.as_ref())?,
            env: vec![
                (tag::MARK, home.side.journal.owner().to_string()),
                ("DEPBENCH_RUN", home.options.purpose.run.to_string()),
                ("DEPBENCH_NODE", home.options.purpose.node.to_string()),
            ],
            // In groups the group decides.
            cpus: if self.groups.is_some() {
                Vec::new()
            } else {
                self.prepare.cpus
            },
        };
        Ok((
            Machine {
                groups: self.groups,
                disk,
                latency,
                ground,
                adopted: self.adopted,
                server_oom_kills: 0,
            },
            prepared,
        ))
    }
}

/// Makes the node's groups; an error says what is not possible without them.
fn make_groups(prepare: &Prepare, home: &Home) -> Result<Option<NodeCgroup>, String> {
    let budget = match prepare.budget {
        Budget::NoGroups => return Ok(None),
        Budget::Unlimited => None,
        Budget::Limited(cpus) => Some(
            CpuQuota::new(cpus.get(), CpuQuota::BUDGET_PERIOD)
                .map_err(|error| format!("no CPU budget: {error}"))?,
        ),
    };
    let list: Vec<String> = prepare.cpus.iter().map(ToString::to_string).collect();
    let cpus: Option<CpuSet> = match list.is_empty() {
        true => None,
        false => Some(
            list.join(",")
                .parse()
                .map_err(|error| format!("not pinned: {error}"))?,
        ),
    };
    let purpose = &home.options.purpose;
    let spec = NodeSpec {
        run: purpose.run.clone(),
        node: purpose.node.clone(),
        budget,
        cpus,
    };
    let made = NodeCgroup::create(&Hierarchies::detect(), &spec, &home.side.journal);
    made.map(Some)
        .map_err(|error| format!("no CPU budget, no memory limits, no exact usage: {error}"))
}

fn admissions(groups: Option<&NodeCgroup>) -> Result<BTreeMap<Place, Admission>, String> {
    let Some(groups) = groups else {
        return Ok(BTreeMap::new());
    };
    [
        (Place::Server, Child::Server),
        (Place::Client, Child::Client),
        (Place::Contention, Child::Contention),
    ]
    .into_iter()
    .map(|(place, child)| {
        Ok((
            place,
            groups.admission(child).map_err(|error| error.to_string())?,
        ))
    })
    .collect()
}
