//! Answers that were wrong.

use std::time::{Duration, Instant};

use crate::support::index::Ask as _;
use crate::support::{Scene, clock, films, open, options, path_of, requests};
use plexindex::error::Status;
use plexindex::model::Reason;
use plexindex::options::{Mapping, Options};
use plexindex_standin::{Action, Fault, ItemSpec, Kind, LibrarySpec, Standin};

/// Words are for when no library has the title, however many films with them come first.
#[test]
fn a_title_of_one_library_wins_over_its_words_in_the_titles_of_others() {
    let film = |title: &str| ItemSpec::file(title, &format!("/data/films/{title}.mkv"));
    let crowd: Vec<String> = (0..20).map(|n| format!("Found {n}")).collect();
    let lone = vec!["Lost - Found".to_owned()];
    for (titles, shows_first) in [(crowd, false), (lone.clone(), false), (lone, true)] {
        let (films, shows) = if shows_first { (2, 1) } else { (1, 2) };
        let mut libraries = [
            LibrarySpec::movies(0).title("Films").locations(["/data/films"]),
            LibrarySpec::shows(0).title("Shows").locations(["/data/shows"]),
        ];
        if shows_first {
            libraries.reverse();
        }
        let [first, second] = libraries;
        let episode = ItemSpec::episode("Found", 1, 1, "Pilot", "/data/shows/Found/S01E01.mkv").key(9001);
        let at = Scene::of(
            Standin::builder()
                .library(first.plain())
                .library(second.plain())
                .items(films, titles.iter().map(|title| film(title)))
                .items(shows, [episode])
                .serve(),
        );
        let index = at.open();
        let all = index.query();
        let found = all.title("Found");
        assert_eq!((found.status, found.total), (Status::Ok, 1), "{}", found.message);
        assert_eq!(found.item.expect("an item").rating_key, "9001");
        // And words still give what they gave, where no library has the title.
        at.server.alter(|state| state.remove_items(&[9001], false));
        all.refreshed(true).expect("listed");
        let found = all.title("Found");
        assert_eq!(found.total, titles.len());
        assert_eq!(found.candidates.len(), titles.len().min(16));
        assert!(found.message.contains("'Found'"), "{}", found.message);
    }
}

#[test]
fn short_pages_without_a_total_are_not_the_end() {
    let at = Scene::movies(2_500);
    at.server.config(|config| config.max_page = Some(700));
    at.server
        .fault(Fault::new(Action::omit(&["X-Plex-Container-Total-Size"])).times(0));
    let (index, library) = at.opened();
    let (path, _) = path_of(&at.server, 1, 2_400);
    assert_eq!(library.ask(path).status, Status::Ok);
    assert_eq!(index.counts().items, 2_500);
}

#[test]
fn a_batch_shares_its_deadline_and_a_hanging_server_is_late_not_wrong() {
    let (at, index, library) = Scene::movies(300).and_opened();
    at.server.fault(Fault::delay(60_000).times(0));
    let hurried = library.query().timeout(Duration::from_millis(100));
    let late = hurried.answer("/data/movies/x.mkv");
    assert_eq!((late.status, late.reason), (Status::NeedsWarm, Reason::NotFetched));
    let folder = hurried.match_folder("/data/movies").expect("an answer");
    assert_eq!(folder.answer.reason, Some(Reason::NotFetched));
    at.server.clear_faults();
    index.query().libraries().expect("libraries");
    at.server.fault(Fault::delay(60_000).on(Kind::Listing).times(0));
    let paths: Vec<String> = (0..50).map(|n| format!("/data/movies/{n}.mkv")).collect();
    let begun = Instant::now();
    hurried.ask_batch(&paths);
    // 50 deadlines would be five seconds; one is a tenth of one.
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

/// Two movies whose GUIDs and titles are known.
fn two_films() -> Standin {
    let item = |n: u64| {
        let mut item = ItemSpec::file(&format!("Film {n}"), &format!("/data/movies/{n}.mkv")).key(9000 + n);
        item.guid = Some(format!("plex://movie/{n:024}"));
        item
    };
    Standin::builder()
        .library(LibrarySpec::movies(10).plain().title("Movies"))
        .items(1, [item(1), item(2)])
        .serve()
}

#[test]
fn the_guid_of_a_season_or_album_gives_what_is_below_it_and_says_whose_it_is() {
    let shows = (LibrarySpec::shows(80), ["season", "show"]);
    for (library, words) in [shows, (LibrarySpec::music(100), ["album", "artist"])] {
        let server = Standin::builder().library(library.plain()).serve();
        let at = Scene::of(server);
        let index = at.open();
        let library = index.library("1").expect("a handle");
        library.query().refreshed(false).expect("listed");
        let (_, item) = library.items_page(0, 1).expect("read").remove(0);
        let below = [
            (item.season_guid, item.season_rating_key),
            (item.show_guid, item.show_rating_key),
        ];
        for ((guid, rating_key), word) in below.iter().zip(words) {
            let found = library.query().guid(guid);
            assert_eq!(found.status, Status::Ambiguous, "{guid}");
            let message = found.message.as_str();
            assert!(message.contains(&format!("belongs to the {word} '")), "{message}");
            let named = format!(", /library/metadata/{rating_key}, which has ");
            assert!(message.contains(&named), "{message}");
            let is_cut = message.contains("the answer contains 16 of the items");
            assert_eq!(is_cut, found.total > 16, "{message}");
            assert_eq!(found.candidates.len(), found.total.min(16));
        }
    }
}

/// What asks for an item learns that it is in another library now: it was merged into the one that it had left.
#[test]
fn an_item_that_went_to_another_library_is_answered_there() {
    let server = Standin::builder()
        .library(films("Films"))
        .library(films("Classics"))
        .items(
            1,
            [1, 2].map(|n| ItemSpec::file(&format!("Film {n}"), &format!("/data/Films/{n}.mkv")).key(9000 + n)),
        )
        .items(2, [ItemSpec::file("Film 3", "/data/Classics/3.mkv").key(9003)])
        .serve();
    for refreshed in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let index = open(options(&server, folder.path()), &clock());
        let [films, classics] = ["Films", "Classics"].map(|title| index.library(title).expect("a handle"));
        index.list();
        films.record("/host/1.mkv", "9001");
        let (from, to) = if refreshed { (2, 1) } else { (1, 2) };
        let (was, is) = if refreshed {
            (&classics, &films)
        } else {
            (&films, &classics)
        };
        let path = if refreshed {
            "/data/Films/1.mkv"
        } else {
            "/data/Classics/1.mkv"
        };
        server.alter(|state| {
            state.remove_items(&[9001], false)?;
            state.add_items(to, vec![ItemSpec::file("Film 1", path).key(9001)], false)
        });
        was.invalidate_item("9001").expect("invalidated");
        server.reset();
        if refreshed {
            index.query().refreshed(false).expect("refreshed");
        } else {
            let old = films.ask("/data/Films/1.mkv");
            assert_eq!(old.status, Status::NotFound, "{from}: {old:?}");
        }
        assert_eq!(requests(&server)[4], 1);
        let offline = |library: &crate::support::index::Library| {
            let question = library.query().offline();
            question.title("film 1").status
        };
        assert_eq!((offline(was), offline(is)), (Status::NotFound, Status::Ok), "{from}");
        let found = is.query().answer(path);
        assert_eq!(found.status, Status::Ok);
        if !refreshed {
            let recorded = films.fast("/host/1.mkv");
            assert_eq!(recorded, None, "what was recorded in a library goes with the item");
        }
    }
}

/// A host invalidates a path as it calls it. A refresh asked for the items of paths as the server calls them only.
#[test]
fn a_refresh_verifies_what_was_invalidated_by_its_path_on_the_host() {
    let server = two_films();
    let one = Mapping::host_to_server("/mnt", "/data/movies");
    for mapping in [one, Mapping::server_to_host("/data/movies", "/mnt")] {
        let kind = mapping.kind;
        let folder = tempfile::tempdir().expect("a folder");
        let with = Options {
            mappings: vec![mapping],
            ..options(&server, folder.path())
        };
        let index = open(with, &clock());
        let library = index.movies();
        assert_eq!(library.ask("/mnt/1.mkv").status, Status::Ok);
        library.invalidate_path("/mnt/1.mkv").expect("invalidated");
        server.reset();
        index.query().refreshed(false).expect("refreshed");
        assert_eq!(requests(&server)[4], 1, "{kind}");
        index.query().refreshed(false).expect("refreshed");
        assert_eq!(requests(&server)[4], 1, "{kind}: nothing is left");
        let offline = library.query().offline();
        for path in ["/mnt/1.mkv", "/data/movies/1.mkv"] {
            let found = offline.answer(path);
            assert_eq!(found.status, Status::Ok, "{kind}: {path}");
        }
        // The folder that it lies in, by either name, asks for it too.
        let (mount, folder_) = ("/mnt/1.mkv", "/data/movies");
        for (told, asked) in [(mount, folder_), ("/data/movies/1.mkv", "/mnt"), (mount, "/mnt")] {
            library.invalidate_path(told).expect("invalidated");
            server.reset();
            library.query().match_folder(asked).expect("an answer");
            assert_eq!(requests(&server)[4], 1, "{kind}: {told}, {asked}");
        }
    }
}

#[test]
fn a_batch_of_stored_answers_ends_with_its_deadline_or_when_it_is_stopped() {
    let (_at, _index, library) = Scene::movies(30).and_listed();
    // They need no request, and take longer than a tenth of a second.
    let paths: Vec<String> = (0..200_000).map(|number| format!("/nowhere/{number}.mkv")).collect();
    let ask = |time, paths: &[String]| {
        let answers = library.query().timeout(time).ask_batch(paths).into_iter();
        answers.map(|answer| answer.status).collect::<Vec<Status>>()
    };
    let statuses = ask(Duration::from_millis(100), &paths);
    assert_eq!(statuses.first(), Some(&Status::NotFound));
    assert_eq!(statuses.last(), Some(&Status::NotYet));
    // Without time for a request the store answers.
    assert_eq!(ask(Duration::ZERO, &paths[..2]), [Status::NotFound; 2]);
    let paths: Vec<&[u8]> = paths.iter().map(String::as_bytes).collect();
    let query = library.query().progress(|_| std::ops::ControlFlow::Break(()));
    let error = query.match_paths_with(&paths, |_, _| ()).expect_err("stopped");
    assert_eq!(error.status, Status::Aborted);
}
