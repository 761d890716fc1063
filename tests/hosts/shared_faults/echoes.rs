//! Entries are applied once: also when a host reads its own, or the log from its beginning.

use std::sync::Arc;

use plexindex::model::{MatchKind, Token};
use plexindex::options::Mapping;
use plexindex::source::{FieldChange, Lock};
use plexindex_standin::{LibrarySpec, Location, Standin};

use crate::shared_faults::hosts::{Host, World, exchange, pair};
use crate::support::index::{Edit, EditReport};
use crate::support::{HOUR_MS, offline, path_of, requests};

/// A file of one host only.
const PRIVATE: &str = "/downloads/movie.mkv";

#[derive(Clone, Copy, Debug)]
enum Void {
    Library,
    Item,
}

/// A host invalidates, all take it, and the same or another one records a match of its own afterwards.
fn invalidated_then_recorded(what: Void) -> (World, Host, Host, String) {
    let world = World::of(20);
    let (one, two) = (world.host(), world.host());
    let (path, key) = path_of(&world.server, 1, 3);
    exchange(&[&one, &two]);
    match what {
        Void::Library => two.movies.invalidate().expect("invalidated"),
        Void::Item => two.movies.invalidate_item(&key).expect("invalidated"),
    }
    exchange(&[&one, &two]);
    one.refresh();
    two.refresh();
    one.movies.ask(&path);
    one.record(PRIVATE, &key);
    exchange(&[&one, &two]);
    assert_eq!(one.confirmed(PRIVATE), Some(key.clone()), "{what:?}");
    (world, one, two, key)
}

#[test]
fn a_restored_log_repeats_no_invalidation() {
    for what in [Void::Library, Void::Item] {
        for lost in [1, 1_000] {
            let (world, one, two, key) = invalidated_then_recorded(what);
            two.record("/mnt/odd.mkv", &key);
            exchange(&[&two, &one]);
            world.log.lose_writes(lost);
            exchange(&[&two, &one]);
            exchange(&[&one, &two]);
            assert_eq!(one.confirmed(PRIVATE), Some(key), "{what:?}, {lost} lost");
        }
    }
}

/// The machine was started again, so the folder is another host by now.
#[test]
fn an_own_invalidation_of_an_earlier_incarnation_is_not_repeated() {
    for what in [Void::Library, Void::Item] {
        let world = World::of(20);
        let one = world.host();
        let (_, key) = path_of(&world.server, 1, 3);
        one.exchange();
        match what {
            Void::Library => one.movies.invalidate().expect("invalidated"),
            Void::Item => one.movies.invalidate_item(&key).expect("invalidated"),
        }
        one.deliver();
        one.record(PRIVATE, &key);
        let one = world.moved(one);
        one.record("/downloads/other.mkv", &key); // the first write there makes it another database
        exchange(&[&one]);
        one.movies.ask(PRIVATE);
        assert_eq!(one.confirmed(PRIVATE), Some(key), "{what:?}");
    }
}

/// Another host may see a new library first, and write entries that are behind this host's position once it does.
#[test]
fn matches_of_a_new_library_are_taken_once_it_is_known() {
    let (world, one, two) = pair();
    let (listed, key) = path_of(&world.server, 1, 3);
    let new = world
        .server
        .alter(|state| state.add_library(LibrarySpec::movies(5).title("New")));
    let (_, new_key) = path_of(&world.server, new, 2);
    let library = |host: &Host| host.index.library("New").expect("a handle");
    library(&one).record("/mnt/odd.mkv", &new_key);
    one.record("/mnt/before.mkv", &key);
    exchange(&[&one, &two]);
    assert_eq!(two.confirmed("/mnt/before.mkv"), Some(key.clone()));
    // Whoever reads these again would lose the second one.
    one.movies.invalidate().expect("invalidated");
    exchange(&[&one, &two]);
    two.record(PRIVATE, &key);
    world.clock.advance_ms(2 * HOUR_MS);
    two.movies.ask(&listed); // probes
    exchange(&[&two]);
    library(&two).ask("/mnt/odd.mkv");
    let answer = two.index.ask(&offline(&library(&two)), "/mnt/odd.mkv");
    assert_eq!((answer.key(), answer.match_kind), (Some(new_key), MatchKind::Confirmed));
    assert_eq!(
        (two.confirmed("/mnt/before.mkv"), two.confirmed(PRIVATE)),
        (None, Some(key))
    );
}

/// The same for a folder of a library: without a mapping, only paths below it are the server's.
#[test]
fn matches_below_a_new_folder_are_taken_once_it_is_known() {
    let world = World::of(20);
    let (one, two) = (world.host_with(|_| {}), world.host_with(|_| {}));
    let (listed, key) = path_of(&world.server, 1, 3);
    exchange(&[&one, &two]);
    world.server.alter(|state| {
        let folders = &mut state.library_mut(1)?.locations;
        let new = Location {
            id: 9,
            path: "/new".into(),
        };
        folders.push(new);
        Ok(())
    });
    world.clock.advance_ms(2 * HOUR_MS);
    one.movies.ask(&listed); // probes
    one.movies
        .record_through(b"/new/odd.mkv", &key)
        .expect("a path of the library");
    exchange(&[&two]);
    assert_eq!(two.confirmed("/new/odd.mkv"), None);
    two.movies.ask(&listed);
    exchange(&[&two]);
    assert_eq!(two.confirmed("/new/odd.mkv"), Some(key));
}

/// The host invalidates after it has read the match, and before it applies the match: the log has the match first.
#[test]
fn an_invalidation_voids_a_match_that_is_being_applied() {
    for what in ["path", "item", "library"] {
        let world = World::of(20);
        let (one, two) = (world.host(), world.host());
        let (_, key) = path_of(&world.server, 1, 3);
        exchange(&[&one, &two]);
        one.record("/mnt/odd.mkv", &key);
        one.exchange();
        let (movies, of_item) = (two.index.library("Movies").expect("a handle"), key.clone());
        two.gate.once_after("read", move || {
            match what {
                "path" => movies.invalidate_path(b"/mnt/odd.mkv"),
                "item" => movies.invalidate_item(&of_item),
                _ => movies.invalidate(),
            }
            .expect("invalidated");
        });
        two.exchange();
        exchange(&[&two, &one]);
        for host in [&one, &two] {
            assert_eq!(host.confirmed("/mnt/odd.mkv"), None, "{what}");
        }
    }
}

/// The same for a match: until the log has the newer one, too.
#[test]
fn a_match_outlives_an_older_one_that_is_being_applied() {
    let world = World::of(20);
    let (one, two) = (world.host(), world.host());
    let [(_, old), (_, new)] = [3, 4].map(|nth| path_of(&world.server, 1, nth));
    exchange(&[&one, &two]);
    one.record("/mnt/odd.mkv", &old);
    one.exchange();
    let (movies, key) = (two.index.library("Movies").expect("a handle"), new.clone());
    two.gate.once_after("read", move || movies.record("/mnt/odd.mkv", &key));
    two.exchange();
    assert_eq!(two.confirmed("/mnt/odd.mkv").as_ref(), Some(&new));
    exchange(&[&two, &one]);
    for host in [&one, &two] {
        assert_eq!(host.confirmed("/mnt/odd.mkv").as_ref(), Some(&new));
    }
}

/// A view copies the matches of the same host's earlier token when it is listed: they are older than what others record.
#[test]
fn a_match_that_a_new_token_inherits_replaces_no_newer_one() {
    let tokens = ["the-old-token", "the-new-token"].map(plexindex_standin::Token::owner);
    let movies = LibrarySpec::movies(20).plain();
    let world = World::over(Standin::builder().library(movies).tokens(tokens).serve());
    let with = |token: &'static str| {
        world.host_with(|options| {
            options.token = Token::new(token);
            options.mappings = vec![Mapping::host_to_server("/mnt", "/media")];
        })
    };
    let [(_, old), (_, new)] = [3, 4].map(|nth| path_of(&world.server, 1, nth));
    let two = with("the-old-token");
    two.record("/mnt/odd.mkv", &old);
    let one = Arc::new(with("the-new-token"));
    one.record("/mnt/other.mkv", &new);
    exchange(&[&two, &one]);
    let two = world.reopened(two, |options| options.token = Token::new("the-new-token"));
    let (other, key, mut reads) = (Arc::clone(&one), new.clone(), 0);
    two.gate.set(move |call, is_made| {
        reads += usize::from(call == "read" && is_made);
        // After the probe and before the listing, the host reads the log for the last time.
        if call == "read" && is_made && reads == 2 {
            other.record("/mnt/odd.mkv", &key);
            other.exchange();
        }
        Ok(())
    });
    two.refresh();
    assert_eq!(two.confirmed("/mnt/odd.mkv"), Some(old));
    exchange(&[&two, &one]);
    for host in [&two, &*one] {
        assert_eq!(host.confirmed("/mnt/odd.mkv").as_ref(), Some(&new));
    }
}

/// Its item is invalidated before a host takes the newer match: the older one is no answer either.
#[test]
fn an_invalidated_match_takes_the_older_one_away() {
    let world = World::of(20);
    let (one, two) = (world.host(), world.host());
    let [(_, old), (_, new)] = [3, 4].map(|nth| path_of(&world.server, 1, nth));
    two.record("/mnt/odd.mkv", &old);
    exchange(&[&two, &one]);
    one.record("/mnt/odd.mkv", &new);
    one.exchange();
    one.movies.invalidate_item(&new).expect("invalidated");
    exchange(&[&one, &two]);
    assert_eq!(two.confirmed("/mnt/odd.mkv"), None);
}

/// A host verifies an item that it edited, and reads its own entry about the item afterwards.
#[test]
fn an_edited_item_is_verified_once() {
    let (world, one, _two) = pair();
    let (path, key) = path_of(&world.server, 1, 3);
    let edit = Edit {
        keys: &[&key],
        changes: &[FieldChange::set("title", "New")],
        lock: Lock::Lock,
    };
    one.movies
        .edit_items(&edit, &mut EditReport::default())
        .expect("edited");
    one.movies.ask(&path);
    one.exchange();
    world.server.reset();
    one.movies.ask(&path);
    assert_eq!(requests(&world.server)[5], 0);
}
