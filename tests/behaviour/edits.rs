//! Batch edits over real HTTP: what is sent, what is refused, what is reported, and what the index says afterwards.

use std::time::Duration;

use crate::support::index::{Edit, EditReport, Edited, Index, QueryOptions};
use crate::support::{Scene, movies, path_of, requests};
use plexindex::error::Status;
use plexindex::source::{FieldChange, Lock};
use plexindex_standin::{Action, Fault, Kind, LibrarySpec, Standin};

fn set(field: &str, value: &str) -> FieldChange {
    FieldChange::set(field, value)
}

/// An index of a server.
fn of(server: Standin) -> (Scene, Index) {
    let at = Scene::of(server).with(|options| options.retry_for = Duration::ZERO);
    let index = at.open();
    at.list(&index);
    (at, index)
}

/// An index of a server with so many films.
fn ready(films: u32) -> (Scene, Index) {
    of(movies(films))
}

fn keys_of(server: &Standin, library: u32, count: usize) -> Vec<String> {
    let rows = server.paths(library).into_iter().take(count);
    rows.map(|(key, _)| key.to_string()).collect()
}

fn edit_of<'e>(keys: &'e [&'e str], changes: &'e [FieldChange]) -> Edit<'e> {
    let lock = Lock::Lock;
    Edit { keys, changes, lock }
}

/// Edits in the library of movies; gives the outcome and the report.
fn edit(
    index: &Index,
    library: &str,
    keys: &[impl AsRef<str>],
    changes: &[FieldChange],
) -> (Result<(), plexindex::error::Error>, EditReport) {
    let keys: Vec<&str> = keys.iter().map(AsRef::as_ref).collect();
    let mut report = EditReport::default();
    let done = index.library(library).expect("a handle");
    let done = done.edit_items(&edit_of(&keys, changes), &mut report);
    (done, report)
}

fn puts(server: &Standin) -> Vec<String> {
    let log = server.log();
    let puts = log.into_iter().filter(|entry| entry.kind == Kind::Edit);
    puts.map(|entry| {
        assert_eq!(entry.method, "PUT");
        assert!(entry.token_in_header && !entry.token_in_query);
        entry.target
    })
    .collect()
}

fn title_of(server: &Standin, key: &str) -> String {
    let key: u64 = key.parse().expect("a number");
    server.read().title_of(key).expect("an item")
}

#[test]
fn many_items_are_edited_by_one_request_a_hundred() {
    let (at, index) = ready(300);
    let keys = keys_of(&at.server, 1, 250);
    let (done, report) = edit(&index, "Movies", &keys, &[set("title", "One & the same")]);
    done.expect("edited");
    assert_eq!((report.requests, report.count(Edited::Done)), (3, 250));
    // Nothing else: the index knows their types.
    assert_eq!(requests(&at.server), [0, 0, 0, 0, 0, 3]);
    let sent = puts(&at.server);
    let ids = |target: &str| {
        let rest = target.split("id=").nth(1).unwrap_or_default();
        rest.split('&').next().unwrap_or_default().split("%2C").count()
    };
    let counts: Vec<usize> = sent.iter().map(|target| ids(target)).collect();
    assert_eq!(counts, [100, 100, 50]);
    let first = &sent[0];
    assert!(first.starts_with("/library/sections/1/all?id=1001%2C"), "{first}");
    let end = "&title.locked=1&title.value=One%20%26%20the%20same&type=1";
    assert!(first.ends_with(end), "{first}");
    assert!(keys.iter().all(|key| title_of(&at.server, key) == "One & the same"));
    let next = keys_of(&at.server, 1, 251).remove(250);
    assert_ne!(title_of(&at.server, &next), "One & the same");
}

#[test]
fn edited_items_are_asked_for_once_before_they_are_answered_again() {
    let (at, index) = ready(30);
    let library = index.movies();
    let (path, key) = path_of(&at.server, 1, 4);
    let (other, _) = path_of(&at.server, 1, 5);
    library.record("/host/a.mkv", &key);
    let (done, _) = edit(&index, "Movies", &[&key], &[set("title", "Renamed")]);
    done.expect("edited");
    at.server.reset();
    assert!(library.lookup_key(path.as_bytes(), |_| ()).is_none(), "not in a lookup");
    let found = library.ask(path);
    assert_eq!(found.item.expect("an item").item.title, "Renamed");
    assert_eq!(requests(&at.server), [0, 0, 0, 0, 1, 1]);
    // What the host recorded of it is true as before.
    let recorded = library.ask("/host/a.mkv");
    assert_eq!(recorded.key(), Some(key));
    assert_eq!(library.ask(other).status, Status::Ok);
    assert_eq!(requests(&at.server), [0, 0, 0, 0, 1, 1], "and nothing more");
}

#[test]
fn items_of_several_types_are_edited_type_by_type() {
    let clip = plexindex_standin::ItemSpec {
        kind: Some(plexindex_standin::ItemType::Clip),
        ..plexindex_standin::ItemSpec::file("A Clip", "/data/photos/clip.mp4")
    };
    let photos = Standin::builder().library(LibrarySpec::photos(40).plain());
    let (at, index) = of(photos.items(1, [clip]).serve());
    let library = index.library("Photos").expect("a handle");
    let clip = library.ask("/data/photos/clip.mp4");
    let clip = clip.key().expect("a clip");
    at.server.reset();
    let photos = keys_of(&at.server, 1, 2);
    let keys = [&photos[0], &clip, &photos[1]];
    let (done, report) = edit(&index, "Photos", &keys, &[set("summary", "s")]);
    done.expect("edited");
    assert_eq!(report.requests, 2);
    let sent = puts(&at.server);
    let both = format!("id={}%2C{}&", photos[0], photos[1]);
    assert!(sent[0].contains(&both) && sent[0].ends_with("&type=13"));
    let one = format!("id={clip}&");
    assert!(sent[1].contains(&one) && sent[1].ends_with("&type=12"));
}

#[test]
fn an_edit_of_nothing_is_never_sent() {
    let (at, index) = ready(30);
    let (_, key) = path_of(&at.server, 1, 0);
    let none: [&str; 0] = [];
    let title = [set("title", "x")];
    let refused = |done: Result<(), plexindex::error::Error>, word: &str| {
        let error = done.expect_err("refused");
        assert_eq!(error.status, Status::InvalidArgument, "{error}");
        assert!(error.message.contains(word), "{error}");
    };
    refused(edit(&index, "Movies", &none, &title).0, "the whole library");
    refused(edit(&index, "Movies", &[""], &title).0, "key");
    refused(edit(&index, "Movies", &["1001,1002"], &title).0, "one rating key");
    refused(edit(&index, "Movies", &[&key], &[]).0, "list of fields is empty");
    for (changes, word) in [
        (vec![set("", "x")], "not a valid field name"),
        (vec![set("id", "1")], "not a valid field name"),
        (vec![set("type", "1")], "not a valid field name"),
        (vec![set(&"x".repeat(256), "1")], "is 256 bytes long; the limit is 255"),
        (vec![set("title&id", "1")], "not a valid field name"),
        (vec![set("title", "1"), set("title", "2")], "two values"),
        (vec![set("genre", "1"), FieldChange::add("genre", "2")], "two values"),
        (vec![FieldChange::add("genre", " ")], "empty"),
    ] {
        refused(edit(&index, "Movies", &[&key], &changes).0, word);
    }
    let all = index.select(crate::support::index::Selector::All).expect("a handle");
    let one = [key.as_str()];
    let request = edit_of(&one, &title);
    let mut report = EditReport::default();
    refused(all.edit_items(&request, &mut report), "all libraries");
    let all = QueryOptions::default();
    refused(index.edit_items(&all, &request, &mut report), "one library");
    let (library, mut report) = (index.movies(), EditReport::default());
    let done = index.edit_items(&library.query().offline(), &request, &mut report);
    assert_eq!(done.expect_err("offline").status, Status::Offline);
    assert_eq!(at.server.stats().total, 0);
}

#[test]
fn values_that_fit_into_no_request_are_refused_by_the_library_or_the_server() {
    let (at, index) = ready(3);
    let (_, key) = path_of(&at.server, 1, 0);
    let (done, _) = edit(&index, "Movies", &[&key], &[set("summary", &"ü".repeat(12_000))]);
    let error = done.expect_err("too long");
    assert_eq!(error.status, Status::InvalidArgument);
    assert_eq!(at.server.stats().of(Kind::Edit), 0);
    let (done, _) = edit(&index, "Movies", &[&key], &[set("summary", &"x".repeat(40_000))]);
    let error = done.expect_err("too long for the server");
    assert_eq!(error.status, Status::ServerError);
    assert!(error.message.contains("(400"), "{error}");
}

#[test]
fn items_that_the_index_does_not_know_are_asked_for_once() {
    let at = Scene::movies(30);
    // Nothing was fetched: the library itself is not known either.
    let index = at.open();
    let keys = keys_of(&at.server, 1, 3);
    let (done, report) = edit(&index, "Movies", &keys, &[set("title", "New")]);
    done.expect("edited");
    assert_eq!(report.states, [Edited::Done; 3]);
    assert_eq!(at.server.stats().of(Kind::Edit), 1);
    assert_eq!(requests(&at.server), [1, 1, 0, 0, 1, 4]);
}

#[test]
fn items_of_another_library_and_shows_are_refused() {
    let films = Standin::builder().library(LibrarySpec::movies(10).plain());
    let (at, index) = of(films.library(LibrarySpec::shows(10).plain()).serve());
    let episode = keys_of(&at.server, 2, 1);
    let (done, _) = edit(&index, "Movies", &episode, &[set("title", "x")]);
    let error = done.expect_err("refused");
    assert!(error.message.contains("'Movies'"), "{error}");
    let (path, _) = path_of(&at.server, 2, 0);
    let found = index.ask(&QueryOptions::default(), path);
    let show = found.item.expect("an episode").item.show_rating_key;
    let (done, _) = edit(&index, "TV Shows", &[show], &[set("title", "x")]);
    let error = done.expect_err("refused");
    assert_eq!(error.status, Status::InvalidArgument);
    assert_eq!(at.server.stats().of(Kind::Edit), 0);
}

#[test]
fn after_a_request_that_failed_no_other_is_sent_and_the_report_says_so() {
    let statuses = [
        (400, Status::ServerError, "(400"),
        (401, Status::Unauthorized, "(401)"),
        (403, Status::Forbidden, "owner"),
        (404, Status::NotOnServer, "(404"),
        (409, Status::ServerError, "(409"),
        (500, Status::ServerError, "(500"),
    ];
    for (status, expected, word) in statuses {
        let (at, index) = ready(300);
        let keys = keys_of(&at.server, 1, 300);
        let refusal = Action::status(status);
        at.server.fault(Fault::new(refusal).on(Kind::Edit).after(1).times(1));
        let (done, report) = edit(&index, "Movies", &keys, &[set("title", "x")]);
        let error = done.expect_err("failed");
        assert_eq!(error.status, expected, "{error}");
        assert!(error.message.contains(word), "{error}");
        assert!(error.message.contains("100 of 300"), "{error}");
        let counts = [Edited::Done, Edited::Failed, Edited::No].map(|state| report.count(state));
        assert_eq!((report.requests, counts), (2, [100, 100, 100]));
        assert!(report.states[..100].iter().all(|state| *state == Edited::Done));
        assert_eq!(at.server.stats().of(Kind::Edit), 2);
    }
}

#[test]
fn a_request_that_fails_in_a_way_that_passes_is_sent_again() {
    let at = Scene::movies(30);
    let index = at.open();
    at.list(&index);
    let (_, key) = path_of(&at.server, 1, 0);
    at.server.fault(Fault::new(Action::Drop).on(Kind::Edit).times(1));
    let (done, report) = edit(&index, "Movies", &[&key], &[set("title", "Twice")]);
    done.expect("edited");
    assert_eq!((report.requests, at.server.stats().of(Kind::Edit)), (1, 2));
    assert_eq!(title_of(&at.server, &key), "Twice");
}

#[test]
fn a_deadline_ends_an_edit_with_what_was_done() {
    // A busy machine may take longer for the first request, which the server answers at once.
    let deadlines = (0..6).map(|doubled| Duration::from_millis(400) * 2_u32.pow(doubled));
    let ended = deadlines.map(edit_by).find(|(_, done, _)| *done > 0);
    assert_eq!(ended, Some((Status::Timeout, 100, 50)));
}

/// An edit of which the server answers the first request only: how it ended, and the items that were edited or not.
fn edit_by(deadline: Duration) -> (Status, usize, usize) {
    let (at, index) = ready(150);
    let keys = keys_of(&at.server, 1, 150);
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    at.server.fault(Fault::delay(60_000).on(Kind::Edit).after(1).times(0));
    let library = index.movies();
    let question = library.query().within(deadline);
    let mut report = EditReport::default();
    let changes = [set("title", "x")];
    let edit = edit_of(&keys, &changes);
    let error = index.edit_items(&question, &edit, &mut report).expect_err("late");
    (error.status, report.count(Edited::Done), report.count(Edited::Failed))
}

#[test]
fn an_item_named_twice_is_edited_once() {
    let (at, index) = ready(30);
    let (_, key) = path_of(&at.server, 1, 0);
    let long = format!("/library/metadata/{key}");
    let (done, report) = edit(&index, "Movies", &[&key, &long], &[set("title", "x")]);
    done.expect("edited");
    assert_eq!(report.states, [Edited::Done; 2]);
    assert!(puts(&at.server)[0].contains(&format!("?id={key}&")));
}
