//! Programs of the system that depbench calls: typed command lines, and their errors with a remedy.

pub mod iptables;
pub mod tc;

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

/// A program that depbench may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Program {
    /// Traffic control.
    Tc,
    /// Links and addresses, for people to look with; depbench itself speaks netlink.
    Ip,
    /// The packet filter.
    Iptables,
    /// The packet filter for IP version 6.
    Ip6tables,
    /// The packet filter's newer front end.
    Nft,
    /// Makes ext4 file systems.
    MkfsExt4,
    /// Tells what a block device holds.
    Blkid,
}

impl Program {
    /// All of them.
    pub const ALL: [Program; 7] = [
        Program::Tc,
        Program::Ip,
        Program::Iptables,
        Program::Ip6tables,
        Program::Nft,
        Program::MkfsExt4,
        Program::Blkid,
    ];

    /// The name of its file.
    pub fn name(self) -> &'static str {
        match self {
            Program::Tc => "tc",
            Program::Ip => "ip",
            Program::Iptables => "iptables",
            Program::Ip6tables => "ip6tables",
            Program::Nft => "nft",
            Program::MkfsExt4 => "mkfs.ext4",
            Program::Blkid => "blkid",
        }
    }

    /// The package that brings it, by its name in Debian (and, where it differs, in Fedora).
    pub fn package(self) -> &'static str {
        match self {
            Program::Tc => "iproute2 (Fedora: iproute-tc)",
            Program::Ip => "iproute2 (Fedora: iproute)",
            Program::Iptables | Program::Ip6tables => "iptables",
            Program::Nft => "nftables",
            Program::MkfsExt4 => "e2fsprogs",
            Program::Blkid => "util-linux",
        }
    }

    /// Where it is: on `PATH`, or in a system directory that a user's or an ssh command's `PATH` often lacks.
    pub fn find(self) -> Option<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let system = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"];
        std::env::split_paths(&path)
            .filter(|dir| dir.is_absolute())
            .chain(system.iter().map(PathBuf::from))
            .map(|dir| dir.join(self.name()))
            .find(|file| is_executable(file))
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn may_write(dir: &Path) -> bool {
    nix::unistd::access(dir, nix::unistd::AccessFlags::W_OK).is_ok()
}

fn is_executable(file: &Path) -> bool {
    nix::unistd::access(file, nix::unistd::AccessFlags::X_OK).is_ok() && file.is_file()
}

/// A program with its arguments. They go to the program as they are, never through a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    program: Program,
    arguments: Vec<String>,
}

impl Call {
    /// A call without arguments so far.
    pub fn new(program: Program) -> Call {
        Call {
            program,
            arguments: Vec::new(),
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<str>>(mut self, arguments: impl IntoIterator<Item = S>) -> Call {
        self.arguments
            .extend(arguments.into_iter().map(|text| text.as_ref().to_owned()));
        self
    }

    /// The program.
    pub fn program(&self) -> Program {
        self.program
    }

    /// The arguments after the program's name.
    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// As a command of the standard library, to be given namespaces or cgroups before it is run.
    ///
    /// # Errors
    /// When the program is not installed.
    pub fn command(&self) -> Result<Command, ToolError> {
        let path = self.program.find().ok_or(ToolError::Missing {
            program: self.program,
        })?;
        let mut command = Command::new(path);
        command
            .args(self.arguments.iter().map(OsStr::new))
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        if matches!(self.program, Program::Iptables | Program::Ip6tables)
            && !may_write(Path::new("/run"))
        {
            // Within a user namespace the tables are our own, but the usual lock file is not ours to open.
            let lock = format!("depbench-xtables-{}.lock", nix::unistd::getuid());
            command.env("XTABLES_LOCKFILE", std::env::temp_dir().join(lock));
        }
        Ok(command)
    }

    /// Runs it in the calling thread's namespaces and gives what it printed.
    ///
    /// # Errors
    /// When it is not installed, cannot be started, or fails; the error holds what it said.
    pub fn run(&self) -> Result<String, ToolError> {
        self.finish(self.command()?)
    }

    /// Runs `command`, which was made by [`Call::command`].
    ///
    /// # Errors
    /// As [`Call::run`].
    pub fn finish(&self, mut command: Command) -> Result<String, ToolError> {
        let output = command.output().map_err(|source| ToolError::Start {
            call: self.to_string(),
            source,
        })?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(ToolError::Failed {
            call: self.to_string(),
            status: output.status.to_string(),
            said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program.name())?;
        self.arguments
            .iter()
            .try_for_each(|argument| write!(f, " {argument}"))
    }
}

/// A program of the system did not do what it was called for.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// It is not installed.
    #[error("program `{program}` is not installed: install the package {}", program.package())]
    Missing {
        /// The program.
        program: Program,
    },
    /// It could not be started.
    #[error("cannot start `{call}`")]
    Start {
        /// The command line.
        call: String,
        /// Why not.
        source: std::io::Error,
    },
    /// It failed.
    #[error("`{call}` failed ({status}): {said}")]
    Failed {
        /// The command line.
        call: String,
        /// How it ended.
        status: String,
        /// What it wrote to its standard error.
        said: String,
    },
}

impl ToolError {
    /// What the program wrote to its standard error; empty if it never ran.
    pub fn said(&self) -> &str {
        match self {
            ToolError::Failed { said, .. } => said,
            ToolError::Missing { .. } | ToolError::Start { .. } => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_program_is_reported_with_what_it_said() {
        let error = Call::new(Program::Tc)
            .args(["qdisc", "show", "dev", "no-such-link"])
            .run()
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("tc qdisc show dev no-such-link") || text.contains("iproute2"),
            "{text}"
        );
    }

    #[test]
    fn a_missing_program_comes_with_its_package() {
        let text = ToolError::Missing {
            program: Program::MkfsExt4,
        }
        .to_string();
        assert!(text.contains("install the package e2fsprogs"), "{text}");
    }
}
