//! Entries are applied once: also when a host reads its own, or the log from its beginning.

use plexindex::source::{FieldChange, Lock};
use plexindex_sharing::bodies::{ProbeBody, decode, encode, new_entry};
use plexindex_sharing::{Entry, EntryKind};

use crate::shared_faults::hosts::{Host, World, exchange, pair};
use crate::support::index::{Edit, EditReport};
use crate::support::{offline, path_of, requests};

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
        one.record("/downloads/other.mkv", &key); // the first write there begins an incarnation
        exchange(&[&one]);
        one.movies.ask(PRIVATE);
        assert_eq!(one.confirmed(PRIVATE), Some(key), "{what:?}");
    }
}

/// The last probe is told again and again under one name: it comes after what other hosts wrote since a library is there.
#[test]
fn matches_of_a_new_library_are_taken() {
    let (world, one, two) = pair();
    let is_probe = |entry: &Entry| entry.name.kind == EntryKind::Probe;
    let probe = world.entries().into_iter().find(is_probe).expect("a probe");
    let mut shown: ProbeBody = decode(&probe.body).expect("a probe");
    let mut new = shown.libraries[0].clone();
    (new.uuid, new.title, new.section) = ("new".into(), "New".into(), "99".into());
    shown.libraries.push(new);
    world.clock.advance_ms(1_000);
    world.plant(&[
        new_entry(EntryKind::Match, "new", b"/media/odd.mkv", b"5".to_vec()),
        new_entry(EntryKind::Probe, "", b"", encode(&shown)),
    ]);
    exchange(&[&one, &two]);
    for host in [&one, &two] {
        let new = host.index.library("New").expect("a handle");
        let answer = host.index.ask(&offline(&new), "/mnt/odd.mkv");
        assert_eq!(answer.key(), Some("5".to_owned()));
    }
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
