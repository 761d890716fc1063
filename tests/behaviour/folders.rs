//! Which show, season, artist, album or film a folder is, over a stand-in server: as hosts ask, with what it costs.

use crate::api::{Anything, Scene};
use std::path::Path;
use std::time::Duration;

use plexindex::{
    Confidence, ErrorKind, Folder, FolderKind, ItemType, MatchKind, MatchStatus, Reason, Refreshed, Selector, Ttl,
};
use plexindex_standin::{Action, Fault, ItemSpec, Kind, LibrarySpec, Standin};

fn episode(show: &str, season: u32, number: u32) -> ItemSpec {
    let path = format!("/data/tv/{show}/Season {season:02}/{show} - S{season:02}E{number:02}.mkv");
    ItemSpec::episode(show, season, number, &format!("Part {number}"), &path)
}

fn film(title: &str, year: i32) -> ItemSpec {
    let name = format!("{title} ({year})");
    ItemSpec::file(title, &format!("/data/films/{name}/{name}.mkv")).year(year)
}

/// Shows, films, an artist, and a library without anything.
fn server() -> Standin {
    let none = |spec: LibrarySpec, title: &str, folder: &str| spec.plain().title(title).locations([folder]);
    let mut shows: Vec<ItemSpec> = (1..4).map(|number| episode("Alpha", 1, number)).collect();
    shows.extend((1..3).map(|number| episode("Alpha", 2, number)));
    shows.push(episode("Beta", 1, 1));
    let track = |album: &str, number: u32| {
        let path = format!("/data/music/Gamma/{album}/0{number}.flac");
        ItemSpec::track("Gamma", album, number, &format!("Song {number}"), &path)
    };
    Standin::builder()
        .library(none(LibrarySpec::shows(0), "Shows", "/data/tv"))
        .library(none(LibrarySpec::movies(0), "Films", "/data/films"))
        .library(none(LibrarySpec::music(0), "Music", "/data/music"))
        .library(none(LibrarySpec::movies(0), "Nothing", "/data/nothing"))
        .items(1, shows)
        .items(
            2,
            [
                film("Delta", 1999).version("/data/films/Delta (1999)/Delta (1999) - 4K.mkv"),
                film("Epsilon", 2001),
            ],
        )
        .items(3, [track("First", 1), track("First", 2), track("Second", 1)])
        .serve()
}

/// The rating key of the season or album of the item with this file, as the server has it.
fn key_above(server: &Standin, path: &str) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let found = |section: u32| {
        let mut paths = server.paths(section).into_iter();
        let at = paths.find(|(_, file)| file.as_deref() == Some(path))?;
        let state = server.read();
        let parent = state.library(section)?.get(at.0)?.parent.clone()?;
        Some(parent.key.to_string())
    };
    Ok((1..4).find_map(found).ok_or("the server has no such file")?)
}

fn told(found: &Folder) -> (MatchStatus, Option<MatchKind>, Option<Confidence>, Option<Reason>) {
    let answer = &found.answer;
    (answer.status, answer.match_kind, answer.confidence, answer.reason)
}

const EXACT: (MatchStatus, Option<MatchKind>, Option<Confidence>, Option<Reason>) =
    (MatchStatus::Found, Some(MatchKind::Exact), Some(Confidence::High), None);

#[test]
fn a_folder_is_the_deepest_that_all_below_it_share() -> Anything {
    let at = Scene::of(server());
    let index = at.open();
    let show = index.match_folder("/data/tv/Alpha")?;
    assert_eq!(told(&show), EXACT);
    assert_eq!((show.kind, show.items, show.files), (Some(ItemType::Show), 5, 5));
    let item = show.answer.sure().ok_or("a show")?;
    assert_eq!(item.kind, ItemType::Show);
    assert_eq!(item.title.as_deref(), Some("Alpha"));
    assert_eq!(item.season, None);
    assert_eq!(item.path.as_deref(), Some(Path::new("/data/tv/Alpha")));
    assert_eq!(item.library_title.as_deref(), Some("Shows"));
    assert_eq!(item.to_string(), "Alpha");
    // The same show as its episodes tell.
    let file = index.match_path("/data/tv/Alpha/Season 01/Alpha - S01E01.mkv")?;
    let file = file.sure().ok_or("an episode")?;
    assert_eq!(Some(&item.rating_key), file.show_rating_key.as_ref());
    assert_eq!(item.guid, file.show_guid);

    let season = index.match_folder("/data/tv/ALPHA/season 02/")?;
    assert_eq!(told(&season), EXACT);
    assert_eq!((season.kind, season.items), (Some(ItemType::Season), 2));
    let of = season.answer.sure().ok_or("a season")?;
    let key = key_above(&at.server, "/data/tv/Alpha/Season 02/Alpha - S02E01.mkv")?;
    assert_eq!((&of.rating_key, &of.key), (&key, &format!("/library/metadata/{key}")));
    assert_eq!((of.season, of.kind), (Some(2), ItemType::Season));
    assert_eq!(of.title.as_deref(), Some("Season 2"));
    assert_eq!(of.show_title.as_deref(), Some("Alpha"));
    assert_eq!(of.show_rating_key.as_ref(), Some(&item.rating_key));
    assert_eq!(&of.show_guid, &item.guid);
    assert_eq!(of.guid.as_ref(), Some(&format!("local://{key}")));
    assert_eq!(of.path.as_deref(), Some(Path::new("/data/tv/Alpha/Season 02")));
    assert_eq!(of.to_string(), "Alpha – Season 2");

    let artist = index.match_folder("/data/music/Gamma")?;
    assert_eq!((artist.kind, artist.items), (Some(ItemType::Artist), 3));
    assert_eq!(
        artist.answer.sure().and_then(|item| item.title.as_deref()),
        Some("Gamma")
    );
    let album = index.match_folder("/data/music/Gamma/First")?;
    assert_eq!((album.kind, album.items), (Some(ItemType::Album), 2));
    let of = album.answer.sure().ok_or("an album")?;
    assert_eq!(of.rating_key, key_above(&at.server, "/data/music/Gamma/First/01.flac")?);
    assert_eq!(of.title.as_deref(), Some("First"));
    assert_eq!(of.show_title.as_deref(), Some("Gamma"));
    assert_eq!(of.season, None, "a disc is none of the album's");
    assert_eq!(of.to_string(), "Gamma – First");

    // A film of two files is one item.
    let delta = index.match_folder("/data/films/Delta (1999)")?;
    assert_eq!(told(&delta), EXACT);
    assert_eq!((delta.kind, delta.items, delta.files), (Some(ItemType::Movie), 1, 2));
    assert_eq!(
        delta.answer.sure().and_then(|item| item.title.as_deref()),
        Some("Delta")
    );

    // All of that is in the index by now.
    let before = at.requests();
    assert!(index.match_folder("/data/tv/Alpha")?.answer.age.is_some());
    assert_eq!(at.requests(), before);
    Ok(())
}

#[test]
fn a_kind_selects_the_item_of_a_folder() -> Anything {
    let at = Scene::of(server());
    let index = at.open();
    let _ = index.refresh()?;
    let asked = |folder: &str, kind| index.query().folder_kind(kind).match_folder(folder);
    let title = |folder: &str, kind| -> Result<Option<String>, Box<dyn std::error::Error + Send + Sync>> {
        let found = asked(folder, kind)?;
        Ok(found.answer.sure().map(|item| format!("{} {item}", item.kind)))
    };
    for (folder, kind, expected) in [
        ("/data/tv/Alpha", FolderKind::Show, "show Alpha"),
        ("/data/tv/Alpha/Season 02", FolderKind::Show, "show Alpha"),
        (
            "/data/tv/Alpha/Season 02",
            FolderKind::Season,
            "season Alpha – Season 2",
        ),
        ("/data/tv/Beta", FolderKind::Season, "season Beta – Season 1"),
        ("/data/music/Gamma/Second", FolderKind::Artist, "artist Gamma"),
        ("/data/music/Gamma/Second", FolderKind::Album, "album Gamma – Second"),
        ("/data/films/Delta (1999)", FolderKind::Movie, "movie Delta (1999)"),
        // The kind leaves out the items of other libraries.
        ("/data/music", FolderKind::Artist, "artist Gamma"),
        ("/data", FolderKind::Artist, "artist Gamma"),
    ] {
        assert_eq!(title(folder, kind)?.as_deref(), Some(expected), "{folder}");
    }
    let seasons = asked("/data/tv/Alpha", FolderKind::Season)?.answer;
    assert_eq!((seasons.status, seasons.total), (MatchStatus::Ambiguous, 2));
    let keys: Vec<Option<u32>> = seasons.candidates.iter().map(|season| season.season).collect();
    assert_eq!(keys, [Some(1), Some(2)]);
    for (folder, kind, reason, text) in [
        (
            "/data/films/Delta (1999)",
            FolderKind::Show,
            Reason::NoLocation,
            "no library lists any show below",
        ),
        (
            "/data/films/Delta (1999)",
            FolderKind::Show,
            Reason::NoLocation,
            "the library folders are '/data/tv':",
        ),
        (
            "/data/tv/Zeta",
            FolderKind::Show,
            Reason::NotListed,
            "Plex lists no show below it (yet)",
        ),
    ] {
        let missed = asked(folder, kind)?.answer;
        assert_eq!(
            (missed.status, missed.reason),
            (MatchStatus::NotFound, Some(reason)),
            "{folder}"
        );
        let message = missed.message.unwrap_or_default();
        assert!(message.contains(text), "{message}");
    }
    Ok(())
}

/// Such rows come from proxies and other imitations of Plex.
#[test]
fn episodes_without_keys_of_parents_are_counted_as_episodes() -> Anything {
    let at = Scene::of(server());
    let row = |number: u32| {
        format!(
            r#"{{"ratingKey":"{number}","type":"episode","grandparentTitle":"Alpha","parentIndex":1,
            "index":{number},"Media":[{{"Part":[{{"file":"/data/tv/Alpha/{number}.mkv"}}]}}]}}"#
        )
    };
    let (one, two) = (row(1), row(2));
    let body = format!(r#"{{"MediaContainer":{{"totalSize":2,"Metadata":[{one},{two}]}}}}"#);
    at.server
        .fault(Fault::new(Action::body("application/json", body)).on(Kind::Listing));
    let shows = at.open().library("Shows")?;
    assert_eq!(shows.refresh()?, Refreshed::Done);
    let answer = shows.match_folder("/data/tv/Alpha")?.answer;
    assert_eq!(answer.reason, Some(Reason::SeveralItems));
    let message = answer.message.unwrap_or_default();
    assert!(message.contains("2 episodes"), "{message}");
    Ok(())
}

/// The index is empty at first: the folder may be in any library.
#[test]
fn an_answer_has_a_reason_and_a_message() -> Anything {
    let at = Scene::of(server());
    let index = at.open();
    for (folder, reason) in [
        ("/mnt/nas/Alpha/Season 02", Reason::OnlyRootDiffers),
        // Any folder can have such a name.
        ("/mnt/nas/Alpha", Reason::SameName),
        ("/mnt/music/Gamma", Reason::SameName),
        ("/mnt/nas/Epsilon (2001)", Reason::SameName),
        ("/data", Reason::AboveLocations),
        ("/data/tv", Reason::SeveralItems),
        ("/data/nothing", Reason::Empty),
        ("/data/films/Alpha", Reason::NotListed),
        ("/data/tv/Zeta", Reason::NotListed),
        ("/mnt/nas/#recycle/Alpha", Reason::SameName),
    ] {
        let answer = index.match_folder(folder)?.answer;
        assert_eq!(answer.reason, Some(reason), "{folder}");
        assert!(answer.message.is_some(), "{folder}");
        assert_ne!(answer.confidence, Some(Confidence::High), "{folder}");
        let has_items = index.library(Selector::All)?.items_below(folder).next().is_some();
        assert_eq!(has_items, answer.match_kind == Some(MatchKind::Exact), "{folder}");
    }
    Ok(())
}

/// One that a listing has, and one that came alone.
#[test]
fn invalidated_items_are_verified_before_their_folder_is_answered() -> Anything {
    let at = Scene::of(server());
    let index = at.open_with(|options| options.library_ttl = Ttl::Forever);
    assert_eq!(index.match_folder("/data/tv/Beta")?.items, 1);
    at.server
        .change(|state| state.add_items(1, vec![episode("Beta", 2, 1)], true))?;
    for (path, left) in [
        ("/data/tv/Beta/Season 02/Beta - S02E01.mkv", 1),
        ("/data/tv/Beta/Season 01/Beta - S01E01.mkv", 0),
    ] {
        let found = index.match_path(path)?.into_sure().ok_or("an item")?;
        assert_eq!(index.match_folder("/data/tv/Beta")?.items, left + 1);
        at.server
            .change(|state| state.remove_items(&[found.rating_key.parse().unwrap_or(0)], true))?;
        index.library("Shows")?.invalidate_item(&found.key)?;
        assert_eq!(index.match_folder("/data/tv/Beta")?.items, left);
    }
    Ok(())
}

#[test]
fn without_a_server_the_index_answers() -> Anything {
    let at = Scene::of(server());
    let index = at.open();
    // The libraries are known, but none has a listing.
    index.query().server()?;
    let cold = [
        index.query().offline().match_folder("/data/tv/Alpha").err(),
        index.query().offline().match_guid("imdb://tt1254207").err(),
        index.query().offline().match_path("/data/tv/Alpha/x.mkv").err(),
    ];
    for failed in cold {
        assert_eq!(failed.map(|error| error.kind()), Some(ErrorKind::NotFetched));
    }
    // No server can be asked what is below a folder, so its library is listed, also for a call with a timeout.
    let hurried = index.query().timeout(Duration::from_secs(60));
    let found = hurried.match_folder("/data/tv/Alpha")?;
    assert_eq!((found.answer.status, found.items), (MatchStatus::Found, 5));
    at.server.refuse();
    assert_eq!(at.open().query().offline().match_folder("/data/tv/Alpha")?.items, 5);
    let expired = at.open_with(|options| {
        options.library_ttl = Ttl::Zero;
        options.retry_for = Duration::ZERO;
    });
    let old = expired.match_folder("/data/tv/Alpha")?;
    assert_eq!(old.items, 5);
    assert_eq!(old.answer.status, MatchStatus::Found);
    assert!(old.answer.stale);
    Ok(())
}

#[test]
fn a_file_that_is_asked_as_a_folder_is_said_to_be_one() -> Anything {
    let at = Scene::of(server());
    let index = at.open();
    let _ = index.refresh()?;
    let before = at.requests();
    let found = index.match_folder("/data/films/Epsilon (2001)/Epsilon (2001).mkv")?;
    let missed = (MatchStatus::NotFound, None, None, Some(Reason::NotListed));
    assert_eq!(told(&found), missed);
    let message = found.answer.message.unwrap_or_default();
    assert!(message.contains("is a file, not a folder"), "{message}");
    assert_eq!(at.requests(), before);
    Ok(())
}
