//! Windows with tracing and without, in pairs within one run.

use std::error::Error;
use std::time::Duration;

use depfast::Env;
use depfast::trace::Recording;

pub(crate) const WINDOW: Duration = Duration::from_millis(500);

/// How many pairs the command line asks for.
pub(crate) fn asked() -> Result<usize, Box<dyn Error>> {
    let pairs = std::env::args().nth(1);
    Ok(pairs.map_or(Ok(20), |pairs| pairs.parse())?)
}

/// The CPU time of one request in microseconds, without tracing and with, of each pair; `requests` says how many there were.
pub(crate) async fn measure(env: &Env, pairs: usize, requests: impl Fn() -> u64) -> Vec<[f64; 2]> {
    let mut measured = Vec::new();
    for pair in 0..pairs.max(1) {
        // Which comes first changes, so that a trend favours neither.
        let order = match pair % 2 {
            0 => [Recording::Off, Recording::On],
            _ => [Recording::On, Recording::Off],
        };
        let mut cost = [0.0; 2];
        for recording in order {
            env.trace().set_recording(recording);
            let (cpu, count) = (env.cpu_times().running, requests());
            env.timeout("window", WINDOW).await;
            let spent = env.cpu_times().running.saturating_sub(cpu);
            let each = spent.as_secs_f64() * 1e6 / (requests() - count).max(1) as f64;
            cost[usize::from(recording == Recording::On)] = each;
        }
        measured.push(cost);
    }
    measured
}

/// Prints the ratio, and what it was measured with.
pub(crate) fn print(measured: &[[f64; 2]], conditions: &str) {
    let sorted = |values: &mut dyn Iterator<Item = f64>| {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let [off, on] = [0, 1].map(|way| {
        let costs = sorted(&mut measured.iter().map(|cost| cost[way]));
        costs[costs.len() / 2]
    });
    let ratios = sorted(&mut measured.iter().map(|[off, on]| on / off));
    let quartile = |part: usize| ratios[(ratios.len() - 1) * part / 4];
    println!(
        "CPU per request of the leader: {off:.2} us without tracing, {on:.2} us with (medians)"
    );
    println!(
        "ratio {:.3}, quartiles {:.3} and {:.3}, {} pairs of windows of {WINDOW:?}, {conditions}",
        quartile(2),
        quartile(1),
        quartile(3),
        ratios.len()
    );
}
