//! An index over a source: what hosts see is the same, whatever the source can do.

use crate::support::index::{Edit, EditReport, Library, Match, QueryOptions};
use plexindex::error::{RetryAdvice, Status};
use plexindex::model::{Confidence, MatchKind, Reason, TokenReliability};
use plexindex::source::{Delta, FieldChange, Lock, RequestKind, Resume};

use crate::source_contract::rig::{FOLDER, Failure, HOUR_MS, NoMeter, Rig, Scene, TITLE, library_of, open};

fn movies<R: Rig>(scene: &Scene<R>) -> Library {
    scene.index.library(TITLE).expect("a handle")
}

fn ask<R: Rig>(scene: &Scene<R>, path: &str) -> Match {
    movies(scene).match_path(path.as_bytes()).expect("an answer")
}

fn key_of(found: &Match) -> Option<&str> {
    found.item.as_ref().map(|item| item.item.rating_key.as_str())
}

fn abilities<R: Rig>(rig: &R) -> plexindex::source::Abilities {
    rig.source(std::sync::Arc::new(NoMeter)).abilities()
}

fn trust<R: Rig>(rig: &R) -> TokenReliability {
    library_of(&*rig.source(std::sync::Arc::new(NoMeter))).change.trust
}

pub fn every_path_guid_and_title_is_answered<R: Rig>() {
    let scene = Scene::<R>::new(25, |_| ());
    let library = movies(&scene);
    let kind = scene.rig.source(std::sync::Arc::new(NoMeter)).kind();
    for (key, path) in scene.rig.paths() {
        let found = ask(&scene, &path);
        assert_eq!(
            (found.status, found.match_kind, found.confidence),
            (Status::Ok, MatchKind::Exact, Confidence::High)
        );
        let item = found.item.expect("one");
        assert_eq!((&item.item.rating_key, &item.key), (&key, &kind.key(&key)));
        let looked_up = library.lookup_key(path.as_bytes(), str::to_owned);
        assert_eq!(looked_up.as_ref(), Some(&key), "{path}");
        let query = QueryOptions::default();
        let by_guid = scene.index.match_guid(&query, &item.item.guid).expect("an answer");
        assert_eq!(key_of(&by_guid), Some(key.as_str()), "{}", item.item.guid);
        let by_title = scene.index.search_title(&query, &item.item.title).expect("an answer");
        assert_eq!(key_of(&by_title), Some(key.as_str()), "{}", item.item.title);
    }
    assert_eq!(library.key_prefix(), kind.key_prefix);
    assert_eq!(ask(&scene, "/elsewhere/x.mkv").reason, Reason::NoLocation);
    // All of it for one listing.
    let stats = scene.index.stats().expect("statistics");
    assert_eq!((stats.items, stats.listings), (25, 1));
    // Another handle answers from what this one fetched, and asks nothing.
    let another = open(&scene.rig, &scene.clock, scene.folder(), |_| ());
    let (_, path) = scene.rig.paths().swap_remove(3);
    let found = another.library(TITLE).expect("a handle").match_path(path.as_bytes());
    assert_eq!(found.expect("an answer").status, Status::Ok);
    assert_eq!(another.stats().expect("statistics").requests.iter().sum::<u64>(), 0);
}

pub fn keys_are_taken_in_both_forms<R: Rig>() {
    let scene = Scene::<R>::listed(5);
    let library = movies(&scene);
    let (key, _) = scene.rig.paths().swap_remove(2);
    let public = format!("{}{key}", library.key_prefix());
    for (number, form) in [&key, &public].into_iter().enumerate() {
        let path = format!("/host/{number}.mkv");
        library
            .record_matches(&[(path.as_bytes(), form.as_str())])
            .expect("recorded");
        let found = ask(&scene, &path);
        assert_eq!(
            (found.match_kind, key_of(&found)),
            (MatchKind::Confirmed, Some(key.as_str()))
        );
        let item = library.item(form).expect("asked").expect("an item");
        assert_eq!(library.key(&item), public);
    }
    let refused = library.record_matches(&[(b"/host/x.mkv", "a/b")]).expect_err("no key");
    assert!(refused.message.contains(library.key_prefix()), "{refused}");
}

pub fn an_invalidated_item_is_verified<R: Rig>() {
    let scene = Scene::<R>::listed(20);
    let library = movies(&scene);
    let paths = scene.rig.paths();
    let ((key, path), (gone, old)) = (&paths[4], &paths[9]);
    library.invalidate_item(key).expect("invalidated");
    let offline = QueryOptions {
        offline: true,
        ..library.query()
    };
    let unasked = scene.index.match_path(&offline, path.as_bytes()).expect("an answer");
    assert_eq!(unasked.reason, Reason::Unconfirmed);
    assert_eq!(key_of(&ask(&scene, path)), Some(key.as_str()), "it is still there");
    assert_eq!(scene.costs(|| ask(&scene, path)).1, 0, "and known to be");
    scene.rig.remove(std::slice::from_ref(gone));
    library.invalidate_path(old.as_bytes()).expect("invalidated");
    assert_eq!(ask(&scene, old).status, Status::NotFound);
    // A source that gives no single items is listed for it.
    let confirmed = scene.requests_of(RequestKind::Confirm);
    assert_eq!(confirmed > 0, abilities(&scene.rig).items && R::COSTS_REQUESTS);
}

pub fn what_went_is_answered_no_more<R: Rig>() {
    let scene = Scene::<R>::listed(30);
    let (key, path) = scene.rig.paths().swap_remove(8);
    scene.rig.remove(std::slice::from_ref(&key));
    let new = scene.rig.add("New", &format!("{FOLDER}/New.mkv"));
    scene.clock.advance_ms(HOUR_MS + 1);
    assert_eq!(ask(&scene, &path).status, Status::NotFound);
    assert_eq!(key_of(&ask(&scene, &format!("{FOLDER}/New.mkv"))), Some(new.as_str()));
    assert_eq!(scene.index.stats().expect("statistics").items, 30);
}

pub fn a_renamed_file_is_answered_in_time<R: Rig>() {
    let scene = Scene::<R>::listed(30);
    let (key, old) = scene.rig.paths().swap_remove(8);
    let new = format!("{FOLDER}/Renamed.mkv");
    scene.rig.rename(&key, &new);
    // A token that is exact shows it at once, others may not before the listing is a day old.
    let hours = if trust(&scene.rig) == TokenReliability::Exact {
        1
    } else {
        25
    };
    scene.clock.advance_ms(hours * HOUR_MS + 1);
    assert_eq!(ask(&scene, &old).status, Status::NotFound);
    assert_eq!(key_of(&ask(&scene, &new)), Some(key.as_str()));
}

pub fn a_token_decides_what_an_old_listing_costs<R: Rig>() {
    let scene = Scene::<R>::listed(30);
    let (_, path) = scene.rig.paths().swap_remove(8);
    let listings = || scene.index.stats().expect("statistics").listings;
    let before = listings();
    scene.clock.advance_ms(HOUR_MS + 1);
    let (found, requests) = scene.costs(|| ask(&scene, &path));
    assert!(found.status == Status::Ok && !found.stale);
    if trust(&scene.rig) == TokenReliability::Useless {
        assert_eq!(listings() - before, 1, "an equal token proves nothing");
    } else {
        assert_eq!(requests, u64::from(R::COSTS_REQUESTS), "a probe");
    }
    let before = listings();
    scene.clock.advance_ms(30 * HOUR_MS);
    let (found, requests) = scene.costs(|| ask(&scene, &path));
    assert!(found.status == Status::Ok && !found.stale);
    if trust(&scene.rig) == TokenReliability::Exact {
        let probe = u64::from(R::COSTS_REQUESTS);
        assert_eq!((requests, listings() - before), (probe, 0), "what is exact never ages");
        // Nor is it listed for a change that the source tells.
        if abilities(&scene.rig).changes == Delta::Complete {
            scene.rig.add("New", &format!("{FOLDER}/New.mkv"));
            scene.clock.advance_ms(30 * HOUR_MS);
            assert_eq!(ask(&scene, &format!("{FOLDER}/New.mkv")).status, Status::Ok);
            assert_eq!(listings() - before, 0);
        }
    } else {
        assert_eq!(listings() - before, 1, "it is older than max_age");
    }
}

/// Two pages a call are enough to come to the end, however small pages are.
pub fn a_listing_of_two_pages_a_call_ends<R: Rig>() {
    let scene = Scene::<R>::new(130, |options| options.page_size = 10);
    if abilities(&scene.rig).resume == Resume::Never {
        return;
    }
    let ends = (0..40).any(|_| {
        scene.rig.heal();
        scene.rig.fail(Failure::DownAfterTwoPages);
        scene.clock.advance_ms(60_000);
        scene.index.refresh(&QueryOptions::default(), false).is_ok()
    });
    assert!(ends, "each call begins anew where the last one began");
    assert_eq!(scene.index.stats().expect("statistics").items, 130);
}

pub fn a_listing_that_was_cut_off_ends_whole<R: Rig>() {
    let scene = Scene::<R>::new(130, |options| options.page_size = 10);
    if !scene.rig.fail(Failure::DownAfterTwoPages) {
        return;
    }
    let failed = scene
        .index
        .refresh(&QueryOptions::default(), true)
        .expect_err("the server went away");
    assert!(failed.status as i32 >= 300, "{failed}");
    scene.rig.heal();
    let before = scene.requests_of(RequestKind::Page);
    scene.list();
    let pages = scene.requests_of(RequestKind::Page) - before;
    let stats = scene.index.stats().expect("statistics");
    assert_eq!((stats.items, stats.listings), (130, 1));
    for (key, path) in scene.rig.paths() {
        assert_eq!(key_of(&ask(&scene, &path)), Some(key.as_str()));
    }
    // As many pages as it takes without what was kept.
    let whole = Scene::<R>::new(130, |options| options.page_size = 10);
    whole.list();
    let all = whole.requests_of(RequestKind::Page);
    match abilities(&scene.rig).resume {
        Resume::ByPosition => assert_eq!(pages, all - 2),
        // The rows before are read again, fifty of them at most: here all.
        Resume::ByRow => assert!(pages <= all, "{pages} of {all}"),
        Resume::Never => assert_eq!(pages, all),
    }
}

pub fn a_new_path_is_found_before_its_time<R: Rig>() {
    let scene = Scene::<R>::listed(50);
    let (key, _) = scene.rig.paths().swap_remove(8);
    let new = format!("{FOLDER}/Renamed.mkv");
    scene.rig.rename(&key, &new);
    let found = ask(&scene, &new);
    // By the token, or by a search for it; a source that can do neither knows of it when the listing is over, and is listed
    // where its token is worth nothing.
    let can = abilities(&scene.rig).find || trust(&scene.rig) != TokenReliability::Hint;
    assert_eq!(key_of(&found).is_some(), can, "{}", found.message);
    // What is nowhere is not asked for again and again.
    let nowhere = format!("{FOLDER}/Nowhere.mkv");
    assert_eq!(ask(&scene, &nowhere).status, Status::NotFound);
    let ((), requests) = scene.costs(|| (0..20).for_each(|_| drop(ask(&scene, &nowhere))));
    assert_eq!(requests, 0);
}

pub fn an_item_that_changed_is_looked_at_again<R: Rig>() {
    let scene = Scene::<R>::listed(20);
    let section = library_of(&*scene.rig.source(std::sync::Arc::new(NoMeter))).section;
    let (key, path) = scene.rig.paths().swap_remove(3);
    assert_eq!(scene.costs(|| ask(&scene, &path)).1, 0, "it is fresh");
    let body = scene.rig.notification(&section, &key);
    scene.index.notify(body.as_bytes()).expect("noted");
    let (found, requests) = scene.costs(|| ask(&scene, &path));
    assert_eq!(key_of(&found), Some(key.as_str()));
    assert!(!found.stale);
    if !R::COSTS_REQUESTS {
        assert_eq!(requests, 0);
        return;
    }
    assert!(requests > 0);
    let exact = trust(&scene.rig) == TokenReliability::Exact;
    assert_eq!(
        requests == 1,
        exact,
        "what is exact knows better than an event: {requests}"
    );
    let refused = scene.index.notify(b"{\"a\":1}").expect_err("it tells nothing");
    assert_eq!(refused.status, Status::InvalidArgument);
}

pub fn old_answers_stand_in_while_the_server_is_down<R: Rig>() {
    let scene = Scene::<R>::listed(10);
    let (key, path) = scene.rig.paths().swap_remove(3);
    scene.rig.fail(Failure::Down);
    scene.clock.advance_ms(2 * HOUR_MS);
    let found = ask(&scene, &path);
    assert_eq!((key_of(&found), found.stale), (Some(key.as_str()), true));
    let (_, requests) = scene.costs(|| ask(&scene, &path));
    assert_eq!(requests, 0, "the server is left alone for a while");
    scene.rig.heal();
    scene.clock.advance_ms(60_000);
    let found = ask(&scene, &path);
    assert_eq!((key_of(&found), found.stale), (Some(key.as_str()), false));
    // Where nothing was ever fetched the failure is the answer.
    let empty = Scene::<R>::new(3, |_| ());
    empty.rig.fail(Failure::Unauthorized);
    let failed = movies(&empty)
        .match_path(path.as_bytes())
        .expect_err("nothing is known");
    assert_eq!(failed.status.retry_advice(), RetryAdvice::Never);
    assert_eq!(
        failed.status == Status::Unauthorized,
        R::COSTS_REQUESTS,
        "a file asks for no token"
    );
}

pub fn a_library_that_lost_its_disk_is_not_believed_at_once<R: Rig>() {
    let scene = Scene::<R>::listed(40);
    let (key, path) = scene.rig.paths().swap_remove(3);
    let is_beyond_doubt =
        trust(&scene.rig) == TokenReliability::Exact && abilities(&scene.rig).changes == Delta::Complete;
    scene.rig.lose_disk();
    scene.clock.advance_ms(HOUR_MS + 1);
    let found = ask(&scene, &path);
    if is_beyond_doubt {
        assert_eq!((found.status, found.stale), (Status::NotFound, false), "it would know");
        return;
    }
    assert_eq!((key_of(&found), found.stale), (Some(key.as_str()), true));
    // A second listing that agrees is believed.
    scene.clock.advance_ms(61_000);
    assert_eq!(ask(&scene, &path).status, Status::NotFound);
}

pub fn what_cannot_be_done_is_refused_before_anything_is_asked<R: Rig>() {
    let scene = Scene::<R>::listed(5);
    let library = movies(&scene);
    let (key, path) = scene.rig.paths().swap_remove(3);
    let can = abilities(&scene.rig);
    let edit = || {
        library.edit_items(
            &Edit {
                keys: &[&key],
                changes: &[FieldChange::set("title", "Edited")],
                lock: Lock::Lock,
            },
            &mut EditReport::default(),
        )
    };
    let (edited, requests) = scene.costs(edit);
    if can.edits {
        edited.expect("edited");
        let found = ask(&scene, &path);
        assert_eq!(found.item.expect("an item").item.title, "Edited");
    } else {
        assert_eq!(
            (edited.expect_err("it cannot").status, requests),
            (Status::Unsupported, 0)
        );
    }
    let watched = scene.index.watch_start();
    scene.index.watch_stop();
    if can.events {
        watched.expect("watching");
    } else {
        assert_eq!(watched.expect_err("it cannot").status, Status::Unsupported);
    }
}
