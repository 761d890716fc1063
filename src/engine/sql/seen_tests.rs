use super::{SeenRows, packed, unpack};

#[test]
fn stored_row_numbers_come_back_as_runs() {
    for ids in [
        vec![],
        vec![1],
        vec![3, 1, 2, 2],
        vec![1 << 40, 7, 8, 9, i64::MAX - 1, 0],
        (0..3000).rev().filter(|id| id % 7 != 0).collect(),
    ] {
        let mut runs = Vec::new();
        for page in ids.chunks(100) {
            unpack(&packed(page.to_vec()), &mut runs);
        }
        let seen = SeenRows::new(runs);
        let mut sorted = ids.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(seen.len(), sorted.len() as u64);
        assert!(seen.ids().eq(sorted.iter().copied()));
        for id in &ids {
            for near in [id - 1, *id, id + 1] {
                assert_eq!(seen.has(near), sorted.binary_search(&near).is_ok(), "{near}");
            }
        }
    }
}
