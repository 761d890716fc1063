//! The ladder over small libraries against the naive ladder of the library's own tests: lists, and nothing but scans.

#[path = "../../src/engine/view/tests/against.rs"]
pub mod against;
#[path = "../../src/engine/view/tests/naive.rs"]
pub mod naive;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use against::{FOLDERS, NAMES, ROOTS, Setup, build, compare, compiled, movie};
use naive::Rule;

use super::input::Input;
use crate::engine as parts;
use crate::engine::{LibrarySnapshot, MemtableChange};
use crate::matching::{FoldBuffers, MAX_BATCH, Mappings, Resolver, Scope};
use crate::model::Item;

fn path(input: &mut Input<'_>) -> String {
    let root = input.pick(&ROOTS);
    let separator = if root.contains('\\') { '\\' } else { '/' };
    let mut path = root.to_owned();
    for at in 0..=input.below(3) {
        if !path.is_empty() && !path.ends_with(separator) {
            path.push(separator);
        }
        path.push_str(if at == 0 {
            input.pick(&FOLDERS)
        } else {
            input.pick(&NAMES)
        });
    }
    path
}

/// Paths as a host may ask for them: some are no text.
fn question(input: &mut Input<'_>) -> Vec<u8> {
    let path = path(input).into_bytes();
    match input.below(12) {
        0 => [&path, &b"\xff"[..]].concat(),
        1 => [b"\xe9", path.as_slice()].concat(),
        2 => path.to_ascii_uppercase(),
        _ => path,
    }
}

fn key(input: &mut Input<'_>) -> String {
    input.below(14).to_string()
}

fn item(input: &mut Input<'_>) -> Item {
    let key = key(input);
    let mut parts: Vec<String> = (0..input.below(4)).map(|_| path(input)).collect();
    parts.sort_unstable();
    parts.dedup();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    movie(&key, &parts)
}

fn change(input: &mut Input<'_>) -> MemtableChange {
    match input.below(8) {
        0 => MemtableChange::Matched {
            path: question(input),
            rating_key: key(input),
            sequence: input.below(3) as u64,
        },
        1 => MemtableChange::Forgotten { path: question(input) },
        2 => MemtableChange::UnverifiedPath { path: question(input) },
        3 => MemtableChange::VerifiedPath { path: question(input) },
        4 => MemtableChange::UnverifiedItem { rating_key: key(input) },
        5 => MemtableChange::VerifiedItem { rating_key: key(input) },
        6 => MemtableChange::Removed { rating_key: key(input) },
        _ => MemtableChange::Added {
            item: Arc::new(item(input)),
            sequence: 1,
        },
    }
}

fn setup(input: &mut Input<'_>) -> Setup {
    const LOCATIONS: [&str; 6] = ["/mnt/media", "/mnt", "/data/", r"C:\", r"\\srv\share", "/"];
    let fetched = input.below(4) > 0;
    let locations = (0..input.below(3)).map(|_| input.pick(&LOCATIONS).to_owned()).collect();
    let items: BTreeMap<String, Item> = (0..input.below(12))
        .map(|_| item(input))
        .map(|item| (item.rating_key.clone(), item))
        .collect();
    let recorded: BTreeMap<Vec<u8>, (String, u64)> = (0..input.below(4))
        .map(|_| (question(input), (key(input), input.below(3) as u64)))
        .collect();
    Setup {
        locations,
        fetched,
        // A library without a listing has no items but those that single requests brought.
        items: if fetched {
            items.into_values().collect()
        } else {
            Vec::new()
        },
        recorded: recorded.into_iter().map(|(path, (key, at))| (path, key, at)).collect(),
        changes: (0..input.below(8)).map(|_| change(input)).collect(),
    }
}

/// The rules, compiled once: there are some hundred sets of them, and a pattern takes longer to compile than a library to ask.
fn kept(rules: &[Rule]) -> Mappings {
    thread_local! {
        static KEPT: RefCell<HashMap<Vec<Rule>, Mappings>> = RefCell::default();
    }
    KEPT.with_borrow_mut(|all| all.entry(rules.to_vec()).or_insert_with(|| compiled(rules)).clone())
}

pub fn run(data: &[u8]) {
    const FOLDERS_OF_RULES: [&str; 4] = ["/mnt", "/data", "/mnt/media", "/host"];
    let mut input = Input(data);
    let rules: Vec<Rule> = (0..input.below(3))
        .map(|_| Rule {
            to_server: input.bool(),
            from: input.pick(&FOLDERS_OF_RULES).to_owned(),
            to: input.pick(&FOLDERS_OF_RULES).to_owned(),
        })
        .collect();
    let mappings = kept(&rules);
    let setups: Vec<Setup> = (0..=input.below(2)).map(|_| setup(&mut input)).collect();
    let (views, naive): (Vec<LibrarySnapshot>, Vec<_>) = setups.iter().map(|one| build(one, &mappings)).unzip();
    let mut asked = vec![question(&mut input), question(&mut input)];
    for library in &naive {
        let parts = library.items.iter().filter_map(|(item, _)| item.parts.last()).take(2);
        asked.extend(parts.map(|path| path.to_vec()));
        asked.extend(library.matches.iter().take(1).map(|(path, _, _)| path.clone()));
    }
    for (at, path) in asked.iter().enumerate() {
        for one in [Some(at % views.len()), None] {
            compare(&views, &naive, one, &rules, &mappings, path);
        }
    }
    let views: Vec<&LibrarySnapshot> = views.iter().collect();
    let group: Vec<&[u8]> = asked.iter().take(MAX_BATCH).map(Vec::as_slice).collect();
    let mut together = Vec::new();
    Resolver::new(&views, Scope::All, &mappings).fast_lookup_batch(&group, &mut FoldBuffers::default(), |hit| {
        together.push(hit.map(|hit| (hit.library, hit.match_kind, hit.rating_key)));
    });
    let alone = group
        .iter()
        .map(|path| Resolver::new(&views, Scope::All, &mappings).fast_lookup(path));
    let alone: Vec<_> = alone
        .map(|hit| hit.map(|hit| (hit.library, hit.match_kind, hit.rating_key)))
        .collect();
    assert_eq!(together, alone);
}
