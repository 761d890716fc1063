//! Indexes over a hostile source, for tests.

use std::sync::Arc;

use plexindex::Index;
use plexindex::error::Result;
use plexindex::inside::SystemClock;
use plexindex::model::{self, Item, Server};
use plexindex::options;
use plexindex::source::{
    Abilities, Bounds, Delta, LocatedItem, PageEnd, PageRequest, Resume, Source, SourceKind, plex,
};

/// A source with an item whose key contains a NUL, between two valid ones.
struct Hostile;

impl Source for Hostile {
    fn kind(&self) -> &'static SourceKind {
        &plex::KIND
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            resume: Resume::Never,
            changes: Delta::None,
            find: false,
            folders: false,
            items: false,
            events: false,
            edits: false,
            local: false,
        }
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
            kind: model::LibraryKind::Movie,
            ..model::Library::default()
        }])
    }

    fn page(&self, _: &PageRequest<'_>, _: Bounds<'_>, items: &mut Vec<Item>) -> Result<PageEnd> {
        for (rating_key, part) in [("1", "/a"), ("2\0/library/metadata/3", "/b"), ("4", "/c")] {
            items.push(Item {
                rating_key: rating_key.into(),
                parts: vec![part.into()],
                ..Item::default()
            });
        }
        Ok(PageEnd {
            rows: 3,
            total: Some(3),
            ..PageEnd::default()
        })
    }

    fn items(&self, _: &[&str], _: Bounds<'_>) -> Result<Vec<LocatedItem>> {
        Ok(Vec::new())
    }
}

/// An index of that source.
pub fn hostile(folder: &std::path::Path) -> Index {
    mapped(folder, Vec::new())
}

/// [`hostile`] with mappings.
pub fn mapped(folder: &std::path::Path, mappings: Vec<options::Mapping>) -> Index {
    let options = options::Options {
        cache_dir: folder.to_owned(),
        server_url: Some("http://127.0.0.1:9".into()),
        mappings,
        ..options::Options::default()
    };
    Index::open_with(options, Arc::new(SystemClock), |_, _, _| Ok(Arc::new(Hostile) as _)).expect("opens")
}
