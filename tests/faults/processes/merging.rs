//! Single items that come, change and go while a full listing is under way: what the server said last is what counts,
//! whatever page had shown before.

use std::path::Path;

use crate::support::index::{Index, QueryOptions};
use plexindex::error::Status;
use plexindex::options::Options;
use plexindex_standin::{Action, Fault, Kind, Standin};

use crate::support::worker::{database, until};
use crate::support::{self, clock, movies, options, path_of};

fn open(server: &Standin, folder: &Path) -> Index {
    let options = Options {
        page_size: 100,
        ..options(server, folder)
    };
    support::open(options, &clock())
}

fn answer(index: &Index, path: &str, offline: bool) -> String {
    let library = index.library("Movies").expect("a handle");
    let question = QueryOptions {
        offline,
        ..library.query()
    };
    let found = index.match_path(&question, path.as_bytes()).expect("an answer");
    found
        .item
        .map_or_else(|| format!("{:?}", found.reason), |item| item.item.rating_key)
}

fn rename(server: &Standin, key: &str, from: &str, to: &str) {
    let key = key.parse().expect("a number");
    server
        .change(|state| state.rename_file(key, from, to))
        .expect("renamed");
}

/// Has one index confirm an item that another one is listing, and that it knows under a path.
fn confirm(server: &Standin, index: &Index, (known, key): (&str, &str), old: &str, new: &str) {
    rename(server, key, old, new);
    let library = index.library("Movies").expect("a handle");
    library.invalidate_item(key).expect("invalidated");
    answer(index, known, false);
    assert_eq!(answer(index, new, true), key, "the server said so");
}

#[test]
fn what_is_confirmed_while_a_listing_is_under_way_does_not_vanish_with_it() {
    let server = movies(400);
    let folder = tempfile::tempdir().expect("a folder");
    let fetcher = open(&server, folder.path());
    let other = open(&server, folder.path());
    let items: Vec<(String, String)> = [3, 5, 395].map(|nth| path_of(&server, 1, nth)).to_vec();
    let [changed, same, last] = [0, 1, 2].map(|nth| (items[nth].0.as_str(), items[nth].1.as_str()));
    assert_eq!(answer(&fetcher, changed.0, false), changed.1);
    assert_eq!(answer(&other, changed.0, true), changed.1);
    // The pages after the first come later than what is confirmed, which takes longer under wine.
    let ms = if cfg!(windows) { 2_000 } else { 150 };
    // The second listing finds one of them changed; both are on its first page, and the third on its last.
    rename(&server, changed.1, changed.0, "/data/movies/second.mkv");
    server.fault(Fault::new(Action::Delay { ms }).on(Kind::Listing).after(1).times(0));
    let library = fetcher.library("Movies").expect("a handle");
    std::thread::scope(|scope| {
        let listing = scope.spawn(|| fetcher.refresh(&library.query(), true));
        until("the first page is stored", || {
            let stored: i64 = database(folder.path())
                .query_row("SELECT coalesce(max(position), 0) FROM listings", [], |row| row.get(0))
                .expect("a number");
            stored >= 100
        });
        confirm(
            &server,
            &other,
            changed,
            "/data/movies/second.mkv",
            "/data/movies/third.mkv",
        );
        confirm(&server, &other, same, same.0, "/data/movies/same.mkv");
        confirm(&server, &other, last, last.0, "/data/movies/last.mkv");
        let stored: i64 = database(folder.path())
            .query_row("SELECT coalesce(max(position), 0) FROM listings", [], |row| row.get(0))
            .expect("a number");
        assert!(stored > 0 && stored < 400, "confirmed too late to prove anything");
        assert_eq!(listing.join().expect("no panic").expect("listed"), Status::Ok);
    });
    let late = open(&server, folder.path());
    for index in [&fetcher, &other, &late] {
        assert_eq!(answer(index, "/data/movies/third.mkv", true), changed.1);
        assert_eq!(answer(index, "/data/movies/same.mkv", true), same.1);
        assert_eq!(answer(index, "/data/movies/last.mkv", true), last.1);
        for gone in [changed.0, "/data/movies/second.mkv", same.0, last.0] {
            assert_eq!(answer(index, gone, true), "NotListed", "{gone}");
        }
        assert_eq!(index.stats().expect("statistics").items, 400);
    }
    drop((fetcher, other, late));
    let (listed, provisional): (i64, bool) = database(folder.path())
        .query_row("SELECT listed_items, provisional FROM libraries", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .expect("a row");
    assert_eq!((listed, provisional), (400, false));
}
