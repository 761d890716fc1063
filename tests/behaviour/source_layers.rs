//! The layers of docs/design.md are what the sources say: which folder of src/ uses which, and no circle, neither between
//! folders nor between the files of one. A system is chosen, and named, in src/platform and crates/sharing/src/system alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};

type Arrows = BTreeMap<String, BTreeSet<String>>;

const SOURCES: [&str; 3] = ["src", "crates/matching/src", "crates/sharing/src"];
const ROOTS: [&str; 3] = ["crate", "super", "self"];
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

/// The files of a crate that are no tests: the module's place, such as `["source", "plex"]`, and the text.
fn files(source: &str) -> BTreeMap<Vec<String>, String> {
    fn read(folder: &Path, place: &[String], files: &mut BTreeMap<Vec<String>, String>) {
        for path in fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").path())
        {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let is_code = path.is_dir() || path.extension().is_some_and(|end| end == "rs");
            if name.ends_with("tests") || !is_code {
                continue;
            }
            let below = [place, std::slice::from_ref(&name)].concat();
            if path.is_dir() {
                read(&path, &below, files);
            } else {
                let place = if ["mod", "lib"].contains(&&*name) {
                    place.to_vec()
                } else {
                    below
                };
                files.insert(place, fs::read_to_string(&path).expect("a text"));
            }
        }
    }
    let mut all = BTreeMap::new();
    read(&plexindex_tests::repository(source), &[], &mut all);
    all
}

/// The names, braces and `::` of the code without items for tests; `;` stands for all other signs.
fn words(tokens: TokenStream, words: &mut Vec<String>) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Group(group) if group.to_string().replace(' ', "") == "[cfg(test)]" => {
                let is_end = |token: &TokenTree| match token {
                    TokenTree::Group(group) => group.delimiter() == proc_macro2::Delimiter::Brace,
                    other => other.to_string() == ";",
                };
                tokens.by_ref().find(is_end);
            }
            TokenTree::Group(group) => {
                words.push("{".to_owned());
                self::words(group.stream(), words);
                words.push("}".to_owned());
            }
            TokenTree::Ident(name) => words.push(name.to_string()),
            TokenTree::Punct(sign) if sign.as_char() == ':' && sign.spacing() == proc_macro2::Spacing::Joint => {
                tokens.next();
                words.push("::".to_owned());
            }
            TokenTree::Punct(sign) if sign.as_char() == ',' => words.push(",".to_owned()),
            TokenTree::Punct(_) | TokenTree::Literal(_) => words.push(";".to_owned()),
        }
    }
}

/// Adds the paths that begin here, also those of a group, and gives how many words they take.
fn read_paths(words: &[String], above: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let (mut path, mut at) = (above.to_vec(), 0);
    while let Some(word) = words.get(at) {
        at += 1;
        match word.as_str() {
            "::" => {}
            "{" if words.get(at.wrapping_sub(2)).is_some_and(|word| word == "::") => {
                while words.get(at).is_some_and(|word| word != "}") {
                    at += read_paths(&words[at..], &path, found).max(1);
                }
                return at + 1;
            }
            "{" | "}" | "," | ";" => break,
            _ if at > 1 && words[at - 2] != "::" => break,
            name => path.push(name.to_owned()),
        }
    }
    found.push(path);
    at - 1
}

/// What each module names of the crate, as full paths.
fn named(files: &BTreeMap<Vec<String>, String>) -> Vec<(&Vec<String>, Vec<String>)> {
    let mut all = Vec::new();
    for (place, text) in files {
        let (mut code, mut found) = (Vec::new(), Vec::new());
        words(text.parse().expect("Rust"), &mut code);
        for at in (0..code.len()).filter(|at| ROOTS.contains(&&*code[*at]) && (*at == 0 || code[at - 1] != "::")) {
            read_paths(&code[at..], &[], &mut found);
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
    let block = design
        .split_once("```arrows\n")
        .and_then(|(_, rest)| rest.split_once("```"));
    let lines = block
        .expect("a block")
        .0
        .lines()
        .map(|line| line.split_once('→').expect("an arrow"));
    let of = |to: &str| to.split_whitespace().map(str::to_owned).collect();
    let plan: Arrows = lines.map(|(from, to)| (from.trim().to_owned(), of(to))).collect();
    let files = files("src");
    let mut code: Arrows = plan.keys().map(|from| (from.clone(), BTreeSet::new())).collect();
    for (place, path) in named(&files).into_iter().filter(|(place, _)| !place.is_empty()) {
        let other = path
            .first()
            .filter(|first| **first != place[0] && files.keys().any(|one| one.first() == Some(first)));
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
            let end = (0..=path.len())
                .rev()
                .find(|end| files.contains_key(&path[..*end]))
                .unwrap_or(0);
            let same = place
                .iter()
                .zip(&path[..end])
                .take_while(|(one, other)| one == other)
                .count();
            if let (Some(from), Some(to)) = (place.get(same), path[..end].get(same)) {
                folders
                    .entry(&place[..same])
                    .or_default()
                    .entry(from.clone())
                    .or_default()
                    .insert(to.clone());
            }
        }
        assert!(folders.len() > 1, "{source}: nothing was read");
        for (folder, arrows) in folders {
            assert_eq!(circles(&arrows), [""; 0], "{source}/{}: {arrows:#?}", folder.join("/"));
        }
    }
}

#[test]
fn a_system_is_chosen_and_named_in_one_place() {
    for (source, place, text) in SOURCES
        .iter()
        .flat_map(|source| files(source).into_iter().map(move |(p, t)| (source, p, t)))
    {
        let place: Vec<&str> = place.iter().map(String::as_str).collect();
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            let condition = line.split_once("cfg").map_or("", |(_, rest)| rest);
            let has = |all: &[&str]| {
                condition.starts_with(['(', '!', '_'])
                    && condition
                        .split(|c: char| !c.is_alphanumeric() && c != '_')
                        .any(|word| all.contains(&word))
            };
            let chosen = has(&SYSTEMS) && !matches!(place[..], ["platform" | "system"]);
            let processor = has(&PROCESSORS) && place.first() != Some(&"platform");
            let apart = matches!(
                place[..],
                ["platform" | "system", "linux" | "macos" | "unix" | "windows", ..]
            );
            let named = !apart && OF_A_SYSTEM.iter().any(|of| line.contains(of));
            assert!(!chosen && !processor && !named, "{source}/{}: {line}", place.join("/"));
        }
    }
}
