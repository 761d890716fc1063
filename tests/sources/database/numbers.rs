//! What a large database costs. Prints figures; they mean something in a release build, on a machine that does nothing else:
//!
//! ```text
//! python3 tests/sources/database/generate.py /tmp/million.db
//! PLEXINDEX_LARGE_DATABASE=/tmp/million.db cargo test --release -p plexindex-tests --test sources numbers -- --ignored --nocapture
//! ```

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::support::index::{Index, QueryOptions};
use plexindex::source::database::PlexDatabase;
use plexindex::source::{Bounds, PageRequest, Source};
use rusqlite::Connection;

use crate::database::options;
use crate::support::plex_database as written;

/// The most memory that this process ever had, in MiB.
fn most_memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.unwrap_or_default() / 1024.0
}

/// The processor's time that this process has used: what others use shows in the other figures.
fn used_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let behind = stat.rsplit(") ").next().unwrap_or_default();
    let ticks = behind.split(' ').skip(11).take(2);
    let ticks: f64 = ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    ticks * 10.0
}

fn ms(took: Duration) -> f64 {
    took.as_secs_f64() * 1_000.0
}

#[test]
#[ignore = "measures: run it alone, in a release build"]
#[allow(clippy::too_many_lines)] // one figure after the other
fn numbers() {
    let Some(file) = std::env::var_os("PLEXINDEX_LARGE_DATABASE").map(PathBuf::from) else {
        println!("PLEXINDEX_LARGE_DATABASE names no database: see the head of this file");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let database = Connection::open(&file).expect("opened");
    let (last, path): (i64, String) = database
        .query_row(
            "SELECT metadata_item_id, file FROM media_parts p JOIN media_items m ON m.id = p.media_item_id \
             ORDER BY p.id DESC LIMIT 1 OFFSET 777",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .expect("a file");
    drop(database);
    let query = QueryOptions::default();

    let index = Index::open(options(&folder.path().join("cold"), &file)).expect("opened");
    let begun = Instant::now();
    let found = index.match_path(&query, path.as_bytes()).expect("an answer");
    let cold = begun.elapsed();
    assert_eq!(found.item.expect("an item").item.rating_key, last.to_string());
    println!("cold first answer: {:.2} ms", ms(cold));
    drop(index);
    let rounds: u32 = 20;
    let (mut took, before) = (Duration::ZERO, used_ms());
    for round in 0..rounds {
        let index = Index::open(options(&folder.path().join(format!("cold {round}")), &file)).expect("opened");
        let begun = Instant::now();
        index.match_path(&query, path.as_bytes()).expect("an answer");
        took += begun.elapsed();
    }
    println!(
        "the same {rounds} times: {:.2} ms each; with opening and closing {:.2} ms of the processor's time",
        ms(took) / f64::from(rounds),
        (used_ms() - before) / f64::from(rounds)
    );

    let source = PlexDatabase::new(&file);
    let (begun, before) = (Instant::now(), used_ms());
    let (mut items, mut longest) = (0, Duration::ZERO);
    for library in source.libraries(Bounds::NONE).expect("libraries") {
        let mut position = Some(0);
        while let Some(at) = position {
            let request = PageRequest {
                library: &library,
                partition: 0,
                position: at,
                size: 1_000,
            };
            let (page, mut rows) = (Instant::now(), Vec::new());
            position = source.page(&request, Bounds::NONE, &mut rows).expect("a page").next;
            longest = longest.max(page.elapsed());
            items += rows.len();
        }
    }
    println!(
        "{items} items read: {:.2} s ({:.2} of the processor's), longest slice {:.0} ms, {:.0} MiB",
        begun.elapsed().as_secs_f64(),
        (used_ms() - before) / 1_000.0,
        ms(longest),
        most_memory()
    );

    let index = Index::open(options(&folder.path().join("store"), &file)).expect("opened");
    let (begun, before) = (Instant::now(), used_ms());
    index.refresh(&query, true).expect("listed");
    println!(
        "{} items listed and stored: {:.2} s ({:.2} of the processor's), {:.0} MiB",
        index.stats().expect("statistics").items,
        begun.elapsed().as_secs_f64(),
        (used_ms() - before) / 1_000.0,
        most_memory()
    );
    for round in 0..3 {
        let database = Connection::open(&file).expect("opened");
        let transaction = database.unchecked_transaction().expect("begun");
        let mut ids = Vec::new();
        {
            let sql = "SELECT id FROM metadata_items WHERE id <= ?1 AND metadata_type = 4 AND id % 41 = 7 \
                 ORDER BY id DESC LIMIT 100";
            let mut statement = transaction.prepare(sql).expect("prepared");
            let mut rows = statement.query([last]).expect("asked");
            while let Some(row) = rows.next().expect("a row") {
                ids.push(row.get::<_, i64>(0).expect("a number"));
            }
        }
        for (change, id) in ids.into_iter().enumerate() {
            written::rename(&database, id, &format!("/data/renamed/{round} {change}.mkv"));
        }
        transaction.commit().expect("committed");
        database.close().expect("closed");
        let (begun, before) = (Instant::now(), used_ms());
        let found = index
            .match_path(&query, format!("/data/renamed/{round} 7.mkv").as_bytes())
            .expect("an answer");
        println!(
            "delta of 100 and the answer: {:.1} ms ({:.0} of the processor's)",
            ms(begun.elapsed()),
            used_ms() - before
        );
        assert!(found.item.is_some());
    }
    assert_eq!(index.stats().expect("statistics").requests.iter().sum::<u64>(), 0);
}
