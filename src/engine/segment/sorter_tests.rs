use super::{KeySorter, PAIRS_PER_RUN, PairSorter, RUN_BYTES, SortedNumbers};

fn random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    *seed >> 33
}

#[test]
fn pairs_are_sorted_on_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("segment");
    let mut seed = 7;
    let mut sorter = PairSorter::new(&place);
    let mut expected = Vec::new();
    for at in 0..u32::try_from(PAIRS_PER_RUN * 2 + 100).expect("few") {
        let pair = ((random(&mut seed) % 1000) << 32, at);
        expected.push(pair);
        sorter.push(pair.0, pair.1).expect("room");
    }
    assert!(!sorter.runs.ends.is_empty());
    expected.sort_unstable();
    let mut found = Vec::new();
    sorter
        .for_each_sorted(|first, second| {
            found.push((first, second));
            Ok(())
        })
        .expect("sorted");
    assert!(found == expected);
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
}

#[test]
fn keys_are_sorted_on_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("segment");
    let mut seed = 9;
    let mut sorter = KeySorter::new(&place);
    let mut expected: Vec<(Vec<u8>, SortedNumbers)> = Vec::new();
    let mut bytes = 0;
    while bytes < RUN_BYTES * 2 {
        let length = usize::try_from(random(&mut seed) % 60).expect("few");
        let mut key = b"the same beginning/".repeat(usize::from(random(&mut seed).is_multiple_of(2)));
        key.extend((0..length).map(|_| u8::try_from(random(&mut seed) % 3).expect("few")));
        let beside = [u32::try_from(expected.len()).expect("few"), 1, 2, 3];
        bytes += key.len() + 32;
        sorter.push(&key, beside).expect("room");
        expected.push((key, beside));
    }
    assert!(!sorter.runs.ends.is_empty());
    expected.sort_unstable();
    let mut found = Vec::new();
    sorter
        .for_each_sorted(|key, beside| {
            found.push((key.to_vec(), beside));
            Ok(())
        })
        .expect("sorted");
    assert!(found == expected);
}
