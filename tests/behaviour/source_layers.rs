//! The layers of docs/design.md are what the sources say: which folder of src/ uses which, and no circle, neither
//! between folders nor between the files of one.
//!
//! Read are the `use` lines and the paths in the code, of what is no test, what macros are given included. Methods
//! have no path: a struct whose methods stand in several files ties these together only where they name each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use syn::visit::Visit;

/// Folders whose files still use each other in a circle, and are being taken apart. A line goes with its circle: the
/// test fails when there is none left.
const TIED: [&str; 0] = [];

/// Folders of src/, and files beside them, that may use each other one after the other.
const LONGEST_CHAIN: usize = 10;

/// Types of which each hundred may share their name with another. It only falls.
const SHARED_NAMES_PERCENT: usize = 5;

/// A module's place: `["source", "plex", "wire"]`; the crate itself is empty.
type Place = Vec<String>;

/// A path in a module's code.
struct Named {
    segments: Vec<String>,
    /// `pub use`, which hands on what stands elsewhere.
    hands_on: bool,
    /// The name that a `use` gives it; `*` for all that is there.
    as_name: Option<String>,
}

/// A module of its own file, with the modules inside of it.
#[derive(Default)]
struct Module {
    children: BTreeSet<String>,
    /// Everything that it declares.
    declared: BTreeSet<String>,
    /// Structs, enums, traits and unions, also within functions.
    types: BTreeSet<String>,
    named: Vec<Named>,
    /// First segments of the paths in its code.
    mentioned: BTreeSet<String>,
    /// How many modules without a file of their own stand around what is read.
    inline: usize,
}

/// All modules of the crate that are no tests.
struct Map(BTreeMap<Place, Module>);

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let test = |list: &syn::MetaList| list.tokens.to_string() == "test";
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg") && attribute.meta.require_list().is_ok_and(test)
    })
}

/// The paths in what a macro is given: words with `::` between them, and single words.
fn paths_in(tokens: &str) -> Vec<Vec<String>> {
    let mut paths: Vec<Vec<String>> = Vec::new();
    let mut rest = tokens.trim_start();
    let mut goes_on = false;
    while let Some(first) = rest.chars().next() {
        let length = if first.is_alphabetic() || first == '_' {
            let length = rest
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            let word = rest[..length].to_owned();
            match paths.last_mut().filter(|_| goes_on) {
                Some(path) => path.push(word),
                None => paths.push(vec![word]),
            }
            goes_on = false;
            length
        } else if rest.starts_with("::") {
            goes_on = true;
            2
        } else if first == '"' {
            goes_on = false;
            let mut escaped = false;
            let end = rest[1..].find(|c: char| {
                let end = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                end
            });
            end.map_or(rest.len(), |end| end + 2)
        } else {
            goes_on = false;
            first.len_utf8()
        };
        rest = rest[length..].trim_start();
    }
    paths
}

impl Module {
    /// What a path names from this file: a module without a file stands in it.
    fn seen_by_file(&self, segments: Vec<String>) -> Vec<String> {
        let up = segments.iter().take_while(|one| *one == "super").count();
        let within = up.min(self.inline);
        if within == 0 {
            return segments;
        }
        let here = (up == within).then(|| "self".to_owned());
        here.into_iter().chain(segments.into_iter().skip(within)).collect()
    }

    /// Notes a path in the code.
    fn name(&mut self, segments: Vec<String>) {
        self.mentioned.extend(segments.first().cloned());
        let segments = self.seen_by_file(segments);
        self.named.push(Named {
            segments,
            hands_on: false,
            as_name: None,
        });
    }

    fn trees(&mut self, tree: &syn::UseTree, before: &mut Vec<String>, hands_on: bool) {
        let add = |module: &mut Self, segments: Vec<String>, name: String| {
            let segments = module.seen_by_file(segments);
            module.named.push(Named {
                segments,
                hands_on,
                as_name: Some(name),
            });
        };
        match tree {
            syn::UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.trees(&path.tree, before, hands_on);
                before.pop();
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.trees(tree, before, hands_on);
                }
            }
            syn::UseTree::Name(name) if name.ident == "self" => {
                add(self, before.clone(), before.last().cloned().unwrap_or_default());
            }
            syn::UseTree::Name(name) => {
                let segments = before.iter().cloned().chain([name.ident.to_string()]).collect();
                add(self, segments, name.ident.to_string());
            }
            syn::UseTree::Rename(name) => {
                let last = (name.ident != "self").then(|| name.ident.to_string());
                add(
                    self,
                    before.iter().cloned().chain(last).collect(),
                    name.rename.to_string(),
                );
            }
            syn::UseTree::Glob(_) => add(self, before.clone(), "*".to_owned()),
        }
    }
}

impl<'ast> Visit<'ast> for Module {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let (attributes, name) = match item {
            syn::Item::Const(one) => (&one.attrs, Some(&one.ident)),
            syn::Item::Enum(one) => (&one.attrs, Some(&one.ident)),
            syn::Item::ExternCrate(one) => {
                assert!(
                    one.ident != "self",
                    "`extern crate self` hides what is named through it"
                );
                return;
            }
            syn::Item::Fn(one) => (&one.attrs, Some(&one.sig.ident)),
            syn::Item::ForeignMod(one) => (&one.attrs, None),
            syn::Item::Impl(one) => (&one.attrs, None),
            syn::Item::Macro(one) => (&one.attrs, one.ident.as_ref()),
            syn::Item::Mod(one) => (&one.attrs, Some(&one.ident)),
            syn::Item::Static(one) => (&one.attrs, Some(&one.ident)),
            syn::Item::Struct(one) => (&one.attrs, Some(&one.ident)),
            syn::Item::Trait(one) => (&one.attrs, Some(&one.ident)),
            syn::Item::Type(one) => (&one.attrs, Some(&one.ident)),
            syn::Item::Union(one) => (&one.attrs, Some(&one.ident)),
            syn::Item::Use(one) => (&one.attrs, None),
            _ => return,
        };
        if is_for_tests(attributes) {
            return;
        }
        let inline = usize::from(matches!(item, syn::Item::Mod(one) if one.content.is_some()));
        if self.inline == 0 {
            self.declared.extend(name.map(ToString::to_string));
        }
        if matches!(
            item,
            syn::Item::Enum(_) | syn::Item::Struct(_) | syn::Item::Trait(_) | syn::Item::Union(_)
        ) {
            self.types.extend(name.map(ToString::to_string));
        }
        self.inline += inline;
        syn::visit::visit_item(self, item);
        self.inline -= inline;
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        for segments in paths_in(&item.tokens.to_string()) {
            self.name(segments);
        }
        syn::visit::visit_macro(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_for_tests(&item.attrs) {
            syn::visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let hands_on = !matches!(item.vis, syn::Visibility::Inherited);
        self.trees(&item.tree, &mut Vec::new(), hands_on);
    }

    /// `pub(super)` uses nothing.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.name(path.segments.iter().map(|one| one.ident.to_string()).collect());
        syn::visit::visit_path(self, path);
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
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let mut module = Module::default();
        module.visit_file(&parsed);
        for item in &parsed.items {
            let syn::Item::Mod(child) = item else { continue };
            if child.content.is_some() || is_for_tests(&child.attrs) {
                continue;
            }
            let name = child.ident.to_string();
            let below = folder.join(&name);
            let own = below.join("mod.rs");
            let file: PathBuf = if own.exists() {
                own
            } else {
                folder.join(format!("{name}.rs"))
            };
            module.children.insert(name.clone());
            let place = place.iter().cloned().chain([name]).collect();
            self.read(&file, &below, place);
        }
        self.0.insert(place, module);
    }

    /// The full path that these segments mean in a module; `None` for what is no path of the crate.
    fn absolute(&self, place: &Place, segments: &[String]) -> Option<Vec<String>> {
        self.absolute_by(place, segments, 4)
    }

    /// The same, through no more than so many names that a `use` gives.
    fn absolute_by(&self, place: &Place, segments: &[String], names: u32) -> Option<Vec<String>> {
        let mut base = place.clone();
        let mut rest = segments;
        match rest.first()?.as_str() {
            "crate" => {
                base.clear();
                rest = &rest[1..];
            }
            "self" => rest = &rest[1..],
            "super" => {
                while rest.first().is_some_and(|first| first == "super") {
                    base.pop()?;
                    rest = &rest[1..];
                }
            }
            first if self.0[place].children.contains(first) => {}
            first => {
                let uses = self.0[place].named.iter();
                let mut given = uses.filter(|named| named.as_name.as_deref() == Some(first));
                let short = names.checked_sub(1)?;
                base = given.find_map(|named| self.absolute_by(place, &named.segments, short))?;
                rest = &rest[1..];
            }
        }
        base.extend(rest.iter().cloned());
        Some(base)
    }

    /// The module that declares what a full path names: behind all that hands it on.
    fn home(&self, path: &[String], depth: u32) -> Option<Place> {
        let modules = (0..=path.len()).rev().find(|end| self.0.contains_key(&path[..*end]))?;
        let (place, rest) = path.split_at(modules);
        let place = place.to_vec();
        let module = &self.0[&place];
        let Some(name) = rest.first() else {
            return Some(place);
        };
        if module.declared.contains(name) || depth == 0 {
            return Some(place);
        }
        let uses = module.named.iter();
        for named in uses.filter(|named| {
            named
                .as_name
                .as_deref()
                .is_some_and(|given| given == name || given == "*")
        }) {
            // What another crate declares goes by the name given here.
            let Some(mut onward) = self.absolute(&place, &named.segments) else {
                continue;
            };
            if named.as_name.as_deref() == Some("*") {
                onward.push(name.clone());
            }
            if let Some(home) = self.home(&onward, depth - 1).filter(|home| *home != place) {
                return Some(home);
            }
        }
        Some(place)
    }

    /// The full paths that one naming leads to: behind a `*` stands each name that is used and not declared here.
    fn all_of(&self, place: &Place, module: &Module, named: &Named) -> Vec<Vec<String>> {
        let Some(path) = self.absolute(place, &named.segments) else {
            return Vec::new();
        };
        let all = named.as_name.as_deref() == Some("*");
        let behind = module.mentioned.difference(&module.declared).filter(|_| all);
        let behind = behind.map(|name| path.iter().cloned().chain([name.clone()]).collect());
        behind.chain([path.clone()]).collect()
    }

    /// What each folder of src/, or file beside them, names of the others.
    fn between_folders(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (place, module) in &self.0 {
            let Some(from) = place.first() else { continue };
            let to = arrows.entry(from.clone()).or_default();
            let paths = module.named.iter().flat_map(|named| self.all_of(place, module, named));
            // What the crate's root hands on has its home below.
            let folder = |path: Vec<String>| {
                let child = path
                    .first()
                    .filter(|first| self.0[&Vec::new()].children.contains(*first));
                child.cloned().or_else(|| self.home(&path, 4)?.first().cloned())
            };
            to.extend(paths.filter_map(folder).filter(|to| to != from));
        }
        arrows
    }

    /// Which modules below this folder use what lies directly in a folder above their own, or their own `mod.rs`.
    fn upward(&self, folder: &[&str]) -> BTreeSet<String> {
        let is_within = |place: &Place| {
            place
                .iter()
                .map(String::as_str)
                .take(folder.len())
                .eq(folder.iter().copied())
        };
        let folder_of = |place: &Place| {
            let is_file = self.0[place].children.is_empty();
            place[..place.len() - usize::from(is_file)].to_vec()
        };
        let is_above = |above: &[String], below: &[String]| above.len() < below.len() && below.starts_with(above);
        let mut arrows = BTreeSet::new();
        for (place, module) in self.0.iter().filter(|(place, _)| is_within(place)) {
            for named in module.named.iter().filter(|named| !named.hands_on) {
                let homes = self.all_of(place, module, named);
                let homes = homes.iter().filter_map(|path| self.home(path, 4));
                for home in homes.filter(|home| is_within(home) && !home.is_empty()) {
                    if is_above(&home, place) || is_above(&folder_of(&home), &folder_of(place)) {
                        arrows.insert(format!("{} → {}", place.join("/"), home.join("/")));
                    }
                }
            }
        }
        arrows
    }

    /// What the files, and folders, of a folder use of each other; its own `mod.rs` is called so.
    fn within(&self, folder: &Place) -> BTreeMap<String, BTreeSet<String>> {
        let child = |place: &[String]| place.get(folder.len()).map_or("mod", String::as_str).to_owned();
        let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (place, module) in self.0.iter().filter(|(place, _)| place.starts_with(folder)) {
            let from = child(place);
            for named in &module.named {
                // What is only handed on is not used.
                if named.hands_on
                    && !named
                        .as_name
                        .as_ref()
                        .is_some_and(|name| module.mentioned.contains(name))
                {
                    continue;
                }
                for home in self
                    .all_of(place, module, named)
                    .iter()
                    .filter_map(|path| self.home(path, 4))
                {
                    if home.starts_with(folder) && child(&home) != from {
                        arrows.entry(from.clone()).or_default().insert(child(&home));
                    }
                }
            }
        }
        arrows
    }

    /// The folders that have files below them.
    fn folders(&self) -> impl Iterator<Item = &Place> {
        let with_files = self
            .0
            .iter()
            .filter(|(place, module)| !place.is_empty() && !module.children.is_empty());
        with_files.map(|(place, _)| place)
    }
}

/// Folders of src/platform that have the bodies of one system.
const SYSTEMS: [&str; 4] = ["linux", "macos", "unix", "windows"];

fn is_of_a_system(place: &Place) -> bool {
    matches!(place.as_slice(), [first, second, ..] if first == "platform" && SYSTEMS.contains(&second.as_str()))
}

/// What is named of the operating system outside of the folders that may: a port has to write nothing else.
fn named_of_the_system(map: &Map) -> Vec<String> {
    let is_of_it = |segments: &[String]| match segments {
        [first, ..] if ["libc", "rustix", "windows_sys"].contains(&first.as_str()) => true,
        [first, second, ..] => first == "std" && second == "os",
        _ => false,
    };
    let outside = map.0.iter().filter(|(place, _)| !is_of_a_system(place));
    let named = outside.flat_map(|(place, module)| module.named.iter().map(move |named| (place, &named.segments)));
    let named = named.filter(|(_, segments)| is_of_it(segments));
    named
        .map(|(place, segments)| format!("{}: {}", place.join("/"), segments.join("::")))
        .collect()
}

/// Sets of names that all lead to each other.
fn circles(arrows: &BTreeMap<String, BTreeSet<String>>) -> Vec<BTreeSet<String>> {
    let reach = |from: &String| {
        let mut seen: BTreeSet<String> = BTreeSet::new();
        let mut next: Vec<&String> = arrows.get(from).into_iter().flatten().collect();
        while let Some(name) = next.pop() {
            if seen.insert(name.clone()) {
                next.extend(arrows.get(name).into_iter().flatten());
            }
        }
        seen
    };
    let reached: BTreeMap<&String, BTreeSet<String>> = arrows.keys().map(|name| (name, reach(name))).collect();
    let mut found: Vec<BTreeSet<String>> = Vec::new();
    for (name, all) in reached.iter().filter(|(name, all)| all.contains(**name)) {
        let back = all
            .iter()
            .filter(|other| reached.get(other).is_some_and(|all| all.contains(*name)));
        let circle: BTreeSet<String> = back.cloned().collect();
        if !found.contains(&circle) {
            found.push(circle);
        }
    }
    found
}

/// The longest way along the arrows, of which none lead in a circle.
fn longest_chain(arrows: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    fn from(
        name: &str,
        arrows: &BTreeMap<String, BTreeSet<String>>,
        known: &mut BTreeMap<String, Vec<String>>,
    ) -> Vec<String> {
        if let Some(chain) = known.get(name) {
            return chain.clone();
        }
        let onward = arrows.get(name).into_iter().flatten().map(|to| from(to, arrows, known));
        let mut chain = onward.max_by_key(Vec::len).unwrap_or_default();
        chain.insert(0, name.to_owned());
        known.insert(name.to_owned(), chain.clone());
        chain
    }
    let mut known = BTreeMap::new();
    let chains = arrows.keys().map(|name| from(name, arrows, &mut known));
    chains.max_by_key(Vec::len).unwrap_or_default()
}

/// Names that several types have, and where; and how many types there are.
fn shared_names(map: &Map) -> (BTreeMap<&str, Vec<String>>, usize) {
    let mut places: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (place, module) in &map.0 {
        // Two systems have a type each for the same.
        let place = if is_of_a_system(place) {
            "platform/system".to_owned()
        } else {
            place.join("/")
        };
        for name in &module.types {
            let places = places.entry(name).or_default();
            if !places.contains(&place) {
                places.push(place.clone());
            }
        }
    }
    let all = places.values().map(Vec::len).sum();
    places.retain(|_, places| places.len() > 1);
    (places, all)
}

fn repository(path: &str) -> PathBuf {
    plexindex_tests::repository(path)
}

static MAP: LazyLock<Map> = LazyLock::new(|| Map::of(&repository("src")));

const FENCE: &str = "```arrows\n";

/// The arrows that docs/design.md shows, from the top to the bottom.
fn plan() -> Vec<(String, BTreeSet<String>)> {
    let design = fs::read_to_string(repository("docs/design.md")).expect("the design");
    let (_, rest) = design.split_once(FENCE).expect("the layers have a block of arrows");
    let (block, _) = rest.split_once("```").expect("it ends");
    let line = |line: &str| {
        let (from, to) = line.split_once('→').unwrap_or_else(|| panic!("no arrow in `{line}`"));
        (
            from.trim().to_owned(),
            to.split_whitespace().map(str::to_owned).collect(),
        )
    };
    block.lines().map(line).collect()
}

/// Each folder has a line; what it uses stands further down, so that no arrow leads up and there is no circle.
#[test]
fn arrows_of_the_plan_lead_down() {
    let plan = plan();
    for (at, (from, to)) in plan.iter().enumerate() {
        for name in to {
            let there = plan.iter().position(|(other, _)| other == name);
            let there = there.unwrap_or_else(|| panic!("{from} → {name}, which has no line of its own"));
            assert!(there > at, "{from} → {name} leads up: {name} stands above");
        }
    }
}

/// One test, since each process reads all sources.
#[test]
fn the_sources_keep_their_layers() {
    the_plan_shows_every_arrow_and_no_other();
    the_engine_knows_neither_source_nor_shared_log();
    no_files_of_a_folder_use_each_other_in_a_circle();
    no_arrow_of_the_sources_leads_up();
    no_long_chain_of_folders_use_each_other();
    few_types_share_a_name();
    only_the_platform_names_the_operating_system();
}

fn the_plan_shows_every_arrow_and_no_other() {
    let plan = plan();
    let shown: BTreeMap<_, _> = plan.iter().cloned().collect();
    assert_eq!(shown.len(), plan.len(), "a folder has two lines");
    let there = MAP.between_folders();
    let mut wrong = String::new();
    let nothing = BTreeSet::new();
    for from in shown.keys().chain(there.keys()).collect::<BTreeSet<_>>() {
        let (in_plan, in_code) = (shown.get(from), there.get(from));
        if in_plan.is_none() || in_code.is_none() {
            writeln!(
                wrong,
                "{from} is {}",
                if in_plan.is_none() {
                    "not in the plan"
                } else {
                    "no folder"
                }
            )
            .expect("text");
        }
        let (in_plan, in_code) = (in_plan.unwrap_or(&nothing), in_code.unwrap_or(&nothing));
        if in_plan != in_code {
            let names: Vec<&str> = in_code.iter().map(String::as_str).collect();
            writeln!(wrong, "  the code says: {from} → {}", names.join(" ")).expect("text");
        }
        for to in in_code.difference(in_plan) {
            writeln!(wrong, "{from} uses {to}, and the plan shows no such arrow").expect("text");
        }
        for to in in_plan.difference(in_code) {
            writeln!(wrong, "{from} → {to} is in the plan, and not in the code").expect("text");
        }
    }
    assert!(
        wrong.is_empty(),
        "src/ and the arrows in docs/design.md differ:\n{wrong}"
    );
}

fn the_engine_knows_neither_source_nor_shared_log() {
    let there = MAP.between_folders();
    for other in ["source", "shared", "sync", "query"] {
        assert!(!there["engine"].contains(other), "engine uses {other}");
    }
}

fn no_files_of_a_folder_use_each_other_in_a_circle() {
    let mut found = String::new();
    let mut tied = BTreeSet::new();
    for folder in MAP.folders() {
        let circles = circles(&MAP.within(folder));
        let name = folder.join("/");
        if !circles.is_empty() && TIED.contains(&name.as_str()) {
            tied.insert(name);
        } else {
            for circle in circles {
                writeln!(found, "src/{name}: {circle:?}").expect("text");
            }
        }
    }
    assert!(found.is_empty(), "files use each other in a circle:\n{found}");
    assert_eq!(
        tied,
        TIED.map(str::to_owned).into(),
        "these have no circle any more: take them out of TIED"
    );
}

/// What several folders of the sources share lies in a folder of its own.
fn no_arrow_of_the_sources_leads_up() {
    let arrows = MAP.upward(&["source"]);
    assert!(arrows.is_empty(), "{arrows:#?}");
}

fn no_long_chain_of_folders_use_each_other() {
    let chain = longest_chain(&MAP.between_folders());
    assert!(
        chain.len() <= LONGEST_CHAIN,
        "{} folders use each other: {}",
        chain.len(),
        chain.join(" → ")
    );
}

fn few_types_share_a_name() {
    let (shared, all) = shared_names(&MAP);
    let sharing: usize = shared.values().map(Vec::len).sum();
    assert!(
        sharing * 100 <= all * SHARED_NAMES_PERCENT,
        "{sharing} of {all} types share a name with another, {SHARED_NAMES_PERCENT} % may: {shared:#?}"
    );
}

/// The two functions above see what they shall see.
#[test]
fn chains_and_shared_names_are_found() {
    let folder = tempfile::tempdir().expect("a folder");
    for (file, text) in [
        ("lib.rs", "mod one; mod two; mod three; mod alone;"),
        ("one.rs", "use crate::two::Two; pub struct Same;"),
        (
            "two.rs",
            "pub struct Two; fn f() { crate::three::f(); struct Same; } #[cfg(test)] mod tests { struct Two; }",
        ),
        (
            "three.rs",
            "pub fn f() {} pub use std::fmt::Debug as Same; impl Iterator for X { type Two = u8; }",
        ),
        ("alone.rs", "use crate::three::f; mod inline { enum Same {} }"),
    ] {
        fs::write(folder.path().join(file), text).expect("written");
    }
    let map = Map::of(folder.path());
    assert_eq!(longest_chain(&map.between_folders()), ["one", "two", "three"]);
    let (shared, all) = shared_names(&map);
    let places = ["alone", "one", "two"].map(str::to_owned).to_vec();
    assert_eq!((shared, all), ([("Same", places)].into(), 4));
}

fn only_the_platform_names_the_operating_system() {
    assert_eq!(named_of_the_system(&MAP), [""; 0], "src/platform is the one seam");
}

/// The function above sees what it shall see.
#[test]
fn what_names_the_operating_system_is_found() {
    for line in [
        "use std::os::unix::ffi::OsStrExt;",
        "fn f() { use std::os::fd; }",
        "use std::{io, os::fd::RawFd};",
        "fn f() { unsafe { libc::getpid(); } }",
        "fn f(_: std::os::fd::RawFd) {}",
        "fn f() { log::warn!(\"{}\", libc::EINTR); }",
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("platform")).expect("made");
        for (file, text) in [
            ("lib.rs", "mod low; mod platform;"),
            ("low.rs", line),
            ("platform/mod.rs", "mod linux;"),
            ("platform/linux.rs", line),
        ] {
            fs::write(folder.path().join(file), text).expect("written");
        }
        let found = named_of_the_system(&Map::of(folder.path()));
        assert!(found.len() == 1 && found[0].starts_with("low: "), "{line}: {found:?}");
    }
}

/// The tests above see what they shall see.
#[test]
fn arrows_and_circles_are_found() {
    let folder = tempfile::tempdir().expect("a folder");
    for (file, text) in [
        ("lib.rs", "mod high; mod low; pub mod alone;"),
        ("alone.rs", "fn f() { let _: crate::low::Two; }"),
        (
            "high.rs",
            "use crate::low::{One as First, two}; #[cfg(test)] mod tests { use crate::alone; }",
        ),
        // The folder hands on what `one` declares, and uses `two` itself.
        (
            "low/mod.rs",
            "mod one; mod two; mod three; pub use one::*; pub use two::Two; fn f() -> Two { Two }",
        ),
        (
            "low/one.rs",
            "use super::Two; pub struct One; #[test] fn t() { super::three::f(); }",
        ),
        ("low/two.rs", "pub struct Two; pub fn two() { super::three::f(); }"),
        ("low/three.rs", "pub(super) fn f() { let _ = super::One; }"),
    ] {
        let file = folder.path().join(file);
        fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        fs::write(file, text).expect("written");
    }
    let set = |names: &[&str]| -> BTreeSet<String> { names.iter().map(|name| (*name).to_owned()).collect() };
    let map = Map::of(folder.path());
    let expected = [("alone", set(&["low"])), ("high", set(&["low"])), ("low", set(&[]))];
    assert_eq!(
        map.between_folders(),
        expected.map(|(from, to)| (from.to_owned(), to)).into()
    );
    let low = map.within(&vec!["low".to_owned()]);
    let expected = [
        ("mod", set(&["two"])),
        ("one", set(&["two"])),
        ("three", set(&["one"])),
        ("two", set(&["three"])),
    ];
    assert_eq!(low, expected.map(|(from, to)| (from.to_owned(), to)).into());
    assert_eq!(circles(&low), [set(&["one", "three", "two"])]);
}

/// No way of writing a path leads round the map.
#[test]
fn each_way_to_name_a_path_is_seen() {
    for (what, low) in [
        ("a path without `use`", "fn f() { crate::high::f(); }"),
        (
            "what a macro is given",
            "fn f() { log::warn!(\"{}\", crate::high::f()); }",
        ),
        ("a macro's own text", "macro_rules! m { () => { crate::high::f() } }"),
        ("a name for the crate", "use crate as all; fn f() { all::high::f(); }"),
        (
            "a name for what is above",
            "use super::super as up; fn f() { up::high::f(); }",
        ),
        ("what the root hands on", "use crate::High;"),
        ("all that the root hands on", "use crate::*; fn f(_: High) {}"),
        (
            "a module without a file",
            "mod inline { use super::super::super::high; }",
        ),
        ("a `use` in a function", "fn f() { use crate::high; }"),
        (
            "another language's function",
            "unsafe extern \"C\" { fn f(one: crate::high::High); }",
        ),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        for (file, text) in [
            ("lib.rs", "mod high; mod low; pub use high::High;"),
            ("high.rs", "pub struct High; pub fn f() {}"),
            ("low/mod.rs", "mod one;"),
            ("low/one.rs", low),
        ] {
            let file = folder.path().join(file);
            fs::create_dir_all(file.parent().expect("a folder")).expect("made");
            fs::write(file, text).expect("written");
        }
        let arrows = Map::of(folder.path()).between_folders();
        assert!(arrows["low"].contains("high"), "{what} is not seen: {arrows:?}");
    }
}

/// Two files that name each other through `*` of their folder, and through macros.
#[test]
fn a_circle_through_a_glob_or_a_macro_is_seen() {
    let folder = tempfile::tempdir().expect("a folder");
    for (file, text) in [
        ("lib.rs", "mod low;"),
        (
            "low/mod.rs",
            "mod one; mod two; pub use std::fmt::*; pub use one::*; pub use two::*;",
        ),
        ("low/one.rs", "use super::*; pub struct One; fn f(_: Two) {}"),
        ("low/two.rs", "pub struct Two; fn f() { assert!(super::one::f()); }"),
    ] {
        let file = folder.path().join(file);
        fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        fs::write(file, text).expect("written");
    }
    let low = Map::of(folder.path()).within(&vec!["low".to_owned()]);
    assert!(low["one"].contains("two") && low["two"].contains("one"), "{low:?}");
}
