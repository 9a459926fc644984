//! The comparison with redis-benchmark runs; what it finds is not judged here.

use std::num::NonZeroU32;
use std::time::Duration;

use depbench_workloads::compare::{CompareError, ComparisonPlan, compare_with_redis_benchmark};

#[test]
fn both_take_turns_on_one_server() {
    let plan = ComparisonPlan {
        connections: NonZeroU32::new(8).unwrap(),
        pipeline: NonZeroU32::new(2).unwrap(),
        rounds: NonZeroU32::new(2).unwrap(),
        turn: Duration::from_millis(200),
    };
    match compare_with_redis_benchmark(plan) {
        Ok(comparison) => {
            assert_eq!(comparison.worker.len(), 2);
            assert_eq!(comparison.redis_benchmark.len(), 2);
            assert!(comparison.ratio() > 0.0, "{comparison}");
        }
        Err(CompareError::Load(error)) => panic!("{error}"),
        Err(error) => println!("skipped: {error}"),
    }
}
