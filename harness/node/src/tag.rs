//! The tag that everything of ours carries, so that nothing else is ever touched.

use std::path::{Component, Path};

/// Cgroups and directories of ours have a name that starts with this.
pub const PREFIX: &str = "depbench-";

/// File systems of ours (FUSE) have this for their source.
pub const LAYER: &str = "depbench";

/// Processes of ours that no namespace or cgroup holds carry the name of their owner in this variable of their
/// environment, and so does whatever they fork.
pub const MARK: &str = "DEPBENCH_MARK";

/// Whether `path` is absolute, goes nowhere but down, and lies at or under something that carries our tag.
pub fn is_tagged(path: &Path) -> bool {
    let plain = path
        .components()
        .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    let tagged = path.components().any(|part| {
        part.as_os_str()
            .as_encoded_bytes()
            .starts_with(PREFIX.as_bytes())
    });
    path.is_absolute() && plain && tagged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_paths_are_tagged() {
        for path in ["/sys/fs/cgroup/cpu/depbench-r-s1", "/tmp/depbench-r/x"] {
            assert!(is_tagged(Path::new(path)), "{path}");
        }
        for path in [
            "/",
            "/etc",
            "depbench-r",
            "/tmp/depbench-r/../../etc",
            "/tmp/my-depbench-r",
            "/tmp/depbench",
        ] {
            assert!(!is_tagged(Path::new(path)), "{path}");
        }
    }
}
