//! Spellings of one path: as Plex lists it, and as a host asks for it.

use crate::support::index::{Ask as _, Index, Library, Match};
use crate::support::{Scene, requests};
use plexindex::model::{Confidence, MatchKind, Reason};
use plexindex::options::Mapping;
use plexindex_standin::{ItemSpec, LibrarySpec, Standin};

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
        let (_index, library) = at.opened();
        let query = library.query().timeout(std::time::Duration::from_secs(30));
        let answer = query.answer(asked);
        assert_eq!(answer.match_kind, MatchKind::Exact, "{asked}: {}", answer.message);
        let seen = requests(&at.server);
        assert_eq!(seen[2], 0, "a search, no listing: {seen:?}");
    }
}

/// A library of these files, whose folder the host has elsewhere.
fn mapped(listed: &[&str]) -> (Scene, Index, Library) {
    let items = listed.iter().map(|path| ItemSpec::file(path, path));
    let server = Standin::builder().library(LibrarySpec::movies(0).plain());
    let (at, index, library) = Scene::of(server.items(1, items).serve())
        .with(|options| options.mappings = vec![Mapping::host_to_server("/mnt/films", "/data/movies")])
        .and_listed();
    (at, index, library)
}

/// The listed path of the item.
fn path_in(answer: &Match) -> Option<String> {
    let path = answer.item.as_ref()?.path.as_ref()?;
    Some(path.to_string_lossy().into_owned())
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
