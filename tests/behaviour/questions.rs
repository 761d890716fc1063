//! Items by GUIDs and titles, end to end over real HTTP.

use crate::support::Scene;
use crate::support::index::{Ask as _, Query};
use crate::support::requests;
use plexindex::error::Status;
use plexindex::model::{Confidence, MatchKind, Reason};
use plexindex_standin::{ItemSpec, ItemType, LibrarySpec, Standin};

fn jaws() -> ItemSpec {
    let mut film = ItemSpec::file("Jaws", "/data/movies/Jaws (1975)/Jaws.mkv");
    film.guids = vec!["imdb://tt0073195".into(), "tmdb://578".into()];
    film
}

#[test]
fn a_guid_is_found_in_each_spelling_and_its_type_can_be_named() {
    let listed = |show: &str, number: u32, id: &str| {
        let path = format!("/data/tv/{show}/Season 01/{show} - S01E{number:02}.mkv");
        let mut item = ItemSpec::episode(show, 1, number, &format!("Part {number}"), &path);
        item.guids = vec![id.into()];
        item
    };
    let show = |title: &str, ids: &[&str]| ItemSpec {
        kind: Some(ItemType::Show),
        title: title.into(),
        guids: ids.iter().map(ToString::to_string).collect(),
        ..ItemSpec::default()
    };
    let server = Standin::builder()
        .library(LibrarySpec::movies(0).plain().title("Films"))
        .library(LibrarySpec::shows(0).plain().title("Shows"))
        .items(1, [jaws()])
        .items(
            2,
            [
                show("Breaking Bad", &["tvdb://81189", "imdb://tt0903747"]),
                show("One Part", &["imdb://tt0000001"]),
                listed("One Part", 1, "imdb://tt0000001"),
                listed("Other Show", 1, "tvdb://81189"),
                listed("Breaking Bad", 1, "tvdb://349232"),
            ],
        )
        .serve();
    let at = Scene::of(server);
    let index = at.open();
    let ask = |guid: &str| index.query().guid(guid);
    for spelling in ["tt0073195", "IMDB://TT0073195", "tmdb://movie/578"] {
        let found = ask(spelling);
        assert_eq!(found.status, Status::Ok, "{spelling}: {}", found.message);
        assert_eq!(found.confidence, Confidence::High, "{spelling}: {}", found.message);
        assert_eq!(found.item.expect("an item").title.as_deref(), Some("Jaws"));
    }
    // The only episode of a show can have the show's id.
    let found = ask("imdb://tt0000001");
    assert_eq!(found.status, Status::Ok, "{}", found.message);
    assert_eq!(found.confidence, Confidence::Low, "{}", found.message);
    assert_eq!(found.reason, Reason::SameName, "{}", found.message);
    // Breaking Bad has this number as a show, and an episode of another show has it too.
    let found = ask("tvdb://81189");
    assert_eq!((found.status, found.total), (Status::Ambiguous, 2), "{}", found.message);
    assert!(found.message.contains("'tvdb://show/81189'"), "{}", found.message);
    for spelling in ["tvdb://show/81189", "imdb://tt0903747"] {
        let found = ask(spelling);
        let show = found.item.expect("an item").show_title;
        assert_eq!(show.as_deref(), Some("Breaking Bad"), "{spelling}");
    }
    let found = ask("tvdb://episode/81189");
    assert_eq!(found.status, Status::Ok, "{}", found.message);
    assert_eq!(found.confidence, Confidence::High, "{}", found.message);
    assert_eq!(found.item.expect("an item").show_title.as_deref(), Some("Other Show"));
    assert_eq!(ask("tmdb://tv/578").status, Status::NotFound, "a film is no show");
    let found = ask("https://thetvdb.com/series/breaking-bad");
    assert_eq!(found.status, Status::NotFound);
    assert!(found.message.contains("'imdb://tt0073195'"), "{}", found.message);
}

#[test]
fn a_bare_number_is_certain_only_among_films() {
    let films = LibrarySpec::movies(0).plain().title("Films");
    let shows = LibrarySpec::shows(20).plain().title("Shows");
    let server = Standin::builder().library(films).library(shows);
    let at = Scene::of(server.items(1, [jaws()]).serve());
    let index = at.open();
    let films = index.library("Films").expect("a handle");
    index.query().refreshed(false).expect("listed");
    let confidence = |query: Query<'_>, guid| query.guid(guid).confidence;
    assert_eq!(confidence(index.query(), "tmdb://578"), Confidence::Low);
    assert_eq!(confidence(films.query(), "tmdb://578"), Confidence::High);
    assert_eq!(confidence(index.query(), "tmdb://movie/578"), Confidence::High);
    assert_eq!(confidence(index.query(), "imdb://tt0073195"), Confidence::High);

    // A folder of an earlier version has no shows, and the next probe fetches them.
    let database = rusqlite::Connection::open(at.folder().join("plexindex-1.db")).expect("connects");
    database.execute("DELETE FROM shows", []).expect("removed");
    drop(database);
    at.server.reset();
    at.clock.advance_ms(crate::support::HOUR_MS);
    index.query().refreshed(false).expect("refreshed");
    assert_eq!(requests(&at.server), [0, 1, 1, 0, 0, 2], "a probe and a page");
}

/// The other library may have the film too, and a call that may not wait for it says so.
#[test]
fn a_guid_or_title_is_certain_only_if_each_library_in_scope_is_fetched() {
    let films = LibrarySpec::movies(0).plain().title("Films");
    let server = Standin::builder()
        .library(films)
        .library(LibrarySpec::movies(20).plain());
    let at = Scene::of(server.items(1, [jaws()]).serve());
    let index = at.open();
    let films = index.library("Films").expect("a handle");
    films.query().refreshed(false).expect("listed");
    for (query, confidence, reason) in [
        (films.query().offline(), Confidence::High, Reason::None),
        (index.query().offline(), Confidence::Low, Reason::NotFetched),
        (index.query(), Confidence::High, Reason::None),
    ] {
        for found in [query.guid("tt0073195"), query.title("Jaws")] {
            assert_eq!(found.status, Status::Ok);
            assert_eq!(found.confidence, confidence);
            assert_eq!(found.reason, reason);
        }
    }
}

#[test]
fn a_title_that_only_has_the_words_is_low() {
    let film = ItemSpec::file("Blade Runner 2049", "/data/movies/Blade Runner 2049.mkv").year(2017);
    let show = ItemSpec::episode("The Day of the Survivor", 1, 1, "Pilot", "/data/tv/S01E01.mkv");
    let server = Standin::builder()
        .library(LibrarySpec::movies(0).plain().title("Films"))
        .library(LibrarySpec::shows(0).plain().title("Shows"))
        .items(1, [film])
        .items(2, [show])
        .serve();
    let at = Scene::of(server);
    let index = at.open();
    let words = (MatchKind::None, Confidence::Low, Reason::SameName);
    let title = (MatchKind::Exact, Confidence::High, Reason::None);
    for (asked, expected) in [
        ("Blade Runner", words),
        ("2049", words),
        ("The", words),
        ("day survivor", words),
        ("blade-runner 2049", title),
        ("Blade Runner 2049 (2017)", title),
        ("the day of the survivor", title),
    ] {
        let found = index.query().title(asked);
        assert_eq!(
            (found.status, found.total),
            (Status::Ok, 1),
            "{asked}: {}",
            found.message
        );
        assert_eq!((found.match_kind, found.confidence, found.reason), expected, "{asked}");
    }
}

#[test]
fn a_year_after_a_title_counts() {
    let film = |title: &str, year: i32| ItemSpec::file(title, &format!("/data/movies/{title} ({year}).mkv")).year(year);
    let films = [
        ("The Thing", 1982),
        ("The Thing", 2011),
        ("S.W.A.T.", 2003),
        ("Alien³", 1992),
    ];
    let server = Standin::builder()
        .library(LibrarySpec::movies(0).plain().title("Films"))
        .items(1, films.map(|(title, year)| film(title, year)))
        .serve();
    let at = Scene::of(server);
    let index = at.open();
    let ask = |title: &str| index.query().title(title);
    assert_eq!(ask("The Thing").status, Status::Ambiguous);
    let asked = [
        ("The Thing (1982)", 1982),
        ("the thing (2011)", 2011),
        ("SWAT", 2003),
        ("Alien 3", 1992),
    ];
    for (title, year) in asked {
        let found = ask(title);
        assert_eq!(found.item.expect(title).year, Some(year), "{title}");
    }
    assert_eq!(ask("The Thing (1999)").status, Status::NotFound);
}
