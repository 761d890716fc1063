use std::sync::Arc;

use super::super::rebuild::Rebuild;
use super::super::records_tests::{LIMIT, Reader, World};
use super::super::{Records, TableLimits};
use crate::engine::sql::{LibraryRows, LocalWrite, RecordRows};
use crate::platform::deadline::Deadline;

/// A host that is killed after it has rebuilt segments does nothing more about the rows that they replaced.
#[test]
fn a_match_that_was_replaced_before_a_rebuild_never_comes_back() {
    let world = World::new(1);
    let record = |paths: &[Vec<u8>], key: &str| {
        let pairs: Vec<(&[u8], &str)> = paths.iter().map(|path| (&path[..], key)).collect();
        world.record(&pairs);
    };
    let paths: Vec<Vec<u8>> = (0..1_200).map(|n| format!("/H/{n}.mkv").into_bytes()).collect();
    record(&paths[..1], "7");
    record(&paths[..1], "8");
    let log = RecordRows(&world.store);
    let place = world.store.folder().lock_path("t");
    let stored = log.write_records(Deadline::NONE, |tx| {
        let mut rebuild = Rebuild::new(&tx.log, tx.log.manifest()?, place.clone())?;
        while rebuild.step(&tx.log)? {}
        world.records.store_rebuilt(tx, rebuild)
    });
    stored.expect("rebuilt");
    let row = world.row(0);
    let removed = [(row.id, paths[0].clone())];
    LibraryRows(&world.store)
        .invalidate(world.view_id, &LocalWrite::NONE, &[], &removed, Deadline::NONE)
        .expect("invalidated");
    record(&paths[1..], "9"); // flushes the removal
    assert_eq!(log.all_matches(row.id).expect("read").get(&paths[0]), None);
    for file in world.store.folder().path().read_dir().expect("a folder").flatten() {
        if file.file_name().to_string_lossy().contains("-r") {
            std::fs::remove_file(file.path()).expect("removed");
        }
    }
    let mut reader = Reader::default();
    world.catch_up(&mut reader); // rebuilds the segments
    let seen = World::seen(&reader, 0, &paths);
    assert_eq!(seen.len(), paths.len() - 1, "the segments were rebuilt");
    assert_eq!(seen.get(&paths[0]), None);
}

#[test]
fn a_write_evicts_what_it_adds_beyond_the_limit_but_not_much_more() {
    let record = |world: &World, name: &str, count: usize| {
        let paths: Vec<Vec<u8>> = (0..count).map(|n| format!("/{name}/{n}.mkv").into_bytes()).collect();
        let pairs: Vec<(&[u8], &str)> = paths.iter().map(|path| (&path[..], "7")).collect();
        world.record(&pairs);
    };
    let world = World::new(0); // has a limit
    record(&world, "many", 12_000);
    assert!(world.match_bytes() <= LIMIT);
    let mut world = World::new(1); // has none
    record(&world, "many", 12_000);
    world.records = Records::new(Arc::clone(&world.store), LIMIT);
    record(&world, "few", 1_100);
    let left = RecordRows(&world.store).all_matches(world.row(0).id).expect("read");
    assert_eq!(left.len(), 12_000 + 1_100 - 4 * 1_100);
}

#[test]
fn rows_of_cleared_tables_do_not_accumulate() {
    let world = World::new(1);
    let (table, limits) = (
        world.tables.table(b"t", false).expect("a table"),
        TableLimits::default(),
    );
    for _ in 0..100 {
        table.clear().expect("cleared");
        table.put(b"a", b"1", &limits).expect("stored");
        table.put(b"b", b"2", &limits).expect("stored");
    }
    let rows = RecordRows(&world.store).read_record_log(|log| log.rows_after(0, 1_000));
    let rows = rows.expect("read").len();
    assert!((2..=8).contains(&rows), "{rows}");
}
