//! What went leaves nothing: whatever came, moved and went before, it is missed by the next question.

use std::collections::BTreeMap;

use crate::support::index::{Ask as _, Index};
use plexindex::error::Status;

use crate::database::alone::{films, path};
use crate::database::{open, options};
use crate::support::clock;
use crate::support::plex_database::{self as written, kind};
use crate::support::worker::Dice;

fn key_of(index: &Index, path: &str) -> Option<i64> {
    let found = index.query().answer(path);
    let item = found.item.filter(|_| found.status == Status::Ok && !found.stale);
    item.map(|item| item.rating_key.parse().expect("a number"))
}

/// A server that changes at random, and two handles that are asked now and then.
fn history(seed: u64) {
    let (folder, server, first) = films(12);
    let second = server.library("Other films", kind::MOVIE, "/data/films");
    // Libraries that lose most of what they have are listed twice before that is believed.
    let others = server.write(|database| {
        let add = |film: u32| {
            let other = format!("/data/films/Other {film}.mkv");
            let id = written::add_film(database, second, &other, &other);
            (other, id)
        };
        (0..12).map(add).collect::<Vec<_>>()
    });
    let sections = [first, second];
    let store = folder.path().join("store");
    let clock = clock();
    let handles: Vec<Index> = (0..2).map(|_| open(options(&store, &server.folder), &clock)).collect();
    handles[0].list();
    let mut numbers = Dice::new(seed);
    let mut roll = |sides: usize| numbers.place(sides);
    let first = (0..12).map(|film| (path(film), i64::from(film) + 1));
    let mut there: BTreeMap<String, i64> = first.collect();
    there.extend(others);
    let mut once: Vec<String> = there.keys().cloned().collect();
    for step in 0..20 {
        for change in 0..=roll(3) {
            let name = format!("/data/films/{seed} {step} {change}.mkv");
            let chosen = there.iter().nth(roll(there.len().max(1)));
            let chosen = chosen.map(|(path, id)| (path.clone(), *id));
            let (what, section) = (roll(9), sections[roll(2)]);
            let added = server.write(|database| match (what, &chosen) {
                (0..=2, Some((_, id))) => {
                    written::delete(database, *id);
                    None
                }
                (3, Some((_, id))) => {
                    written::rename(database, *id, &name);
                    Some(*id)
                }
                (4, Some((_, id))) => {
                    let sql = "UPDATE metadata_items SET library_section_id = ?2 WHERE id = ?1";
                    written::run(database, sql, [*id, section]);
                    written::touch(database, *id);
                    None
                }
                _ => Some(written::add_film(database, section, &name, &name)),
            });
            if let (0..=3, Some((path, _))) = (what, &chosen) {
                there.remove(path);
            }
            if let Some(id) = added {
                there.insert(name.clone(), id);
                once.push(name);
            }
            // Found by its path alone, it may be gone before anything else is asked.
            if roll(4) == 0
                && let Some((path, id)) = there.iter().nth(roll(there.len().max(1)))
            {
                let key = key_of(&handles[roll(2)], path);
                assert_eq!(key, Some(*id), "seed {seed}, step {step}: {path}");
            }
        }
        let index = &handles[roll(2)];
        for path in &once {
            let key = key_of(index, path);
            assert_eq!(key.as_ref(), there.get(path), "seed {seed}, step {step}: {path}");
        }
        let items = index.counts().items;
        assert_eq!(items, there.len() as u64, "seed {seed}, step {step}");
    }
}

#[test]
fn what_goes_is_missed_whatever_came_before() {
    for seed in 1..=2 {
        history(seed);
    }
}

#[test]
fn the_newest_item_goes_without_a_new_listing() {
    let (folder, server, section) = films(60);
    let index = open(options(&folder.path().join("store"), &server.folder), &clock());
    index.list();
    let listings = || index.counts().listings;
    let items = || index.counts().items;
    // Its number and that of its change were the highest ones.
    server.write(|database| written::delete(database, 60));
    assert_eq!(key_of(&index, &path(59)), None);
    assert_eq!((listings(), items()), (1, 59));
    // The next change gets the number of the one that went, as it does where the server begins at the highest one that is left.
    let highest = |database: &rusqlite::Connection| written::next_change(database) - 1;
    let (before, after) = server.write(|database| {
        let before = highest(database);
        written::delete(database, 59);
        written::rename(database, 7, "/data/films/renamed.mkv");
        (before, highest(database))
    });
    assert_eq!(before, after, "the counter says nothing");
    assert_eq!(key_of(&index, "/data/films/renamed.mkv"), Some(7));
    assert_eq!((key_of(&index, &path(58)), key_of(&index, &path(6))), (None, None));
    assert_eq!((listings(), items()), (1, 58));
    // Some of the newest at once, and new ones.
    let added = server.write(|database| {
        for id in 50..=58 {
            written::delete(database, id);
        }
        written::add_film(database, section, "New", "/data/films/new.mkv")
    });
    assert_eq!(key_of(&index, "/data/films/new.mkv"), Some(added));
    assert_eq!((listings(), items()), (1, 50));
}

#[test]
fn a_restored_backup_is_listed_anew() {
    let gone = "a film that went, and one that is deleted";
    let came = "a change before one that came again";
    for lost in [
        "a change",
        "a film that came",
        "a change, of what is deleted",
        gone,
        came,
    ] {
        let (folder, server, section) = films(60);
        let index = open(options(&folder.path().join("store"), &server.folder), &clock());
        let renamed = "/data/films/renamed.mkv";
        let touch_all = |database: &rusqlite::Connection| (20..38).for_each(|id| written::touch(database, id));
        let backup = std::fs::read(server.file()).expect("read");
        server.write(|database| match lost {
            "a change" => written::rename(database, 7, renamed),
            "a change before one that came again" => {
                written::rename(database, 7, renamed);
                written::touch(database, 8);
            }
            "a film that came" => drop(written::add_film(database, section, "New", renamed)),
            "a change, of what is deleted" => {
                written::rename(database, 7, renamed);
                touch_all(database);
            }
            _ => {
                written::delete(database, 7);
                written::touch(database, 8);
            }
        });
        index.list();
        // Into the same file, as a copy is.
        std::fs::write(server.file(), &backup).expect("restored");
        server.write(|database| match lost {
            "a change, of what is deleted" => (20..38).for_each(|id| written::delete(database, id)),
            "a film that went, and one that is deleted" => written::delete(database, 8),
            "a change before one that came again" => [9, 8, 8].iter().for_each(|id| written::touch(database, *id)),
            _ => {}
        });
        assert_eq!(key_of(&index, &path(6)), Some(7), "{lost}");
        assert_eq!(key_of(&index, renamed), None, "{lost}");
        let left = match lost {
            "a change, of what is deleted" => 42,
            "a film that went, and one that is deleted" => 59,
            _ => 60,
        };
        let stats = index.counts();
        assert_eq!((stats.items, stats.listings), (left, 2), "{lost}");
    }
}

/// Items went, and were seen to be gone; then a backup that has them is copied into the same file.
#[test]
fn what_comes_back_with_a_backup_is_listed() {
    for (lost, lost_since) in [(1, 0), (5, 0), (15, 0), (5, 2), (2, 5)] {
        for counts_rows in [false, true] {
            let (folder, server, _) = films(60);
            let index = open(options(&folder.path().join("store"), &server.folder), &clock());
            index.list();
            let path = |id: i64| path(u32::try_from(id - 1).expect("small"));
            if counts_rows {
                server.write(|database| written::touch(database, 60));
                assert_eq!(key_of(&index, &path(60)), Some(60));
            }
            let backup = std::fs::read(server.file()).expect("read");
            server.write(|database| (1..=lost).for_each(|id| written::delete(database, id)));
            assert_eq!(key_of(&index, &path(1)), None);
            std::fs::write(server.file(), &backup).expect("restored");
            let deleted = 31..31 + lost_since;
            server.write(|database| deleted.clone().for_each(|id| written::delete(database, id)));
            for id in 1..=60 {
                let expected = (!deleted.contains(&id)).then_some(id);
                assert_eq!(key_of(&index, &path(id)), expected, "{lost} {lost_since} {counts_rows}");
            }
            let stats = index.counts();
            assert_eq!(stats.items, u64::try_from(60 - lost_since).expect("small"));
        }
    }
}

/// A process that begins knows what went by the rows that another one counted.
#[test]
fn what_goes_is_missed_by_a_process_that_begins() {
    let (folder, server, section) = films(60);
    let clock = clock();
    let again = || open(options(&folder.path().join("store"), &server.folder), &clock);
    again().list();
    for round in 0..4_i64 {
        let (gone, new) = (10 + round, format!("/data/films/new {round}.mkv"));
        let added = server.write(|database| {
            if round % 2 == 0 {
                written::delete(database, gone);
            }
            written::add_film(database, section, &new, &new)
        });
        let index = again();
        assert_eq!(key_of(&index, &new), Some(added));
        let is_left = key_of(&index, &path(u32::try_from(gone - 1).expect("small")));
        assert_eq!(is_left, (round % 2 == 1).then_some(gone), "round {round}");
        assert_eq!(index.counts().listings, 0, "of this process");
    }
}
