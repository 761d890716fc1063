//! What an answer by the end of a path or by a file's name says of itself, and that it never depends on earlier ones.

use std::path::Path;

use crate::support::index::QueryOptions;
use crate::support::{clock, open, options, path_of};
use plexindex::error::Status;
use plexindex::model::{Confidence, MatchKind, Reason};
use plexindex_standin::{ItemSpec, ItemType, LibrarySpec, MediaSpec, Standin};

fn collection() -> Standin {
    let film = |title: &str, year: i32, path: &str| ItemSpec::file(title, path).year(year);
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
            [ItemSpec::episode(
                "Some Show",
                17,
                21,
                "Pilot",
                "/data/tv/Some Show/Season 17/S17E21.mkv",
            )],
        )
        .serve()
}

#[test]
fn an_answer_says_why_and_forgets_what_was_asked() {
    let server = collection();
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(options(&server, folder.path()), &clock());
    index.refresh(&QueryOptions::default(), false).expect("fetched");
    let all = index.select(crate::support::index::Selector::All).expect("a handle");
    let high = |reason| (Confidence::High, reason);
    let low = |reason| (Confidence::Low, reason);
    let cases = [
        (
            "/nas/Quiet River (1999)/movie.mkv",
            high(Reason::OnlyRootDiffers),
            "so a mapping is missing",
        ),
        (
            "/nas/Some Show/Season 17/S17E21.mkv",
            high(Reason::OnlyRootDiffers),
            "so a mapping is missing",
        ),
        ("/nas/Golden Window (2004).mkv", low(Reason::SameName), "check that"),
        (
            "/nas/Other Show/Season 17/S17E21.mkv",
            low(Reason::SameName),
            "check that",
        ),
        ("/nas/Loud Sea (1999)/movie.mkv", low(Reason::SameName), "check that"),
        ("/nas/film7.mkv", low(Reason::SameName), "check that"),
        ("/nas/movies/film7.mkv", low(Reason::SameName), "check that"),
        ("/nas/Quiet River (1950)/movie.mkv", low(Reason::SameName), "check that"),
        ("/data/movies/new/film7.mkv", low(Reason::NotListed), "does not list it"),
        // A folder of the library of films: no other library's file.
        (
            "/data/movies/Some Show/Season 17/S17E21.mkv",
            low(Reason::NotListed),
            "does not list it",
        ),
    ];
    let ask = || {
        for (path, (confidence, reason), text) in cases {
            let found = all.ask(path);
            assert_eq!(found.status, Status::Ok, "{path}: {}", found.message);
            assert!(
                matches!(found.match_kind, MatchKind::Suffix | MatchKind::FileName),
                "{path}: {:?}",
                found.match_kind
            );
            assert_eq!(found.confidence, confidence, "{path}: {}", found.message);
            assert_eq!(found.reason, reason, "{path}: {}", found.message);
            assert!(found.message.contains(text), "{path}: {}", found.message);
            let key = all.lookup_key(path.as_bytes(), str::to_owned);
            let item = found.item.expect("an item");
            let sure = (confidence == Confidence::High).then_some(item.item.rating_key);
            assert_eq!(key, sure, "{path}");
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
    for nth in 0..600 {
        let (path, _) = path_of(&server, 1, nth);
        let path = path.replace("/data/movies", "/nas");
        all.ask(path);
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
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(options(&server, folder.path()), &clock());
    index.refresh(&QueryOptions::default(), false).expect("fetched");
    let shows = index.library("Shows").expect("a handle");
    let high = (Confidence::High, Reason::SeveralEpisodes);
    let low = |reason| (Confidence::Low, reason);
    let (two, plain, odd) = (["9001", "9002"], ["9011", "9012"], ["9021", "9022"]);
    let range = ["9031", "9032"];
    for (path, (confidence, reason), keys) in [
        (FILE, high, two),
        ("/mnt/z/Foo/Season 03/Foo - S03E01-02.mkv", high, range),
        ("/nas/Two Hours/Season 06/Two Hours - S06E01-E02.mkv", high, two),
        ("/nas/Season 6/Two Hours - S06E01-E02.mkv", low(Reason::SameName), two),
        ("/nas/Two Hours - S06E01-E02.mkv", low(Reason::SameName), two),
        ("/nas/Some Show/Season 17/S17E21-E22.mkv", high, plain),
        ("/nas/Other/Season 17/S17E21-E22.mkv", low(Reason::SameName), plain),
        (
            "/nas/Two Hours/Season 05/Two Hours - S06E01-E02.mkv",
            low(Reason::SameName),
            two,
        ),
        ("/data/tv/new/Two Hours - S06E01-E02.mkv", low(Reason::NotListed), two),
        ("/nas/Odd Show - S01E01.mkv", low(Reason::SameName), odd),
        // Plex says which episodes a listed file has, whatever its name says.
        ("/nas/Odd Show/Odd Show - S01E01.mkv", high, odd),
    ] {
        let found = shows.ask(path);
        assert_eq!(found.status, Status::Ok, "{path}: {}", found.message);
        assert_eq!(found.confidence, confidence, "{path}: {}", found.message);
        assert_eq!(found.reason, reason, "{path}: {}", found.message);
        let candidates: Vec<&str> = found
            .candidates
            .iter()
            .map(|one| one.item.rating_key.as_str())
            .collect();
        assert_eq!((candidates.as_slice(), found.total), (&keys[..], 2), "{path}");
        assert_eq!(
            found.item.map(|one| one.item.rating_key).as_deref(),
            Some(keys[0]),
            "{path}"
        );
        let fast = shows.lookup_key(path.as_bytes(), str::to_owned);
        assert_eq!(fast, None, "{path}: a key could name one of them only");
    }
}

#[test]
fn answers_by_name_alone_leave_room_for_a_proposal() {
    let server = collection();
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(options(&server, folder.path()), &clock());
    index.refresh(&QueryOptions::default(), false).expect("fetched");
    let all = index.select(crate::support::index::Selector::All).expect("a handle");
    let ask = |rewrite: &dyn Fn(&str) -> String| {
        for nth in 0..600 {
            let (path, _) = path_of(&server, 1, nth);
            all.ask(rewrite(&path));
        }
    };
    // Neither a name alone nor a place in a folder of Plex's says which mapping is missing.
    ask(&|path| format!("/downloads/{}", path.rsplit('/').next().unwrap_or_default()));
    ask(&|path| path.replace("/data/movies", "/data/movies/new"));
    assert_eq!(index.proposals(), []);
    ask(&|path| path.replace("/data/movies", "/nas"));
    let missed = all.ask("/nas/Nothing (1900).mkv");
    assert!(missed.message.contains("/nas -> /data/movies"), "{}", missed.message);
    let best = &index.proposals()[0];
    assert!(best.matched > 400 && best.of == 500, "{best:?}");
}

/// A file of another, unlisted work, or a copy: its path, what Plex lists with the same file name, and the class of
/// confusion.
struct Impostor {
    class: &'static str,
    listed: ItemSpec,
    asked: String,
}

const SHOWS: [&str; 20] = [
    "House of Cards",
    "The Office",
    "Shameless",
    "Ghosts",
    "Skins",
    "Being Human",
    "Life on Mars",
    "Utopia",
    "Law & Order",
    "The Bridge",
    "Wallander",
    "Euphoria",
    "The Killing",
    "Queer as Folk",
    "Top Gear",
    "MasterChef",
    "Big Brother",
    "The Voice",
    "Taskmaster",
    "Gladiators",
];
const REMADE: [&str; 20] = [
    "Charmed",
    "Battlestar Galactica",
    "MacGyver",
    "Hawaii Five-0",
    "Doctor Who",
    "Dynasty",
    "Dallas",
    "Roswell",
    "Lost in Space",
    "The Twilight Zone",
    "Quantum Leap",
    "Frasier",
    "Matlock",
    "Kung Fu",
    "Magnum",
    "S.W.A.T.",
    "Scream",
    "Party of Five",
    "V",
    "24",
];
const FILMS: [(&str, i32); 20] = [
    ("The Mummy", 1999),
    ("Alien", 1979),
    ("The Thing", 1982),
    ("King Kong", 1933),
    ("Dune", 1984),
    ("Heat", 1995),
    ("Solaris", 1972),
    ("Carrie", 1976),
    ("Suspiria", 1977),
    ("Total Recall", 1990),
    ("RoboCop", 1987),
    ("1984", 1984),
    ("Psycho", 1960),
    ("The Fly", 1986),
    ("Poltergeist", 1982),
    ("It", 1990),
    ("Cinderella", 1950),
    ("2012", 2009),
    ("Mission: Impossible", 1996),
    ("Amélie", 2001),
];

fn file_of(spec: &ItemSpec) -> &str {
    match &spec.files[..] {
        [MediaSpec::File(file)] => file,
        files => panic!("not a single file: {files:?}"),
    }
}

/// Questions about files that Plex does not list, although it lists files with the same names.
fn impostors() -> Vec<Impostor> {
    let mut all = Vec::new();
    let mut add = |class, listed: ItemSpec, asked: String| all.push(Impostor { class, listed, asked });
    for (nth, show) in SHOWS.iter().enumerate() {
        let (plex, host) = [("US", "UK"), ("UK", "AU"), ("NZ", "US"), ("DE", "AT")][nth % 4];
        let tail = format!("Season 01/{show} - S01E0{}.mkv", nth % 9 + 1);
        let listed = format!("/data/tv/{show} ({plex})/{tail}");
        let spec = ItemSpec::episode(show, 1, 1, "Chapter 1", &listed);
        add(
            "another country",
            spec.clone(),
            format!("/mnt/tv/{show} ({host})/{tail}"),
        );
        add("a spin-off", spec.clone(), format!("/mnt/tv/{show} Nights/{tail}"));
        add("a show without its country", spec, format!("/mnt/tv/{show}/{tail}"));
    }
    for (nth, show) in REMADE.iter().enumerate() {
        let (old, new) = (1965 + nth, 2005 + nth);
        let file = format!("{show} - S01E0{}.mkv", nth % 9 + 1);
        let listed = format!("/data/tv/{show} ({new})/Season 01/{file}");
        let spec = ItemSpec::episode(show, 1, 1, "Pilot", &listed);
        add(
            "a remake without its year",
            spec.clone(),
            format!("/mnt/tv/{show}/Season 01/{file}"),
        );
        add(
            "a remake of another year",
            spec.clone(),
            format!("/mnt/tv/{show} ({old})/Season 01/{file}"),
        );
        add("a download", spec, format!("/downloads/{file}"));
        let flat = format!("{show} 1x0{}.mkv", nth % 9 + 1);
        let spec = ItemSpec::episode(show, 1, 1, "Pilot", &format!("/data/tv/{show}/{flat}"));
        add("another season", spec, format!("/mnt/tv/{show}/Season 02/{flat}"));
    }
    for (nth, (title, year)) in FILMS.iter().enumerate() {
        let tail = format!("{title} ({year})/{title}.mkv");
        let spec = ItemSpec {
            guid: Some(format!("plex://movie/5d776825880197001ec9{nth:04x}")),
            ..ItemSpec::file(title, &format!("/data/movies/{tail}")).year(*year)
        };
        let mut add = |class, folder: String| add(class, spec.clone(), format!("/mnt/x/{folder}/{title}.mkv"));
        add("another id", format!("{title} ({year}) {{imdb-tt9999{nth:03}}}"));
        add("another id", format!("{title} ({year}) [tmdbid={nth}]"));
        for words in [
            "Trailers",
            "Making Of",
            "Bonus Disc",
            "Director's Cut",
            "2",
            "Returns",
            "The Series",
        ] {
            add("words after the year", format!("{title} ({year}) {words}"));
        }
        add("a remake", format!("{title} ({})", year + 20));
        add("another year's premiere", format!("{title} ({})", year + 1));
        add("extras", format!("{title} ({year})/Featurettes"));
        for root in [
            ".snapshots/3",
            "#recycle",
            "@Recycle/a",
            "$RECYCLE.BIN",
            "~snapshot/d",
            "Trash",
            "lost+found",
        ] {
            add("a copy", format!("{root}/{title} ({year})"));
        }
    }
    all
}

#[test]
fn another_work_or_a_copy_never_has_high_confidence() {
    let impostors = impostors();
    let mut asked = std::collections::BTreeMap::new();
    for impostor in &impostors {
        *asked.entry(impostor.class).or_insert(0) += 1;
    }
    for (class, count) in &asked {
        assert!(*count >= 20, "{class}: only {count} questions");
    }
    let mut listed: Vec<ItemSpec> = impostors.iter().map(|impostor| impostor.listed.clone()).collect();
    listed.dedup_by_key(|spec| file_of(spec).to_owned());
    let (shows, films) = listed.into_iter().partition::<Vec<_>, _>(|spec| spec.show.is_some());
    let server = Standin::builder()
        .library(LibrarySpec::shows(1).plain().locations(["/data/tv"]))
        .library(LibrarySpec::movies(1).plain().locations(["/data/movies"]))
        .items(1, shows)
        .items(2, films)
        .serve();
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(options(&server, folder.path()), &clock());
    index.refresh(&QueryOptions::default(), false).expect("fetched");
    let all = index.select(crate::support::index::Selector::All).expect("a handle");
    for Impostor { class, listed, asked } in &impostors {
        let found = all.ask(asked);
        assert_ne!(
            found.confidence,
            Confidence::High,
            "{class}: {asked}: {}",
            found.message
        );
        assert_eq!(found.reason, Reason::SameName, "{class}: {asked}: {}", found.message);
        let candidate = found.item.expect("a candidate");
        let listed = file_of(listed);
        assert_eq!(candidate.path, listed.as_bytes(), "{class}: {asked}");
        assert_eq!(
            all.lookup_key(asked.as_bytes(), str::to_owned),
            None,
            "{class}: {asked}"
        );
        let proposals = index.try_proposals([asked]).expect("proposals");
        assert!(proposals.is_empty(), "{class}: {asked}: {proposals:?}");
        // Under another root alone, the same file is certain.
        let moved = listed.replace("/data/", "/mnt/media/");
        let found = all.ask(&moved);
        assert_eq!(found.confidence, Confidence::High, "{class}: {moved}");
        assert_eq!(
            found.reason,
            Reason::OnlyRootDiffers,
            "{class}: {moved}: {}",
            found.message
        );
    }
}

/// The number 1000 + n is a show's, an episode's of another show, and a film's.
#[test]
fn a_guid_of_several_things_is_never_certain() {
    let with = |spec: ItemSpec, guids: Vec<String>| ItemSpec { guids, ..spec };
    let (mut shows, mut films) = (Vec::new(), Vec::new());
    for n in 1..=24 {
        let (title, id) = (format!("Show {n}"), 1000 + n);
        let ids = ["tvdb://", "tmdb://", "imdb://tt00"].map(|site| format!("{site}{id}"));
        let mut show = with(ItemSpec::file(&title, ""), ids.to_vec());
        (show.kind, show.files) = (Some(ItemType::Show), Vec::new());
        shows.push(show);
        for (number, id) in [(1, 1001 + n % 24), (2, 2000 + n)] {
            let file = format!("/data/tv/{title}/Season 01/{title} - S01E{number:02}.mkv");
            let episode = ItemSpec::episode(&title, 1, number, &format!("Part {id}"), &file);
            shows.push(with(episode, vec![format!("tvdb://{id}")]));
        }
        for id in [id, 3000 + n] {
            let film = ItemSpec::file(&format!("Film {id}"), &format!("/data/movies/Film {id}.mkv"));
            films.push(with(film, vec![format!("tmdb://{id}")]));
        }
    }
    let server = Standin::builder()
        .library(LibrarySpec::shows(0).plain())
        .library(LibrarySpec::movies(0).plain())
        .items(1, shows)
        .items(2, films)
        .serve();
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(options(&server, folder.path()), &clock());
    for n in 1..=24 {
        let (id, alone) = (1000 + n, format!("Film {}", 3000 + n));
        let below = [1001 + n % 24, 2000 + n].map(|id| format!("Part {id}"));
        for (guid, own, is_show, is_certain) in [
            (format!("tvdb://{id}"), Some(format!("Part {id}")), true, false),
            (format!("tmdb://{id}"), Some(format!("Film {id}")), true, false),
            (format!("imdb://tt00{id}"), None, true, false),
            (format!("tvdb://show/{id}"), None, true, false),
            (format!("tvdb://episode/{id}"), Some(format!("Part {id}")), false, true),
            (format!("tmdb://movie/{id}"), Some(format!("Film {id}")), false, true),
            // The number may be that of a show, or of a film, that Plex does not list.
            (format!("tvdb://{}", 2000 + n), Some(below[1].clone()), false, false),
            (format!("tmdb://{}", 3000 + n), Some(alone.clone()), false, false),
        ] {
            let found = index.match_guid(&QueryOptions::default(), &guid).expect("an answer");
            assert_eq!(found.confidence == Confidence::High, is_certain, "{guid}");
            let listed: Vec<String> = found.candidates.into_iter().map(|found| found.item.title).collect();
            let expected = own.iter().chain(below.iter().filter(|_| is_show));
            assert!(listed.iter().eq(expected), "{guid}: {listed:?}");
        }
    }
}

/// The location's own folder names the work, and another year, country or id there is another work.
#[test]
fn a_location_that_is_the_works_own_must_have_the_same_name() {
    let ask = |location: &str, item: ItemSpec, kind: LibrarySpec, asked: &str| {
        let server = Standin::builder()
            .library(kind.plain().locations([location]))
            .items(1, [item])
            .serve();
        let folder = tempfile::tempdir().expect("a folder");
        let index = open(options(&server, folder.path()), &clock());
        let all = index.select(crate::support::index::Selector::All).expect("a handle");
        all.ask(asked).confidence
    };
    let dune = |path: &str| ItemSpec::file("Dune", path).year(1984);
    let episode = |title: &str, file: &str| ItemSpec::episode(title, 1, 1, "Pilot", file);
    for (location, file, asked) in [
        (
            "/data/Dune (1984)",
            "/data/Dune (1984)/Disc Rip/rip.mkv",
            "/mnt/Dune (2021)/Disc Rip/rip.mkv",
        ),
        (
            "/data/Dune {imdb-tt0087182}",
            "/data/Dune {imdb-tt0087182}/Disc Rip/rip.mkv",
            "/mnt/Dune {imdb-tt1160419}/Disc Rip/rip.mkv",
        ),
    ] {
        assert_eq!(
            ask(location, dune(file), LibrarySpec::movies(0), asked),
            Confidence::Low,
            "{asked}"
        );
        let same = file.replace("/data/", "/mnt/");
        assert_eq!(
            ask(location, dune(file), LibrarySpec::movies(0), &same),
            Confidence::High,
            "{same}"
        );
    }
    for (title, here, there) in [
        ("The Office", "The Office (US)", "The Office (UK)"),
        ("The Office", "The Office {tvdb-73244}", "The Office {tvdb-78107}"),
        ("Charmed", "Charmed (2018)", "Charmed (1998)"),
        ("Star Trek", "Star Trek", "Star Trek Voyager"),
    ] {
        let location = format!("/data/{here}");
        let file = format!("{location}/Blu-ray Box/Season 01/{title} - S01E01.mkv");
        let asked = file.replace(&location, &format!("/mnt/{there}"));
        let found = ask(&location, episode(title, &file), LibrarySpec::shows(0), &asked);
        assert_eq!(found, Confidence::Low, "{asked}");
        let same = file.replace("/data/", "/mnt/");
        let found = ask(&location, episode(title, &file), LibrarySpec::shows(0), &same);
        assert_eq!(found, Confidence::High, "{same}");
    }
}
