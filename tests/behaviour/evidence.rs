//! What an answer by size, by the end of a path or by a file's name says of itself, and that it never depends on earlier
//! ones.

use std::path::Path;

use crate::support::Scene;
use crate::support::index::Ask as _;
use plexindex::error::Status;
use plexindex::model::{Confidence, MatchKind, Reason};
use plexindex_standin::{ItemSpec, LibrarySpec, Standin};

/// The size of no file, and less than that of a file of a year.
const SIZE: u64 = 150_000_000;

const PILOT: &str = "/data/tv/Some Show/Season 17/S17E21.mkv";

fn collection() -> Standin {
    let film = |title: &str, year: i32, path: &str| {
        ItemSpec::file(title, path)
            .year(year)
            .size(SIZE + u64::from(year.unsigned_abs()))
    };
    Standin::builder()
        .library(LibrarySpec::movies(600).plain().title("Movies"))
        .library(LibrarySpec::shows(20).plain().title("Shows"))
        .items(
            1,
            [
                film("Quiet River", 1999, "/data/movies/Quiet River (1999)/movie.mkv"),
                film("Golden Window", 2004, "/data/movies/Golden Window (2004).mkv"),
                film("Film Seven", 2010, "/data/movies/film7.mkv"),
            ],
        )
        .items(
            2,
            [ItemSpec::episode("Some Show", 17, 21, "Pilot", PILOT).size(SIZE + 17)],
        )
        .serve()
}

#[test]
fn an_answer_says_why_and_forgets_what_was_asked() {
    let at = Scene::of(collection());
    let index = at.open();
    index.query().refreshed(false).expect("fetched");
    let all = index.select(crate::support::index::Selector::All).expect("a handle");
    let low = |reason| (Confidence::Low, reason);
    let [unmapped, unsure, unlisted] = ["it may be another work", "check that", "does not list it"];
    let cases = [
        (
            "/nas/Quiet River (1999)/movie.mkv",
            low(Reason::OnlyRootDiffers),
            unmapped,
        ),
        (
            "/nas/Some Show/Season 17/S17E21.mkv",
            low(Reason::OnlyRootDiffers),
            unmapped,
        ),
        ("/nas/Golden Window (2004).mkv", low(Reason::SameName), unsure),
        ("/nas/Other Show/Season 17/S17E21.mkv", low(Reason::SameName), unsure),
        ("/nas/Loud Sea (1999)/movie.mkv", low(Reason::SameName), unsure),
        ("/nas/film7.mkv", low(Reason::SameName), unsure),
        ("/nas/movies/film7.mkv", low(Reason::SameName), unsure),
        ("/nas/Quiet River (1950)/movie.mkv", low(Reason::SameName), unsure),
        ("/data/movies/new/film7.mkv", low(Reason::NotListed), unlisted),
        // A folder of the library of films: no other library's file.
        (
            "/data/movies/Some Show/Season 17/S17E21.mkv",
            low(Reason::NotListed),
            unlisted,
        ),
    ];
    let ask = || {
        for (path, (confidence, reason), text) in cases {
            let found = all.ask(path);
            assert_eq!(found.status, Status::Ok, "{path}: {}", found.message);
            let by_name = matches!(found.match_kind, MatchKind::Suffix | MatchKind::FileName);
            assert!(by_name, "{path}: {:?}", found.match_kind);
            assert_eq!(found.confidence, confidence, "{path}: {}", found.message);
            assert_eq!(found.reason, reason, "{path}: {}", found.message);
            assert!(found.message.contains(text), "{path}: {}", found.message);
            assert_eq!(all.fast(&path), None, "{path}");
            let shows = index.library("Shows").expect("a handle");
            if path.contains("/data/movies/Some Show") {
                let found = shows.ask(path);
                assert_eq!(found.confidence, confidence, "asked of the shows alone");
                assert_eq!(found.reason, reason, "asked of the shows alone");
            }
        }
    };
    ask();
    let miss = || all.ask("/nas/Nothing (1900).mkv");
    assert!(!miss().message.contains("600"), "{}", miss().message);
    let movies = plexindex::Index::library(&index, "Movies").expect("a handle");
    for item in movies.items().take(600) {
        let item = item.expect("an item");
        let path = item.paths.as_ref().expect("paths")[0]
            .to_string_lossy()
            .replace("/data/movies", "/nas");
        let size = item.media.as_ref().expect("media")[0].parts[0].size.expect("a size");
        let found = index.query().size(size).answer(&path);
        assert_eq!(
            (found.confidence, found.reason),
            (Confidence::High, Reason::SameFile),
            "{path}: {}",
            found.message
        );
    }
    // So many agree on a mapping. It is proposed, and makes nothing surer.
    let missed = miss();
    assert_eq!((missed.status, missed.reason), (Status::NotFound, Reason::NoLocation));
    assert!(missed.message.contains("/nas -> /data/movies"), "{}", missed.message);
    assert_eq!(missed.message, miss().message);
    let best = &index.proposals()[0];
    assert_eq!(best.from.as_path(), Path::new("/nas"));
    assert_eq!(best.to.as_path(), Path::new("/data/movies"));
    assert!(best.matched > 400 && best.of == 500, "{best:?}");
    ask();
}

/// Cases under a root that nothing maps: path, confidence, reason, and the keys of the candidates.
#[test]
fn episodes_of_one_file_are_found_under_another_root() {
    const FILE: &str = "/data/tv/Two Hours/Season 06/Two Hours - S06E01-E02.mkv";
    const RANGE: &str = "/data/tv/Foo/Season 03/Foo - S03E01-02.mkv";
    const PLAIN: &str = "/data/tv/Some Show/Season 17/S17E21-E22.mkv";
    let part = |show: &str, season: u32, number: u32, file: &str| ItemSpec::episode(show, season, number, "Part", file);
    let server = Standin::builder()
        .library(LibrarySpec::shows(20).plain().title("Shows"))
        .items(
            1,
            [
                part("Two Hours", 6, 2, FILE).key(9002),
                part("Two Hours", 6, 1, FILE).key(9001),
                part("Some Show", 17, 21, PLAIN).key(9011),
                part("Some Show", 17, 22, PLAIN).key(9012),
                part("Foo", 3, 1, RANGE).key(9031),
                part("Foo", 3, 2, RANGE).key(9032),
                part("Odd Show", 1, 1, "/data/tv/Odd Show/Odd Show - S01E01.mkv").key(9021),
                part("Odd Show", 1, 7, "/data/tv/Odd Show/Odd Show - S01E01.mkv").key(9022),
            ],
        )
        .serve();
    let at = Scene::of(server);
    let index = at.open();
    index.query().refreshed(false).expect("fetched");
    let shows = index.library("Shows").expect("a handle");
    let high = (Confidence::High, Reason::SeveralEpisodes);
    let low = |reason| (Confidence::Low, reason);
    let moved = low(Reason::OnlyRootDiffers);
    let (two, plain, odd) = (["9001", "9002"], ["9011", "9012"], ["9021", "9022"]);
    let range = ["9031", "9032"];
    for (path, (confidence, reason), keys) in [
        (FILE, high, two),
        ("/mnt/z/Foo/Season 03/Foo - S03E01-02.mkv", moved, range),
        ("/nas/Two Hours/Season 06/Two Hours - S06E01-E02.mkv", moved, two),
        ("/nas/Season 6/Two Hours - S06E01-E02.mkv", low(Reason::SameName), two),
        ("/nas/Two Hours - S06E01-E02.mkv", low(Reason::SameName), two),
        ("/nas/Some Show/Season 17/S17E21-E22.mkv", moved, plain),
        ("/nas/Other/Season 17/S17E21-E22.mkv", low(Reason::SameName), plain),
        (
            "/nas/Two Hours/Season 05/Two Hours - S06E01-E02.mkv",
            low(Reason::SameName),
            two,
        ),
        ("/data/tv/new/Two Hours - S06E01-E02.mkv", low(Reason::NotListed), two),
        ("/nas/Odd Show - S01E01.mkv", low(Reason::SameName), odd),
        // Plex says which episodes a listed file has, whatever its name says.
        ("/nas/Odd Show/Odd Show - S01E01.mkv", moved, odd),
    ] {
        let found = shows.ask(path);
        assert_eq!(found.status, Status::Ok, "{path}: {}", found.message);
        assert_eq!(found.confidence, confidence, "{path}: {}", found.message);
        assert_eq!(found.reason, reason, "{path}: {}", found.message);
        let candidates = found.candidates.iter().map(|one| one.rating_key.as_str());
        let candidates: Vec<&str> = candidates.collect();
        assert_eq!((candidates.as_slice(), found.total), (&keys[..], 2), "{path}");
        assert_eq!(found.key().as_deref(), Some(keys[0]), "{path}");
        assert!(found.message.contains("2 episodes"), "{path}: {}", found.message);
        let fast = shows.fast(&path);
        assert_eq!(fast, None, "{path}: a key could name one of them only");
    }
    let replaced = shows.query().size(9).answer(FILE);
    assert_eq!((replaced.reason, replaced.total), (Reason::SizeDiffers, 2));
    assert!(replaced.message.contains("2 episodes"), "{}", replaced.message);
}
