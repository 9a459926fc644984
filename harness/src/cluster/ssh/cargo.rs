//! What machines are brought: this program, or the build of it that is named for their architecture.

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::agent::program_hash;
use crate::cluster::error::ClusterError;

/// Architectures as `uname -m` tells them, and as the header of a program (ELF) does.
const ARCHITECTURES: &[(&str, u16)] = &[
    ("x86_64", 62),
    ("aarch64", 183),
    ("riscv64", 243),
    ("loongarch64", 258),
    ("ppc64le", 21),
    ("s390x", 22),
    ("armv7l", 40),
    ("armv6l", 40),
    ("i686", 3),
    ("i586", 3),
];

/// A program, and how its build is told from others.
#[derive(Debug, Clone)]
pub(super) struct Build {
    pub(super) program: PathBuf,
    pub(super) hash: String,
}

/// The programs that there are, by architecture.
#[derive(Debug, Clone)]
pub(super) struct Cargo(BTreeMap<String, Build>);

impl Cargo {
    /// This program, and those that are `named` for an architecture.
    ///
    /// # Errors
    /// One cannot be read, or is for another architecture than it is named for.
    pub(super) fn of(
        program: &Path,
        named: &BTreeMap<String, PathBuf>,
    ) -> Result<Cargo, ClusterError> {
        for (arch, program) in named {
            let other = machine(program).map_err(unreadable(program))?;
            if let Some(problem) = mismatch(arch, other) {
                return Err(ClusterError::Impossible(format!(
                    "`programs: {{{arch}: {}}}`: {problem}",
                    program.display()
                )));
            }
        }
        let named = named
            .iter()
            .map(|(arch, program)| (arch.as_str(), program.as_path()));
        let builds = std::iter::once((ARCH, program))
            .chain(named)
            .map(|(arch, program)| {
                let build = Build {
                    program: program.to_owned(),
                    hash: program_hash(program).map_err(unreadable(program))?,
                };
                Ok((arch.to_owned(), build))
            });
        Ok(Cargo(builds.collect::<Result<_, ClusterError>>()?))
    }

    /// The program for a machine.
    ///
    /// # Errors
    /// There is none for its architecture.
    pub(super) fn build(&self, arch: &str) -> Result<&Build, String> {
        self.0.get(arch).ok_or_else(|| {
            format!(
                "the machine is {arch} and this program is for {ARCH}: build depbench for that architecture and name the \
                 file with `programs: {{ARCHITECTURE: FILE}}`"
            )
        })
    }

    /// Each architecture and the identity of its program.
    pub(super) fn identities(&self) -> impl Iterator<Item = [&str; 2]> {
        self.0
            .iter()
            .map(|(arch, build)| [arch.as_str(), build.hash.as_str()])
    }
}

fn unreadable(program: &Path) -> impl Fn(io::Error) -> ClusterError {
    |source| ClusterError::Program {
        path: program.to_owned(),
        source,
    }
}

/// The number of the architecture in the header of a program.
fn machine(program: &Path) -> io::Result<Option<u16>> {
    let mut header = Vec::new();
    File::open(program)?.take(20).read_to_end(&mut header)?;
    Ok(match header[..] {
        [0x7f, b'E', b'L', b'F', _, order, .., first, second] if header.len() == 20 => {
            let big_endian = order == 2;
            let bytes = [first, second];
            Some(if big_endian {
                u16::from_be_bytes(bytes)
            } else {
                u16::from_le_bytes(bytes)
            })
        }
        _ => None,
    })
}

/// Why a program with this number is not for an architecture. Of what is not in the table nothing is known.
fn mismatch(arch: &str, found: Option<u16>) -> Option<String> {
    let Some(found) = found else {
        return Some(format!(
            "that is no program for Linux, expected one for {arch}"
        ));
    };
    let (_, expected) = ARCHITECTURES.iter().find(|(known, _)| *known == arch)?;
    let other = || {
        let known = ARCHITECTURES.iter().find(|(_, number)| *number == found);
        known.map_or("another architecture", |(name, _)| *name)
    };
    (found != *expected)
        .then(|| format!("that program is for {}, expected one for {arch}", other()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_of_a_program_tells_its_architecture() {
        let own = machine(Path::new("/proc/self/exe")).unwrap();
        assert_eq!(mismatch(ARCH, own), None);
        let other = mismatch("s390x", own).unwrap();
        assert!(
            other.contains(ARCH) && other.contains("expected one for s390x"),
            "{other}"
        );
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_owned();
        for (bytes, expected) in [
            (&b""[..], None),
            (&b"#!/bin/sh\nexit 0\n\n\n\n"[..], None),
            (
                &b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xb7\0"[..],
                Some(183),
            ),
            (
                &b"\x7fELF\x02\x02\x01\0\0\0\0\0\0\0\0\0\0\x02\0\x16"[..],
                Some(22),
            ),
            (&b"\x7fELF\x02\x01\x01"[..], None),
        ] {
            std::io::Write::write_all(&mut file, bytes).unwrap();
            assert_eq!(machine(&path).unwrap(), expected, "{bytes:?}");
            file.as_file().set_len(0).unwrap();
            std::io::Seek::rewind(&mut file).unwrap();
        }
        assert!(mismatch("aarch64", None).unwrap().contains("no program"));
    }
}
