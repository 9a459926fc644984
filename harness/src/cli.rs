//! The command line: one file per verb.

mod bench;
mod check;
mod completions;
mod error;
mod exec;
mod exit;
mod heal;
mod init;
mod inject;
mod internal;
mod list;
mod load;
mod logs;
mod output;
mod plan;
mod report;
mod run;
mod schema;
mod serve;
mod soak;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

pub use error::CliError;
pub use exit::Exit;

/// What happens to a cluster when one node is not dead, only slow?
///
/// depbench brings a cluster up, starts a quorum system on it, drives load, makes a node fail slow, proves that the
/// fault bit, measures before, during and after, and cleans up.
#[derive(Debug, Parser)]
#[command(
    name = "depbench",
    version,
    max_term_width = 100,
    after_help = "\
Start here:
  depbench init my.yaml           write a commented experiment
  depbench run my.yaml            run it

Exit codes:
  0 pass, 1 an assertion failed, 2 inconclusive, 3 the file or the command is wrong,
  4 the infrastructure failed, 130 interrupted (after everything was undone)"
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Run(run::Run),
    Plan(plan::Plan),
    Check(check::Check),
    Init(init::Init),
    Report(report::Report),
    List(list::List),
    Exec(exec::Exec),
    Logs(logs::Logs),
    Inject(inject::Inject),
    Heal(heal::Heal),
    Load(load::Load),
    Bench(bench::Bench),
    Soak(soak::Soak),
    Serve(serve::Serve),
    Schema(schema::Schema),
    Completions(completions::Completions),
    #[command(flatten)]
    Internal(internal::Internal),
}

/// Does what the command line asks for.
pub fn main() -> ExitCode {
    let outcome = match Cli::try_parse() {
        Ok(cli) => execute(cli.verb),
        Err(error) => Err(CliError::Usage(error)),
    };
    outcome.unwrap_or_else(|error| {
        error.print();
        error.exit().into()
    })
}

fn execute(verb: Verb) -> Result<ExitCode, CliError> {
    let exit = match verb {
        Verb::Run(run) => run.execute(),
        Verb::Plan(plan) => plan.execute(),
        Verb::Check(check) => check.execute(),
        Verb::Init(init) => init.execute(),
        Verb::Report(report) => report.execute(),
        Verb::List(list) => list.execute(),
        Verb::Logs(logs) => logs.execute(),
        Verb::Inject(inject) => inject.execute(),
        Verb::Heal(heal) => heal.execute(),
        Verb::Load(load) => load.execute(),
        Verb::Bench(bench) => bench.execute(),
        Verb::Soak(soak) => soak.execute(),
        Verb::Serve(serve) => serve.execute(),
        Verb::Schema(schema) => schema.execute(),
        Verb::Completions(completions) => completions.execute(Cli::command()),
        // These end as the program they stand for does.
        Verb::Exec(exec) => return exec.execute(),
        Verb::Internal(internal) => return internal.execute(),
    };
    exit.map(ExitCode::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_verb_shows_an_example() {
        for verb in Cli::command()
            .get_subcommands()
            .filter(|verb| !verb.is_hide_set())
        {
            let help = verb
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(help.contains("depbench "), "{}", verb.get_name());
        }
    }
}
