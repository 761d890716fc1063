//! The layers of docs/design.md are what the sources say: which folder of src/ uses which, and no circle, neither between
//! folders nor between the files of one. A system is chosen, and named, in src/platform alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

type Arrows = BTreeMap<String, BTreeSet<String>>;

const SOURCES: [&str; 3] = ["src", "crates/matching/src", "crates/sharing/src"];
const ROOTS: [&str; 2] = ["crate", "super"];
/// Words of `cfg`, and what a system has of its own.
const SYSTEMS: [&str; 6] = [
    "target_os",
    "target_vendor",
    "target_family",
    "target_env",
    "unix",
    "windows",
];
const PROCESSORS: [&str; 4] = ["target_arch", "target_endian", "target_feature", "target_pointer_width"];
const OF_A_SYSTEM: [&str; 4] = ["libc::", "rustix::", "windows_sys::", "std::os::"];

/// The files of a crate that are no tests: the module's place, such as `["source", "plex"]`, and the code.
fn files(source: &str) -> BTreeMap<Vec<String>, String> {
    let root = plexindex_tests::repository(source);
    let (mut folders, mut files) = (vec![(root, Vec::new())], BTreeMap::new());
    while let Some((folder, place)) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let is_root = ["mod", "lib"].contains(&&*name);
            let last = (!is_root).then_some(name);
            let below: Vec<_> = place.iter().cloned().chain(last).collect();
            let is_test = below.last().is_some_and(|name| name.ends_with("tests"));
            if path.is_dir() && !is_test {
                folders.push((path, below));
            } else if path.extension().is_some_and(|end| end == "rs") && !is_test {
                files.insert(below, code(&fs::read_to_string(&path).expect("a text")));
            }
        }
    }
    files
}

/// The code without comments, and without modules for tests, which come last in a file.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    let mut is_test = false;
    let is_code = |line: &&str| {
        let is_attribute = line.trim_start().starts_with('#');
        let is_code = !line.trim_start().starts_with("//") && (is_attribute || !is_test);
        is_test = line.trim() == "#[cfg(test)]" || is_test && is_attribute;
        is_code
    };
    text.lines().filter(is_code).collect::<Vec<_>>().join("\n")
}

/// Adds the path that begins here, or those of a group, and gives the length of the text.
fn read_path(text: &str, above: &[&str], found: &mut Vec<Vec<String>>) -> usize {
    let end = text
        .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
        .unwrap_or(text.len());
    let names = text[..end].split("::").filter(|name| !name.is_empty());
    let path: Vec<&str> = above.iter().copied().chain(names).collect();
    let mut at = end;
    if text[..end].ends_with("::") && text[end..].starts_with('{') {
        while !text[at..].starts_with('}') {
            at += 1;
            at += read_path(&text[at..], &path, found);
        }
        return at + 1;
    }
    found.push(path.into_iter().map(str::to_owned).collect());
    at
}

/// What each module names of the crate, as full paths.
fn named(files: &BTreeMap<Vec<String>, String>) -> Vec<(&Vec<String>, Vec<String>)> {
    let mut all = Vec::new();
    for (place, text) in files {
        let mut found = Vec::new();
        for (at, _) in text.match_indices("crate::").chain(text.match_indices("super::")) {
            if !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
                read_path(&text[at..], &[], &mut found);
            }
        }
        all.extend(found.into_iter().filter_map(|path| {
            let up = path.iter().take_while(|word| *word == "super").count();
            let from = if path[0] == "crate" {
                0
            } else {
                place.len().checked_sub(up)?
            };
            let rest = path.into_iter().skip_while(|word| ROOTS.contains(&word.as_str()));
            Some((place, place[..from].iter().cloned().chain(rest).collect()))
        }));
    }
    all
}

/// Names that lead to themselves.
fn circles(arrows: &Arrows) -> Vec<&String> {
    let leads_back = |from: &&String| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![*from]);
        while let Some(name) = next.pop() {
            next.extend(arrows.get(name).into_iter().flatten().filter(|to| seen.insert(*to)));
        }
        seen.contains(from)
    };
    arrows.keys().filter(leads_back).collect()
}

#[test]
fn folders_use_each_other_as_the_design_says() {
    let design = fs::read_to_string(plexindex_tests::repository("docs/design.md")).expect("the design");
    let (_, rest) = design.split_once("```arrows\n").expect("a block");
    let (block, _) = rest.split_once("```").expect("its end");
    let lines = block.lines().map(|line| line.split_once('→').expect("an arrow"));
    let of = |to: &str| to.split_whitespace().map(str::to_owned).collect();
    let plan: Arrows = lines.map(|(from, to)| (from.trim().to_owned(), of(to))).collect();
    let files = files("src");
    let mut code: Arrows = plan.keys().map(|from| (from.clone(), BTreeSet::new())).collect();
    for (place, path) in named(&files).into_iter().filter(|(place, _)| !place.is_empty()) {
        let is_other = |first: &&String| **first != place[0] && files.keys().any(|one| one.first() == Some(first));
        let other = path.first().filter(is_other);
        code.entry(place[0].clone()).or_default().extend(other.cloned());
    }
    assert_eq!(code, plan, "the arrows of src/, and those of docs/design.md");
    assert_eq!(circles(&plan), [""; 0]);
}

#[test]
fn files_of_a_folder_use_each_other_without_a_circle() {
    for source in SOURCES {
        let files = files(source);
        let mut folders: BTreeMap<&[String], Arrows> = BTreeMap::new();
        for (place, path) in named(&files) {
            let mut ends = (0..=path.len()).rev();
            let end = ends.find(|end| files.contains_key(&path[..*end])).unwrap_or(0);
            let both = place.iter().zip(&path[..end]);
            let same = both.take_while(|(one, other)| one == other).count();
            if let (Some(from), Some(to)) = (place.get(same), path[..end].get(same)) {
                let arrows = folders.entry(&place[..same]).or_default();
                arrows.entry(from.clone()).or_default().insert(to.clone());
            }
        }
        assert!(!folders.is_empty(), "{source}: nothing was read");
        for (folder, arrows) in folders {
            assert_eq!(circles(&arrows), [""; 0], "{source}/{}: {arrows:#?}", folder.join("/"));
        }
    }
}

/// A reader opens few files, and finds each of them named by one that is open already: by its room, or by its own name in
/// its room.
#[test]
fn the_walks_of_the_design_are_short_and_lead_from_file_to_file() {
    const WALKS: [(&str, usize); 4] = [("hit", 12), ("miss", 12), ("record", 8), ("refresh", 14)];
    let design = fs::read_to_string(plexindex_tests::repository("docs/design.md")).expect("the design");
    let (_, rest) = design.split_once("```walks\n").expect("a block");
    let mut words = rest.split_once("```").expect("its end").0.split_whitespace().peekable();
    let mut open: Vec<String> = Vec::new();
    for (name, most) in WALKS {
        assert_eq!(words.next(), Some(name));
        if name != "miss" {
            open.clear(); // a miss goes on where a hit ends
        }
        let mut count = 0;
        while let Some(file) = words.next_if(|word| word.contains('/')) {
            let text = fs::read_to_string(plexindex_tests::repository(file)).expect(file);
            let parts: Vec<&str> = file
                .trim_end_matches("/mod.rs")
                .trim_end_matches(".rs")
                .split('/')
                .collect();
            let (room, own) = match parts[..] {
                ["src" | "crates", room, .., own] => (room, own),
                [.., own] => ("functions", own),
                [] => unreachable!(),
            };
            let is_named = |text: &String| {
                let names = |word: &str| text.contains(&format!("{word}::")) || text.contains(&format!("{word};"));
                names(own) || names(&format!("crate::{room}")) || room == "api" && names("plexindex")
            };
            assert!(
                open.is_empty() || open.iter().any(is_named),
                "{name}: nothing leads to {file}"
            );
            open.push(text);
            count += 1;
        }
        assert!((1..=most).contains(&count), "{name}: {count} files");
    }
    assert_eq!(words.next(), None);
}

#[test]
fn a_system_is_chosen_and_named_in_one_place() {
    for (place, text) in SOURCES.iter().flat_map(|source| files(source)) {
        let place: Vec<&str> = place.iter().map(String::as_str).collect();
        let is_of_one = matches!(place[..], ["platform", "linux" | "macos" | "unix" | "windows", ..]);
        for line in text.lines() {
            let condition = line.split_once("cfg").map_or("", |(_, rest)| rest);
            let words = |all: &[&str]| {
                let mut words = condition.split(|c: char| !c.is_alphanumeric() && c != '_');
                condition.starts_with(['(', '!', '_']) && words.any(|word| all.contains(&word))
            };
            let chosen = words(&SYSTEMS) && place != ["platform"];
            let processor = words(&PROCESSORS) && place.first() != Some(&"platform");
            let named = !is_of_one && OF_A_SYSTEM.iter().any(|of| line.contains(of));
            assert!(!chosen && !processor && !named, "{}: {line}", place.join("/"));
        }
    }
}
