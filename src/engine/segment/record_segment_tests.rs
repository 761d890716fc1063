use std::fs;

use super::super::RecordSegmentBuilder;
use super::super::hash_table::upper;
use super::*;

const FILMS: TableId = TableId(3);

fn stored(value: &[u8]) -> StoredValue<'_> {
    StoredValue {
        value: Some(value),
        length: value.len() as u64,
        expires_ms: None,
    }
}

fn record<'r>(table: TableId, name: &'r [u8], row: i64, state: impl Into<Option<StoredValue<'r>>>) -> Record<'r> {
    Record {
        table,
        is_path: false,
        name,
        hash: upper(record_hash(table, name)),
        row,
        state: state.into(),
    }
}

fn written(records: &[Record<'_>]) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.segment");
    let mut builder = RecordSegmentBuilder::new(&path, 0);
    for record in records {
        builder.push(record).unwrap();
    }
    builder.finish(&path, 7).unwrap();
    (folder, path)
}

fn open(path: &Path) -> RecordSegment {
    RecordSegment::open(path, MapMode::Map, 7).unwrap()
}

fn found_in<'s>(segment: &'s RecordSegment, table: TableId, name: &[u8]) -> ReadResult<Option<Record<'s>>> {
    let hash = record_hash(table, name);
    segment.find((table, name), hash, segment.first(hash))
}

fn all(segment: &RecordSegment) -> Vec<Record<'_>> {
    let mut cursor = RecordCursor::BEGIN;
    let mut found = Vec::new();
    while let Some((record, next)) = segment.next(cursor).unwrap() {
        found.push(record);
        cursor = next;
    }
    found
}

#[test]
fn names_with_equal_slots_are_distinguished() {
    let mut names: Vec<(u32, String)> = (0..300_000)
        .map(|n| (upper(record_hash(FILMS, format!("{n}").as_bytes())), format!("{n}")))
        .collect();
    names.sort_unstable();
    let mut alike: Vec<&String> = names
        .windows(2)
        .filter(|two| two[0].0 == two[1].0)
        .flat_map(|two| [&two[0].1, &two[1].1])
        .collect();
    assert!(alike.len() >= 4, "{alike:?}");
    // One record of the last pair is left out.
    let missing = alike.pop().unwrap();
    alike.sort_unstable();
    alike.dedup();
    let records: Vec<Record<'_>> = alike
        .iter()
        .map(|name| record(FILMS, name.as_bytes(), 5, stored(name.as_bytes())))
        .collect();
    let (_folder, path) = written(&records);
    let segment = open(&path);
    for record in &records {
        assert_eq!(found_in(&segment, FILMS, record.name), Ok(Some(*record)));
    }
    assert_eq!(found_in(&segment, FILMS, missing.as_bytes()), Ok(None));
}

#[test]
fn records_are_found_by_exact_name_and_iterated_in_order() {
    let mut text: Vec<(String, String)> = (0..3_000).map(|n| (format!("/Films/{n}.mkv"), n.to_string())).collect();
    text.sort();
    let long = [b'x'; 5_000];
    let mut records = vec![record(TableId(1), b"/Films/7.mkv", i64::MAX, None)];
    records.push(record(FILMS, b"", 1, stored(b"")));
    records.extend(
        text.iter()
            .map(|(name, value)| record(FILMS, name.as_bytes(), 1 << 40, stored(value.as_bytes()))),
    );
    let expiring = StoredValue {
        value: None,
        length: 70_000,
        expires_ms: Some(5),
    };
    records.push(record(TableId(i64::MAX), &long, -1, expiring));
    let (_folder, path) = written(&records);
    let segment = open(&path);
    assert_eq!(segment.records(), 3_003);
    assert_eq!(all(&segment), records);
    for known in &records {
        assert_eq!(found_in(&segment, known.table, known.name), Ok(Some(*known)));
        let place = segment.seek(known.key()).unwrap();
        assert_eq!(segment.next(place).unwrap().map(|(record, _)| record), Some(*known));
    }
    for (table, name) in [
        (FILMS, &b"/films/7.mkv"[..]),
        (TableId(2), b""),
        (TableId(1), b"/Films/8.mkv"),
    ] {
        assert_eq!(found_in(&segment, table, name), Ok(None));
        let place = segment.seek((table, name)).unwrap();
        let next = records.iter().find(|record| record.key() >= (table, name));
        assert_eq!(segment.next(place).unwrap().map(|(record, _)| record), next.copied());
    }
    let behind = segment.seek((TableId(i64::MAX), b"y")).unwrap();
    assert_eq!(segment.next(behind), Ok(None));
    // A segment of copied records has the same bytes.
    let copied = path.with_extension("copy");
    let (mut builder, mut cursor) = (RecordSegmentBuilder::new(&copied, 0), RecordCursor::BEGIN);
    while let Some((record, next)) = segment.next(cursor).unwrap() {
        builder.copy(&record, segment.encoded(cursor, next).unwrap()).unwrap();
        cursor = next;
    }
    builder.finish(&copied, 7).unwrap();
    assert_eq!(fs::read(copied).unwrap(), fs::read(path).unwrap());
}

#[test]
fn an_empty_segment_has_nothing() {
    let (_folder, path) = written(&[]);
    let segment = open(&path);
    assert_eq!(found_in(&segment, FILMS, b"x"), Ok(None));
    assert_eq!(segment.next(segment.seek((FILMS, b"x")).unwrap()), Ok(None));
}

#[test]
fn damage_is_reported_and_a_wrong_name_mac_refused() {
    let names: Vec<String> = (1_000..4_000).map(|n| n.to_string()).collect();
    let records: Vec<Record<'_>> = names
        .iter()
        .map(|name| record(FILMS, name.as_bytes(), 1, stored(name.as_bytes())))
        .collect();
    let (_folder, path) = written(&records);
    assert!(RecordSegment::open(&path, MapMode::Read, 8).is_err());
    let whole = fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(211) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        fs::remove_file(&path).unwrap();
        fs::write(&path, &bytes).unwrap();
        let Ok(segment) = RecordSegment::open(&path, MapMode::Read, 7) else {
            continue;
        };
        for known in records.iter().step_by(97) {
            let found = found_in(&segment, FILMS, known.name);
            assert!(found == Ok(Some(*known)) || segment.is_broken(), "{at}: {found:?}");
        }
    }
}
