use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use vocab::units::{Bytes, Weight};

use super::CgroupError;
use super::controller::Controller;
use super::files::{read, write};
use super::hierarchy::{Mode, missing};
use super::node::NodeCgroup;
use super::quota::CpuQuota;
use super::stat::Scope;
use crate::journal::{Entry, FileWrite, Undo};

/// What happens to a group that wants more memory than it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemoryLimit {
    /// It is slowed down and its memory reclaimed (`memory.high`, version 2 only).
    Throttle(Bytes),
    /// Memory is reclaimed, and when that is not enough it is killed.
    Hard(Bytes),
}

impl NodeCgroup {
    /// Limits CPU time. The former quota is restored by undoing the entry.
    ///
    /// # Errors
    /// `EINVAL` in version 1 when it exceeds the quota of the group above; [`CgroupError::Limited`] when a child has one
    /// already, since two that are undone in another order than they were made would leave one of them behind.
    pub fn set_quota(&self, scope: Scope, quota: CpuQuota) -> Result<Entry, CgroupError> {
        let dir = self.dir(Controller::Cpu, scope)?;
        let (former, limited) = match self.inner.hierarchies.mode() {
            Mode::V1 => {
                let quota = read(&dir.join("cpu.cfs_quota_us"))?;
                let period = read(&dir.join("cpu.cfs_period_us"))?;
                let former = quota_v1(&dir, quota.trim(), period.trim());
                (former, quota.trim() != "-1")
            }
            Mode::V2 | Mode::None => {
                let max = read(&dir.join("cpu.max"))?;
                let former = vec![file(&dir, "cpu.max", max.trim())];
                (former, !max.starts_with("max"))
            }
        };
        if limited && scope != Scope::Node {
            return Err(CgroupError::Limited { path: dir });
        }
        self.change(former, || self.write_quota(scope, quota))
    }

    pub(super) fn write_quota(&self, scope: Scope, quota: CpuQuota) -> Result<(), CgroupError> {
        let dir = self.dir(Controller::Cpu, scope)?;
        let (limit, period) = (quota.quota_us().to_string(), quota.period_us().to_string());
        let writes = match self.inner.hierarchies.mode() {
            Mode::V1 => quota_v1(&dir, &limit, &period),
            Mode::V2 | Mode::None => vec![file(&dir, "cpu.max", &format!("{limit} {period}"))],
        };
        writes
            .iter()
            .try_for_each(|one| write(&one.path, &one.content))
    }

    /// Weighs a group against its siblings; `1x` is what every group has at first. The former weight is restored by
    /// undoing the entry.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_weight(&self, scope: Scope, weight: Weight) -> Result<Entry, CgroupError> {
        let dir = self.dir(Controller::Cpu, scope)?;
        let (name, value) = weight_file(self.inner.hierarchies.mode(), weight);
        self.set(&dir, name, &value)
    }

    /// Limits memory. The former limit is restored by undoing the entry.
    ///
    /// # Errors
    /// [`CgroupError::InUse`] when version 1 cannot reclaim enough; `Throttle` needs version 2.
    pub fn limit_memory(&self, scope: Scope, limit: MemoryLimit) -> Result<Entry, CgroupError> {
        let dir = self.dir(Controller::Memory, scope)?;
        let (name, bytes) = memory_file(self.inner.hierarchies.mode(), limit)
            .ok_or_else(|| missing(Controller::Memory, &self.inner.hierarchies))?;
        let result = self.set(&dir, name, &bytes.0.to_string());
        match result {
            Err(CgroupError::File { source, .. }) if is_busy(&source) => Err(CgroupError::InUse {
                limit: bytes.0,
                used: self.stat(scope).memory_bytes.unwrap_or_default(),
            }),
            result => result,
        }
    }

    /// Keeps the memory of a group from being swapped. What was allowed before is restored by undoing the entry.
    ///
    /// # Errors
    /// When the kernel refuses, or counts no swap (version 2).
    pub fn forbid_swap(&self, scope: Scope) -> Result<Entry, CgroupError> {
        let dir = self.dir(Controller::Memory, scope)?;
        let name = match self.inner.hierarchies.mode() {
            Mode::V1 => "memory.swappiness",
            Mode::V2 | Mode::None => "memory.swap.max",
        };
        self.set(&dir, name, "0")
    }

    fn set(&self, dir: &Path, name: &str, value: &str) -> Result<Entry, CgroupError> {
        let path = dir.join(name);
        let former = file(dir, name, read(&path)?.trim());
        self.change(vec![former], || write(&path, value))
    }

    /// Journals how to restore, then makes a change; a change that fails is undone at once.
    pub(super) fn change(
        &self,
        former: Vec<FileWrite>,
        make: impl FnOnce() -> Result<(), CgroupError>,
    ) -> Result<Entry, CgroupError> {
        let entry = self
            .inner
            .journal
            .record(Undo::WriteFiles { writes: former })?;
        match make() {
            Ok(()) => Ok(entry),
            Err(error) => {
                entry.undo()?;
                Err(error)
            }
        }
    }
}

/// Where a weight is written, and as what.
fn weight_file(mode: Mode, weight: Weight) -> (&'static str, String) {
    let (name, normal, range) = match mode {
        Mode::V1 => ("cpu.shares", 1024.0, (2.0, 262_144.0)),
        Mode::V2 | Mode::None => ("cpu.weight", 100.0, (1.0, 10_000.0)),
    };
    let value = (normal * weight.ratio()).round().clamp(range.0, range.1);
    (name, format!("{value}"))
}

/// Where a limit on memory is written; `None` where there is no such limit.
fn memory_file(mode: Mode, limit: MemoryLimit) -> Option<(&'static str, Bytes)> {
    match (mode, limit) {
        (Mode::V1, MemoryLimit::Hard(bytes)) => Some(("memory.limit_in_bytes", bytes)),
        (Mode::V2, MemoryLimit::Hard(bytes)) => Some(("memory.max", bytes)),
        (Mode::V2, MemoryLimit::Throttle(bytes)) => Some(("memory.high", bytes)),
        (Mode::V1, MemoryLimit::Throttle(_)) | (Mode::None, _) => None,
    }
}

/// Quota and period are two files that the kernel checks together against the group above; without a quota in between,
/// every step is valid.
fn quota_v1(dir: &Path, quota: &str, period: &str) -> Vec<FileWrite> {
    let mut writes = vec![
        file(dir, "cpu.cfs_quota_us", "-1"),
        file(dir, "cpu.cfs_period_us", period),
    ];
    if quota != "-1" {
        writes.push(file(dir, "cpu.cfs_quota_us", quota));
    }
    writes
}

pub(super) fn file(dir: &Path, name: &str, content: &str) -> FileWrite {
    FileWrite {
        path: dir.join(name),
        content: content.to_owned(),
    }
}

fn is_busy(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EBUSY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_has_its_file_and_scale_of_weights() {
        let weight = |text: &str| -> Weight { text.parse().unwrap() };
        let of = |mode, text| {
            let (name, value) = weight_file(mode, weight(text));
            format!("{name}={value}")
        };
        assert_eq!(of(Mode::V1, "15x"), "cpu.shares=15360");
        assert_eq!(of(Mode::V2, "15x"), "cpu.weight=1500");
        // The kernel's largest.
        assert_eq!(of(Mode::V2, "100x"), "cpu.weight=10000");
    }

    #[test]
    fn version_2_throttles_and_version_1_cannot() {
        let (high, hard) = (MemoryLimit::Throttle(Bytes(9)), MemoryLimit::Hard(Bytes(9)));
        let name = |mode, limit| memory_file(mode, limit).map(|(name, _)| name);
        assert_eq!(name(Mode::V2, high), Some("memory.high"));
        assert_eq!(name(Mode::V2, hard), Some("memory.max"));
        assert_eq!(name(Mode::V1, hard), Some("memory.limit_in_bytes"));
        assert_eq!(name(Mode::V1, high), None);
        assert_eq!(name(Mode::None, hard), None);
    }
}
