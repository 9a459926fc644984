//! Random ways through what is too large to be walked through.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use super::*;

/// Goes so many ways from the start to where nothing more can happen; the first violation, or how many different states
/// were on them.
pub(super) fn wander(scope: Scope, rules: Rules, ways: Range<u64>) -> Result<usize, String> {
    let searches = scope.searches();
    let mut seen = BTreeSet::new();
    let mut next = Vec::new();
    let mut known = Arrivals::default();
    for way in ways {
        let position = way as usize % searches.len();
        let mut world = World::start(&searches[position]);
        let mut is_in_reach = true;
        for depth in 0.. {
            world.steps(&scope, &rules, &mut known, &mut next);
            if next.is_empty() {
                break;
            }
            let one = chance(way, depth) as usize % next.len();
            world = next.swap_remove(one);
            next.clear();
            let found = world.check();
            found.map_err(|violation| format!("way {way}: {violation}"))?;
            world.forget_what_is_over();
            let was_in_reach =
                std::mem::replace(&mut is_in_reach, world.is_in_reach(&scope, &rules));
            if is_in_reach && !was_in_reach {
                return Err(format!(
                    "way {way}: what was out of reach is in reach again"
                ));
            }
            seen.insert((position, world.fingerprint(&scope)));
        }
    }
    Ok(seen.len())
}

/// The same for the same way, so that one that found something can be gone again.
fn chance(way: u64, depth: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (way, depth).hash(&mut hasher);
    hasher.finish()
}
