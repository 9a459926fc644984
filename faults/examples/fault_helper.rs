//! Stands for `depbench` in this crate's tests: the helpers of the faults, and nothing else.

use std::process::ExitCode;

use depbench_faults::helpers;

fn main() -> ExitCode {
    let verb = std::env::args().nth(1).unwrap_or_default();
    let ended = match verb.as_str() {
        "spinner" => helpers::spinner::main(),
        "duty-cycle" => helpers::duty_cycle::main(),
        "delay-line" => helpers::delay_line::main(),
        "disk-probe" => helpers::disk_probe::main(),
        "latency-layer" => helpers::latency_layer::main(),
        "disk-writer" => helpers::disk_writer::main(),
        "memory-toucher" => helpers::memory_toucher::main(),
        _ => {
            eprintln!("`{verb}` is no helper");
            return ExitCode::FAILURE;
        }
    };
    match ended {
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
