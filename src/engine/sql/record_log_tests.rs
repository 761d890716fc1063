use super::super::for_tests::{NOW_MS, endpoint, matches as matches_of, opened, probed, record_pairs, server};
use super::super::library_rows::LibraryRows;
use super::super::sweeper::Sweeper;
use super::*;
use crate::model::SegmentName;

fn put(store: &Store, table: &[u8], name: &[u8]) -> Sequence {
    RecordRows(store)
        .write_records(Deadline::NONE, |tx| {
            let (_, tables) = tx.log.state(None)?.manifest.unwrap_or_default();
            let known = tables.iter().find(|one| one.name == table).map(|one| one.id);
            let id = known.map_or_else(|| tx.make_table(table), Ok)?;
            tx.add(id, name, Some(b"value"), Some(9))?;
            Ok(tx.sequence())
        })
        .expect("written")
}

fn all_rows(store: &Store) -> Vec<RecordRow> {
    RecordRows(store)
        .read_record_log(|log| log.rows_after(0, usize::MAX))
        .expect("read")
}

fn state(store: &Store, since: Option<(Sequence, Sequence)>) -> RecordsState {
    RecordRows(store)
        .records_since(since, Some(Deadline::NONE))
        .expect("read")
}

#[test]
fn readers_get_new_records_or_all_after_a_manifest_change() {
    let (_folder, store) = opened();
    let first = put(&store, b"a", b"one");
    let all = state(&store, None);
    let (manifest, tables) = all.manifest.expect("all");
    assert_eq!(
        (all.sequence, manifest.changed, tables.len(), all.rows.len()),
        (first, first, 1, 1)
    );
    let second = put(&store, b"a", b"two");
    let new = state(&store, Some((first, manifest.changed)));
    assert_eq!(
        (new.sequence, new.manifest.is_none(), new.rows.len()),
        (second, true, 1)
    );
    assert_eq!(state(&store, Some((second, manifest.changed))).rows, []);
    put(&store, b"b", b"three");
    let new = state(&store, Some((second, manifest.changed)));
    let (_, tables) = new.manifest.expect("another table");
    assert_eq!((tables.len(), new.rows.len()), (2, 3), "none is in a segment");
    assert!(store.read_by(None, |_| Ok(())).is_ok());
}

#[test]
fn a_store_goes_on_after_four_billion_transactions() {
    let (folder, store) = opened();
    put(&store, b"a", b"one");
    store
        .write(Deadline::NONE, |tx| {
            tx.run("UPDATE meta SET sequence = sequence + (1 << 32) - 4", [])
        })
        .expect("written");
    drop(store);
    let store = Store::open(folder.path(), true).expect("opens");
    for name in [&b"two"[..], b"three", b"four", b"five"] {
        put(&store, b"a", name);
    }
    let rows = all_rows(&store);
    let names: Vec<&[u8]> = rows.iter().map(|row| &row.name[..]).collect();
    assert_eq!(names, [&b"one"[..], b"two", b"three", b"four", b"five"]);
}

#[test]
fn rows_of_a_batch_have_the_positions_that_the_write_knows() {
    let (_folder, store) = opened();
    put(&store, b"a", b"one");
    let table = all_rows(&store)[0].table;
    let names: Vec<Vec<u8>> = (0..40_u8).map(|number| vec![b'n', number]).collect();
    let records: Vec<(&[u8], Vec<u8>)> = names.iter().map(|name| (&name[..], name[1..].to_vec())).collect();
    for count in [0, 1, 16, 17, 18, 40] {
        let merge = |tx: &RecordTx<'_>| tx.set_segments(&[], tx.sequence()).map(|()| tx.sequence());
        let merged = RecordRows(&store).write_records(Deadline::NONE, merge).expect("merged");
        let add = |tx: &RecordTx<'_>| {
            tx.add_all(table, &records[..count])?;
            Ok((tx.sequence(), tx.take_unmerged(merged)?))
        };
        let (sequence, known) = RecordRows(&store).write_records(Deadline::NONE, add).expect("written");
        let expected: Vec<RecordRow> = (0..)
            .zip(&records[..count])
            .map(|(number, (name, value))| RecordRow {
                id: position_of(sequence, number),
                table,
                name: name.to_vec(),
                value: Some((Some(value.clone()), 1)),
                expires_ms: None,
            })
            .collect();
        assert_eq!(known, expected);
        let take = |tx: &RecordTx<'_>| tx.take_unmerged(merged);
        let stored = RecordRows(&store).write_records(Deadline::NONE, take).expect("read");
        assert_eq!(stored, expected);
    }
}

#[test]
fn rows_are_read_in_order_and_deleted_when_dead() {
    let (_folder, store) = opened();
    for name in [&b"one"[..], b"two", b"three"] {
        put(&store, b"a", name);
    }
    let rows = all_rows(&store);
    let names: Vec<&[u8]> = rows.iter().map(|row| &row.name[..]).collect();
    assert_eq!(names, [&b"one"[..], b"two", b"three"]);
    let log =
        |work: &dyn Fn(&RecordLog<'_>) -> usize| RecordRows(&store).read_record_log(|log| Ok(work(log))).expect("read");
    assert_eq!(log(&|log| log.rows_after(rows[0].id, 1).expect("read").len()), 1);
    assert_eq!(log(&|log| log.expired(8, 10).expect("read").len()), 0);
    assert_eq!(log(&|log| log.expired(9, 2).expect("read").len()), 2);
    assert_eq!(
        log(&|log| usize::from(log.row(rows[0].id, 4).expect("read") == Some((None, 5)))),
        1
    );
    let mut value = Vec::new();
    let mut take = |bytes: &[u8]| value = bytes.to_vec();
    assert_eq!(
        RecordRows(&store).long_value(rows[1].id, 100, &mut take).expect("read"),
        Some(5)
    );
    assert_eq!(value, b"value");
    RecordRows(&store)
        .write_records(Deadline::NONE, |tx| tx.delete(rows[1].id))
        .expect("deleted");
    assert_eq!(
        RecordRows(&store)
            .long_value(rows[1].id, 100, &mut |_| ())
            .expect("read"),
        None
    );
}

#[test]
fn segments_are_replaced_only_while_the_manifest_names_them() {
    let (_folder, store) = opened();
    let last = put(&store, b"a", b"one");
    let named = |number| NamedSegment {
        name: SegmentName { sequence: last, number },
        records: 7,
    };
    let all = [named(1), named(2), named(3)];
    let merged = RecordRows(&store)
        .write_records(Deadline::NONE, |tx| {
            tx.set_segments(&all, tx.sequence())?;
            Ok(tx.sequence())
        })
        .expect("named");
    let (manifest, tables) = state(&store, None).manifest.expect("all");
    assert_eq!((&manifest.segments[..], manifest.merged), (&all[..], merged));
    assert_eq!(state(&store, None).rows, [], "they are in segments");
    let replace = |old: &[u32], new| {
        let old: Vec<SegmentName> = old.iter().map(|number| named(*number).name).collect();
        RecordRows(&store)
            .write_records(Deadline::NONE, |tx| tx.replace_segments(&old, named(new)))
            .expect("written")
    };
    assert!(!replace(&[1, 3], 9));
    assert!(replace(&[2, 3], 4));
    assert!(!replace(&[2, 3], 5));
    let (manifest, _) = state(&store, None).manifest.expect("all");
    assert_eq!(manifest.segments, [named(1), named(4)]);
    RecordRows(&store)
        .write_records(Deadline::NONE, |tx| tx.set_segment_counts(tables[0].id, [3, 300]))
        .expect("counted");
    let (_, tables) = state(&store, None).manifest.expect("all");
    assert_eq!((tables[0].entries, tables[0].bytes), (3, 300));
}

#[test]
fn records_of_cleared_tables_are_swept() {
    let (_folder, store) = opened();
    for number in 0..1_000_u32 {
        put(&store, b"a", &number.to_le_bytes());
    }
    put(&store, b"b", b"kept");
    let (_, tables) = state(&store, None).manifest.expect("all");
    let id = tables.iter().find(|one| one.name == b"a").expect("a table").id;
    RecordRows(&store)
        .write_records(Deadline::NONE, |tx| tx.clear_table(id))
        .expect("cleared");
    RecordRows(&store)
        .write_records(Deadline::NONE, |tx| {
            while tx.sweep_cleared()? {}
            Ok(())
        })
        .expect("swept");
    let rows = all_rows(&store);
    assert_eq!(rows.len(), 1, "all of the other table");
    RecordRows(&store).clear_tables(Deadline::NONE).expect("cleared");
    while Sweeper(&store).sweep(Deadline::NONE).expect("swept") {}
    assert_eq!(all_rows(&store), []);
}

#[test]
fn records_in_front_of_the_oldest_entry_are_read_once() {
    let (_folder, store) = opened();
    put(&store, b"a", b"first");
    let view_id = LibraryRows(&store)
        .reached(&endpoint("http://a"), &server("one"))
        .expect("reached");
    let row = probed(&store, view_id, &["films"], NOW_MS).remove(0);
    let paths: Vec<String> = (0..300).map(|number| format!("/h/{number}.mkv")).collect();
    let pairs: Vec<(&[u8], &str)> = paths.iter().map(|path| (path.as_bytes(), "1")).collect();
    record_pairs(&store, &row, &pairs);
    put(&store, b"b", b"second");
    put(&store, b"a", b"third");
    let evict = |count: usize| {
        let mut gone = Vec::new();
        let done = RecordRows(&store).write_records(Deadline::NONE, |tx| {
            tx.oldest_entries(|row| {
                if gone.len() == count {
                    return Ok(false);
                }
                tx.delete(row.id)?;
                gone.push(row.name);
                Ok::<_, rusqlite::Error>(true)
            })
        });
        done.expect("written");
        let front = "SELECT min(swept) FROM tables WHERE name IS NOT NULL";
        let from: i64 = store.read(|c| c.value(front, [])).expect("read");
        let read = "SELECT count(*) FROM records WHERE id > ?1";
        let left: i64 = store.read(|c| c.value(read, [from])).expect("read");
        (gone, left)
    };
    assert_eq!(evict(1), (vec![b"first".to_vec()], 2), "the matches were read");
    assert_eq!(evict(1), (vec![b"second".to_vec()], 1));
    assert_eq!(evict(9), (vec![b"third".to_vec()], 0));
    assert_eq!(matches_of(&store, row.id).len(), 300);
}

#[test]
fn confirmed_matches_are_records_of_their_library_s_table() {
    let (_folder, store) = opened();
    put(&store, b"a", b"one");
    let view_id = LibraryRows(&store)
        .reached(&endpoint("http://a"), &server("one"))
        .expect("reached");
    let row = probed(&store, view_id, &["films"], NOW_MS).remove(0);
    record_pairs(&store, &row, &[(b"/h/1.mkv", "1"), (b"/h/2.mkv", "2")]);
    assert_eq!(state(&store, None).rows.len(), 1, "hosts' tables have one");
    let names = |of_matches| {
        let mut names = Vec::new();
        let mut note = |row: RecordRow| {
            names.push(row.name);
            Ok::<_, rusqlite::Error>(true)
        };
        let read = RecordRows(&store).write_records(Deadline::NONE, |tx| {
            if of_matches {
                tx.oldest_matches(&mut note)
            } else {
                tx.oldest_entries(&mut note)
            }
        });
        read.expect("read");
        names
    };
    assert_eq!(names(true), [&b"/h/1.mkv"[..], b"/h/2.mkv"]);
    assert_eq!(names(false).len(), 1);
    let of_paths = |log: &RecordLog<'_>| Ok(log.active_tables()?.iter().filter(|one| one.is_paths).count());
    assert_eq!(RecordRows(&store).read_record_log(of_paths).expect("read"), 1);
    assert_eq!(
        RecordRows(&store)
            .read_record_log(|log| log.count_since(Sequence(0), 9))
            .expect("read"),
        3
    );
    RecordRows(&store).clear_tables(Deadline::NONE).expect("cleared");
    while Sweeper(&store).sweep(Deadline::NONE).expect("swept") {}
    assert_eq!(matches_of(&store, row.id).len(), 2, "tables are cleared without them");
}

#[test]
fn rows_in_no_segment_are_those_of_every_commit_and_of_no_other() {
    let (folder, store) = opened();
    let other = Store::open(folder.path(), true).expect("opens");
    let merge = || {
        let merge = |tx: &RecordTx<'_>| tx.set_segments(&[], tx.sequence()).map(|()| tx.sequence());
        RecordRows(&store).write_records(Deadline::NONE, merge).expect("merged")
    };
    let unmerged = |merged: Sequence| -> Vec<Vec<u8>> {
        let take = |tx: &RecordTx<'_>| Ok((tx.count_unmerged(9)?, tx.take_unmerged(merged)?));
        let (count, rows) = RecordRows(&store).write_records(Deadline::NONE, take).expect("read");
        assert_eq!(count, rows.len());
        rows.into_iter().map(|row| row.name).collect()
    };
    put(&store, b"a", b"in a segment");
    let merged = merge();
    put(&store, b"a", b"one");
    put(&store, b"a", b"two");
    assert_eq!(unmerged(merged), [b"one", b"two"]);
    let merged = merge();
    put(&store, b"a", b"three");
    put(&other, b"a", b"four");
    assert_eq!(unmerged(merged), ["three", "four"].map(str::as_bytes));
    let merged = merge();
    let failed = RecordRows(&store).write_records(Deadline::NONE, |tx| {
        tx.add(TableId(1), b"rolled back", Some(b"value"), None)?;
        Err::<(), _>(rusqlite::Error::InvalidQuery)
    });
    assert!(failed.is_err());
    put(&store, b"a", b"five");
    assert_eq!(unmerged(merged), [b"five"]);
}
