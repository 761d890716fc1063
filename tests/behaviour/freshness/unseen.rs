//! Changes that no delta shows: files that change places, two items with one path, updates behind an item that a
//! search has merged, and the trash.

use crate::support::index::{Ask as _, Library, Match};
use crate::support::{NOW_MS, Scene, add, movie, offline, path_of, remove, requests};
use plexindex::error::Status;
use plexindex::model::{MatchKind, Reason};
use plexindex_standin::{Action, Fault, Kind, MediaSpec, Standin};

const MINUTE_MS: i64 = 60_000;

fn key_of(answer: &Match) -> String {
    answer.key().expect("found")
}

fn set_file(server: &Standin, key: &str, path: &str, touch: bool) {
    let (key, file) = (key.parse().expect("a number"), MediaSpec::File(path.to_owned()));
    server.alter(|state| state.set_files(key, vec![file], touch, true));
}

fn set_missing(server: &Standin, key: &str, missing: bool) {
    let key = key.parse().expect("a number");
    server.alter(|state| state.set_missing(key, missing));
}

fn check(library: &Library) -> Status {
    library.query().checked().expect("checked")
}

#[test]
fn what_is_in_the_trash_is_not_there() {
    let at = Scene::movies(3_000);
    let [(path, key), (gone, gone_key), (kept, kept_key)] = [5, 980, 999].map(|nth| path_of(&at.server, 1, nth));
    // The file came back as another item, and the old one is in the trash. It lies in the overlap of two pages.
    for key in [&key, &gone_key, &kept_key] {
        set_missing(&at.server, key, true);
    }
    add(&at.server, &[&path]);
    set_missing(&at.server, &kept_key, false);
    let (_index, library) = at.opened();
    // The listing stops after its first page, and goes on there.
    at.server.fault(Fault::status(501).on(Kind::Listing).after(1).times(1));
    library.query().refreshed(false).expect_err("it stops");
    at.clock.advance_ms(MINUTE_MS);
    at.server.reset();
    library.query().refreshed(false).expect("listed");
    assert_eq!(requests(&at.server)[2], 3, "rows of the first page came again");
    let ask = |path: &str| library.ask(path);
    let found = ask(&path);
    assert_eq!((found.status, found.match_kind), (Status::Ok, MatchKind::Exact));
    assert_ne!(key_of(&found), key);
    assert_eq!(ask(&gone).reason, Reason::NotListed);
    assert_eq!(key_of(&ask(&kept)), kept_key);
}

/// Deltas see what goes to the trash and comes back, and what is removed beside it.
#[test]
fn deltas_know_the_trash() {
    let (at, index, library) = Scene::movies(6_000).and_opened();
    let nth = |nth| path_of(&at.server, 1, nth);
    let [old, new, removed, later] = [10, 2_000, 3_050, 4_000].map(nth);
    set_missing(&at.server, &old.1, true);
    library.ask(&new.0);
    assert_eq!(requests(&at.server)[2], 7);
    at.server.reset();
    let reason = |path: &str| library.ask(path).reason;
    let pages = |wanted: u64| {
        at.clock.advance_ms(5 * MINUTE_MS);
        at.server.reset();
        assert_eq!(check(&library), Status::Ok);
        assert_eq!(requests(&at.server)[2], wanted, "{:?}", requests(&at.server));
    };
    // Beside the trash that it knows, a delta costs what it always costs.
    add(&at.server, &["/data/movies/n1.mkv"]);
    pages(2);
    // One goes to the trash, and its row says so; as many rows as before.
    set_missing(&at.server, &new.1, true);
    let touch = |key: &str| {
        let key = key.parse().expect("a number");
        at.server.alter(|state| state.touch(&[key], None));
    };
    touch(&new.1);
    at.server.scan(1);
    pages(2);
    assert_eq!(reason(&new.0), Reason::NotListed);
    // One is removed: found between rows of the trash.
    remove(&at.server, &[removed.1.parse().expect("a number")]);
    pages(4);
    assert_eq!(reason(&removed.0), Reason::NotListed);
    // One comes back, which shows that another one went, although its own row says nothing.
    set_missing(&at.server, &old.1, false);
    touch(&old.1);
    set_missing(&at.server, &later.1, true);
    at.server.scan(1);
    pages(3);
    assert_eq!((reason(&old.0), reason(&later.0)), (Reason::None, Reason::NotListed));
    assert_eq!(index.counts().listings, 1, "deltas did it all");
}

/// Of more new films than a page has, all with old dates, a search finds one, and the delta's page begins with it.
#[test]
fn a_delta_reads_on_behind_an_item_that_a_search_brought() {
    let (at, index, library) = Scene::movies(6_000).and_listed();
    let (path, gone) = path_of(&at.server, 1, 7);
    let new = |number: usize| format!("/data/movies/n{number}.mkv");
    let keys = at.server.alter(|state| {
        // The server tells of the changes later.
        state.library_mut(1)?.is_content_frozen = true;
        state.remove_items(&[gone.parse().expect("a number")], false)?;
        let paths = [path.clone()].into_iter().chain((1..=100).map(new));
        let films = paths.map(|path| {
            let mut film = movie("An old one", &path);
            (film.added_at, film.updated_at) = (Some(1_000), Some(1_000));
            film
        });
        state.add_items(1, films.collect(), false)
    });
    assert_eq!(key_of(&library.ask(new(1))), keys[1].to_string());
    at.server.scan(1);
    at.clock.advance_ms(MINUTE_MS);
    assert_eq!(check(&library), Status::Ok);
    let answer = offline(&library).answer(&path);
    assert_eq!((key_of(&answer), answer.stale), (keys[0].to_string(), false));
    assert_eq!(index.counts().listings, 1, "the delta did it");
}

/// More films than a page has were updated in the second of the last delta: some before it, some after.
#[test]
fn a_delta_reads_all_of_the_second_in_which_the_last_one_ended() {
    let (at, index, library) = Scene::movies(6_000).and_listed();
    let keys: Vec<u64> = at.server.paths(1).into_iter().map(|(key, _)| key).collect();
    let update = |keys: &[u64], time: Option<i64>| {
        at.server.alter(|state| {
            let time = time.unwrap_or_else(|| state.now());
            for key in keys {
                state.change_item(*key, |item| "Updated".clone_into(&mut item.title))?;
            }
            state.touch(keys, Some(time))?;
            Ok(time)
        })
    };
    let sync = || {
        at.server.scan(1);
        at.clock.advance_ms(5 * MINUTE_MS);
        assert_eq!(check(&library), Status::Ok);
    };
    let second = update(&keys[..100], None);
    sync();
    let (old, key) = path_of(&at.server, 1, 100);
    set_file(&at.server, &key, "/data/movies/new.mkv", false);
    update(&keys[100..101], Some(second));
    update(&keys[200..201], None);
    sync();
    let ask = |path: &str| offline(&library).answer(path);
    assert_eq!((ask(&old).reason, ask(&old).stale), (Reason::NotListed, false));
    assert_eq!(key_of(&ask("/data/movies/new.mkv")), key);
    assert_eq!(index.counts().listings, 1, "the deltas did it");
}

/// Plex has items that were updated in the future, at the top of its order. A change behind a page of others that were
/// updated without a change is found all the same.
#[test]
fn an_update_in_the_future_hides_no_later_change() {
    let (at, index, library) = Scene::movies(6_000).and_listed();
    let keys: Vec<u64> = at.server.paths(1).into_iter().map(|(key, _)| key).collect();
    let touch = |keys: &[u64], time| at.server.alter(|state| state.touch(keys, time));
    let sync = || {
        at.server.scan(1);
        at.clock.advance_ms(5 * MINUTE_MS);
        assert_eq!(check(&library), Status::Ok);
    };
    touch(&keys[..1], Some(NOW_MS / 1_000 + 365 * 86_400));
    sync();
    let (old, key) = path_of(&at.server, 1, 1);
    set_file(&at.server, &key, "/data/movies/new.mkv", false);
    touch(&keys[1..2], None);
    touch(&keys[2..200], None);
    // This change explains why the server's state has changed.
    at.server
        .alter(|state| state.change_item(keys[2], |item| "Updated".clone_into(&mut item.title)));
    sync();
    let ask = |path: &str| offline(&library).answer(path);
    assert_eq!((ask(&old).reason, ask(&old).stale), (Reason::NotListed, false));
    assert_eq!(key_of(&ask("/data/movies/new.mkv")), key);
    assert_eq!(index.counts().listings, 1, "the deltas did it");
}

#[test]
fn two_items_with_one_file_are_settled_with_one_request() {
    let (at, _index, library) = Scene::movies(6_000).and_opened();
    let [moved, kept] = [1_000, 2_000].map(|nth| path_of(&at.server, 1, nth));
    library.ask(&moved.0);
    // One film got another file, another one really shares its file, and two new films have the files.
    set_file(&at.server, &moved.1, "/data/movies/elsewhere.mkv", false);
    add(&at.server, &[&moved.0, &kept.0]);
    at.clock.advance_ms(5 * MINUTE_MS);
    at.server.reset();
    assert_eq!(check(&library), Status::Ok);
    assert_eq!(requests(&at.server), [0, 1, 2, 0, 1, 4]);
    let ask = |path: &str| offline(&library).answer(path);
    let answer = ask(&moved.0);
    assert_eq!(answer.status, Status::Ok);
    assert_eq!(answer.match_kind, MatchKind::Exact);
    assert!(!answer.stale);
    assert_ne!(key_of(&answer), moved.1);
    assert_eq!(key_of(&ask("/data/movies/elsewhere.mkv")), moved.1);
    assert_eq!(ask(&kept.0).status, Status::Ambiguous);
    // Nothing is asked again for the two that share a file.
    add(&at.server, &["/data/movies/n.mkv"]);
    at.clock.advance_ms(5 * MINUTE_MS);
    at.server.reset();
    check(&library);
    assert_eq!(requests(&at.server), [0, 1, 2, 0, 0, 3]);
}

/// Some proxies send a 404 while they do not reach Plex.
#[test]
fn a_404_that_is_not_from_plex_says_nothing_about_an_item() {
    let (at, _index, library) = Scene::movies(20).and_opened();
    let (path, key) = path_of(&at.server, 1, 7);
    library.ask(&path);
    let ask = |status: Option<Action>| {
        at.server.clear_faults();
        if let Some(action) = status {
            at.server.fault(Fault::new(action).on(Kind::Metadata).times(0));
        }
        library.invalidate_item(&key).expect("invalidated");
        at.clock.advance_ms(MINUTE_MS);
        let found = library.ask(&path);
        (found.key(), found.stale)
    };
    let of_proxy = Action::Body {
        status: 404,
        content_type: "text/plain".to_owned(),
        body: "404 page not found".to_owned(),
    };
    assert_eq!(ask(Some(of_proxy)), (Some(key.clone()), true));
    assert_eq!(ask(None), (Some(key.clone()), false));
    assert_eq!(ask(Some(Action::status(404))).0, None);
}
