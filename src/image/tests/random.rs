//! The ladder against the naive one, over random libraries full of what is hard: repeated names, names that differ by
//! case or composition, Windows and UNC spellings, bytes that are no text, files of several items, items of several files,
//! mappings, matches that sleep or are overruled, and changes on top of all that.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::naive::{self, Naive, Rule};
use super::{listing, matches, movie};
use crate::image::{Change, Image, LibraryFacts, LibraryView};
use crate::matching::{GROUP, LIMIT, Mappings, Scope, climb, fast_lookup, fast_lookup_all};
use crate::model::{Confidence, Item};
use crate::options::{Mapping, MappingKind, Pattern};

const ROOTS: [&str; 12] = [
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
const FOLDERS: [&str; 9] = [
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
const NAMES: [&str; 9] = [
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

fn path() -> impl Strategy<Value = String> {
    let folders = proptest::collection::vec(proptest::sample::select(&FOLDERS[..]), 0..3);
    let (root, name) = (
        proptest::sample::select(&ROOTS[..]),
        proptest::sample::select(&NAMES[..]),
    );
    (root, folders, name).prop_map(|(root, folders, name)| {
        let separator = if root.contains('\\') { '\\' } else { '/' };
        let mut path = root.to_owned();
        for part in folders.iter().chain([&name]) {
            if !path.is_empty() && !path.ends_with(separator) {
                path.push(separator);
            }
            path.push_str(part);
        }
        path
    })
}

/// Paths as a host may ask for them: some are no text.
fn question() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        12 => path().prop_map(String::into_bytes),
        1 => path().prop_map(|path| [path.as_bytes(), b"\xff"].concat()),
        1 => path().prop_map(|path| [b"\xe9", path.as_bytes()].concat()),
    ]
}

fn key() -> impl Strategy<Value = String> {
    (0..14u8).prop_map(|n| n.to_string())
}

fn change() -> impl Strategy<Value = Change> {
    let path = || question().prop_map(|path| path);
    prop_oneof![
        3 => (path(), key(), 0..3u64).prop_map(|(path, rating_key, sequence)| Change::Matched { path, rating_key, sequence }),
        1 => path().prop_map(|path| Change::Forgotten { path }),
        1 => path().prop_map(|path| Change::UnverifiedPath { path }),
        1 => path().prop_map(|path| Change::VerifiedPath { path }),
        1 => key().prop_map(|rating_key| Change::UnverifiedItem { rating_key }),
        1 => key().prop_map(|rating_key| Change::VerifiedItem { rating_key }),
        2 => item().prop_map(|item| Change::Added { item: Arc::new(item), sequence: 1 }),
        1 => key().prop_map(|rating_key| Change::Removed { rating_key }),
    ]
}

fn item() -> impl Strategy<Value = Item> {
    (key(), proptest::collection::vec(path(), 0..4)).prop_map(|(key, paths)| {
        let mut parts: Vec<&str> = paths.iter().map(String::as_str).collect();
        parts.sort_unstable();
        parts.dedup();
        movie(&key, &parts)
    })
}

#[derive(Clone, Debug)]
struct Setup {
    locations: Vec<String>,
    fetched: bool,
    items: Vec<Item>,
    recorded: Vec<(Vec<u8>, String, u64)>,
    changes: Vec<Change>,
}

fn setup() -> impl Strategy<Value = Setup> {
    let locations = proptest::collection::vec(
        proptest::sample::select(&["/mnt/media", "/mnt", "/data/", r"C:\", r"\\srv\share", "/"][..])
            .prop_map(str::to_owned),
        0..2,
    );
    let many = proptest::collection::vec(proptest::collection::vec(path(), 1..3), 0..60);
    let items = proptest::collection::vec(item(), 0..14);
    let recorded = proptest::collection::vec((question(), key(), 0..3u64), 0..5);
    let changes = proptest::collection::vec(change(), 0..14);
    (locations, any::<bool>(), items, many, any::<bool>(), recorded, changes).prop_map(
        |(locations, fetched, items, many, crowded, recorded, changes)| {
            let mut by_key: BTreeMap<String, Item> = BTreeMap::new();
            for item in items {
                by_key.insert(item.rating_key.clone(), item);
            }
            // A crowd that shares few names, so that ranges get long.
            for (n, paths) in many.iter().enumerate().filter(|_| crowded) {
                let mut parts: Vec<&str> = paths.iter().map(String::as_str).collect();
                parts.dedup();
                by_key.insert(format!("c{n}"), movie(&format!("c{n}"), &parts));
            }
            let mut by_path: BTreeMap<Vec<u8>, (String, u64)> = BTreeMap::new();
            for (path, key, generation) in recorded {
                by_path.insert(path, (key, generation));
            }
            Setup {
                locations,
                // A library without a listing has no items but those that single requests brought.
                items: if fetched {
                    by_key.into_values().collect()
                } else {
                    Vec::new()
                },
                fetched,
                recorded: by_path
                    .into_iter()
                    .map(|(path, (key, generation))| (path, key, generation))
                    .collect(),
                changes,
            }
        },
    )
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let folders = || proptest::sample::select(&["/mnt", "/data", "/mnt/media", "/host"][..]).prop_map(str::to_owned);
    let rule = (any::<bool>(), folders(), folders()).prop_map(|(to_server, from, to)| Rule { to_server, from, to });
    proptest::collection::vec(rule, 0..3)
}

fn compiled(rules: &[Rule]) -> Mappings {
    let mappings: Vec<Mapping> = rules
        .iter()
        .map(|rule| Mapping {
            kind: if rule.to_server {
                MappingKind::HostToServer
            } else {
                MappingKind::ServerToHost
            },
            // Exact bytes, as the naive rules compare them.
            from: Pattern::Regex(format!("^{}/", rule.from)),
            to: format!("{}/", rule.to).into_bytes(),
        })
        .collect();
    Mappings::new(&mappings).expect("rules compile")
}

fn build(setup: &Setup, mappings: &Mappings) -> (LibraryView, Naive) {
    let mut naive = Naive {
        locations: setup.locations.clone(),
        fetched: setup.fetched,
        items: setup.items.iter().map(|item| (item.clone(), (1, 0))).collect(),
        matches: setup
            .recorded
            .iter()
            .map(|(path, key, at)| (path.clone(), key.clone(), (*at, 0)))
            .collect(),
        ..Naive::default()
    };
    let open = |bytes| Arc::new(Image::from_bytes(bytes).expect("an image opens"));
    let image = setup.fetched.then(|| open(listing(&setup.items, mappings)));
    let recorded: Vec<(&[u8], &str, u64)> = setup
        .recorded
        .iter()
        .map(|(path, key, at)| (path.as_slice(), key.as_str(), *at))
        .collect();
    let recorded = (!recorded.is_empty()).then(|| open(matches(&recorded)));
    let overlay = Arc::<crate::image::overlay::Overlay>::default();
    for change in &setup.changes {
        overlay.push(change.clone(), mappings).expect("there is room");
        naive.apply(change);
    }
    let facts = LibraryFacts {
        uuid: "uuid".into(),
        locations: setup.locations.clone(),
        listed_at: 1,
        fetched: setup.fetched,
    };
    (LibraryView::new(facts, mappings, image, recorded, overlay), naive)
}

fn compare(
    views: &[LibraryView],
    naive: &[Naive],
    one: Option<usize>,
    rules: &[Rule],
    mappings: &Mappings,
    asked: &[u8],
) {
    let views: Vec<&LibraryView> = views.iter().collect();
    let scope = one.map_or(Scope::All, Scope::One);
    let got = climb(&views, scope, mappings, asked);
    let wanted = naive::climb(naive, one, rules, asked);
    let keys: Vec<_> = got
        .found()
        .iter()
        .map(|found| (found.library, found.item.rating_key))
        .collect();
    let context = format!(
        "{:?}: {:?} {} {keys:?}, wanted {wanted:?}",
        String::from_utf8_lossy(asked),
        got.rung,
        got.total
    );
    assert!(!got.broken, "{context}");
    assert_eq!(
        (got.rung, got.confidence),
        (wanted.rung, wanted.confidence),
        "{context}"
    );
    assert_eq!(got.found().len(), wanted.found.len().min(LIMIT), "{context}");
    if wanted.found.len() <= LIMIT {
        assert_eq!(got.total, wanted.found.len(), "{context}");
    } else {
        assert!(got.total >= wanted.found.len(), "{context}");
    }
    let mut seen = Vec::new();
    for found in got.found() {
        let id = (found.library, found.item.rating_key.to_owned());
        let paths = wanted
            .found
            .get(&id)
            .unwrap_or_else(|| panic!("{id:?} does not fit: {context}"));
        assert!(paths.iter().any(|path| path == found.path), "{context}");
        assert!(!seen.contains(&id), "twice: {context}");
        let listed = naive[found.library]
            .items
            .iter()
            .find(|(item, _)| item.rating_key == id.1);
        assert_eq!(found.item.key_only, listed.is_none(), "{context}");
        assert_eq!(
            found.item.title,
            listed.map_or("", |(item, _)| &item.title),
            "{context}"
        );
        seen.push(id);
    }
    let unverified = got.found().iter().any(|best| {
        let library = &naive[best.library];
        library.is_unverified(asked, best.item.rating_key) || library.is_unverified(best.path, best.item.rating_key)
    });
    assert_eq!(got.unverified, unverified, "{context}");
    if !(unverified && got.total == 1) && wanted.found.len() <= LIMIT {
        assert_eq!(got.reason, wanted.reason, "{context}");
    }
    let sure = got.total == 1 && got.confidence == Confidence::High && !unverified;
    let fast = fast_lookup(&views, scope, mappings, asked);
    assert_eq!(fast.is_some(), sure, "{context}\n{fast:?}");
    if let Some(fast) = fast {
        let best = &got.found()[0];
        assert_eq!(
            (fast.library, fast.rung, fast.rating_key),
            (best.library, got.rung, best.item.rating_key)
        );
    }
}

/// Each case asks some hundred questions. `PROPTEST_CASES` asks for more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(80)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_ladder_is_the_naive_one(
        setups in proptest::collection::vec(setup(), 1..4),
        rules in rules(),
        questions in proptest::collection::vec(question(), 1..12),
    ) {
        let mappings = compiled(&rules);
        let (views, naive): (Vec<_>, Vec<_>) = setups.iter().map(|setup| build(setup, &mappings)).unzip();
        let mut asked = questions;
        // What is listed, recorded or changed is worth asking for, too.
        for library in &naive {
            asked.extend(library.items.iter().take(8).flat_map(|(item, _)| &item.parts).map(|path| path.clone().into_bytes()));
            asked.extend(library.matches.iter().map(|(path, _, _)| path.clone()));
        }
        for path in &asked {
            for one in (0..views.len()).map(Some).chain([None]) {
                compare(&views, &naive, one, &rules, &mappings, path);
            }
        }
        let views: Vec<&LibraryView> = views.iter().collect();
        for scope in (0..views.len()).map(Scope::One).chain([Scope::All]) {
            for group in asked.chunks(GROUP) {
                let group: Vec<&[u8]> = group.iter().map(Vec::as_slice).collect();
                let mut together = Vec::new();
                fast_lookup_all(&views, scope, &mappings, &group, |hit| together.push(hit.map(|hit| (hit.library, hit.rung, hit.rating_key))));
                let alone = group.iter().map(|path| fast_lookup(&views, scope, &mappings, path).map(|hit| (hit.library, hit.rung, hit.rating_key)));
                prop_assert_eq!(together, alone.collect::<Vec<_>>());
            }
        }
    }
}
