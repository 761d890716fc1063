use std::collections::BTreeMap;

use super::*;
use crate::engine::sql::Store;
use crate::engine::sql::for_tests::{Films, Random, count, film, opened, written};
use crate::engine::sql::record_rows::all_matches_in;
use crate::model::{LibraryId, Sequence};

/// What the rows of a kind add up to.
fn counted(store: &Store, kind: RecordKind) -> i64 {
    let text = match kind {
        RecordKind::Entries => "SELECT coalesce(sum(length(name) + length(value) + 64), 0) FROM entries",
        RecordKind::Matches => "SELECT coalesce(sum(length(form) + length(item) + 64), 0) FROM matches",
    };
    store.read(|c| c.query_row(text, [], |row| row.get(0))).expect("read")
}

fn total(store: &Store, kind: RecordKind) -> i64 {
    written(store, |tx| tx.total(kind))
}

const NOW: MatchTime = MatchTime::NowAfter(RecordTime::NEVER);

/// What random writes leave is what a map has, the totals are right after each commit, and so is the change sequence.
#[test]
fn rows_and_totals_are_what_writes_left() {
    let (_folder, store) = opened();
    let rows = RecordRows(&store);
    let table = written(&store, |tx| tx.make_table(b"one"));
    let mut right: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut order: Vec<Vec<u8>> = Vec::new();
    let mut random = Random(7);
    for step in 0..400 {
        let name = format!("name {}", random.below(40)).into_bytes();
        let value = vec![7; random.place(60)];
        let what = random.below(10);
        let sequence = store.sequence().expect("read");
        written(&store, |tx| match what {
            0..=5 => tx.put_entry(table, &name, &value, None),
            6..=7 => tx.remove_entry(table, &name),
            8 => tx.evict(Limited::All(RecordKind::Entries), 1_500, 8).map(drop),
            _ => tx.put_match(table, &name, "1", NOW).map(drop),
        });
        assert_eq!(store.sequence().expect("read"), sequence.next(), "step {step}");
        match what {
            0..=5 => {
                order.retain(|one| *one != name);
                order.push(name.clone());
                right.insert(name, value);
            }
            6..=7 => {
                order.retain(|one| *one != name);
                right.remove(&name);
            }
            8 => {
                let size = |right: &BTreeMap<Vec<u8>, Vec<u8>>| -> usize {
                    right.iter().map(|(name, value)| name.len() + value.len() + 64).sum()
                };
                for _ in 0..8 {
                    if size(&right) > 1_500 {
                        right.remove(&order.remove(0));
                    }
                }
            }
            _ => {}
        }
        let stored = rows.entries_after(table, None, 1_000, None).expect("read");
        let stored: BTreeMap<_, _> = stored
            .into_iter()
            .map(|(name, entry)| (name, entry.expect("whole").value.expect("short")))
            .collect();
        assert_eq!(stored, right, "step {step}");
        for kind in [RecordKind::Entries, RecordKind::Matches] {
            assert_eq!(
                total(&store, kind),
                counted(&store, kind),
                "{kind:?} step {step} {what}"
            );
        }
    }
}

/// An import brings back what is not there, and is no later word about a file in another spelling.
#[test]
fn an_import_keeps_the_match_of_a_file_in_any_spelling() {
    let films = Films::with(&[film(1)]);
    films.record(&[(br"D:\x.mkv", "2"), (b"/h/a.mkv", "2")]);
    films.invalidate(b"/h/a.mkv", "");
    let pairs: [(&[u8], &str); 5] = [
        (b"d:/x.mkv", "1"),
        (br"\\?\D:\x.mkv", "1"),
        (b"/h/a.mkv/", "1"),
        (b"/h/A.mkv", "3"),
        (b"/h/A.mkv", "4"),
    ];
    let rows = RecordRows(&films.store);
    let written = rows.record_matches(&films.row(), (&pairs, true), &["1", "3"], u64::MAX, Deadline::NONE);
    assert_eq!(written.expect("recorded").expect("a library").recorded, 1);
    let all = [(&br"D:\x.mkv"[..], "2"), (b"/h/a.mkv", "2"), (b"/h/A.mkv", "3")];
    let all = all.map(|(path, key)| (path.to_vec(), key.to_owned()));
    assert_eq!(rows.all_matches(films.id).expect("read"), BTreeMap::from(all));
    let doubted = "SELECT count(*) FROM doubts WHERE scope = CAST('i3' AS BLOB)";
    assert_eq!(
        (films.count("SELECT count(*) FROM doubts"), films.count(doubted)),
        (1, 1)
    );
}

/// The size of a table that has a limit is right after each commit, and its limit removes its own oldest entries only.
#[test]
fn a_limit_of_a_table_leaves_the_other_tables() {
    let (_folder, store) = opened();
    let rows = RecordRows(&store);
    let write = |work: &dyn Fn(&Tx<'_>) -> rusqlite::Result<()>| written(&store, work);
    let make = |name: &[u8]| written(&store, |tx| tx.make_table(name));
    let (kept, limited) = (make(b"kept"), make(b"limited"));
    let names = |table| -> Vec<Vec<u8>> {
        let entries = rows.entries_after(table, None, 1_000, None).expect("read");
        entries.into_iter().map(|(name, _)| name).collect()
    };
    for number in 0..200_u8 {
        let table = if number.is_multiple_of(2) { kept } else { limited };
        write(&|tx| tx.put_entry(table, &[number], b"123", None));
    }
    for step in 0..50_u8 {
        // Some are new, some are written again, and some are removed.
        write(&|tx| match step % 3 {
            0 => tx.put_entry(limited, &[200 + step], b"1234567", None),
            1 => tx.put_entry(limited, &[149 + step], b"", None),
            _ => tx.remove_entry(limited, &[101 + step]),
        });
        let limit = 6_000 - 100 * u64::from(step);
        write(&|tx| tx.evict(Limited::Table(limited), limit, 1_000).map(drop));
        let size = written(&store, |tx| tx.size(Limited::Table(limited)));
        let sum = "SELECT coalesce(sum(length(name) + length(value) + 64), 0) FROM entries WHERE in_table = ?1";
        let counted: i64 = store
            .read(|c| c.query_row(sum, [limited], |row| row.get(0)))
            .expect("read");
        assert_eq!(size, counted, "step {step}");
        assert!(
            size.cast_unsigned() <= limit && size.cast_unsigned() > limit - 200,
            "step {step}"
        );
        assert_eq!(names(kept).len(), 100, "step {step}");
    }
    // Those that were written last are left.
    assert!(names(limited).contains(&vec![248]) && !names(limited).contains(&vec![1]));
}

#[test]
fn a_row_whose_bits_have_flipped_is_no_answer() {
    let (_folder, store) = opened();
    let rows = RecordRows(&store);
    let table = written(&store, |tx| {
        let table = tx.make_table(b"one")?;
        tx.put_entry(table, b"name", b"value", None)?;
        tx.put_match(table, b"/Films/a.mkv", "12", NOW)?;
        tx.put_match(table, b"/Films/A.mkv", "14", NOW)?;
        tx.put_match(table, b"/films/flipped.mkv", "15", NOW)?;
        Ok(table)
    });
    assert!(rows.entry(table, b"name", None).expect("read").is_some());
    for damage in [
        "UPDATE entries SET value = x'76616c7564'",
        "UPDATE matches SET item = '13' WHERE item = '12'",
        "UPDATE matches SET at = at + 1 WHERE item = '14'",
        "UPDATE matches SET form = CAST('/films/flhpped.mkv' AS BLOB) WHERE item = '15'",
    ] {
        written(&store, |tx| tx.run(damage, []));
    }
    assert_eq!(rows.entry(table, b"name", None).expect("read"), None);
    let now = store.sequence().expect("read");
    for path in [&b"/Films/a.mkv"[..], b"/films/flhpped.mkv", b"/films/flipped.mkv"] {
        let found = rows.matches_of_form(table, &normal_form(path), now, None);
        assert_eq!(found.expect("read"), Some(Vec::new()));
    }
    let form = normal_form(b"/Films/a.mkv");
    let earlier = rows.matches_of_form(table, &form, now.previous(), None).expect("read");
    assert_eq!(earlier, None, "there is a newer commit");
    let mut length = 0;
    let value = rows.value(table, b"name", 100, 0, &mut |value| length = value.len());
    assert_eq!((value.expect("read"), length), (None, 0));
}

#[test]
fn expired_entries_are_removed_but_not_those_of_the_same_write() {
    let (_folder, store) = opened();
    let rows = RecordRows(&store);
    let table = written(&store, |tx| tx.make_table(b"one"));
    let names = |after: Option<&[u8]>| {
        let found = rows.entries_after(table, after, 9, None).expect("read");
        found.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    let write = |name: &[u8], expires_ms| {
        written(&store, |tx| {
            tx.put_entry(table, name, b"1", expires_ms)?;
            tx.remove_expired(2_000, 80)
        })
    };
    assert!(!write(b"a", Some(1_000)));
    assert!(!write(b"b", None) || names(None) == [b"b"]);
    assert_eq!((names(None), names(Some(b"b"))), (vec![b"b".to_vec()], Vec::new()));
}

#[test]
fn those_who_follow_hear_of_removals_for_some_time() {
    let (_folder, store) = opened();
    let rows = RecordRows(&store);
    let table = written(&store, |tx| {
        let table = tx.make_table(b"one")?;
        tx.put_entry(table, b"gone", b"1", None)?;
        tx.put_entry(table, b"stays", b"1", None)?;
        Ok(table)
    });
    let since = store.sequence().expect("read");
    written(&store, |tx| tx.remove_entry(table, b"gone"));
    let changes = |since| {
        let changes = rows.table_changes(Some(since), Some(Sequence(0)), None).expect("read");
        changes
            .entries
            .map(|names| names.into_iter().map(|changed| changed.key).collect::<Vec<_>>())
    };
    assert_eq!(changes(since), Some(vec![b"gone".to_vec()]));
    // After many removals, it is forgotten, and so is whoever followed no further.
    for write in 0..10 {
        let names: Vec<Vec<u8>> = (0..1_000).map(|n| format!("{write} {n}").into_bytes()).collect();
        let put = |tx: &Tx<'_>| names.iter().try_for_each(|name| tx.put_entry(table, name, b"1", None));
        written(&store, put);
        let remove = |tx: &Tx<'_>| names.iter().try_for_each(|name| tx.remove_entry(table, name));
        written(&store, remove);
    }
    assert_eq!(changes(since), None);
    assert_eq!(changes(store.sequence().expect("read")), Some(Vec::new()));
    assert_eq!(count(&store, "SELECT count(*) FROM removed"), REMOVED_KEPT);
}

#[test]
fn a_damaged_total_is_counted_again() {
    let (_folder, store) = opened();
    written(&store, |tx| {
        let table = tx.make_table(b"one")?;
        tx.put_entry(table, b"name", b"value", None)?;
        // The size of a match is that of its path, which the row may have beside the normal form.
        tx.put_match(table, "/Films/A\u{308}.mkv".as_bytes(), "12", NOW)
    });
    let kinds = [RecordKind::Entries, RecordKind::Matches];
    let totals = kinds.map(|kind| total(&store, kind));
    for damage in [
        "UPDATE entries SET total = total + (1 << 40)",
        "UPDATE matches SET total = total + 1",
    ] {
        written(&store, |tx| tx.run(damage, []));
    }
    store.close(); // a new connection does not know the totals
    assert_eq!(kinds.map(|kind| total(&store, kind)), totals);
}

#[test]
fn names_follow_each_other_in_byte_order() {
    let (_folder, store) = opened();
    let rows = RecordRows(&store);
    let table = written(&store, |tx| {
        let table = tx.make_table(b"one")?;
        tx.put_entry(table, b"", b"empty", None)?;
        tx.put_entry(table, b"b", b"2", None)?;
        tx.put_entry(table, b"a", b"1", Some(1_000))?;
        Ok(table)
    });
    let next = |after: Option<&[u8]>, now_ms| rows.next_name(table, after, now_ms).expect("read");
    assert_eq!(next(None, 500), Some(b"".to_vec()));
    assert_eq!(next(Some(b""), 500), Some(b"a".to_vec()));
    assert_eq!(next(Some(b""), 1_000), Some(b"b".to_vec()));
    assert_eq!(next(Some(b"b"), 500), None);
    assert_eq!(rows.count_entries(None).expect("read"), 3);
}

#[test]
fn matches_are_read_form_by_form() {
    let (_folder, store) = opened();
    let rows = RecordRows(&store);
    let table = written(&store, |tx| {
        tx.run("INSERT INTO tables (library) VALUES (?1)", [LibraryId(1)])?;
        let table = TableId(tx.last_insert_rowid());
        for path in ["/a/X", "/a/x", "/b", "/c"] {
            tx.put_match(table, path.as_bytes(), path, NOW)?;
        }
        Ok(table)
    });
    let now = store.sequence().expect("read");
    let after = |form, most| {
        rows.matches_after(table, form, most, now, None)
            .expect("read")
            .expect("current")
    };
    let first = after(None, 1);
    assert_eq!(
        (first.len(), first[0].1.len()),
        (1, 2),
        "all of the same form: {first:?}"
    );
    assert_eq!(after(Some(&first[0].0), 10).len(), 2);
    assert_eq!(after(Some(b"/c"), 10), []);
    let earlier = Sequence(now.0 - 1);
    assert_eq!(rows.matches_after(table, None, 9, earlier, None).expect("read"), None);
    written(&store, |tx| tx.remove_matches_of_item(table, "/a/X"));
    let count = || {
        let now = store.sequence().expect("read");
        let found = rows.matches_of_form(table, b"/a/x", now, None).expect("read");
        found.map(|found| found.len())
    };
    assert_eq!(count(), Some(1));
    written(&store, |tx| tx.remove_matches_of_form(table, b"/a/x"));
    assert_eq!(count(), Some(0));
    let left = store.read(|c| all_matches_in(c, table)).expect("read");
    assert_eq!(left.len(), 2);
    assert!(written(&store, |tx| tx.evict(
        Limited::All(RecordKind::Matches),
        100,
        9
    )));
    assert_eq!(store.read(|c| all_matches_in(c, table)).expect("read"), []);
}

#[test]
fn a_file_has_one_match_in_all_its_spellings() {
    let (_folder, store) = opened();
    written(&store, |tx| {
        tx.run("INSERT INTO tables (library) VALUES (?1)", [LibraryId(1)])?;
        let table = TableId(tx.last_insert_rowid());
        let found = |path: &str| -> rusqlite::Result<Vec<(String, String)>> {
            let found = matches_where(tx, table, tx.sequence, "form = ?2", &[&normal_form(path.as_bytes())])?;
            let mut found: Vec<_> = found
                .into_iter()
                .filter_map(|(_, stored)| stored)
                .map(|stored| (String::from_utf8_lossy(&stored.path).into_owned(), stored.rating_key))
                .collect();
            found.sort();
            Ok(found)
        };
        for (older, newer) in [("D:/F/x", r"D:\F\x"), (r"D:\F\y", r"\\?\d:\F\y"), ("/f//z", "/f/z")] {
            let put = |path: &str, key, time| tx.put_match(table, path.as_bytes(), key, time);
            put(older, "1", MatchTime::At(RecordTime(5)))?;
            put(newer, "2", MatchTime::At(RecordTime(4)))?;
            assert_eq!(
                found(older)?,
                [(older.to_owned(), "1".to_owned())],
                "an earlier record of another host"
            );
            put(newer, "2", MatchTime::At(RecordTime(6)))?;
            assert_eq!(found(older)?, [(newer.to_owned(), "2".to_owned())]);
            put(older, "3", NOW)?;
            assert_eq!(found(older)?, [(older.to_owned(), "3".to_owned())]);
        }
        tx.put_match(table, br"D:\f\X", "4", NOW)?;
        assert_eq!(found("D:/F/x")?.len(), 2, "a disk may have both");
        Ok(())
    });
}
