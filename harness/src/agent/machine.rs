//! The machine that a node stands for: budget, groups, disk.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use faults::{HelperProgram, LatencyLayer};
use node::cgroup::{
    Admission, Child, CpuQuota, CpuSet, Hierarchies, Mode, NodeCgroup, NodeSpec, Scope,
};
use node::identity::ProcessId;
use node::loopdisk::{DiskSpec, LoopDisk, LoopDiskError};
use node::tag;
use tokio::task::JoinHandle;

use super::home::Home;
use super::options::Isolation;
use super::process::Ground;
use super::wire::{Budget, Disk, Layer, Place, Prepare, Prepared, RequestId};

/// A machine that is made.
pub(super) struct Machine {
    groups: Option<NodeCgroup>,
    disk: Option<LoopDisk>,
    layer: Option<LatencyLayer>,
    ground: Ground,
    /// A server that was there before.
    adopted: Option<ProcessId>,
    /// The kernel's count when it was last looked at.
    server_oom_kills: u64,
}

/// A machine whose disk is being written, which takes seconds.
pub(super) struct Building {
    /// To be answered when it is done.
    pub(super) request: RequestId,
    prepare: Prepare,
    groups: Option<NodeCgroup>,
    limitations: Vec<String>,
    disk: Option<JoinHandle<Result<LoopDisk, LoopDiskError>>>,
    adopted: Option<ProcessId>,
}

impl Building {
    /// Makes the groups and begins with the disk.
    pub(super) fn begin(request: RequestId, prepare: Prepare, home: &Home) -> Building {
        let mut limitations = Vec::new();
        let groups = make_groups(&prepare, home).unwrap_or_else(|limitation| {
            limitations.push(limitation);
            None
        });
        let disk = match prepare.disk {
            Disk::Shared => None,
            Disk::Own(size) => {
                let image_dir = home.options.dir.clone();
                let spec = DiskSpec {
                    size,
                    image_dir,
                    mount_point: home.disk(),
                };
                Some(tokio::task::spawn_blocking(move || LoopDisk::create(&spec)))
            }
        };
        Building {
            request,
            prepare,
            groups,
            limitations,
            disk,
            adopted: None,
        }
    }

    /// Makes groups around a process that is there already; an error when it cannot be had.
    pub(super) fn adopt(request: RequestId, pid: i32, home: &Home) -> Result<Building, String> {
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
            adopted: Some(process),
        })
    }

    /// Waits for the disk. Cancel-safe.
    pub(super) async fn finish(&mut self) -> Option<LoopDisk> {
        let result = match &mut self.disk {
            None => return None,
            Some(disk) => disk.await,
        };
        self.disk = None;
        let failed = match result {
            Ok(Ok(disk)) => return Some(disk),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        self.limitations
            .push(format!("no disk of its own: {failed}"));
        None
    }

    /// Lays the layer over the data, if there is to be one.
    fn lay(&mut self, data: &Path, home: &Home) -> Option<LatencyLayer> {
        if self.prepare.layer == Layer::None {
            return None;
        }
        let program = HelperProgram::myself();
        let groups = self.groups.as_ref();
        match LatencyLayer::mount(data, groups, &home.side.journal, &program) {
            Ok(layer) => Some(layer),
            Err(error) => {
                self.limitations.push(format!("no disk.latency: {error}"));
                None
            }
        }
    }

    /// The finished machine and what to tell of it.
    pub(super) fn done(
        mut self,
        disk: Option<LoopDisk>,
        home: &Home,
    ) -> Result<(Machine, Prepared), String> {
        let data = home.data();
        fs::create_dir_all(&data)
            .map_err(|error| format!("cannot make {}: {error}", data.display()))?;
        let layer = self.lay(&data, home);
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
            layer: match layer {
                Some(_) => Layer::Latency,
                None => Layer::None,
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
                layer,
                ground,
                adopted: self.adopted,
                server_oom_kills: 0,
            },
            prepared,
        ))
    }
}

impl Machine {
    /// Where its processes start.
    pub(super) fn ground(&self) -> &Ground {
        &self.ground
    }

    /// Its groups.
    pub(super) fn groups(&self) -> Option<&NodeCgroup> {
        self.groups.as_ref()
    }

    /// What makes its disk slow to answer.
    pub(super) fn layer(&self) -> Option<&LatencyLayer> {
        self.layer.as_ref()
    }

    /// A server that was there before.
    pub(super) fn adopted(&self) -> Option<ProcessId> {
        self.adopted
    }

    /// Where servers keep their data.
    pub(super) fn data(&self) -> &PathBuf {
        &self.ground.data
    }

    /// Whether the kernel has killed a server for want of memory since this was last asked.
    pub(super) fn server_was_starved(&mut self) -> bool {
        let count = |groups: &NodeCgroup| groups.stat(Scope::Child(Child::Server)).oom_kills;
        let kills = self.groups.as_ref().and_then(count).unwrap_or_default();
        std::mem::replace(&mut self.server_oom_kills, kills) < kills
    }

    /// Undoes it once no process is left; gives what could not be undone.
    pub(super) fn take_apart(self) -> Vec<String> {
        let layer = self
            .layer
            .and_then(|layer| layer.unmount().err())
            .map(|error| error.to_string());
        let disk = self
            .disk
            .map(LoopDisk::unmount)
            .and_then(Result::err)
            .map(|error| error.to_string());
        let groups = self
            .groups
            .and_then(|groups| groups.remove().err())
            .map(|error| error.to_string());
        layer.into_iter().chain(disk).chain(groups).collect()
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
