//! A source of items of your own: here a list in memory. `cargo run --example memory_source --features unstable-source`
//!
//! The index does the rest: it lists the source once, keeps what it listed on disk, matches paths, and asks again when a
//! listing has expired or an answer was invalidated. While the source fails it answers from what it has.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use plexindex::unstable_source::{
    Abilities, Bounds, Item, ItemType, Library, LibraryKind, LocatedItem, Notification, PageEnd, PageRequest, Server,
    Source, SourceKind, SourceState, Status, TokenReliability,
};
use plexindex::{Error, ErrorKind, Index, Options, Result};

/// A list that may be out of reach.
struct Films {
    /// In the order of the listing.
    list: Vec<Item>,
    is_lost: AtomicBool,
}

impl Films {
    /// The list, or an error whose status says what it means: with [`Status::Connect`] the index asks again later.
    fn list(&self) -> Result<&[Item]> {
        if self.is_lost.load(Ordering::Relaxed) {
            return Err(Error::new(Status::Connect, "the list of films is lost: find it"));
        }
        Ok(&self.list)
    }
}

const KIND: SourceKind = SourceKind {
    name: "a list of films",
    noun: "the list of films",
    empty_hint: "look whether the list has any",
    key_prefix: "/films/",
    is_rating_key: |key| !key.contains(['/', ',']),
    // No one sends events: an empty notification names no change.
    parse_notification: |_| {
        Ok(Notification {
            server: None,
            events: Vec::new(),
        })
    },
    enabling_option_advice: None,
};

impl Source for Films {
    fn kind(&self) -> &'static SourceKind {
        &KIND
    }

    /// The least that a source can do: the index lists all of a library whenever it has to know.
    fn abilities(&self) -> Abilities {
        Abilities::default()
    }

    fn server(&self, _: Bounds<'_>) -> Result<Server> {
        Ok(Server {
            machine_identifier: "films-in-memory".into(),
            version: "1".into(),
        })
    }

    fn libraries(&self, _: Bounds<'_>) -> Result<Vec<Library>> {
        self.list()?;
        Ok(vec![Library {
            section: "1".into(),
            uuid: "films".into(),
            title: "Films".into(),
            kind: LibraryKind::Movie,
            locations: vec!["/films".into()],
            // The list never changes, and an equal version proves it.
            change: SourceState {
                token: "1".into(),
                trust: TokenReliability::Exact,
                ..SourceState::default()
            },
        }])
    }

    fn page(&self, request: &PageRequest<'_>, _: Bounds<'_>, items: &mut Vec<Item>) -> Result<PageEnd> {
        let begin = usize::try_from(request.position).unwrap_or(usize::MAX);
        let list = self.list()?;
        let rest = list.get(begin..).unwrap_or_default();
        let page = &rest[..rest.len().min(request.size as usize)];
        items.extend_from_slice(page);
        Ok(PageEnd {
            rows: page.len() as u64,
            total: Some(list.len() as u64),
            next: (page.len() < rest.len()).then_some(request.position + page.len() as u64),
            has_shifted: false,
        })
    }

    fn items(&self, rating_keys: &[&str], _: Bounds<'_>) -> Result<Vec<LocatedItem>> {
        let is_wanted = |item: &&Item| rating_keys.contains(&item.rating_key.as_str());
        let located = |item: &Item| LocatedItem {
            item: item.clone(),
            section: "1".into(),
        };
        Ok(self.list()?.iter().filter(is_wanted).map(located).collect())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let film = |key: &str, title: &str, path: &str| Item {
        kind: ItemType::Movie,
        rating_key: key.into(),
        title: title.into(),
        parts: vec![path.into()],
        ..Item::default()
    };
    let films = Arc::new(Films {
        list: vec![
            film("7", "Metropolis", "/films/Metropolis (1927)/Metropolis.mkv"),
            film("8", "Sunrise", "/films/Sunrise (1927)/Sunrise.mkv"),
        ],
        is_lost: AtomicBool::new(false),
    });
    let folder = std::env::temp_dir().join(format!("plexindex-films-{}", std::process::id()));
    let index = Index::open_with_source(Options::new(&folder), "films", Arc::clone(&films) as _)?;
    let found = index.match_path("/films/Sunrise (1927)/Sunrise.mkv")?;
    let key = found.sure().map(|item| item.key.as_str());
    println!("{}", key.unwrap_or("not found"));
    assert_eq!(key, Some("/films/8"));

    // The name is that of the items in the folder.
    let unnamed = Index::open_with_source(Options::new(&folder), "", Arc::clone(&films) as _);
    assert_eq!(
        unnamed.err().map(|error| error.kind()),
        Some(ErrorKind::InvalidArgument)
    );

    films.is_lost.store(true, Ordering::Relaxed);
    let failed = index.query().check().map_err(|error| error.kind());
    assert_eq!(failed.err(), Some(ErrorKind::Connect));
    assert!(index.match_path("/films/Sunrise (1927)/Sunrise.mkv")?.sure().is_some());
    index.close()?;
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
