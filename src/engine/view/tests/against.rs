//! Compares resolution with a naive model: builds both from the same libraries, and queries both. The fuzz targets in
//! `fuzz/` use this file too.

use std::path::Path;
use std::sync::Arc;

use super::naive::{self, Naive, Rule};
use super::parts::{
    FileTickets, LibraryProperties, LibrarySnapshot, ListingBuilder, ListingMeta, ListingSegment, MapMode, MatchTable,
    MemtableChange, RecordTime, StoreMemories, StoredMatch,
};

use crate::matching::{HitDoubt, MAX_CANDIDATES, Mappings, Resolver, Scope};
use crate::model::{Confidence, Item, ItemType, LibraryKind, Sequence, TableId};
use crate::options::{Mapping, MappingKind};

pub const ROOTS: [&str; 14] = [
    "/mnt/./media//",
    r"C:\\",
    "/mnt",
    "/mnt/media",
    "/data",
    "/data/media",
    "/",
    "",
    r"C:\",
    "c:/",
    r"\\srv\share\",
    r"\\?\C:\",
    r"\\?\UNC\srv\share\",
    "//srv/share",
];
pub const FOLDERS: [&str; 11] = [
    ".",
    "x.",
    "Films",
    "films",
    "Caf\u{e9}",
    "cafe\u{301}",
    "CD1",
    "x",
    r"a\b",
    "İ",
    "i\u{307}",
];
pub const NAMES: [&str; 10] = [
    "film.mkv/",
    "01.mkv",
    "01.MKV",
    "Film.mkv",
    "film.mkv",
    "\u{e9}.mkv",
    "e\u{301}.mkv",
    r"AC\DC.mkv",
    "DC.mkv",
    "other.mkv",
];

/// A movie with these files.
pub fn movie(rating_key: &str, parts: &[&str]) -> Item {
    Item {
        rating_key: rating_key.into(),
        kind: ItemType::Movie,
        title: format!("Title {rating_key}"),
        year: 1999,
        season: -1,
        episode: -1,
        guid: "plex://movie/5d776825880197001ec90a2f".into(),
        parts: parts.iter().map(|path| (*path).into()).collect(),
        ..Item::default()
    }
}

/// The bytes of a listing's segment.
pub fn listing(items: &[Item], mappings: &Mappings) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("segment");
    write_listing(items, mappings, &path);
    std::fs::read(path).expect("a segment")
}

/// A listing's segment.
fn listing_segment(items: &[Item], mappings: &Mappings) -> ListingSegment {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("segment");
    write_listing(items, mappings, &path);
    ListingSegment::open(&path, MapMode::Read, 0).expect("a segment opens")
}

/// Writes the file of a listing's segment, of generation 1.
pub fn write_listing(items: &[Item], mappings: &Mappings, path: &Path) {
    let meta = ListingMeta {
        library: "uuid".into(),
        mappings: mappings.clone(),
        assigned: 0,
    };
    let mut builder = ListingBuilder::new(meta, path);
    for item in items {
        builder.push_item(item, Sequence::default(), &FileTickets::default());
    }
    builder.finish(path, 0).expect("a segment is made");
}

/// Confirmed matches: paths, rating keys, and the change sequences at which they were recorded.
pub fn matches(recorded: &[(&[u8], &str, u64)]) -> MatchTable {
    let stored = recorded.iter().map(|(path, key, at)| StoredMatch {
        sequence: Sequence(*at),
        path: path.to_vec(),
        rating_key: (*key).to_owned(),
        at: RecordTime::NEVER,
    });
    let memory = StoreMemories::default().matches.memory(TableId(3));
    let matches = MatchTable::new(TableId(3), memory);
    matches.load_all(stored.collect(), Sequence(9));
    matches
}

/// The content of a library.
#[derive(Clone, Debug)]
pub struct Setup {
    pub locations: Vec<String>,
    pub fetched: bool,
    pub items: Vec<Item>,
    pub recorded: Vec<(Vec<u8>, String, u64)>,
    pub changes: Vec<MemtableChange>,
}

/// A rule that maps the server's `/mnt` to the host's `/host`.
pub fn host_rule() -> Mappings {
    Mappings::new(&[Mapping::server_to_host("/mnt", "/host")]).expect("rules compile")
}

/// The rules, for the resolution.
pub fn compiled(rules: &[Rule]) -> Mappings {
    let mappings: Vec<Mapping> = rules
        .iter()
        .map(|rule| {
            let kind = if rule.to_server {
                MappingKind::HostToServer
            } else {
                MappingKind::ServerToHost
            };
            // Exact bytes, as the naive rules compare them.
            Mapping::pattern(kind, format!("^{}/", rule.from), format!("{}/", rule.to))
        })
        .collect();
    Mappings::new(&mappings).expect("rules compile")
}

/// The library as a view, and as a naive model.
pub fn build(setup: &Setup, mappings: &Mappings) -> (LibrarySnapshot, Naive) {
    let mut naive = Naive {
        locations: setup.locations.clone(),
        fetched: setup.fetched,
        items: setup
            .items
            .iter()
            .map(|item| (item.clone(), (Sequence(1).into(), 0)))
            .collect(),
        matches: setup
            .recorded
            .iter()
            .map(|(path, key, at)| (path.clone(), key.clone(), (*at, 0)))
            .collect(),
        ..Naive::default()
    };
    let segment = setup.fetched.then(|| Arc::new(listing_segment(&setup.items, mappings)));
    let recorded: Vec<(&[u8], &str, u64)> = setup
        .recorded
        .iter()
        .map(|(path, key, at)| (path.as_slice(), key.as_str(), *at))
        .collect();
    let recorded = (!recorded.is_empty()).then(|| matches(&recorded));
    let properties = LibraryProperties {
        uuid: "uuid".into(),
        kind: LibraryKind::Movie,
        locations: setup.locations.clone(),
        listed_at: 1,
        listing_asked: 1,
        fetched: setup.fetched,
        evicted_at: 0,
    };
    let view = LibrarySnapshot::new(properties, mappings, segment, recorded);
    for change in &setup.changes {
        view.memtable.push(change.clone(), mappings).expect("there is room");
        naive.apply(change);
    }
    (view, naive)
}

/// Resolves a path in both, and compares all results.
pub fn compare(
    views: &[LibrarySnapshot],
    naive: &[Naive],
    one: Option<usize>,
    rules: &[Rule],
    mappings: &Mappings,
    path: &[u8],
) {
    let views: Vec<&LibrarySnapshot> = views.iter().collect();
    let scope = one.map_or(Scope::All, Scope::One);
    let got = Resolver::new(&views, scope, mappings).resolve(path);
    let wanted = naive::resolve(naive, one, rules, path);
    let keys: Vec<_> = got
        .found()
        .iter()
        .map(|found| (found.library, found.item.rating_key))
        .collect();
    // Built only after a mismatch: it takes longer than the answers.
    let context = || {
        format!(
            "{:?}: {:?} {} {keys:?}, wanted {wanted:?}",
            String::from_utf8_lossy(path),
            got.match_kind,
            got.total
        )
    };
    assert!(!got.is_broken, "{}", context());
    assert_eq!(
        (got.match_kind, got.confidence),
        (wanted.match_kind, wanted.confidence),
        "{}",
        context()
    );
    assert_eq!(
        got.found().len(),
        wanted.found.len().min(MAX_CANDIDATES),
        "{}",
        context()
    );
    if wanted.found.len() <= MAX_CANDIDATES {
        assert_eq!(got.total, wanted.found.len(), "{}", context());
    } else {
        assert!(got.total >= wanted.found.len(), "{}", context());
    }
    let mut seen = Vec::new();
    for found in got.found() {
        let id = (found.library, found.item.rating_key.to_owned());
        let paths = wanted
            .found
            .get(&id)
            .unwrap_or_else(|| panic!("{id:?} does not fit: {}", context()));
        assert!(paths.iter().any(|path| path == found.path), "{}", context());
        assert!(!seen.contains(&id), "twice: {}", context());
        let listed = naive[found.library]
            .items
            .iter()
            .find(|(item, _)| item.rating_key == id.1);
        assert_eq!(found.item.key_only, listed.is_none(), "{}", context());
        assert_eq!(
            found.item.title,
            listed.map_or("", |(item, _)| &item.title),
            "{}",
            context()
        );
        seen.push(id);
    }
    let doubts = got.found().iter();
    let doubts = doubts.map(|best| naive[best.library].doubt(path, best.path, best.item.rating_key));
    let doubt = doubts.max().unwrap_or_default();
    let unverified = doubt != HitDoubt::None;
    assert_eq!(got.doubt, doubt, "{}", context());
    if !(doubt == HitDoubt::Path && got.total == 1) && wanted.found.len() <= MAX_CANDIDATES {
        assert_eq!(got.reason, wanted.reason, "{}", context());
    }
    let sure = got.total == 1 && got.confidence == Confidence::High && !unverified;
    let fast = Resolver::new(&views, scope, mappings).fast_lookup(path);
    assert_eq!(fast.is_some(), sure, "{}\n{fast:?}", context());
    if let Some(fast) = fast {
        let best = &got.found()[0];
        assert_eq!(fast, (best.item.rating_key, got.match_kind));
    }
}
