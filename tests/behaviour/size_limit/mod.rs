//! A limit on the whole folder: libraries that were refreshed longest ago go first, what hosts told stays, and no answer is
//! wrong for it.

use crate::support::hooked;

use crate::support;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::support::index::{Ask as _, Index};
use crate::support::worker::{assert_sound, database};
use crate::support::{KEEP, Scene, clock, open, options, path_of, requests};
use plexindex::error::Status;
use plexindex::model::MatchKind;
use plexindex_standin::{LibrarySpec, Standin};

/// Items of each library.
const ITEMS: u32 = 400;
const NAMES: [&str; 3] = ["One", "Two", "Three"];

/// A server with these libraries, of so many items each.
fn server(items: [u32; 3]) -> Standin {
    let mut builder = Standin::builder();
    for ((name, items), number) in NAMES.iter().zip(items).zip(1..) {
        let spec = LibrarySpec::movies(items)
            .title(name)
            .key(number)
            .seed(number.into())
            .locations([format!("/data/{name}")])
            .plain();
        builder = builder.library(spec);
    }
    builder.serve()
}

/// Bytes of all files in a folder.
fn bytes(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).expect("the folder");
    files
        .map(|file| file.expect("a file").metadata().map_or(0, |facts| facts.len()))
        .sum()
}

/// What a folder takes with the first library, with two, and with all three.
fn takes(server: &Standin) -> [u64; 3] {
    let folder = tempfile::tempdir().expect("a folder");
    [1, 2, 3].map(|number| {
        let index = open(options(server, folder.path()), &clock());
        ask(&index, server, number);
        index.close().expect("closes");
        bytes(folder.path())
    })
}

/// A server with three libraries of the same size, and a limit that two of them are within.
fn three() -> (Scene, u64) {
    static TAKES: OnceLock<[u64; 3]> = OnceLock::new();
    let at = Scene::of(server([ITEMS; 3]));
    let [_, two, three] = TAKES.get_or_init(|| takes(&at.server));
    (at, u64::midpoint(*two, *three))
}

/// The same, and that limit is set.
fn limited() -> (Scene, u64) {
    let (at, limit) = three();
    (at.with(|options| options.size_limit = Some(limit)), limit)
}

/// Asks for a file of a library by its number, and sees that the answer is right.
fn ask(index: &Index, server: &Standin, number: u32) {
    let library = index.library(NAMES[number as usize - 1]).expect("a handle");
    let (path, key) = path_of(server, number, 7);
    let found = library.ask(&path);
    assert_eq!(found.status, Status::Ok, "{}", found.message);
    assert_eq!(found.key(), Some(key), "{path}");
}

/// Asks for a file of each library, a second after the other.
fn ask_each(index: &Index, at: &Scene, numbers: impl IntoIterator<Item = u32>) {
    for number in numbers {
        ask(index, &at.server, number);
        at.clock.advance_ms(1_000);
    }
}

/// The titles of the libraries that are fetched.
fn fetched(index: &Index) -> Vec<String> {
    let offline = index.query().offline();
    let rows = offline.libraries().expect("libraries").into_iter();
    rows.filter(|row| row.checked.is_some()).map(|row| row.title).collect()
}

#[test]
fn the_library_refreshed_longest_ago_goes_and_comes_back_when_it_is_asked_for() {
    let (at, limit) = limited();
    let index = at.open();
    ask_each(&index, &at, [1, 2]);
    assert_eq!(fetched(&index), ["One", "Two"]);
    assert_eq!(index.counts().evictions, 0);
    for (asked, left) in [(3, ["Two", "Three"]), (1, ["One", "Three"]), (2, ["One", "Two"])] {
        ask_each(&index, &at, [asked]);
        assert_eq!(fetched(&index), left, "{asked} was asked for");
        let now = index.counts();
        assert_eq!((now.size_limit, now.over_limit), (Some(limit), 0));
        assert!(now.disk_bytes <= limit, "{} bytes, {limit} allowed", now.disk_bytes);
        assert_eq!(now.items, u64::from(2 * ITEMS));
    }
    assert_eq!(index.counts().evictions, 3);
    assert_eq!(index.counts().libraries, 3, "which libraries exist stays known");
}

#[test]
fn what_hosts_told_stays() {
    let (at, _) = limited();
    let index = at.open();
    ask_each(&index, &at, [1]);
    let one = index.library("One").expect("a handle");
    let (path, key) = path_of(&at.server, 1, 3);
    one.record("/host/a.mkv", &key);
    let (other, other_key) = path_of(&at.server, 1, 4);
    one.invalidate_item(&other_key).expect("invalidated");

    let table = index.tables().table(b"mine", false).expect("a table");
    table.put(b"name", b"value", &KEEP).expect("stored");
    ask_each(&index, &at, [2, 3]);
    assert_eq!(fetched(&index), ["Two", "Three"]);
    for index in [index, at.open()] {
        let one = index.library("One").expect("a handle");
        let offline = support::offline(&one);
        let found = offline.answer("/host/a.mkv");
        assert_eq!(found.status, Status::Ok, "{}", found.message);
        assert_eq!(found.match_kind, MatchKind::Confirmed, "{}", found.message);
        assert_eq!(found.key().as_ref(), Some(&key));
        assert!(found.stale, "the listing may have contradicted it");
        assert_eq!(one.fast("/host/a.mkv"), None);
        one.record("/host/since.mkv", &key);
        assert_eq!(one.fast("/host/since.mkv").as_ref(), Some(&key));
        let refused = offline.matched(&path).expect_err("no listing");
        assert_eq!(refused.status, Status::NotFetched, "it is as if it was never fetched");
        assert_eq!(index.counts().matches, 2);
        let table = index.tables().table(b"mine", false).expect("a table");
        assert_eq!(table.lookup(b"name", <[u8]>::to_vec), Some(b"value".to_vec()));
    }
    // Fetched again, what was invalidated is confirmed by the listing that came since.
    let index = at.open();
    let one = index.library("One").expect("a handle");
    at.server.reset();
    let found = one.ask(other);
    assert_eq!(found.key(), Some(other_key));
    assert_eq!(requests(&at.server)[2], 1, "listed as a whole");
}

#[test]
fn what_a_listing_contradicted_stays_so_when_the_listing_goes() {
    let (at, _) = limited();
    let index = at.open();
    ask_each(&index, &at, [1]);
    let one = index.library("One").expect("a handle");
    let [(_, gone), (_, other), (_, kept)] = [3, 4, 5].map(|nth| path_of(&at.server, 1, nth));
    let new = "/data/One/New (2020)/New (2020).mkv";
    for (path, key) in [("/host/gone.mkv", &gone), (new, &other), ("/host/kept.mkv", &kept)] {
        one.record(path, key);
    }
    support::remove(&at.server, &[gone.parse().expect("a number")]);
    at.server
        .alter(|state| state.add_items(1, vec![support::movie("New", new)], true));
    one.query().refreshed(true).expect("listed");
    let newest = one.ask(new).key();
    assert_ne!(newest, Some(other), "another item has the path now");
    ask_each(&index, &at, [2, 3]);
    assert_eq!(fetched(&index), ["Two", "Three"]);
    assert_eq!([one.fast("/host/gone.mkv"), one.fast(new)], [None, None]);
    // A path in no library's folder leads to the library of its match.
    let found = index.query().answer("/host/kept.mkv");
    assert_eq!((found.key().as_ref(), found.stale), (Some(&kept), false));
    assert_eq!(one.ask("/host/gone.mkv").status, Status::NotFound);
    assert_eq!(one.ask(new).key(), newest);
    assert_eq!(one.fast("/host/kept.mkv"), Some(kept), "beside a listing it counts");
}

#[test]
fn a_limit_may_be_lowered_and_raised() {
    let mut at = Scene::of(server([ITEMS; 3]));
    let [one, two, three] = takes(&at.server);
    let index = at.open();
    ask_each(&index, &at, 1..=3);
    index.close().expect("closes");
    let (both, last) = (&["Two", "Three"][..], &["Three"][..]);
    let midpoint = u64::midpoint;
    for (limit, left) in [
        (midpoint(two, three), both),
        (midpoint(one, two), last),
        (three * 2, last),
    ] {
        at = at.with(|options| options.size_limit = Some(limit));
        let index = at.open();
        let now = index.counts();
        assert_eq!(fetched(&index), left);
        // On Windows a segment that is mapped goes later.
        let is_within = now.disk_bytes <= limit || cfg!(windows);
        assert!(is_within, "{} bytes, {limit} allowed", now.disk_bytes);
    }
    let index = at.open();
    ask_each(&index, &at, 1..=3);
    assert_eq!((fetched(&index).len(), index.counts().evictions), (3, 2));
}

#[test]
fn a_call_keeps_what_it_reads_and_lets_go_of_it_at_its_end() {
    let at = Scene::of(server([ITEMS; 3])).with(|options| options.size_limit = Some(1));
    let index = at.open();
    let places = (1..=3).cycle().zip(0..12);
    let (paths, keys): (Vec<String>, Vec<String>) =
        places.map(|(number, nth)| path_of(&at.server, number, nth)).unzip();
    at.server.reset();
    let found = index.query().ask_batch(&paths).into_iter();
    assert_eq!(found.filter_map(|answer| answer.key()).collect::<Vec<_>>(), keys);
    assert_eq!(requests(&at.server)[2], 3, "each library is listed once");
    // An answer is held up for a moment only: what is left to be done then, the next call does, here for the statistics.
    index.counts();
    assert_eq!(fetched(&index).len(), 1, "the limit holds afterwards");
    let found = index.query().guid("imdb://tt9999999");
    assert_eq!(found.status, Status::NotFound);
    index.counts();
    assert_eq!(fetched(&index).len(), 1);
}

#[test]
fn bringing_all_libraries_up_to_date_fetches_none_that_went() {
    let (at, _) = limited();
    let index = at.open();
    ask_each(&index, &at, 1..=3);
    at.server.reset();
    index.query().refreshed(false).expect("refreshed");
    assert_eq!(requests(&at.server)[2], 0);
    assert_eq!(fetched(&index), ["Two", "Three"]);
}

/// Items that generations that answer show, in the store.
fn shown(folder: &Path) -> i64 {
    let sql = "SELECT coalesce(sum(listed_items), 0) FROM libraries WHERE generation > 0";
    let count = database(folder).query_row(sql, [], |row| row.get(0));
    count.expect("a count")
}

#[test]
fn a_library_may_go_at_any_moment_of_its_being_listed_anew() {
    let mut went = 0;
    // After each answer of the server in turn, until there are no more.
    for moment in 0.. {
        let (at, limit) = three();
        let patient = at.open();
        ask_each(&patient, &at, 1..=3);
        let limited = at.open_with(|options| options.size_limit = Some(limit));
        let (evictor, answers) = (Arc::new(limited), Arc::new(AtomicU64::new(0)));
        let hook: hooked::Hook = {
            let (evictor, answers) = (Arc::clone(&evictor), Arc::clone(&answers));
            Arc::new(move |_, _| {
                if answers.fetch_add(1, Ordering::SeqCst) == moment {
                    evictor.counts();
                }
            })
        };
        let lister = hooked::open(at.options.clone(), &at.clock, hook);
        let one = lister.library("One").expect("a handle");
        assert_eq!(one.query().refreshed(true), Ok(Status::Ok), "moment {moment}");
        if answers.load(Ordering::SeqCst) <= moment {
            break;
        }
        went += lister.counts().evictions;
        for index in [&lister, &patient, &at.open()] {
            ask(index, &at.server, 1);
            let found = index.query().guid("imdb://tt9999999");
            assert_eq!(found.status, Status::NotFound, "moment {moment}");
        }
        let all = i64::from(ITEMS) * i64::try_from(fetched(&patient).len()).expect("few");
        assert_eq!(shown(at.folder()), all, "moment {moment}: each item is listed once");
        assert_sound(at.folder());
    }
    assert!(went > 1, "{went} libraries went");
}
