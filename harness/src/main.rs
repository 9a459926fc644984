//! depbench: what happens to a cluster when one node is not dead, only slow?

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

// Single-threaded until the verb is known: an agent enters its namespaces before any thread exists.
fn main() -> ExitCode {
    depbench::cli::main()
}
