//! Spellings of one path: as Plex lists it, and as a host asks for it.

use std::path::Path;

use crate::support::index::{Index, Library, Match};
use crate::support::{Scene, clock, open, options, requests};
use plexindex::model::{Confidence, MatchKind, Reason};
use plexindex::options::Mapping;
use plexindex_standin::{ItemSpec, LibrarySpec, Standin};

/// Listed paths with redundant parts, and the tidy path and folder of the same file.
const UNTIDY: [(&str, &str, &str); 8] = [
    (r"S:\\Silo\1\Silo.mkv", r"S:\Silo\1\Silo.mkv", r"S:\Silo\1"),
    (r"F:\TV\.\Fargo\1.mkv", r"F:\TV\Fargo\1.mkv", r"F:\TV\Fargo"),
    (r"\\nas\\tv\Dark\\1.mkv", r"\\nas\tv\Dark\1.mkv", r"\\nas\tv\Dark"),
    (
        "/data/movies//Heat/1.mkv",
        "/data/movies/Heat/1.mkv",
        "/data/movies/Heat",
    ),
    ("/data/movies/./Ran/2.mkv", "/data/movies/Ran/2.mkv", "/data/movies/Ran"),
    (
        "/data/movies/Léon//3.mkv",
        "/data/movies/Le\u{301}on/3.mkv",
        "/data/movies/LÉON",
    ),
    ("/data/movies/Big/4.mkv/", "/data/movies/Big/4.mkv", "/data/movies/Big"),
    ("///data/movies/M/M.mkv", "/data/movies/M/M.mkv", "/data/movies/M/"),
];

fn server() -> Standin {
    let locations = ["S:\\\\", r"F:\TV\.\", r"\\nas\\tv", "/data//movies/."];
    let items = UNTIDY.map(|(listed, ..)| ItemSpec::file(listed, listed));
    let films = LibrarySpec::movies(0).plain().title("Films");
    let server = Standin::builder().library(films.locations(locations));
    server.items(1, items).serve()
}

#[test]
fn an_untidy_listed_path_is_found_by_each_spelling() {
    let (server, folder) = (server(), tempfile::tempdir().expect("a folder"));
    let index = open(options(&server, folder.path()), &clock());
    index.list();
    let library = index.library("Films").expect("a handle");
    for (listed, tidy, season) in UNTIDY {
        let separator = if tidy.contains('\\') { "\\" } else { "/" };
        let below_root = tidy.rfind(separator).expect("a folder");
        let doubled = format!("{}{separator}.{separator}{}", &tidy[..below_root], &tidy[below_root..]);
        let ended = format!("{tidy}{separator}");
        for path in [listed, tidy, &doubled, &ended, &format!("{ended}{separator}")] {
            let answer = library.ask(path);
            let item = answer.item.as_ref().map(|item| item.path.as_slice());
            assert_eq!(item, Some(listed.as_bytes()), "{path}: {}", answer.message);
            assert_eq!(answer.match_kind, MatchKind::Exact, "{path}");
            assert_eq!(answer.confidence, Confidence::High, "{path}");
            let fast = library.fast(&path);
            assert_eq!(fast, answer.key(), "{path}");
        }
        for end in ["", separator, &format!("{separator}.")] {
            let spelling = &format!("{season}{end}");
            let found = library.match_folder(spelling).expect("an answer");
            let confidence = found.answer.confidence;
            assert_eq!(confidence, Some(plexindex::Confidence::High), "{spelling}");
            let below = library.items_below(spelling).map(|item| item.expect("an item").path);
            let below: Vec<_> = below.map(Option::unwrap_or_default).collect();
            assert_eq!(below, [Path::new(listed)], "{spelling}");
        }
    }
    assert_eq!(library.ask(br"S:\Silo").item, None);
}

#[test]
fn a_record_of_another_spelling_yields_to_two_listed_ones() {
    let (upper, lower, other) = (
        "/data/movies/Alien.mkv",
        "/data/movies/alien.mkv",
        "/data/movies/ALIEN.mkv",
    );
    let items = [(101, upper), (102, lower)].map(|(key, path)| ItemSpec::file("Alien", path).key(key));
    let films = LibrarySpec::movies(0).plain().title("Films");
    let server = Standin::builder().library(films).items(1, items).serve();
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(options(&server, folder.path()), &clock());
    index.list();
    let library = index.library("Films").expect("a handle");
    let answer = |path: &str| {
        let found = library.ask(path);
        assert_eq!(library.fast(&path), found.key(), "{path}");
        (found.key(), found.match_kind, found.confidence)
    };
    let is = |key: &str, kind| (Some(key.to_owned()), kind, Confidence::High);
    library.record(other, "101");
    assert_eq!(answer(other), is("101", MatchKind::Confirmed));
    assert_eq!(answer(lower), is("102", MatchKind::Exact));
    library.record(lower, "102");
    assert_eq!(answer(upper), is("101", MatchKind::Exact));
    assert_eq!(answer(lower), is("102", MatchKind::Confirmed));
}

#[test]
fn a_new_file_is_found_whichever_way_its_letters_are_composed() {
    // No title that the server could search for instead: only the name tells.
    for (listed, asked) in [
        (
            "/data/movies/n\u{e9}/\u{e9}\u{e8}.mkv",
            "/data/movies/ne\u{301}/e\u{301}e\u{300}.mkv",
        ),
        ("/data/movies/u\u{308}/u\u{308}o.mkv", "/data/movies/\u{fc}/\u{fc}o.mkv"),
        (
            "/data/movies/\u{ac00}/\u{ac00}.mkv",
            "/data/movies/\u{1100}\u{1161}/\u{1100}\u{1161}.mkv",
        ),
    ] {
        let at = Scene::movies(20);
        at.server
            .alter(|state| state.add_items(1, vec![ItemSpec::file("Unrelated", listed)], true));
        let (index, library) = at.opened();
        let query = library.query().within(std::time::Duration::from_secs(30));
        let answer = index.ask(&query, asked);
        assert_eq!(answer.match_kind, MatchKind::Exact, "{asked}: {}", answer.message);
        let seen = requests(&at.server);
        assert_eq!(seen[2], 0, "a search, no listing: {seen:?}");
    }
}

/// A library of these files, whose folder the host has elsewhere.
fn mapped(listed: &[&str]) -> (Scene, Index, Library) {
    let items = listed.iter().map(|path| ItemSpec::file(path, path));
    let server = Standin::builder().library(LibrarySpec::movies(0).plain());
    let at = Scene::of(server.items(1, items).serve())
        .with(|options| options.mappings = vec![Mapping::host_to_server("/mnt/films", "/data/movies")]);
    let (index, library) = at.listed();
    (at, index, library)
}

/// The listed path of the item.
fn path_in(answer: &Match) -> Option<String> {
    let item = answer.item.as_ref()?;
    Some(String::from_utf8_lossy(&item.path).into_owned())
}

#[test]
fn a_name_that_another_system_shows_differently_is_a_low_candidate() {
    let listed = [
        "/data/movies/Mission: 1 (1996)/Mission: 1.mkv",
        "/data/movies/What? (1972)/What?.mkv",
        "/data/movies/Twice/A:B.mkv",
        "/data/movies/Twice/A?B.mkv",
    ];
    let (_at, _index, library) = mapped(&listed);
    for (asked, is) in [
        (
            "/mnt/films/Mission\u{F022} 1 (1996)/Mission\u{F022} 1.mkv",
            Some(listed[0]),
        ),
        ("/mnt/films/Mission： 1 (1996)/Mission： 1.mkv", Some(listed[0])),
        ("/mnt/films/Mission: 1 (1996)/Mission\u{A789} 1.mkv", Some(listed[0])),
        ("/data/movies/Mission_ 1 (1996)/Mission_ 1.mkv", Some(listed[0])),
        ("/mnt/films/What\u{F025} (1972)/What\u{F025}.mkv", Some(listed[1])),
        ("/mnt/films/Twice/A_B.mkv", None),
        ("/mnt/films/What_ (1972)/Which_.mkv", None),
        ("/mnt/films/Other： One (1996)/Other： One.mkv", None),
    ] {
        let answer = library.ask(asked);
        assert_eq!(path_in(&answer).as_deref(), is, "{asked}: {}", answer.message);
        assert_ne!(answer.confidence, Confidence::High, "{asked}");
        assert_eq!(library.fast(&asked), None, "{asked}");
        let tells = asked.is_ascii() && is.is_none() || answer.message.contains("SMB");
        assert!(tells, "{asked}: {}", answer.message);
    }
    for encoded in ["file:///mnt/films/Twice/A%3AB.mkv", "/mnt/films/Some%20Film.mkv"] {
        let answer = library.ask(encoded);
        assert!(answer.message.contains("looks encoded"), "{}", answer.message);
    }
}

#[test]
fn a_name_that_differs_only_in_spaces_or_punctuation_is_a_low_candidate() {
    let listed = [
        "/data/movies/It’s A – B/It’s A – B.mkv",
        r"F:\Comedy\Say “Hi”\1.5: Hi.mkv",
        "/data/movies/Twice/A.B.mkv",
        "/data/movies/Twice/A B.mkv",
    ];
    let (_at, _index, library) = mapped(&listed);
    let [owned, elsewhere] = [Reason::NotListed, Reason::NoLocation];
    for (asked, is, reason) in [
        ("/mnt/films/It's A - B/It's A - B.mkv", Some(listed[0]), owned),
        ("/data/movies/It’s A – B/It’s A – B.mkv\r\n", Some(listed[0]), owned),
        ("/nas/It's A - B.mkv", Some(listed[0]), elsewhere),
        ("/nas/its_a_b/Its.A.B.mkv", Some(listed[0]), elsewhere),
        ("'/data/movies/It’s A – B/It’s A – B.mkv'", Some(listed[0]), elsewhere),
        (r#""F:\Comedy\Say “Hi”\1.5: Hi.mkv""#, Some(listed[1]), elsewhere),
        (r"/F:\Comedy\Say “Hi”\1.5: Hi.mkv", Some(listed[1]), elsewhere),
        (r"F:Comedy\Say “Hi”\1.5: Hi.mkv", Some(listed[1]), elsewhere),
        (r"/media/F\Comedy\Say “Hi”\1.5: Hi.mkv", Some(listed[1]), elsewhere),
        ("file:///F:/Comedy/Say “Hi”/1.5: Hi.mkv.", Some(listed[1]), elsewhere),
        ("/nas/Say \"Hi\"/1.5 - Hi.mkv\t ", Some(listed[1]), elsewhere),
        // Two numbers are not one, and a name without a letter is like no other.
        ("/nas/15 Hi.mkv", None, elsewhere),
        ("/nas/-.mkv", None, elsewhere),
        ("/nas/Twice/A-B.mkv", None, elsewhere),
    ] {
        let answer = library.ask(asked);
        assert_eq!(path_in(&answer).as_deref(), is, "{asked}: {}", answer.message);
        let confidence = if asked.contains("Twice") || is.is_some() {
            Confidence::Low
        } else {
            Confidence::None
        };
        assert_eq!(answer.confidence, confidence, "{asked}");
        assert_eq!(answer.reason, reason, "{asked}");
        assert_eq!(answer.candidates.len(), answer.total, "{asked}");
        assert_eq!(library.fast(&asked), None, "{asked}");
    }
    assert_eq!(library.ask("/nas/Twice/A-B.mkv").total, 2);
}

#[test]
fn a_name_that_is_only_alike_says_nothing_about_a_mapping() {
    let listed: Vec<String> = (0..10)
        .map(|nth| format!("/data/movies/Long Film {nth} (2001).mkv"))
        .collect();
    let (_at, index, library) = mapped(&listed.iter().map(String::as_str).collect::<Vec<_>>());
    for path in &listed {
        let moved = path.replace("/data/movies", "/nas");
        for asked in [moved.replace(['(', ')'], "_"), moved] {
            let found = library.ask_sized(&asked, path);
            assert_eq!(path_in(&found).as_deref(), Some(&**path), "{asked}");
        }
    }
    let proposed = &index.proposals()[0];
    assert_eq!((proposed.matched, proposed.of), (10, 10));
}

#[test]
fn a_name_that_is_not_utf8_is_a_low_candidate() {
    let listed = [
        "/data/movies/Caf\u{FFFD} (2001)/Caf\u{FFFD}.mkv",
        "/data/movies/L\u{FFFD}\u{FFFD}on/Plain.mkv",
        "/data/movies/Other/Other.mkv",
    ];
    let (_at, _index, library) = mapped(&listed);
    for (asked, is) in [
        (&b"/mnt/films/Caf\xe9 (2001)/Caf\xe9.mkv"[..], Some(listed[0])),
        (b"/data/movies/Caf\xe9 (2001)/Caf\xe9.mkv", Some(listed[0])),
        (b"/data/movies/L\xe9on/Plain.mkv", Some(listed[1])),
        (b"/data/movies/Oth\xe9r/Other.mkv", None),
        (b"/data/movies/Other/Other\xe9.mkv", None),
    ] {
        let answer = library.ask(asked);
        assert_eq!(path_in(&answer).as_deref(), is, "{asked:?}: {}", answer.message);
        assert_ne!(answer.confidence, Confidence::High);
        let tells = is.is_none() || answer.message.contains("not UTF-8");
        assert!(tells, "{}", answer.message);
        assert_eq!(library.lookup_key(asked, str::to_owned), None);
    }
}
