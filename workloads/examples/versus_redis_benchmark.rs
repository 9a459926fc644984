//! Prints how the load worker compares with redis-benchmark, without and with pipelining.

use std::num::NonZeroU32;
use std::process::ExitCode;
use std::time::Duration;

use depbench_workloads::compare::{ComparisonPlan, compare_with_redis_benchmark};

fn main() -> ExitCode {
    for pipeline in [1, 16].map(|one| NonZeroU32::new(one).expect("not zero")) {
        let plan = ComparisonPlan {
            connections: const { NonZeroU32::new(64).expect("not zero") },
            pipeline,
            rounds: const { NonZeroU32::new(5).expect("not zero") },
            turn: Duration::from_secs(2),
        };
        match compare_with_redis_benchmark(plan) {
            Ok(comparison) => println!("{comparison}"),
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
