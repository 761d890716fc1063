//! Files that no mapping leads to, and whose size tells which listed file they are.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::support::index::{Ask as _, Index, Query};
use crate::support::{Scene, requests, store_of, store_options};
use plexindex::Mapping;
use plexindex::error::Status;
use plexindex::model::{Confidence, Reason};
use plexindex::options::{Options, Ttl};
use plexindex_standin::{ItemSpec, LibraryKind, LibrarySpec, Standin};

/// Returns about so many MiB: no round size, and none that has a step in common with others.
pub const fn mib(count: u64) -> u64 {
    (count << 20) + ((count * count * 7_919 % 99_991) | 1)
}
const FILM: &str = "/data/movies/Quiet River (1999)/Quiet River.mkv";

/// A server that has only these films.
pub fn films(items: impl IntoIterator<Item = ItemSpec>) -> Scene {
    let spec = LibrarySpec::movies(0).plain().title("Movies");
    Scene::of(Standin::builder().library(spec).items(1, items).serve())
}

pub fn film(key: u64, path: &str, size: u64) -> ItemSpec {
    ItemSpec::file("Quiet River", path).key(key).size(size)
}

/// Returns confidence, reason and key of the answer for a file of this size.
fn ask(index: &Index, path: &str, size: u64) -> (Confidence, Reason, Option<String>) {
    let found = index.query().size(size).answer(path);
    (found.confidence, found.reason, found.key())
}

fn high(key: &str) -> (Confidence, Reason, Option<String>) {
    (Confidence::High, Reason::SameFile, Some(key.to_owned()))
}

fn low(reason: Reason, key: &str) -> (Confidence, Reason, Option<String>) {
    (Confidence::Low, reason, Some(key.to_owned()))
}

/// Writes a file of this size, which takes no room on most disks.
fn write(path: &Path, size: u64) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    fs::File::create(path)
        .and_then(|file| file.set_len(size))
        .expect("written");
}

#[test]
fn the_library_reads_the_size_of_a_file_that_is_not_listed() {
    let (at, index, _) = films([film(7, FILM, mib(700))]).and_listed();
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let flat = path("Quiet River.mkv");
    let answer = |query: Query<'_>| {
        let found = query.answer(&flat);
        (found.confidence, found.reason, found.key())
    };
    assert_eq!(answer(index.query()), low(Reason::SameName, "7"), "no such file");
    write(Path::new(&flat), mib(700));
    at.server.reset();
    assert_eq!(answer(index.query()), high("7"));
    assert_eq!(answer(index.query().offline()), high("7"));
    assert_eq!(requests(&at.server).iter().sum::<u64>(), 0);
    // Without time, and if the host forbids it, nothing is read.
    assert_eq!(
        answer(index.query().timeout(Duration::ZERO)),
        low(Reason::SameName, "7")
    );
    let unread = plexindex::Index::query(&index)
        .without_size()
        .match_path(&flat)
        .expect("an answer");
    assert_eq!(unread.confidence, Some(Confidence::Low));
    assert_eq!(
        plexindex::Index::query(&index)
            .match_path_at_once(&flat)
            .expect("an answer")
            .status,
        plexindex::MatchStatus::NotYet
    );
    assert_eq!(index.movies().fast(&flat), None);
    // In a batch, too, and with the file that Plex lists.
    let answers = index.match_paths([&flat, &path("none.mkv")]).expect("answers");
    let found = answers[0].as_ref().expect("an answer");
    assert_eq!(found.confidence, Some(Confidence::High));
    let file = found.file.as_ref().expect("a file");
    assert_eq!((file.path.as_path(), file.size), (Path::new(FILM), Some(mib(700))));
    write(Path::new(&flat), mib(701));
    assert_eq!(answer(index.query()), low(Reason::SizeDiffers, "7"));
}

#[test]
fn a_size_that_others_have_distinguishes_nothing() {
    let disc = |key, name: &str, file: &str| film(key, &format!("/data/movies/{name}/VIDEO_TS/{file}"), mib(1023));
    let track = |key, album: &str, size| film(key, &format!("/data/movies/{album}/01.mp3"), size);
    let (_at, index, _) = films([
        disc(1, "Alien", "VTS_01_1.VOB"),
        disc(2, "Alien", "VTS_01_2.VOB"),
        // A few of one name, each with its own size.
        film(3, "/data/movies/Heat/movie.mkv", mib(2)),
        film(4, "/data/movies/Ran/movie.mkv", mib(3) + 777_777),
        track(5, "Hits", mib(5)),
        track(6, "Best", mib(6) + 4_321),
        // Two copies of one file: of two items, and of one.
        film(7, "/data/movies/a/Copy.mkv", mib(800)),
        film(8, "/data/movies/b/Copy.mkv", mib(800)),
        film(9, "/data/movies/c/Twice.mkv", mib(900))
            .version("/data/movies/d/Twice.mkv")
            .size(mib(900)),
        // A twin whose size Plex does not know.
        film(10, "/data/movies/e/Twin.mkv", mib(600)),
        film(11, "/data/movies/f/Twin.mkv", 0),
    ])
    .and_listed();
    for (path, size, expected) in [
        ("/mnt/x/VIDEO_TS/VTS_01_1.VOB", mib(1023), low(Reason::SameName, "1")),
        // Small files need the name of the folder, too.
        ("/mnt/Heat/movie.mkv", mib(2), high("3")),
        ("/mnt/x/movie.mkv", mib(2), low(Reason::SameName, "3")),
        ("/mnt/Hits/01.mp3", mib(5), high("5")),
        ("/mnt/New/01.mp3", mib(5), low(Reason::SameName, "5")),
        ("/mnt/Hits/01.mp3", mib(6) + 4_321, low(Reason::SameName, "6")),
        ("/mnt/Hits/01.mp3", mib(7), low(Reason::SizeDiffers, "5")),
        (
            "/mnt/x/Copy.mkv",
            mib(800),
            (Confidence::Low, Reason::SeveralItems, None),
        ),
        ("/mnt/x/Twice.mkv", mib(900), high("9")),
        ("/mnt/x/Twin.mkv", mib(600), low(Reason::SameName, "10")),
        // Renamed: the only file of this size.
        ("/mnt/x/Other.mkv", mib(600), low(Reason::SameSize, "10")),
        (
            "/mnt/x/Other.mkv",
            mib(3) + 777_777,
            (Confidence::None, Reason::NoLocation, None),
        ),
    ] {
        assert_eq!(ask(&index, path, size), expected, "{path}, {size}");
    }
}

#[test]
fn a_listed_path_of_another_size_was_replaced() {
    let (_at, index, _) = films([film(7, FILM, mib(700))]).and_listed();
    let found = |size| {
        let (confidence, reason, key) = ask(&index, FILM, size);
        (confidence, reason, key.as_deref() == Some("7"))
    };
    assert_eq!(found(mib(700)), (Confidence::High, Reason::None, true));
    assert_eq!(found(mib(9)), (Confidence::High, Reason::SizeDiffers, true));
    index.movies().record("/mnt/elsewhere.mkv", "7");
    assert_eq!(
        ask(&index, "/mnt/elsewhere.mkv", mib(9)).1,
        Reason::None,
        "of another path, nothing is known"
    );
}

#[test]
fn a_path_in_another_spelling_may_be_another_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().to_str().expect("UTF-8").to_owned();
    let rule = Mapping::host_to_server(&root, "/data/movies");
    let (_at, index, _) = films([film(7, FILM, mib(700))])
        .with(move |options| options.mappings = vec![rule.clone()])
        .and_listed();
    let sure = (Confidence::High, Reason::None, Some("7".to_owned()));
    let respelled = FILM.to_lowercase();
    assert_eq!(ask(&index, &respelled, mib(700)), sure);
    assert_eq!(ask(&index, &respelled, mib(9)), low(Reason::SizeDiffers, "7"));
    // The library reads the size of such a file, and of no file that is listed in this spelling.
    let (same, other) = (
        FILM.replace("/data/movies", &root),
        respelled.replace("/data/movies", &root),
    );
    for path in [&same, &other] {
        write(Path::new(path), mib(9));
    }
    let answer = |path: &str| {
        let found = index.query().answer(path);
        (found.confidence, found.reason, found.key())
    };
    assert_eq!(answer(&same), sure);
    assert_eq!(answer(&other), low(Reason::SizeDiffers, "7"));
    fs::remove_file(&other).expect("removed");
    assert_eq!(answer(&other), sure, "no such file here");
}

#[test]
fn a_path_in_a_library_s_folder_is_asked_about_first() {
    let (at, index, _) = films([film(7, FILM, mib(700))]).and_listed();
    let moved = "/data/movies/new/Quiet River.mkv";
    at.server.reset();
    assert_eq!(ask(&index, moved, mib(700)), high("7"));
    assert!(
        requests(&at.server).iter().sum::<u64>() > 0,
        "the server may have listed it since"
    );
    assert_eq!(ask(&index, moved, mib(700)), high("7"), "it was asked a moment ago");
    // Without an answer, it may be a file that Plex knows better.
    let offline = index.query().size(mib(700)).offline().answer(moved);
    assert_eq!(
        (offline.confidence, offline.reason),
        (Confidence::Low, Reason::NotListed)
    );
}

#[test]
fn a_library_that_was_never_fetched_may_have_the_file() {
    let spec = |kind, title: &str, folder: &str| LibrarySpec::new(kind, 0).plain().title(title).locations([folder]);
    let server = Standin::builder()
        .library(spec(LibraryKind::Movie, "Movies", "/data/movies"))
        .library(spec(LibraryKind::Movie, "Old", "/data/old"))
        .items(1, [film(7, FILM, mib(700))])
        .serve();
    let at = Scene::of(server).with(|options| options.retry_for = Duration::ZERO);
    let index = at.open();
    let movies = index.movies();
    movies.query().refreshed(false).expect("listed");
    let path = "/mnt/Quiet River.mkv";
    let offline = index.query().size(mib(700)).offline();
    let found = offline.answer(path);
    assert_eq!((found.confidence, found.reason), (Confidence::Low, Reason::NotFetched));
    let of_one = movies.query().size(mib(700)).offline();
    assert_eq!(of_one.answer(path).confidence, Confidence::High, "asked of one library");
    assert_eq!(ask(&index, path, mib(700)), high("7"), "after the other was fetched");
}

#[test]
fn a_twin_in_another_library_counts() {
    let spec = |title: &str, folder: &str| {
        LibrarySpec::new(LibraryKind::Movie, 0)
            .plain()
            .title(title)
            .locations([folder])
    };
    let server = Standin::builder()
        .library(spec("Movies", "/data/movies"))
        .library(spec("4K", "/data/4k"))
        .items(1, [film(7, FILM, mib(700))])
        .items(2, [film(8, "/data/4k/Quiet River.mkv", mib(700))])
        .serve();
    let (_at, index, _) = Scene::of(server).and_listed();
    let movies = index.movies();
    let found = movies.query().size(mib(700)).answer("/mnt/Quiet River.mkv");
    assert_eq!((found.confidence, found.reason), (Confidence::Low, Reason::SameName));
    assert_eq!(
        ask(&index, "/mnt/Quiet River.mkv", mib(700)).1,
        Reason::SeveralLibraries
    );
}

#[test]
fn a_folder_is_certain_if_sizes_confirm_a_file_and_contradict_none() {
    let episode = |number: u32, size| {
        let path = format!("/data/tv/Some Show/Season 01/S01E0{number}.mkv");
        ItemSpec::episode("Some Show", 1, number, "Part", &path).size(size)
    };
    let server = Standin::builder()
        .library(LibrarySpec::shows(0).plain().title("Shows"))
        .items(1, (1..=3).map(|number| episode(number, mib(300) + u64::from(number))))
        .serve();
    let (_at, index, _) = Scene::of(server).and_listed();
    let root = tempfile::tempdir().expect("a folder");
    let folder = root.path().join("Some Show");
    let file = |number: u64| folder.join(format!("Season 01/S01E0{number}.mkv"));
    let answer = || {
        let found = plexindex::Index::query(&index)
            .match_folder(&folder)
            .expect("an answer");
        (
            found.answer.confidence.expect("an item"),
            found.answer.reason.expect("a reason"),
        )
    };
    assert_eq!(answer(), (Confidence::Low, Reason::SameName));
    write(&file(1), mib(300) + 1);
    assert_eq!(answer(), (Confidence::High, Reason::SameFile));
    write(&file(3), mib(300) + 3);
    assert_eq!(answer(), (Confidence::High, Reason::SameFile));
    write(&file(2), 5);
    assert_eq!(answer(), (Confidence::Low, Reason::SizeDiffers));
}

#[test]
fn a_folder_in_another_spelling_may_be_another_folder() {
    let episode = |number: u32| {
        let path = format!("/data/tv/Some Show/Season 01/S01E0{number}.mkv");
        ItemSpec::episode("Some Show", 1, number, "Part", &path).size(mib(300) + u64::from(number))
    };
    let root = tempfile::tempdir().expect("a folder");
    let host = root.path().join("tv");
    for rule in [
        Mapping::host_to_server(&host, "/data/tv"),
        Mapping::server_to_host("/data/tv", &host),
    ] {
        let server = Standin::builder()
            .library(LibrarySpec::shows(0).plain().title("Shows"))
            .items(1, (1..=3).map(episode))
            .serve();
        let (_at, index, _) = Scene::of(server)
            .with(move |options| options.mappings = vec![rule.clone()])
            .and_listed();
        let answer = |folder: &str| {
            let found = plexindex::Index::query(&index).match_folder(host.join(folder));
            let answer = found.expect("an answer").answer;
            (answer.confidence.expect("an item"), answer.reason)
        };
        let respelled = host.join("some show/Season 01/S01E02.mkv");
        let sure = (Confidence::High, None);
        assert_eq!(answer("some show"), sure, "no such folder here");
        write(&host.join("some show/Other.mkv"), mib(9));
        assert_eq!(answer("some show"), sure, "no file has another size");
        write(&respelled, mib(300) + 2);
        assert_eq!(answer("some show"), sure, "the same file");
        write(&respelled, mib(9));
        let other = (Confidence::Low, Some(Reason::SizeDiffers));
        assert_eq!(answer("some show"), other);
        let at_once = plexindex::Index::query(&index).match_folder_at_once(host.join("some show"));
        assert_eq!(
            at_once.expect("an answer").answer.status,
            plexindex::MatchStatus::NotYet
        );
        // The size of a file that is listed in this spelling says nothing of it.
        write(&host.join("Some Show/Season 01/S01E02.mkv"), mib(9));
        assert_eq!(answer("Some Show"), sure);
        fs::remove_dir_all(&host).expect("removed");
    }
}

#[test]
fn the_listing_of_the_format_before_has_no_sizes() {
    let folder = store_of(12);
    let index = Index::open(Options {
        offline: true,
        library_ttl: Ttl::Forever,
        ..store_options(folder.path())
    })
    .expect("the index opens");
    let found = index.query().size(mib(700)).answer("/mnt/later.mkv");
    assert_eq!(
        (found.status, found.confidence),
        (Status::Ok, Confidence::Low),
        "{}",
        found.message
    );
    assert!(found.stale, "it is to be listed again");
}

/// Half a CD each, with another copy beside each.
#[test]
fn files_that_gather_beside_a_file_leave_it_uncertain() {
    let half = |key: u64| 366_700_000 + key * key * 7_919 % 60_000 * 2;
    let episode = |key: u64, kind: &str| film(key, &format!("/data/movies/Half/E{key}.{kind}"), half(key));
    let copy = |key: u64| film(100 + key, &format!("/data/movies/Half/E{key}.mkv"), mib(500 + 13 * key));
    let (at, index, _) = films((1..=6).flat_map(|key| [episode(key, "avi"), copy(key)])).and_listed();
    assert_eq!(ask(&index, "/mnt/x/E3.avi", half(3)), low(Reason::SameName, "3"));
    assert_eq!(ask(&index, "/mnt/x/E3.mkv", mib(539)), high("103"));
    // Added since, so that no segment has them.
    at.server
        .alter(|state| state.add_items(1, (7..=12).map(|key| episode(key, "divx")).collect(), true));
    index.query().checked().expect("up to date");
    assert_eq!(ask(&index, "/mnt/x/E9.divx", half(9)), low(Reason::SameName, "9"));
}

/// Sizes of tracks may follow from their durations, unless three others show that they do not.
#[test]
fn a_track_alone_of_its_kind_is_not_certain() {
    let path = |key: u64| format!("/data/music/Otter/Tides/{key}.mp3");
    let track = |key: u64| {
        let mut spec = ItemSpec::track("Otter", "Tides", 1, "Tide", &path(key))
            .key(key)
            .size(mib(20 + 3 * key));
        spec.fields
            .insert("duration".to_owned(), (200_000 + 9_000 * key * key).into());
        spec
    };
    let music = LibrarySpec::music(0).plain().locations(["/data/music"]);
    let (at, index, _) = Scene::of(Standin::builder().library(music).items(1, (1..=3).map(track)).serve()).and_listed();
    assert_eq!(ask(&index, "/mnt/Tides/2.mp3", mib(26)), low(Reason::SameName, "2"));
    at.server.alter(|state| state.add_items(1, vec![track(4)], true));
    index.query().checked().expect("up to date");
    assert_eq!(ask(&index, "/mnt/Tides/2.mp3", mib(26)), high("2"));
}

/// A call adds a thousand items to an index before it looks at the clock.
#[test]
fn a_call_without_time_leaves_the_rest_of_an_index_to_the_next() {
    let path = |key| format!("/data/movies/{key}/River {key}.mkv");
    let (_at, index, _) = films((1..=1_100).map(|key| film(key, &path(key), mib(60 + 7 * key)))).and_listed();
    let at_once = || index.query().timeout(Duration::ZERO);
    // The listing itself has the sizes.
    let sized = at_once().size(mib(60 + 63)).answer("/mnt/x/River 9.mkv");
    assert_eq!((sized.confidence, sized.reason), (Confidence::High, Reason::SameFile));
    let by_title = || at_once().title("quiet river").status;
    assert_eq!(by_title(), Status::NotYet);
    assert_eq!(by_title(), Status::Ambiguous);
}
