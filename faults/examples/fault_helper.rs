//! Stands for `depbench` in this crate's tests: the helpers of the faults, and nothing else.

use std::process::ExitCode;

use depbench_faults::helpers;

fn main() -> ExitCode {
    let verb = std::env::args().nth(1).unwrap_or_default();
    let Some(helper) = helpers::named(&verb) else {
        eprintln!("`{verb}` is no helper");
        return ExitCode::FAILURE;
    };
    match helper() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let source = std::error::Error::source(&error);
            eprintln!(
                "{error}{}",
                source.map(|s| format!(": {s}")).unwrap_or_default()
            );
            ExitCode::FAILURE
        }
    }
}
