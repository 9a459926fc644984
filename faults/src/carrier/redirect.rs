use node::journal::{Journal, Undo};
use node::links::LinkName;
use node::tool::tc::{self, Attach, Preference, Verdict};

use crate::error::FaultError;
use crate::flow::Flow;
use crate::standing::Standing;

/// Sends what leaves through `device` in `flow` over another link instead, before the device's own queue, which stays as
/// it is.
///
/// # Errors
/// All places for filters of ours are taken, or the kernel lacks a part.
pub(super) fn redirect(
    device: &LinkName,
    flow: &Flow,
    over: &LinkName,
    journal: &Journal,
    standing: &mut Standing,
) -> Result<(), FaultError> {
    let hooks = Undo::DeleteClsact {
        device: device.clone(),
    };
    let made = standing.make(journal, hooks, || {
        Ok(tc::add_clsact(device).run().map(drop)?)
    });
    match made {
        // Somebody else's: theirs to keep.
        Err(error) if error.is_taken() => {}
        made => made?,
    }
    let [egress, _] = tc::show_filters(device);
    let places = free_places(&egress.run()?).ok_or_else(|| FaultError::Unavailable {
        fault: "a detour",
        reason: format!("all places for filters of depbench's on link {device} are taken"),
    })?;
    for preference in places {
        let undo = Undo::DeleteFilters {
            device: device.clone(),
            preference,
        };
        standing.add(journal.record(undo)?);
    }
    for filter in flow.filters(places, &Verdict::Redirect(over.clone())) {
        tc::add_filter(device, Attach::Egress, &filter).run()?;
    }
    Ok(())
}

/// Two places for filters where none are, by what `tc` shows.
fn free_places(shown: &str) -> Option<[Preference; 2]> {
    let is_free = |place: &Preference| {
        let mark = format!("pref {place} ");
        !shown.contains(&mark)
    };
    (0..=u8::MAX / 2)
        .map(|pair| [2 * pair, 2 * pair + 1].map(Preference::ours))
        .find(|places| places.iter().all(is_free))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_others_are_passed_over() {
        assert_eq!(free_places(""), Some([0, 1].map(Preference::ours)));
        let shown = "filter protocol ip pref 56065 u32 chain 0\nfilter protocol ip pref 56066 u32 chain 0\n";
        assert_eq!(free_places(shown), Some([4, 5].map(Preference::ours)));
    }
}
