use super::super::rebuild::Rebuild;
use super::super::records_tests::{Reader, World};
use crate::engine::sql::RecordRows;
use crate::platform::deadline::Deadline;

#[test]
fn a_row_that_a_killed_rebuild_left_evicts_no_newer_match() {
    let world = World::new(0);
    let record = |paths: &[Vec<u8>], key: &str| {
        let pairs: Vec<(&[u8], &str)> = paths.iter().map(|path| (&path[..], key)).collect();
        world.record(&pairs);
    };
    let paths = |range: std::ops::Range<u32>| -> Vec<Vec<u8>> {
        range
            .map(|n| format!("/H/{}/{n}.mkv", ["x", "X"][n as usize % 2]).into_bytes())
            .collect()
    };
    record(&paths(0..1), "7");
    record(&paths(1..900), "9");
    record(&paths(0..1), "8");
    let log = RecordRows(&world.store);
    let place = world.store.folder().lock_path("t");
    let dead = log.write_records(Deadline::NONE, |tx| {
        let mut rebuild = Rebuild::new(&tx.log, tx.log.manifest()?, place.clone())?;
        while rebuild.step(&tx.log)? {}
        world.records.store_rebuilt(tx, rebuild)
    });
    assert_eq!(dead.expect("stored").len(), 1); // and not deleted
    record(&paths(900..2_400), "9");
    let stored = RecordRows(&world.store).all_matches(world.row(0).id).expect("read");
    assert!(stored.len() < 2_400, "some are evicted");
    assert!(stored.contains_key(&paths(0..1)[0]));
    let mut reader = Reader::default();
    world.catch_up(&mut reader);
    assert_eq!(World::seen(&reader, 0, &paths(0..2_400)), stored);
}
