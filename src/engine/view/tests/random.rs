//! Compares resolution with the naive model over random libraries with difficult content: repeated names, names that
//! differ by case or composition, Windows and UNC spellings, bytes that are not UTF-8, files of several items, items of
//! several files, mappings, dormant and overruled matches, and changes in the memtable.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::against::{FOLDERS, NAMES, ROOTS, Setup, build, compare, compiled};
use super::movie;
use super::naive::Rule;
use crate::engine::memtable::MemtableChange;
use crate::engine::view::LibrarySnapshot;
use crate::knowledge::FileTickets;
use crate::matching::{FoldBuffers, MAX_BATCH, Resolver, Scope};
use crate::model::{Item, Sequence};

fn path() -> impl Strategy<Value = String> {
    let folders = vec(select(&FOLDERS[..]), 0..3);
    let (root, name) = (select(&ROOTS[..]), select(&NAMES[..]));
    (root, folders, name).prop_map(|(root, folders, name)| {
        let separator = if root.contains('\\') { '\\' } else { '/' };
        let mut path = root.to_owned();
        // A name that Windows allows only in this form may or may not be found by its last folders.
        let is_allowed = |folder: &&&str| !root.starts_with(r"\\?\") || !folder.ends_with('.');
        for part in folders.iter().filter(is_allowed).chain([&name]) {
            if !path.is_empty() && !path.ends_with(separator) {
                path.push(separator);
            }
            path.push_str(part);
        }
        path
    })
}

/// A path as a host may query it; some are not UTF-8.
pub(super) fn question() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        12 => path().prop_map(String::into_bytes),
        1 => path().prop_map(|path| [path.as_bytes(), b"\xff"].concat()),
        1 => path().prop_map(|path| [b"\xe9", path.as_bytes()].concat()),
    ]
}

pub(super) fn key() -> impl Strategy<Value = String> {
    (0..14u8).prop_map(|n| n.to_string())
}

fn change() -> impl Strategy<Value = MemtableChange> {
    let path = || question().prop_map(|path| path);
    prop_oneof![
        2 => (path(), 0..3u64).prop_map(|(path, raised)| MemtableChange::DoubtedPath { path, raised }),
        1 => (key(), 1..4u64).prop_map(|(rating_key, raised)| MemtableChange::DoubtedItem { rating_key, raised }),
        1 => (key(), 0..4u64).prop_map(|(rating_key, asked)| MemtableChange::AsListed { rating_key, asked }),
        2 => (item(), 0..3u64, vec((0..3u64).prop_map(Sequence), 1..4)).prop_map(|(item, asked, shown)| {
            MemtableChange::Added { item: Arc::new(item), asked, shown: FileTickets::new(shown).until(Sequence(asked)) }
        }),
        1 => (key(), 0..4u64).prop_map(|(rating_key, asked)| MemtableChange::Removed { rating_key, asked }),
    ]
}

pub(super) fn item() -> impl Strategy<Value = Item> {
    (key(), vec(path(), 0..4)).prop_map(|(key, paths)| {
        let mut parts: Vec<&str> = paths.iter().map(String::as_str).collect();
        parts.sort_unstable();
        parts.dedup();
        movie(&key, &parts)
    })
}

pub(super) fn locations() -> impl Strategy<Value = Vec<String>> {
    let folders = ["/mnt/media", "/mnt", "/data/", r"C:\", r"\\srv\share", "/"].map(str::to_owned);
    vec(select(folders.to_vec()), 0..2)
}

fn setup() -> impl Strategy<Value = Setup> {
    let many = vec(vec(path(), 1..3), 0..60);
    let items = vec(item(), 0..14);
    let recorded = vec((question(), key(), 0..4u64), 0..8);
    let changes = vec(change(), 0..14);
    (
        locations(),
        any::<bool>(),
        items,
        many,
        any::<bool>(),
        recorded,
        changes,
    )
        .prop_map(|(locations, fetched, items, many, crowded, recorded, changes)| {
            let mut by_key: BTreeMap<String, Item> = BTreeMap::new();
            for item in items {
                by_key.insert(item.rating_key.clone(), item);
            }
            // Many items that share few names, so that ranges get long.
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
                // A library without a listing has only items from single requests.
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
        })
}

pub(super) fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let folders = || select(&["/mnt", "/data", "/mnt/media", "/host"][..]).prop_map(str::to_owned);
    let rule = (any::<bool>(), folders(), folders()).prop_map(|(to_server, from, to)| Rule { to_server, from, to });
    vec(rule, 0..3)
}

/// Number of cases, of some hundred paths each. `PROPTEST_CASES` raises it.
pub(super) fn cases() -> u32 {
    std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn paths_resolve_as_in_the_naive_model(
        setups in vec(setup(), 1..4),
        rules in rules(),
        questions in vec(question(), 1..12),
    ) {
        let mappings = compiled(&rules);
        let (views, naive): (Vec<_>, Vec<_>) = setups.iter().map(|setup| build(setup, &mappings)).unzip();
        let mut asked = questions;
        // Listed, recorded and changed paths are queried too.
        for library in &naive {
            asked.extend(library.items.iter().take(8).flat_map(|(item, _)| &item.parts).map(|path| path.to_vec()));
            asked.extend(library.matches.iter().map(|(path, _, _)| path.clone()));
        }
        for path in &asked {
            for one in (0..views.len()).map(Some).chain([None]) {
                compare(&views, &naive, one, &rules, &mappings, path);
            }
        }
        let views: Vec<&LibrarySnapshot> = views.iter().collect();
        for scope in (0..views.len()).map(Scope::One).chain([Scope::All]) {
            for group in asked.chunks(MAX_BATCH) {
                let group: Vec<&[u8]> = group.iter().map(Vec::as_slice).collect();
                let mut together = Vec::new();
                Resolver::new(&views, scope, &mappings).fast_lookup_batch(&group, &mut FoldBuffers::default(), |hit| together.push(hit));
                let alone = group.iter().map(|path| Resolver::new(&views, scope, &mappings).fast_lookup(path));
                prop_assert_eq!(together, alone.collect::<Vec<_>>());
            }
        }
    }
}

/// The item, found by a mapping, is newer, which a fast lookup must not hide.
#[test]
fn an_item_of_a_request_contradicts_a_confirmed_match() {
    let path = b"/data/media/DC.mkv".to_vec();
    let setup = Setup {
        locations: Vec::new(),
        fetched: false,
        items: Vec::new(),
        recorded: vec![(path.clone(), "0".to_owned(), 0)],
        changes: vec![MemtableChange::Added {
            item: Arc::new(movie("1", &["/mnt/media/DC.mkv"])),
            asked: 0,
            shown: FileTickets::default(),
        }],
    };
    let rules = [Rule {
        to_server: true,
        from: "/data".to_owned(),
        to: "/mnt".to_owned(),
    }];
    let mappings = compiled(&rules);
    let (view, naive) = build(&setup, &mappings);
    compare(&[view], &[naive], Some(0), &rules, &mappings, &path);
}
