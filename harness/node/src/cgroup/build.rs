//! How the groups of a node come to be.

use std::fs;
use std::path::{Path, PathBuf};

use super::files::{read, write};
use super::node::{Child, NodeCgroup, NodeSpec};
use super::{CgroupError, Controller, CpuSet, Mode, Scope};

impl NodeCgroup {
    pub(super) fn build(&self, spec: &NodeSpec) -> Result<(), CgroupError> {
        let hierarchies = &self.inner.hierarchies;
        for hierarchy in hierarchies.hierarchies_v1() {
            let has_cpuset = hierarchy.controllers.contains(&Controller::Cpuset);
            let parent = hierarchy.base.join(&self.inner.name);
            for dir in self.family(&parent) {
                make(&dir)?;
                if has_cpuset {
                    inherit_cpuset(&dir)?;
                }
            }
        }
        if let Some(base) = &hierarchies.v2 {
            let parent = base.join(&self.inner.name);
            enable(base, &hierarchies.v2_controllers)?;
            make(&parent)?;
            enable(&parent, &hierarchies.v2_controllers)?;
            Child::ALL
                .iter()
                .try_for_each(|child| make(&parent.join(child.name())))?;
        }
        if let Some(cpus) = &spec.cpus {
            self.pin(cpus)?;
        }
        if let Some(budget) = spec.budget {
            self.write_quota(Scope::Node, budget)?;
        }
        Ok(())
    }

    fn pin(&self, cpus: &CpuSet) -> Result<(), CgroupError> {
        let parent = self.dir(Controller::Cpuset, Scope::Node)?;
        match self.inner.hierarchies.mode() {
            // A child of version 1 does not follow its parent: it must shrink first.
            Mode::V1 => {
                let mut family = self.family(&parent);
                family.reverse();
                family
                    .iter()
                    .try_for_each(|dir| write(&dir.join("cpuset.cpus"), &cpus.to_string()))
            }
            Mode::V2 | Mode::None => write(&parent.join("cpuset.cpus"), &cpus.to_string()),
        }
    }

    /// The parent and its children.
    fn family(&self, parent: &Path) -> Vec<PathBuf> {
        let children = Child::ALL.iter().map(|child| parent.join(child.name()));
        std::iter::once(parent.to_owned()).chain(children).collect()
    }
}

fn make(dir: &Path) -> Result<(), CgroupError> {
    fs::create_dir(dir).map_err(CgroupError::file("make", dir))
}

/// Lets groups in `dir` have these controllers. It stays so when depbench has gone: whoever else made groups there
/// meanwhile may rely on it, and it limits nobody.
fn enable(dir: &Path, controllers: &[Controller]) -> Result<(), CgroupError> {
    let path = dir.join("cgroup.subtree_control");
    let enabled = read(&path)?;
    for name in controllers
        .iter()
        .filter_map(|controller| controller.name_v2())
    {
        if !enabled.split_whitespace().any(|word| word == name) {
            write(&path, &format!("+{name}"))?;
        }
    }
    Ok(())
}

/// Gives a new version 1 group its parent's processors and memory nodes; without them no process may enter it.
fn inherit_cpuset(dir: &Path) -> Result<(), CgroupError> {
    let parent = dir.parent().unwrap_or(dir);
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let value = read(&parent.join(file))?;
        write(&dir.join(file), value.trim())?;
    }
    Ok(())
}
