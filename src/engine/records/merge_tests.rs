use super::*;
use crate::engine::records::compaction::PACE;

const FLUSH_RECORDS: u64 = super::FLUSH_RECORDS as u64;

/// Returns the sizes of segments after this many writes of the smallest segment, if each sliced merge ends at once; and
/// the number of records written.
fn grown(writes: u64) -> (Vec<u64>, u64) {
    let (mut segments, mut written) = (Vec::<u64>::new(), 0);
    for _ in 0..writes {
        let taken = count_to_absorb(FLUSH_RECORDS, &segments);
        let new = FLUSH_RECORDS + segments.drain(..taken).sum::<u64>();
        segments.insert(0, new);
        written += new;
        while let Some((at, count)) = next_merge_range(&segments) {
            let merged = segments.splice(at..at + count, [0]).sum::<u64>();
            segments[at] = merged;
            written += merged;
        }
    }
    (segments, written)
}

#[test]
fn a_record_is_written_a_logarithm_of_times_and_segments_are_few() {
    for writes in [1, 4, 16, 200, 2_000] {
        let (segments, written) = grown(writes);
        let records = writes * FLUSH_RECORDS;
        assert_eq!(segments.iter().sum::<u64>(), records);
        let levels = u64::from(writes.ilog2());
        assert!(written <= records * (levels + 1), "{writes}: {written} of {records}");
        assert!(segments.len() <= 6, "{writes}: {segments:?}");
        assert!(segments.is_sorted(), "{segments:?}");
    }
}

#[test]
fn who_merges_in_slices_never_merges_much_at_once_nor_in_vain() {
    for flushed in (0..1025).step_by(41).map(|more| FLUSH_RECORDS + more) {
        // For each merge under way: the number of segments from its first one on, the number of its segments, and the
        // number of records left to merge and to add to the hash tables.
        let (mut segments, mut under_way) = (Vec::<u64>::new(), Vec::<(usize, usize, u64)>::new());
        for writes in 0..8_000 {
            let taken = count_to_absorb(flushed, &segments);
            let merging = under_way.last().map_or(0, |(behind, ..)| *behind);
            assert!(
                taken + merging <= segments.len(),
                "a merge in vain of {segments:?} after {writes}"
            );
            let new = flushed + segments.drain(..taken).sum::<u64>();
            assert!(new <= MAX_WRITE_MERGE, "{new} at once, of {segments:?} after {writes}");
            segments.insert(0, new);
            let mut budget = PACE as u64 * flushed;
            loop {
                let free = under_way
                    .last()
                    .map_or(segments.len(), |(behind, ..)| segments.len() - behind);
                if let Some((at, count)) = next_merge_range(&segments[..free]) {
                    let records = segments[at..at + count].iter().sum::<u64>();
                    under_way.push((segments.len() - at, count, 2 * records));
                }
                let Some((behind, count, left)) = under_way.last_mut() else {
                    break;
                };
                let some = budget.min(*left);
                (*left, budget) = (*left - some, budget - some);
                if *left > 0 {
                    break;
                }
                let at = segments.len() - *behind;
                let merged = segments[at..at + *count].iter().sum::<u64>();
                segments.splice(at..at + *count, [merged]);
                under_way.pop();
            }
            assert!(segments.len() < MAX_SEGMENTS, "{segments:?} after {writes}");
        }
    }
}

#[test]
fn hosts_that_never_merge_in_slices_leave_few_segments_too() {
    let mut segments = Vec::<u64>::new();
    for _ in 0..4_000 {
        let taken = count_to_absorb(FLUSH_RECORDS, &segments);
        let new = FLUSH_RECORDS + segments.drain(..taken).sum::<u64>();
        segments.insert(0, new);
    }
    assert!(segments.len() <= MAX_SEGMENTS, "{}: {segments:?}", segments.len());
}
