use bytes::BufMut;

use super::*;
use crate::storage::BatchBuilder;

fn batch(term: u64, first: u64, count: usize) -> Batch {
    let mut builder = BatchBuilder::default();
    for _ in 0..count {
        builder.push(|bytes| bytes.put_u64(term));
    }
    builder.finish(Term(term), LogIndex(first))
}

fn log() -> Log {
    let mut log = Log::default();
    let mut end = 0;
    for batch in [
        batch(1, 1, 3),
        batch(2, 4, 1),
        batch(2, 5, 4),
        batch(4, 9, 2),
    ] {
        end += batch.bytes().len() as u64;
        log.append(batch, Lsn(end));
    }
    log
}

fn terms(log: &Log) -> Vec<u64> {
    let mut terms = Vec::new();
    log.visit(LogIndex::ZERO, |_, term, _| terms.push(term.0));
    terms
}

fn positions(stretch: &Stretch) -> Vec<(u64, u64)> {
    match stretch {
        Stretch::Here(batches) => batches
            .iter()
            .map(|batch| (batch.first().0, batch.last().0))
            .collect(),
        Stretch::OnDisk(extent) => extent
            .pieces
            .iter()
            .map(|piece| (piece.first.0, piece.last.0))
            .collect(),
        Stretch::Compacted => panic!("compacted"),
    }
}

#[test]
fn every_position_has_the_term_of_its_batch() {
    let log = log();
    let found: Vec<_> = (0..=11)
        .map(|index| log.term_at(LogIndex(index)).map(|term| term.0))
        .collect();
    let expected = [0, 1, 1, 1, 2, 2, 2, 2, 2, 4, 4].map(Some);
    assert_eq!(found[..11], expected);
    assert_eq!(found[11], None);
    assert_eq!(log.first_of_term_at(LogIndex(7)), LogIndex(4));
}

#[test]
fn a_log_is_cut_within_batches_and_between_them() {
    for budget in [usize::MAX, 100, 0] {
        for length in 0..=10 {
            let mut log = log();
            log.shrink(Lsn(u64::MAX), budget);
            log.truncate_from(LogIndex(length + 1));
            assert_eq!(log.last(), LogIndex(length));
            assert_eq!(
                terms(&log),
                [1, 1, 1, 2, 2, 2, 2, 2, 4, 4][..usize::try_from(length).unwrap()]
            );
            log.append(batch(7, length + 1, 2), Lsn(1000));
            assert_eq!(
                positions(&log.since(LogIndex(length + 2), 0)),
                [(length + 2, length + 2)]
            );
        }
    }
}

#[test]
fn a_log_is_compacted_within_batches_and_between_them() {
    for budget in [usize::MAX, 100, 0] {
        for index in 0..=10u64 {
            let mut log = log();
            let term = log.term_at(LogIndex(index)).unwrap();
            log.shrink(Lsn(u64::MAX), budget);
            log.compact(LogIndex(index));
            let after = LogIndex(index);
            assert_eq!(log.start(), LogStart { after, term });
            assert_eq!(log.term_at(LogIndex(index)), Some(term));
            assert_eq!(log.last(), LogIndex(10));
            assert_eq!(log.last_term(), Term(4));
            assert_eq!(
                terms(&log),
                [1, 1, 1, 2, 2, 2, 2, 2, 4, 4][usize::try_from(index).unwrap()..]
            );
            assert_eq!(log.since(LogIndex(index), 0), Stretch::Compacted);
            if index < 10 {
                let next = positions(&log.since(LogIndex(index + 1), 0));
                assert_eq!(next[0].0, index + 1);
            }
            assert_eq!(log.missing(&batch(2, 4, 5)), None);
            log.append(batch(7, 11, 2), Lsn(1000));
            assert_eq!(log.last(), LogIndex(12));
            log.truncate_from(LogIndex(index + 1));
            assert_eq!((log.last(), log.last_term()), (LogIndex(index), term));
        }
    }
}

#[test]
fn what_a_batch_adds_is_found() {
    let log = log();
    assert_eq!(log.missing(&batch(2, 4, 5)), None);
    assert_eq!(
        log.missing(&batch(2, 4, 6)),
        Some(LogIndex(9)),
        "contradicted at 9"
    );
    assert_eq!(log.missing(&batch(4, 9, 3)), Some(LogIndex(11)));
    assert_eq!(log.missing(&batch(3, 2, 3)), Some(LogIndex(2)));
}

#[test]
fn what_follows_is_bounded_but_never_nothing() {
    let mut log = log();
    for budget in [usize::MAX, 0] {
        log.shrink(Lsn(u64::MAX), budget);
        assert_eq!(positions(&log.since(LogIndex(2), 0)), [(2, 3)]);
        let all = log.since(LogIndex(2), usize::MAX);
        assert_eq!(positions(&all), [(2, 3), (4, 4), (5, 8), (9, 10)]);
        assert_eq!(matches!(all, Stretch::OnDisk(_)), budget == 0);
        assert_eq!(positions(&log.since(LogIndex(11), usize::MAX)), []);
    }
}

#[test]
fn only_what_is_durable_leaves_memory() {
    let mut log = log();
    let second = log.slots[1].end;
    log.shrink(second, 0);
    assert!(matches!(log.since(LogIndex(4), 0), Stretch::OnDisk(_)));
    assert!(matches!(log.since(LogIndex(5), 0), Stretch::Here(_)));
}
