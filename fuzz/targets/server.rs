//! A server that is none: it lists a small library, or nothing at all.

use std::sync::Arc;

use super::index::{Index, ManualClock};
use plexindex::error::{Error, Result, Status};
use plexindex::model::{self, Item, ItemType, LibraryKind, Server};
use plexindex::options::Options;
use plexindex::source::{
    Abilities, Bounds, Delta, LocatedItem, PageEnd, PageRequest, Resume, Source, SourceKind, plex,
};

use super::ladder::against::movie;

pub const NOW_MS: i64 = 1_900_000_000_000;
pub const URL: &str = "http://127.0.0.1:9";
pub const TOKEN: &str = "a-token-of-no-server";

/// Both can list and verify, and nothing else.
const ABILITIES: Abilities = Abilities {
    resume: Resume::ByRow,
    changes: Delta::None,
    find: false,
    folders: false,
    items: true,
    events: false,
    edits: false,
    local: false,
};

struct Small;

pub fn items() -> Vec<Item> {
    let mut items: Vec<Item> = (0..12)
        .map(|n| {
            movie(
                &(100 + n).to_string(),
                &[&format!("/mnt/films/Film {n} (1999)/Film {n}.mkv")],
            )
        })
        .collect();
    items.push(movie(
        "200",
        &["/mnt/films/Twins A/twin.mkv", "/mnt/films/Caf\u{e9}/4K.mkv"],
    ));
    items.push(movie("201", &["/mnt/films/Twins B/twin.mkv"]));
    items.push(Item {
        kind: ItemType::Episode,
        show_title: "A Show".into(),
        show_rating_key: "300".into(),
        show_guid: "plex://show/5d9c086fe9d5a1001f4d9fe6".into(),
        season_title: "Season 1".into(),
        season_rating_key: "200".into(),
        season_guid: "plex://season/602e6812fdd281002cdf67a2".into(),
        season: 1,
        episode: 2,
        guids: vec!["imdb://tt0000301".into()],
        ..movie("301", &["/mnt/films/A Show/S01E02.mkv"])
    });
    items
}

impl Source for Small {
    fn kind(&self) -> &'static SourceKind {
        &plex::KIND
    }

    fn abilities(&self) -> Abilities {
        ABILITIES
    }

    fn server(&self, _: Bounds<'_>) -> Result<Server> {
        Ok(Server {
            machine_identifier: "m".into(),
            version: "1".into(),
        })
    }

    fn libraries(&self, _: Bounds<'_>) -> Result<Vec<model::Library>> {
        Ok(vec![model::Library {
            section: "1".into(),
            uuid: "u".into(),
            title: "Movies".into(),
            kind: LibraryKind::Movie,
            locations: vec!["/mnt/films".into()],
            ..model::Library::default()
        }])
    }

    fn page(&self, request: &PageRequest<'_>, _: Bounds<'_>, items: &mut Vec<Item>) -> Result<PageEnd> {
        let all = self::items();
        let total = all.len() as u64;
        let from = request.position.min(total);
        let to = (from + u64::from(request.size)).min(total);
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        items.extend(all[place(from)..place(to)].iter().cloned());
        Ok(PageEnd {
            rows: to - from,
            total: Some(total),
            next: (to < total).then_some(to),
            has_shifted: false,
        })
    }

    fn items(&self, keys: &[&str], _: Bounds<'_>) -> Result<Vec<LocatedItem>> {
        Ok(items()
            .into_iter()
            .filter(|item| keys.contains(&item.rating_key.as_str()))
            .map(|item| LocatedItem {
                item,
                section: String::new(),
            })
            .collect())
    }
}

/// A server that cannot be reached.
struct Away;

impl Source for Away {
    fn kind(&self) -> &'static SourceKind {
        &plex::KIND
    }

    fn abilities(&self) -> Abilities {
        ABILITIES
    }

    fn server(&self, _: Bounds<'_>) -> Result<Server> {
        Err(away())
    }

    fn libraries(&self, _: Bounds<'_>) -> Result<Vec<model::Library>> {
        Err(away())
    }

    fn page(&self, _: &PageRequest<'_>, _: Bounds<'_>, _: &mut Vec<Item>) -> Result<PageEnd> {
        Err(away())
    }

    fn items(&self, _: &[&str], _: Bounds<'_>) -> Result<Vec<LocatedItem>> {
        Err(away())
    }
}

fn away() -> Error {
    Error::new(Status::Connect, "this server is away")
}

/// Options for this server.
pub fn options(folder: &std::path::Path) -> Options {
    Options {
        cache_dir: folder.to_owned(),
        server_url: Some(URL.to_owned()),
        token: model::Token::new(TOKEN),
        ..Options::default()
    }
}

/// An index of the server, which is there or not.
pub fn open(folder: &std::path::Path, is_there: bool, clock: &Arc<ManualClock>) -> Result<Index> {
    Index::open_with(options(folder), Arc::clone(clock) as _, |_, _, _| {
        Ok(if is_there {
            Arc::new(Small) as Arc<dyn Source>
        } else {
            Arc::new(Away)
        })
    })
}

/// A store that has listed the library, and holds some recorded matches and a table.
pub fn fill(folder: &std::path::Path) {
    let index = open(folder, true, &Arc::new(ManualClock::new(NOW_MS))).expect("a store");
    let library = index.library("Movies").expect("a handle");
    index.refresh(&library.query(), true).expect("listed");
    let pairs: [(&[u8], &str); 3] = [
        (b"/host/a.mkv", "101"),
        (b"/host/\xff.mkv", "102"),
        (b"/host/none.mkv", "999"),
    ];
    library.record_matches(&pairs).expect("recorded");
    library
        .invalidate_path(b"/mnt/films/Film 3 (1999)/Film 3.mkv")
        .expect("invalidated");
    library
        .match_path(b"/mnt/films/Film 4 (1999)/Film 4.mkv")
        .expect("answered");
    let table = index.tables().table(b"kept", false).expect("a table");
    let keep = plexindex::tables::TableLimits {
        ttl: plexindex::options::Ttl::Forever,
        limit: None,
    };
    for n in 0..8 {
        table
            .put(format!("name {n}").as_bytes(), &[b'v'; 40], &keep)
            .expect("stored");
    }
    drop(library);
    index.close().expect("closed");
}
