//! The checker agrees with trying every order, and explains what it refuses.

use depbench_history::{Budget, Input, Operation, Output, Verdict, check};
use proptest::collection::vec;
use proptest::prelude::*;
use vocab::time::TrialTime;

/// Whether some order of some of the unknown writes and all else explains the history; tries all of them.
fn brute_force(operations: &[Operation]) -> bool {
    fn extend(rest: &[Operation], value: Option<u64>) -> bool {
        let answered = |operation: &Operation| operation.output != Output::Unknown;
        if !rest.iter().any(answered) {
            return true;
        }
        rest.iter().enumerate().any(|(index, next)| {
            let overtaken = rest
                .iter()
                .any(|other| answered(other) && other.returned < next.invoked);
            let after = match (next.input, next.output) {
                (Input::Write(written), _) => Some(written),
                (Input::Read, Output::Value(found)) if found != value => return false,
                (Input::Read, _) => value,
            };
            let mut others = rest.to_vec();
            others.remove(index);
            !overtaken && extend(&others, after)
        })
    }
    extend(operations, None)
}

fn operation() -> impl Strategy<Value = Operation> {
    let kind = prop_oneof![
        3 => (1..4_u64).prop_map(|value| Operation::write(0, 1, value)),
        1 => (1..4_u64).prop_map(|value| Operation::unknown_write(0, 1, value)),
        4 => prop::option::weighted(0.8, 1..4_u64).prop_map(|value| Operation::read(0, 1, value)),
    ];
    (kind, 0..20_i64, 0..8_i64).prop_map(|(operation, from, length)| {
        operation.took(
            TrialTime::from_nanos(from),
            TrialTime::from_nanos(from + length),
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn it_agrees_with_trying_every_order(history in vec(operation(), 0..7)) {
        let verdict = check(&history, Budget::default());
        if brute_force(&history) {
            prop_assert_eq!(verdict, Verdict::Ok);
        } else {
            let Verdict::Violated(violation) = verdict else {
                return Err(TestCaseError::fail(format!("{verdict:?} of a violated history")));
            };
            prop_assert!(violation.operations.iter().all(|one| history.contains(one)));
            prop_assert!(!brute_force(&violation.operations), "{violation}");
        }
    }

    /// A register that executes every operation at one moment within its time, some answers lost.
    #[test]
    fn what_a_register_does_is_linearizable(
        plan in vec((any::<bool>(), 0..30_i64, 0..30_i64, prop::bool::weighted(0.1)), 0..300)
    ) {
        let mut value = None;
        let mut history = Vec::new();
        for (number, (writes, before, after, lost)) in plan.into_iter().enumerate() {
            let now = 10 * number as i64;
            let operation = if writes {
                value = Some(number as u64);
                if lost {
                    Operation::unknown_write(0, 1, number as u64)
                } else {
                    Operation::write(0, 1, number as u64)
                }
            } else {
                Operation::read(0, 1, value)
            };
            history.push(operation.took(TrialTime::from_nanos(now - before), TrialTime::from_nanos(now + after)));
        }
        prop_assert_eq!(check(&history, Budget::default()), Verdict::Ok);
    }
}

fn at(nanos: i64) -> TrialTime {
    TrialTime::from_nanos(nanos)
}

#[test]
fn a_lost_write_is_found_and_explained_in_three_operations() {
    let mut history = Vec::new();
    for number in 0..1000_i64 {
        let from = number * 10;
        history.push(Operation::write(0, 1, number as u64).took(at(from), at(from + 4)));
        history.push(Operation::read(1, 1, Some(number as u64)).took(at(from + 5), at(from + 8)));
    }
    history.push(Operation::read(1, 1, Some(500)).took(at(20_000), at(20_001)));
    let Verdict::Violated(violation) = check(&history, Budget::default()) else {
        panic!("not found");
    };
    assert_eq!(violation.operations.len(), 3, "{violation}");
    assert!(
        violation.to_string().contains("read key 1: 500"),
        "{violation}"
    );
}

#[test]
fn a_value_from_nowhere_explains_itself() {
    let history = [
        Operation::write(0, 1, 5).took(at(0), at(1)),
        Operation::read(0, 1, Some(6)).took(at(2), at(3)),
    ];
    let Verdict::Violated(violation) = check(&history, Budget::default()) else {
        panic!("not found");
    };
    assert_eq!(violation.operations, [history[1]]);
}

#[test]
fn an_unknown_write_may_take_effect_late() {
    let history = [
        Operation::unknown_write(0, 1, 1).took(at(0), at(5)),
        Operation::write(1, 1, 2).took(at(10), at(20)),
        Operation::read(1, 1, Some(2)).took(at(30), at(40)),
        Operation::read(1, 1, Some(1)).took(at(50), at(60)),
    ];
    assert_eq!(check(&history, Budget::default()), Verdict::Ok);
}

#[test]
fn without_steps_nothing_is_certain() {
    let history = [
        Operation::write(0, 9, 1).took(at(0), at(5)),
        Operation::read(0, 9, Some(1)).took(at(6), at(7)),
    ];
    assert_eq!(
        check(&history, Budget(2)),
        Verdict::Unknown { keys: vec![9] }
    );
}

#[test]
fn many_concurrent_writes_are_decided() {
    let mut history: Vec<_> = (0..40)
        .map(|value| Operation::write(value as u32, 1, value).took(at(0), at(1000)))
        .collect();
    history.push(Operation::read(50, 1, Some(7)).took(at(1001), at(1002)));
    assert_eq!(check(&history, Budget::default()), Verdict::Ok);
}

#[test]
fn operations_are_lines_of_json() {
    let operation = Operation::read(3, 7, Some(9)).took(at(1), at(2));
    let line = serde_json::to_string(&operation).unwrap();
    assert_eq!(
        line,
        r#"{"client":3,"key":7,"input":"read","output":{"value":9},"invoked":1,"returned":2}"#
    );
    assert_eq!(serde_json::from_str::<Operation>(&line).unwrap(), operation);
}
