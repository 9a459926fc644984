//! Writes runs like real ones and draws them: `cargo run -p depbench-plots --example synthetic -- DIRECTORY`.

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};

use results::RunDir;
use results::stats::Analysis;

type Write = fn(&Path) -> RunDir;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args()
        .nth(1)
        .map(PathBuf::from)
        .ok_or("give a directory to write into")?;
    let runs: [(&str, Write); 5] = [
        ("comparison", support::comparison),
        ("client-sweep", support::client_sweep),
        ("crowded", support::crowded),
        ("single", support::single),
        ("three-groups", support::three_groups),
    ];
    for (name, write) in runs {
        let run = write(&folder.join(name));
        let analysis = Analysis::of(&run)?;
        results::write_tables(&run, &analysis)?;
        println!("{}", results::table::text(&analysis));
        println!(
            "{}\n",
            depbench_plots::report(&run, &analysis)?.html.display()
        );
    }
    Ok(())
}
