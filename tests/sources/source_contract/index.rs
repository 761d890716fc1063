//! An index over a source: what hosts see is the same, whatever the source can do.

use crate::support::index::{Edit, EditReport, Library, Match, QueryOptions};
use plexindex::error::Status;
use plexindex::model::{Confidence, MatchKind, Reason};
use plexindex::source::{FieldChange, Lock, RequestKind, Resume};

use crate::source_contract::rig::{Failure, NoMeter, Rig, Scene, TITLE, open};

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
