//! The layers of docs/design.md are what the sources say: which folder of src/ uses which, and no circle, neither
//! between folders nor between the files of one. What crates may use each other the compiler knows.
//!
//! Read are all paths in the code of what is no test, what macros are given included. Methods have no path: a struct
//! whose methods stand in several files ties these together only where they name each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Folders of src/, and files beside them, that may use each other one after the other.
const LONGEST_CHAIN: usize = 7;

/// Types of which each hundred may share their name with another. It only falls.
const SHARED_NAMES_PERCENT: usize = 5;

/// What src names of crates/matching as its own.
const OTHER_CRATE: [&str; 3] = ["error", "matching", "model"];

/// A module's place: `["source", "plex", "wire"]`; the crate itself is empty.
type Place = Vec<String>;

type Arrows = BTreeMap<String, BTreeSet<String>>;

/// A path in a module's code.
struct Named {
    segments: Vec<String>,
    /// The name that a `use` gives it; `*` for all that is there.
    given: Option<String>,
    /// `pub use`, which hands on what stands elsewhere.
    hands_on: bool,
}

/// A module of its own file, with the modules inside of it.
#[derive(Default)]
struct Module {
    children: BTreeSet<String>,
    /// Structs, enums, traits and unions, also within functions.
    types: BTreeSet<String>,
    named: Vec<Named>,
}

/// All modules of a crate that are no tests.
struct Map(BTreeMap<Place, Module>);

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The words of the code; texts and numbers are one sign.
fn add_words(tokens: TokenStream, words: &mut Vec<String>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let [open, close] = match group.delimiter() {
                    Delimiter::Brace => ["{", "}"],
                    Delimiter::Bracket => ["[", "]"],
                    Delimiter::Parenthesis | Delimiter::None => ["(", ")"],
                };
                words.push(open.to_owned());
                add_words(group.stream(), words);
                words.push(close.to_owned());
            }
            TokenTree::Punct(sign) if sign.as_char() == ':' && words.last().is_some_and(|last| last == ":") => {
                words.last_mut().into_iter().for_each(|last| last.push(':'));
            }
            TokenTree::Literal(_) => words.push("\"".to_owned()),
            other => words.push(other.to_string()),
        }
    }
}

/// How many words an item has, from its first one on.
fn length_of_item(words: &[String]) -> usize {
    let mut open = 0;
    let is_end = |word: &String| {
        open += i32::from(["(", "[", "{"].contains(&word.as_str()));
        open -= i32::from([")", "]", "}"].contains(&word.as_str()));
        open <= 0 && ["}", ";"].contains(&word.as_str())
    };
    words.iter().position(is_end).map_or(words.len(), |end| end + 1)
}

impl Module {
    fn of(text: &str) -> Self {
        let mut words = Vec::new();
        add_words(text.parse().expect("Rust"), &mut words);
        let mut module = Self::default();
        module.read(&words, 0);
        module
    }

    /// Reads the code within so many modules that have no file of their own.
    fn read(&mut self, mut words: &[String], inline: usize) {
        let mut before = String::new();
        while let Some(first) = words.first() {
            let head: Vec<&str> = words.iter().take(7).map(String::as_str).collect();
            let length = match head[..] {
                ["#", "[", "cfg", "(", "test", ")", "]"] => 7 + length_of_item(&words[7..]),
                ["#", "[", "test", "]", ..] => 4 + length_of_item(&words[4..]),
                ["mod", name, ";", ..] => {
                    self.children.insert(name.to_owned());
                    3
                }
                ["mod", _, "{", ..] => {
                    let length = length_of_item(words);
                    self.read(&words[3..length], inline + 1);
                    length
                }
                ["struct" | "enum" | "trait" | "union", name, ..] if is_name(name) => {
                    self.types.insert(name.to_owned());
                    2
                }
                ["use", next, ..] if next != "<" => {
                    let hands_on = before == "pub" || before == ")";
                    let mut tree = words[1..].iter().map(String::as_str).peekable();
                    self.read_use(&mut tree, &[], hands_on, inline);
                    words.len() - tree.count()
                }
                // `pub(in …)` and `pub(super)` use nothing.
                ["(", "in", ..] => words.iter().position(|word| word == ")").map_or(1, |end| end + 1),
                ["(", "crate" | "self" | "super", ")", ..] => 3,
                [name, ..] if is_name(name) => {
                    let is_next = |next: &&[String]| next[0] == "::" && is_name(&next[1]);
                    let length = 1 + 2 * words[1..].chunks_exact(2).take_while(is_next).count();
                    let path = words[..length].iter().step_by(2).cloned().collect();
                    if before != "." {
                        self.note(path, None, false, inline);
                    }
                    length
                }
                _ => 1,
            };
            before.clone_from(first);
            words = &words[length..];
        }
    }

    fn read_use<'w>(
        &mut self,
        words: &mut std::iter::Peekable<impl Iterator<Item = &'w str>>,
        above: &[String],
        hands_on: bool,
        inline: usize,
    ) {
        let mut path = above.to_vec();
        let mut given = None;
        while let Some(word) = words.next_if(|word| ![",", "}", ";"].contains(word)) {
            match word {
                "{" => {
                    while words.peek().is_some_and(|word| *word != "}") {
                        self.read_use(words, &path, hands_on, inline);
                        words.next_if_eq(&",");
                    }
                    words.next();
                    return;
                }
                "as" => given = words.next().map(str::to_owned),
                "*" => given = Some("*".to_owned()),
                "::" => {}
                "self" if !path.is_empty() => {}
                name => path.push(name.to_owned()),
            }
        }
        let given = given.or_else(|| path.last().cloned());
        self.note(path, given, hands_on, inline);
    }

    /// Notes a path as it is seen from the file: a module without one stands in it.
    fn note(&mut self, segments: Vec<String>, given: Option<String>, hands_on: bool, inline: usize) {
        let root = |one: &String| ["crate", "super", "self"].contains(&one.as_str());
        let hides = given.is_some() && segments.iter().all(root);
        assert!(!hides, "another name for {segments:?} hides what is named by it");
        let up = segments.iter().take_while(|one| *one == "super").count();
        let within = up.min(inline);
        let here = (within > 0 && up == within).then(|| "self".to_owned());
        self.named.push(Named {
            segments: here.into_iter().chain(segments.into_iter().skip(within)).collect(),
            given,
            hands_on,
        });
    }

    /// What the code uses: not what is only handed on.
    fn used(&self) -> impl Iterator<Item = &Named> {
        let paths = self.named.iter().filter(|one| one.given.is_none());
        let mentioned: BTreeSet<_> = paths.map(|one| &one.segments[0]).collect();
        let is_used = move |one: &&Named| !one.hands_on || one.given.iter().any(|name| mentioned.contains(name));
        self.named.iter().filter(is_used)
    }
}

impl Map {
    /// Reads the crate from its root on, module by module, as the compiler does.
    fn of(source: &Path) -> Self {
        let mut map = Self(BTreeMap::new());
        map.read(&source.join("lib.rs"), source, Vec::new());
        map
    }

    fn read(&mut self, file: &Path, folder: &Path, place: Place) {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let module = Module::of(&text);
        for name in &module.children {
            let below = folder.join(name);
            let own = Some(below.join("mod.rs")).filter(|own| own.exists());
            let file = own.unwrap_or_else(|| folder.join(format!("{name}.rs")));
            self.read(&file, &below, [&place[..], std::slice::from_ref(name)].concat());
        }
        self.0.insert(place, module);
    }

    /// The full path that is meant in a module; `None` for what is no path of the crate.
    fn absolute(&self, place: &Place, named: &Named) -> Option<Vec<String>> {
        let segments = &named.segments[..];
        let is_path = named.given.is_some() || segments.len() > 1;
        let first = segments.first()?;
        let up = segments.iter().take_while(|one| *one == "super").count();
        let (base, rest) = match first.as_str() {
            "crate" => (&[][..], &segments[1..]),
            "self" => (&place[..], &segments[1..]),
            "super" => (&place[..place.len().checked_sub(up)?], &segments[up..]),
            _ if is_path && self.0[place].children.contains(first) => (&place[..], segments),
            _ => return None,
        };
        Some([base, rest].concat())
    }

    /// The module that declares what a full path names: behind all that hands it on.
    fn home(&self, path: &[String]) -> Place {
        let end = (0..=path.len()).rev().find(|end| self.0.contains_key(&path[..*end]));
        let (place, rest) = path.split_at(end.unwrap_or(0));
        let place = place.to_vec();
        let given = |one: &&Named| one.given.is_some() && one.given.as_ref() == rest.first();
        let given = self.0[&place].named.iter().filter(given);
        let mut onward = given.filter_map(|one| self.absolute(&place, one));
        let onward = onward.find(|onward| onward != path); // a module inside of this one may take its name from here
        // What another crate declares goes by the name given here.
        let home = onward.map(|onward| self.home(&onward)).filter(|home| !home.is_empty());
        home.unwrap_or(place)
    }

    /// Where it stands what a module names there.
    fn home_of(&self, place: &Place, named: &Named) -> Option<Place> {
        let path = self.absolute(place, named)?;
        let is_folder = self.0.get(&path).is_some_and(|module| !module.children.is_empty());
        let hides = is_folder && named.given.as_deref() == Some("*") && !place.is_empty();
        assert!(!hides, "{place:?}: `*` of the folder {path:?} hides what is named");
        Some(self.home(&path))
    }

    /// What each folder of src/, or file beside them, names of the others.
    fn between_folders(&self) -> Arrows {
        let mut arrows = Arrows::new();
        for (place, module) in self.0.iter().filter(|(place, _)| !place.is_empty()) {
            let to = arrows.entry(place[0].clone()).or_default();
            let paths = module.named.iter().filter_map(|named| self.absolute(place, named));
            for first in paths.filter_map(|path| path.into_iter().next()) {
                if self.0[&Vec::new()].children.contains(&first) {
                    to.extend((first != place[0]).then_some(first));
                } else {
                    assert!(OTHER_CRATE.contains(&&*first), "{place:?}: the root hands on {first}");
                }
            }
        }
        arrows
    }

    /// Which modules below this folder use what lies directly in a folder above their own, or their own `mod.rs`.
    fn upward(&self, folder: &str) -> BTreeSet<String> {
        let is_within = |place: &Place| place.first().is_some_and(|first| first == folder);
        let folder_of = |place: &Place| place[..place.len() - usize::from(self.0[place].children.is_empty())].to_vec();
        let is_above = |above: &[String], below: &[String]| above.len() < below.len() && below.starts_with(above);
        let mut arrows = BTreeSet::new();
        for (place, module) in self.0.iter().filter(|(place, _)| is_within(place)) {
            let named = module.named.iter().filter(|named| !named.hands_on);
            for home in named.filter_map(|named| self.home_of(place, named)).filter(is_within) {
                if is_above(&home, place) || is_above(&folder_of(&home), &folder_of(place)) {
                    arrows.insert(format!("{} → {}", place.join("/"), home.join("/")));
                }
            }
        }
        arrows
    }

    /// What the files, and folders, of a folder use of each other; its own `mod.rs` is called so.
    fn within(&self, folder: &Place) -> Arrows {
        let child = |place: &[String]| place.get(folder.len()).map_or("mod", String::as_str).to_owned();
        let mut arrows = Arrows::new();
        for (place, module) in self.0.iter().filter(|(place, _)| place.starts_with(folder)) {
            let homes = module.used().filter_map(|named| self.home_of(place, named));
            for home in homes.filter(|home| home.starts_with(folder) && child(home) != child(place)) {
                arrows.entry(child(place)).or_default().insert(child(&home));
            }
        }
        arrows
    }

    /// What is named of the operating system outside of the folders that may: a port has to write nothing else.
    fn named_of_the_system(&self) -> Vec<String> {
        let outside = self.0.iter().filter(|(place, _)| !is_of_a_system(place));
        let named = outside.flat_map(|(place, module)| module.named.iter().map(move |named| (place, named)));
        let named = named.map(|(place, named)| (place, named.segments.join("::")));
        let named = named.filter(|(_, named)| OF_A_SYSTEM.iter().any(|of| named.starts_with(of)));
        named.map(|(place, one)| format!("{place:?}: {one}")).collect()
    }
}

/// What a system has of its own.
const OF_A_SYSTEM: [&str; 4] = ["libc", "rustix", "windows_sys", "std::os"];

/// A part of src/platform, or of crates/sharing/src/system, that has the bodies of one system.
fn is_of_a_system(place: &Place) -> bool {
    let [first, second, ..] = &place[..] else { return false };
    ["platform", "system"].contains(&first.as_str()) && ["linux", "macos", "unix", "windows"].contains(&second.as_str())
}

/// Names that lead to themselves.
fn circles(arrows: &Arrows) -> BTreeSet<&String> {
    let leads_back = |from: &&String| {
        let mut seen = BTreeSet::new();
        let mut next = vec![*from];
        while let Some(name) = next.pop() {
            next.extend(arrows.get(name).into_iter().flatten().filter(|to| seen.insert(*to)));
        }
        seen.contains(from)
    };
    arrows.keys().filter(leads_back).collect()
}

/// Names that several types have, and where; and how many types there are.
fn shared_names(maps: &[Map]) -> (BTreeMap<&str, BTreeSet<String>>, usize) {
    let mut places: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (place, module) in maps.iter().flat_map(|map| &map.0) {
        // Two systems have a type each for the same.
        let system = is_of_a_system(place).then(|| "platform/system".to_owned());
        let place = system.unwrap_or_else(|| place.join("/"));
        for name in &module.types {
            places.entry(name).or_default().insert(place.clone());
        }
    }
    let all = places.values().map(BTreeSet::len).sum();
    places.retain(|_, places| places.len() > 1);
    (places, all)
}

/// src/, and what it uses of its own.
static MAPS: LazyLock<[Map; 3]> = LazyLock::new(|| {
    ["src", "crates/matching/src", "crates/sharing/src"].map(|source| Map::of(&plexindex_tests::repository(source)))
});

/// The arrows that docs/design.md shows, from the top to the bottom.
fn plan() -> Vec<(String, BTreeSet<String>)> {
    let design = fs::read_to_string(plexindex_tests::repository("docs/design.md")).expect("the design");
    let (_, rest) = design.split_once("```arrows\n").expect("a block");
    let (block, _) = rest.split_once("```").expect("it ends");
    let line = |line: &str| {
        let (from, to) = line.split_once('→').unwrap_or_else(|| panic!("no arrow in `{line}`"));
        let to = to.split_whitespace().map(str::to_owned).collect();
        (from.trim().to_owned(), to)
    };
    block.lines().map(line).collect()
}

/// Each folder has a line; what it uses stands further down, so that no arrow leads up and there is no circle.
#[test]
fn arrows_of_the_plan_lead_down() {
    let mut chains: BTreeMap<String, usize> = BTreeMap::new();
    for (from, to) in plan().into_iter().rev() {
        assert!(
            to.iter().all(|to| chains.contains_key(to)),
            "{from}: an arrow that leads up, or to nothing"
        );
        let chain = 1 + to.iter().map(|to| chains[to]).max().unwrap_or(0);
        assert!(chain <= LONGEST_CHAIN, "{chain} folders use each other from {from} on");
        assert!(chains.insert(from, chain).is_none(), "a folder has two lines");
    }
}

/// One test, since each process reads all sources.
#[test]
fn the_sources_keep_their_layers() {
    let [source, ..] = &*MAPS;
    let (plan, code): (Arrows, _) = (plan().into_iter().collect(), source.between_folders());
    assert_eq!(plan, code, "the arrows of docs/design.md, and those of src/");
    for other in ["source", "sync", "query"] {
        assert!(!plan["engine"].contains(other), "engine uses {other}");
    }
    for map in &*MAPS {
        for folder in map.0.keys() {
            let arrows = map.within(folder);
            let circles = circles(&arrows);
            assert!(circles.is_empty(), "{folder:?}: a circle of {circles:?}: {arrows:#?}");
        }
        assert_eq!(map.named_of_the_system(), [""; 0], "src/platform is the one seam");
    }
    // What several folders of the sources share lies in a folder of its own.
    assert_eq!(source.upward("source"), BTreeSet::new());
    let (shared, all) = shared_names(&*MAPS);
    let sharing: usize = shared.values().map(BTreeSet::len).sum();
    let is_low = sharing * 100 <= all * SHARED_NAMES_PERCENT;
    assert!(is_low, "{sharing} of {all} types share a name: {shared:#?}");
}
