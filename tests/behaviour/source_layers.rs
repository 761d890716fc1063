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

/// The functions of a file, with their texts; those of one name together.
fn functions(text: &str) -> BTreeMap<String, String> {
    let (mut all, lines) = (BTreeMap::new(), text.lines().collect::<Vec<_>>());
    for (at, line) in lines.iter().enumerate() {
        let named = line.split_once("fn ").and_then(|(_, rest)| rest.split_once(['(', '<']));
        let has_body = lines[at..]
            .iter()
            .find(|line| line.ends_with(['{', ';']))
            .is_some_and(|line| line.ends_with('{'));
        let Some((name, _)) = named.filter(|(name, _)| has_body && !name.contains(|c| !is_of_name(c))) else {
            continue;
        };
        let end = format!("{}}}", &line[..line.len() - line.trim_start().len()]);
        let length = lines[at..].iter().position(|line| *line == end).expect("an end");
        let body = lines[at..=at + length].join("\n") + "\n";
        all.entry(name.to_owned()).or_insert_with(String::new).push_str(&body);
    }
    all
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The names before parentheses, with the places after these, but those of definitions.
fn calls(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.match_indices('(').filter_map(|(at, _)| {
        let begin = text[..at].rfind(|c| !is_of_name(c)).map_or(0, |before| before + 1);
        (!text[..begin].ends_with("fn ")).then_some((at + 1, &text[begin..at]))
    })
}

/// The text of a function, with those of the file's other functions where it first calls them.
fn reached(file: &BTreeMap<String, String>, name: &str, seen: &mut BTreeSet<String>) -> String {
    let (mut all, mut from, body) = (String::new(), 0, &file[name]);
    seen.insert(name.to_owned());
    for (at, called) in calls(body) {
        if file.contains_key(called) && !seen.contains(called) {
            all = all + &body[from..at] + &reached(file, called, seen);
            from = at;
        }
    }
    all + &body[from..]
}

/// A reader follows the calls: each function is called by one that is still being read, further down than the last one
/// that was called there. A longer walk needs a reason; two lines of the miss are in files that the hit has opened.
#[test]
fn the_walks_of_the_design_lead_from_call_to_call() {
    let design = fs::read_to_string(plexindex_tests::repository("docs/design.md")).expect("the design");
    let (_, rest) = design.split_once("```walks\n").expect("a block");
    let mut words = rest.split_once("```").expect("its end").0.split_whitespace();
    let mut texts: Vec<String> = Vec::new();
    for (walk, lines) in [("hit", 12), ("miss", 12), ("record", 8), ("refresh", 14)] {
        assert_eq!(words.next(), Some(walk));
        let before = if walk == "miss" { texts.join("") } else { String::new() };
        let (mut path, mut callees) = (vec![(before, 0)], Vec::new());
        texts.retain(|_| walk == "miss"); // a miss goes on where a hit ends
        let all_lines = texts.len() + lines;
        for (line, word) in words.by_ref().take(lines).enumerate() {
            let (file, names) = word.split_once(':').expect("a file and functions");
            let text = fs::read_to_string(plexindex_tests::repository(file)).expect(file);
            let (functions, mut seen) = (functions(&code(&text)), BTreeSet::new());
            let all = names
                .split(',')
                .map(|name| reached(&functions, name, &mut seen))
                .collect();
            if walk == "miss" || line > 0 {
                let after = |(text, from): &(String, usize)| {
                    let mut calls = calls(text).filter(|(at, _)| at >= from);
                    calls
                        .find(|(_, called)| names.split(',').next() == Some(*called))
                        .map(|(at, _)| at)
                };
                path.truncate(1 + path.iter().rposition(|one| after(one).is_some()).expect(word));
                let last = path.last_mut().expect("a caller");
                last.1 = after(last).unwrap_or(0);
                callees.extend(names.split(','));
            }
            texts.push(String::clone(&all));
            path.push((all, 0));
        }
        let called: BTreeSet<&str> = texts
            .iter()
            .flat_map(|text| calls(text))
            .map(|(_, called)| called)
            .collect();
        assert!(callees.iter().all(|name| called.contains(name)), "{walk}: {callees:?}");
        assert_eq!(texts.len(), all_lines, "{walk}: lines");
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
