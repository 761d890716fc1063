//! Killed: what it left behind goes once it is old, and a fetch goes on where it stopped.

use std::path::Path;
use std::time::Duration;

use crate::support::index::{Ask as _, Index};
use plexindex_standin::{Fault, Kind};

use crate::support::worker::{Dice, assert_sound, database, options_at, rounds, say, until};
use crate::support::{self, Scene, age, clock, files_in, offline, path_of, requests, segments};

/// What the index says of a path without asking the server: the rating key, or the reason that there is none.
fn answer(index: &Index, path: &str) -> String {
    offline(&index.movies()).answer(path).key_or_reason()
}

/// Asserts that nothing lies around but what is in use, and what is too young to tell.
fn assert_tidy(folder: &Path) {
    for path in files_in(folder) {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let known = [".db", ".db-wal", ".db-shm", ".page"].map(|end| format!("plexindex-1{end}"));
        let in_use = known.contains(&name) || name == "plexindex-client-id" || name.ends_with(".lock");
        let age = path
            .metadata()
            .and_then(|facts| facts.modified())
            .map(|at| at.elapsed());
        let young = matches!(age, Ok(Ok(age)) if age < Duration::from_secs(600));
        let passing = name.contains(".segment") || name.contains(".new") || name.ends_with(".broken");
        assert!(in_use || young && passing, "'{name}' was left behind");
    }
}

#[test]
fn what_a_kill_leaves_behind_goes_once_it_is_old() {
    let (at, index, library) = Scene::movies(50).and_opened();
    let (path, key) = path_of(&at.server, 1, 3);
    library.ask(&path);
    let leave = |name: &str| {
        let path = at.folder().join(name);
        std::fs::write(&path, "").expect("made");
        path
    };
    let old = [
        "plexindex-1-l1-7-99-0.segment",
        "plexindex-1-l1-7-99-0.segment.4711-0.new",
        "plexindex-1-m1-7-99-0.segment.4711-1.new",
        "plexindex-1.4711.new",
        "plexindex-1.db.4711.new",
        "plexindex-1.db.4711.new-wal",
        "plexindex-1.state", // of earlier builds
    ];
    let young = [
        "plexindex-1-l1-8-99-0.segment",
        "plexindex-1-l1-8-99-0.segment.4712-0.new",
    ];
    for name in young {
        leave(name);
    }
    let notes = "notes of another program.segment";
    let foreign = [notes, "plexindex-2-l1-7-99-0.segment", "plexindex-2.db"];
    // The segment in use is old too.
    let mut ages = segments(at.folder());
    ages.retain(|path| path.metadata().expect("facts").len() > 0);
    ages.extend(old.iter().chain(&foreign).map(|name| leave(name)));
    age(&ages);
    library.query().refreshed(true).expect("listed again");
    for name in old {
        assert!(!at.folder().join(name).exists(), "'{name}' stays for ever");
    }
    // They may be about to be announced, or are of another program or format.
    for name in young.iter().chain(&foreign) {
        assert!(at.folder().join(name).exists(), "{name}");
    }
    index.close().expect("closes");
    assert_eq!(answer(&at.open(), &path), key);
}

/// Fetches the library page by page.
pub fn list(words: &[&str]) {
    let mut options = options_at(words);
    options.page_size = words[3].parse().expect("a size");
    let index = support::open(options, &clock());
    let library = index.movies();
    say("begins");
    let found = library.ask(words[4]);
    index.close().expect("closes");
    say(&found.item.expect("an item").rating_key);
}

#[test]
fn a_listing_goes_on_where_a_kill_stopped_it() {
    let (items, page_size, kills) = (2_000_u32, 50, rounds("PLEXINDEX_KILLS", 4, 15));
    let at = Scene::movies(items);
    let (path, key) = path_of(&at.server, 1, 7);
    let size = page_size.to_string();
    let start = || at.worker("list", &[&size, &path]);
    let slow = |ms| Fault::delay(ms).on(Kind::Listing).times(0);

    let mut dice = Dice::new(page_size);
    for kill in 0..kills {
        let left = |next_row: u64| (u64::from(items) - next_row).div_ceil(page_size);
        if left(next_row(at.folder())) < 8 {
            // Too little is left to be killed in: from the beginning.
            std::fs::remove_dir_all(at.folder()).expect("removed");
            std::fs::create_dir(at.folder()).expect("made anew");
        }
        at.server.reset();
        let until_page = 1 + dice.roll(left(next_row(at.folder())) / 2);
        // However late this process gets its turn, that one has not come to the end by then.
        at.server.clear_faults();
        at.server.fault(slow(2));
        at.server.fault(slow(10_000).after(until_page + 2));
        let worker = start();
        until("pages were fetched", || {
            at.server.stats().of(Kind::Listing) >= until_page
        });
        std::thread::sleep(Duration::from_micros(dice.roll(3_000)));
        worker.kill();
        assert_sound(at.folder());
        let [identity, sections, listing, ..] = requests(&at.server);
        assert!(identity <= 1 && sections == 1, "kill {kill}: {identity}, {sections}");
        assert!(listing >= until_page);
    }
    let next_row = next_row(at.folder());
    assert!(next_row > 0, "something was stored");
    at.server.clear_faults();
    at.server.reset();
    let mut worker = start();
    assert_eq!(worker.hear(), "begins");
    assert_eq!(worker.hear(), key);
    worker.end();
    let [identity, sections, listing, _, _, all] = requests(&at.server);
    let left = (u64::from(items) - next_row + 50).div_ceil(page_size);
    assert_eq!((identity, sections), (0, 2), "libraries before and after");
    assert!(listing <= left);
    assert_eq!(all, sections + listing);
    // And it ended right: whole, settled, every path known.
    let index = at.open();
    for (key, path) in at.server.paths(1) {
        assert_eq!(answer(&index, &path.expect("all have files")), key.to_string());
    }
    index.close().expect("closes");
    let sql = "SELECT listed_items, EXISTS (SELECT 1 FROM doubts), (SELECT count(*) FROM listings) FROM libraries";
    let row = database(at.folder()).query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    assert_eq!(row, Ok((items, false, 0_u32)));
    assert_tidy(at.folder());
}

/// Rows that are stored of the listing under way.
pub fn next_row(folder: &Path) -> u64 {
    if !folder.join("plexindex-1.db").exists() {
        return 0;
    }
    let read = |database: rusqlite::Connection| -> rusqlite::Result<i64> {
        database.query_row("SELECT coalesce(max(position), 0) FROM listings", [], |row| row.get(0))
    };
    read(database(folder)).map_or(0, i64::cast_unsigned)
}
