use clap::Args;
use targets::TargetSpec;

use super::{CliError, Exit, output};

/// Lists what an experiment can be made of: targets and their drivers, faults, the papers' presets.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  depbench list")]
pub(super) struct List {}

impl List {
    pub(super) fn execute(self) -> Result<Exit, CliError> {
        output::print(&describe())?;
        Ok(Exit::Pass)
    }
}

fn describe() -> String {
    let targets = TargetSpec::all();
    let targets = targets.iter().map(|spec| {
        let target = spec.target();
        let driver = format!("{:?}", target.driver()).to_lowercase();
        vec![target.name().to_owned(), driver, target.about().to_owned()]
    });
    let mut faults = Vec::new();
    for fault in faults::list() {
        let backends: Vec<String> = fault.backends.iter().map(ToString::to_string).collect();
        faults.push(vec![
            fault.name.to_owned(),
            format!("{}; by {}", fault.description, backends.join(", ")),
        ]);
        for parameter in fault.parameters {
            let optional = if parameter.optional {
                " (optional)"
            } else {
                ""
            };
            faults.push(vec![
                format!("  {}{optional}", parameter.name),
                parameter.description,
            ]);
        }
    }
    let presets = faults::presets::PRESETS.iter().map(|preset| {
        vec![
            preset.name.to_owned(),
            preset.text.to_owned(),
            preset.source.to_owned(),
        ]
    });
    [
        section("Targets: name in `targets`, driver, what it is", targets),
        section(
            "Faults: name in `faults[].type`, its parameters",
            faults.into_iter(),
        ),
        section("The papers' faults, as written after `type:`", presets),
    ]
    .join("\n")
}

fn section(title: &str, rows: impl Iterator<Item = Vec<String>>) -> String {
    let rows: Vec<Vec<String>> = rows
        .map(|row| [vec![String::new()], row].concat())
        .collect();
    format!("{title}\n{}", output::table(&rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_can_be_written_is_listed() {
        let text = describe();
        for name in [
            "depfast-raft",
            "etcd",
            "redis",
            "cpu.quota",
            "net.delay",
            "process.pause",
            "atc22-slow-network",
        ] {
            assert!(text.contains(name), "{name} is not in\n{text}");
        }
    }
}
