//! Tests of the builder's sorter.

use super::{KeySorter, RUN_BYTES};

fn random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    *seed >> 33
}

#[test]
fn keys_are_sorted_on_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("segment");
    let mut seed = 9;
    let mut sorter = KeySorter::new(&place);
    let mut expected: Vec<(Vec<u8>, u32)> = Vec::new();
    let mut bytes = 0;
    while bytes < RUN_BYTES * 2 {
        let length = usize::try_from(random(&mut seed) % 60).expect("few");
        let mut key = b"the same beginning/".repeat(usize::from(random(&mut seed).is_multiple_of(2)));
        key.extend((0..length).map(|_| u8::try_from(random(&mut seed) % 3).expect("few")));
        let number = u32::try_from(expected.len()).expect("few");
        bytes += key.len() + 16;
        sorter.push(&key, number).expect("room");
        expected.push((key, number));
    }
    assert!(!sorter.ends.is_empty());
    expected.sort_unstable();
    let mut found = Vec::new();
    sorter
        .for_each_sorted(|key, number| {
            found.push((key.to_vec(), number));
            Ok(())
        })
        .expect("sorted");
    assert!(found == expected);
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
}
