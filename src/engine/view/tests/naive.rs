//! A second implementation of resolution, from `docs/design/matching.md` alone, with lists and linear scans.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use unicode_normalization::UnicodeNormalization;

use super::parts::{FileTickets, MemtableChange};
use crate::matching::HitDoubt;
use crate::model::{Confidence, Item, MatchKind, Reason};

/// A library as lists.
#[derive(Clone, Debug, Default)]
pub struct Naive {
    pub locations: Vec<String>,
    pub fetched: bool,
    /// Items, and the time at which each became known.
    pub items: Vec<(Item, (FileTickets, u64))>,
    /// Recorded matches: path, rating key, moment.
    pub matches: Vec<(Vec<u8>, String, (u64, u64))>,
    /// Doubted paths, and since when.
    pub unverified_paths: Vec<(Vec<u8>, u64)>,
    /// The tickets of items that are not from the listing.
    pub asked: BTreeMap<String, u64>,
    /// When items were last doubted, and the server last asked about them.
    pub doubted_items: HashMap<String, u64>,
    pub replied_items: HashMap<String, u64>,
    pub changes: u64,
}

/// A rule that replaces a folder, on the host's paths or on the server's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    pub to_server: bool,
    pub from: String,
    pub to: String,
}

#[derive(Debug)]
pub struct Answer {
    pub match_kind: MatchKind,
    pub confidence: Confidence,
    pub reason: Reason,
    /// The items that match equally well, by library and rating key, with their matching paths.
    pub found: Fits,
}

thread_local! {
    /// A cache of normal forms, as scans need the same ones often.
    static FORMS: RefCell<HashMap<Vec<u8>, Vec<u8>>> = RefCell::default();
}

pub fn form(path: &[u8]) -> Vec<u8> {
    FORMS.with_borrow_mut(|known| {
        if let Some(form) = known.get(path) {
            return form.clone();
        }
        let form = made(path);
        if known.len() == 4096 {
            known.clear();
        }
        if path.len() < 512 {
            known.insert(path.to_vec(), form.clone());
        }
        form
    })
}

/// A path without empty names, `.` and, on Windows, what it ignores at the end of a name.
fn tidied(path: &[u8]) -> Vec<u8> {
    let is_drive = |path: &[u8]| path.len() > 2 && path[0].is_ascii_alphabetic() && path[1] == b':';
    let of_drive =
        path.first() == Some(&b'\\') && path.get(1) != Some(&b'\\') && path[2.min(path.len())..].contains(&b'\\');
    let windows = of_drive || path.starts_with(br"\\") || (is_drive(path) && matches!(path[2], b'/' | b'\\'));
    let literal = path.starts_with(br"\\?\");
    let slashes = path.iter().take_while(|byte| **byte == b'/').count();
    let root: Vec<u8> = match slashes {
        _ if of_drive => b"/".to_vec(),
        _ if literal => path[..4].to_vec(),
        _ if windows && !is_drive(path) => path[..2].to_vec(),
        _ if windows => path[..3].to_vec(),
        0 => Vec::new(),
        2 => b"//".to_vec(),
        _ => b"/".to_vec(),
    };
    let separator = if windows && !of_drive && path.contains(&b'\\') {
        b'\\'
    } else {
        b'/'
    };
    let mut names: Vec<Vec<u8>> = path[root.len().min(path.len())..]
        .split(|byte| *byte == b'/' || windows && *byte == b'\\')
        .map(<[u8]>::to_vec)
        .collect();
    let ends = names.len() > 1 && names.last().is_some_and(Vec::is_empty);
    loop {
        let before = names.clone();
        names.retain(|name| !name.is_empty() && name != b".");
        let count = names.len();
        for (index, name) in names.iter_mut().enumerate().filter(|(_, name)| *name != b"..") {
            let dots = |name: &[u8]| name.iter().rev().take_while(|byte| matches!(byte, b'.' | b' ')).count();
            if windows && !literal && index + 1 == count {
                name.truncate(name.len() - dots(name));
            } else if windows && !literal && name.ends_with(b".") && !name.ends_with(b"..") {
                name.pop();
            }
        }
        if names == before {
            break;
        }
    }
    let mut out = [root, names.join(&separator)].concat();
    if ends && !names.is_empty() {
        out.push(separator);
    }
    match out {
        out if out.is_empty() => path.to_vec(),
        // Separators alone are no reason to change a path.
        out if out.len() == path.len() && !of_drive => path.to_vec(),
        out => tidied(&out),
    }
}

fn trimmed(form: &[u8]) -> Vec<u8> {
    let last = form.iter().rposition(|byte| *byte != b'/');
    form[..last.map_or(form.len().min(1), |last| last + 1)].to_vec()
}

/// A path in its own letters, without what never names another file.
fn own_letters(path: &[u8]) -> Vec<u8> {
    let path = tidied(path);
    let Ok(text) = std::str::from_utf8(&path) else {
        return trimmed(&path);
    };
    let letter = |text: &str| text.starts_with(|c: char| c.is_ascii_alphabetic());
    let upper = text.to_ascii_uppercase();
    let text = if upper.starts_with(r"\\?\UNC\") {
        format!("//{}", &text[8..]).replace('\\', "/")
    } else if upper.starts_with(r"\\?\") && letter(&text[4..]) && text[5..].starts_with(r":\") {
        text[4..].replace('\\', "/")
    } else if text.starts_with(r"\\") || (letter(text) && (text[1..].starts_with(r":\") || text[1..].starts_with(":/")))
    {
        text.replace('\\', "/")
    } else {
        text.to_owned()
    };
    let (drive, rest) = text.split_at(usize::from(letter(&text) && text[1..].starts_with(":/")));
    trimmed([&drive.to_ascii_lowercase(), rest].concat().as_bytes())
}

fn made(path: &[u8]) -> Vec<u8> {
    let Ok(text) = String::from_utf8(own_letters(path)) else {
        return own_letters(path);
    };
    let composed: String = text.nfc().collect();
    let lower: String = composed.chars().flat_map(char::to_lowercase).collect();
    trimmed(lower.nfc().collect::<String>().as_bytes())
}

pub(super) fn components(form: &[u8]) -> Vec<&[u8]> {
    form.split(|b| *b == b'/').filter(|c| !c.is_empty()).collect()
}

pub(super) fn under(path: &[u8], folder: &[u8]) -> bool {
    let (path, folder) = (form(path), form(folder));
    let (inner, outer) = (components(&path), components(&folder));
    !folder.is_empty()
        && path.starts_with(b"/") == folder.starts_with(b"/")
        && inner.len() > outer.len()
        && inner[..outer.len()] == outer[..]
}

fn common(a: &[u8], b: &[u8]) -> usize {
    common_end(&form(a), &form(b))
}

/// How many components two forms have in common at their ends.
pub fn common_end(a: &[u8], b: &[u8]) -> usize {
    let (a, b) = (components(a), components(b));
    a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count()
}

/// Rewrites a path by a rule. Rules in the tests name ASCII folders, so this only replaces a prefix.
pub(super) fn replaced(path: &[u8], rule: &Rule) -> Option<Vec<u8>> {
    let path = tidied(path);
    let rest = path.strip_prefix(rule.from.as_bytes())?;
    rest.starts_with(b"/").then(|| [rule.to.as_bytes(), rest].concat())
}

pub(super) fn to_host(path: &[u8], rules: &[Rule]) -> Option<Vec<u8>> {
    rules
        .iter()
        .filter(|rule| !rule.to_server)
        .find_map(|rule| replaced(path, rule))
        .filter(|host| *host != tidied(path))
}

impl Naive {
    pub fn apply(&mut self, change: &MemtableChange) {
        self.changes += 1;
        let raise = |map: &mut HashMap<String, u64>, key: &str, to: u64| {
            let known = map.entry(key.to_owned()).or_default();
            *known = to.max(*known);
        };
        match change {
            MemtableChange::DoubtedPath { path, raised } => {
                self.unverified_paths.retain(|(known, _)| form(known) != form(path));
                self.unverified_paths.push((path.clone(), *raised));
            }
            MemtableChange::DoubtedItem { rating_key, raised } => {
                self.doubted_items.extend([(rating_key.clone(), *raised)]);
            }
            MemtableChange::AsListed { rating_key, asked } => raise(&mut self.replied_items, rating_key, *asked),
            MemtableChange::Added { item, asked, shown } => {
                raise(&mut self.replied_items, &item.rating_key, *asked);
                self.asked.insert(item.rating_key.clone(), *asked);
                self.items.retain(|(known, _)| known.rating_key != item.rating_key);
                self.items.push(((**item).clone(), (shown.clone(), self.changes)));
            }
            MemtableChange::Removed { rating_key, asked } => {
                raise(&mut self.replied_items, rating_key, *asked);
                self.items.retain(|(known, _)| known.rating_key != *rating_key);
            }
        }
    }

    pub fn doubt(&self, requested: &[u8], matched: &[u8], rating_key: &str) -> HitDoubt {
        let is_listed = self.items.iter().any(|(item, _)| item.rating_key == rating_key);
        let asked = self.asked.get(rating_key).copied().unwrap_or(1);
        let replied = self.replied_items.get(rating_key).copied().unwrap_or(0);
        let asked = if is_listed { asked.max(replied) } else { 0 };
        let is_of = |known: &[u8]| [requested, matched].iter().any(|path| form(path) == form(known));
        let mut paths = self.unverified_paths.iter();
        // A match that was recorded since is the host's later word.
        let is_recorded_since = |known: &[u8], of: Option<&str>, raised: u64| {
            let mut recorded = self.matches.iter().filter(|(_, key, _)| of.is_none_or(|of| of == key));
            recorded.any(|(path, _, (at, _))| form(path) == form(known) && *at > raised)
        };
        let doubted = self
            .doubted_items
            .get(rating_key)
            .filter(|raised| **raised >= replied.max(1));
        if paths.any(|(known, raised)| is_of(known) && asked <= *raised && !is_recorded_since(known, None, *raised)) {
            HitDoubt::Path
        } else if doubted.is_some_and(|raised| !is_recorded_since(requested, Some(rating_key), *raised)) {
            HitDoubt::Item
        } else {
            HitDoubt::None
        }
    }

    fn owns(&self, path: &[u8], rules: &[Rule]) -> bool {
        let mut folders: Vec<Vec<u8>> = self
            .locations
            .iter()
            .map(|folder| folder.clone().into_bytes())
            .collect();
        for folder in &self.locations {
            folders.extend(to_host(format!("{folder}/").as_bytes(), rules));
        }
        let mut paths = vec![path.to_vec()];
        paths.extend(
            rules
                .iter()
                .filter(|rule| rule.to_server)
                .filter_map(|rule| replaced(path, rule)),
        );
        // A name that is no text lies in a folder all the same.
        let mut shown = paths.iter().map(|path| String::from_utf8_lossy(path));
        shown.any(|path| folders.iter().any(|folder| under(path.as_bytes(), folder)))
    }

    pub fn paths(&self) -> impl Iterator<Item = (&Item, &[u8], (u64, u64))> {
        let all = self.items.iter();
        all.flat_map(|(item, (shown, order))| {
            let paths = item.parts.iter().enumerate();
            paths.map(move |(file, path)| (item, path.as_bytes(), (shown.of(file).0.max(1), *order)))
        })
    }

    /// The confirmed matches for this form that are not dormant.
    fn confirmed(&self, path: &[u8], rules: &[Rule]) -> Vec<(String, Vec<u8>)> {
        let mut awake = Vec::new();
        let is_same = |known: &[u8]| own_letters(known) == own_letters(path);
        let of_file = self.matches.iter().filter(|(known, _, _)| is_same(known));
        let latest = of_file.map(|(.., moment)| *moment).max();
        for (recorded, key, moment) in self.matches.iter().filter(|(known, _, _)| form(known) == form(path)) {
            if is_same(recorded) && Some(*moment) < latest {
                continue;
            }
            if self.fetched && self.items.iter().all(|(item, _)| item.rating_key != *key) {
                continue;
            }
            let is_outdated = |path: &[u8]| {
                let mut listers = self.leading(path, rules);
                listers.retain(|(is_same, ..)| *is_same);
                let own = listers.iter().any(|(_, lister, _)| lister == key);
                !own && listers.iter().any(|(.., at)| at > moment)
            };
            if !is_outdated(path) && !is_outdated(recorded) {
                awake.push((key.clone(), recorded.clone()));
            }
        }
        awake
    }

    /// The items that list a path, as it is or by a rule: whether in this spelling, their keys, and since when.
    fn leading(&self, path: &[u8], rules: &[Rule]) -> Vec<(bool, &str, (u64, u64))> {
        let entries = |asked: &[u8], listed: &dyn Fn(&[u8]) -> Option<Vec<u8>>| -> Vec<_> {
            let spelled = self
                .paths()
                .filter_map(|(item, path, moment)| Some((listed(path)?, item.rating_key.as_str(), moment)));
            let of_form = spelled.filter(|(spelling, ..)| form(spelling) == form(asked));
            of_form
                .map(|(spelling, key, moment)| (own_letters(&spelling) == own_letters(asked), key, moment))
                .collect()
        };
        let as_listed = |path: &[u8]| Some(path.to_vec());
        let mut found = entries(path, &as_listed);
        found.extend(entries(path, &|path| to_host(path, rules)));
        let to_server = rules.iter().filter(|rule| rule.to_server);
        let asked = to_server.filter_map(|rule| replaced(path, rule));
        found.extend(
            asked
                .map(|asked| entries(&asked, &as_listed))
                .find(|found| !found.is_empty())
                .unwrap_or_default(),
        );
        found
    }
}

/// Library, rating key, path, rank.
type Fit = (usize, String, Vec<u8>, usize);
/// Matching paths by library and rating key.
type Fits = BTreeMap<(usize, String), Vec<Vec<u8>>>;

/// The matches of the best rank, by item.
fn best(fits: Vec<Fit>) -> Option<(usize, Fits)> {
    let rank = fits.iter().map(|(_, _, _, rank)| *rank).max()?;
    let mut found = Fits::new();
    for (library, key, path, own) in fits {
        if own == rank {
            found.entry((library, key)).or_default().push(path);
        }
    }
    Some((rank, found))
}

/// The listed paths of these libraries with the same form as `asked`.
fn listed(libraries: &[Naive], group: &[usize], asked: &[u8]) -> Vec<Fit> {
    let mut fits = Vec::new();
    for n in group {
        for (item, path, _) in libraries[*n].paths() {
            if form(path) == form(asked) {
                fits.push((
                    *n,
                    item.rating_key.clone(),
                    path.to_vec(),
                    usize::from(own_letters(path) == own_letters(asked)),
                ));
            }
        }
    }
    fits
}

/// Match kinds 1 to 3.
fn strong(libraries: &[Naive], group: &[usize], rules: &[Rule], path: &[u8]) -> Option<(MatchKind, Fits)> {
    let mut fits = Vec::new();
    for n in group {
        for (key, recorded) in libraries[*n].confirmed(path, rules) {
            let raw = usize::from(own_letters(&recorded) == own_letters(path));
            fits.push((*n, key, recorded, raw));
        }
    }
    // If the path is listed in this spelling and in another one, a match of a third spelling says nothing.
    let leading = libraries.iter().flat_map(|library| library.leading(path, rules));
    let spelled: Vec<bool> = leading.map(|(is_same, ..)| is_same).collect();
    let are_listed = spelled.contains(&false) && spelled.contains(&true);
    if let Some((raw, found)) = best(fits)
        && !(raw == 0 && are_listed)
    {
        return Some((MatchKind::Confirmed, found));
    }
    if let Some((_, found)) = best(listed(libraries, group, path)) {
        return Some((MatchKind::Exact, found));
    }
    let mut fits = Vec::new();
    for n in group {
        for (item, listed, _) in libraries[*n].paths() {
            if let Some(host) = to_host(listed, rules).filter(|host| form(host) == form(path)) {
                fits.push((
                    *n,
                    item.rating_key.clone(),
                    listed.to_vec(),
                    usize::from(own_letters(&host) == own_letters(path)),
                ));
            }
        }
    }
    for rule in rules.iter().filter(|rule| rule.to_server) {
        if fits.is_empty() {
            let asked = replaced(path, rule);
            fits = asked.map(|asked| listed(libraries, group, &asked)).unwrap_or_default();
        }
    }
    best(fits).map(|(_, found)| (MatchKind::Mapped, found))
}

/// Match kinds 4 and 5.
fn weak(libraries: &[Naive], group: &[usize], path: &[u8]) -> Option<(MatchKind, Fits)> {
    std::str::from_utf8(path).ok()?;
    let mut fits = Vec::new();
    for n in group.iter().filter(|n| libraries[**n].fetched) {
        for (item, listed, _) in libraries[*n].paths() {
            fits.push((*n, item.rating_key.clone(), listed.to_vec(), common(listed, path)));
        }
    }
    match best(fits)? {
        (0, _) => None,
        (1, found) => Some((MatchKind::FileName, found)),
        (_, found) => Some((MatchKind::Suffix, found)),
    }
}

/// Returns whether `path` ends with everything of the listed path below the library's folder, two names at least.
pub fn only_root(library: &Naive, path: &[u8], listed: &[u8]) -> bool {
    let form = form(listed);
    let below = library
        .locations
        .iter()
        .filter(|folder| under(listed, folder.as_bytes()))
        .map(|folder| components(&form).len() - components(&self::form(folder.as_bytes())).len())
        .max()
        .unwrap_or(0);
    below > 1 && common(listed, path) >= below
}

pub fn resolve(libraries: &[Naive], one: Option<usize>, rules: &[Rule], path: &[u8]) -> Answer {
    let all = 0..libraries.len();
    let asked: Vec<usize> = all.filter(|n| one.is_none_or(|one| one == *n)).collect();
    // A library that owns the path should list it, also if it is out of scope.
    let owned = libraries.iter().any(|library| library.owns(path, rules));
    let (owners, others): (Vec<usize>, Vec<usize>) = asked.iter().partition(|n| libraries[**n].owns(path, rules));
    let judged = !owners.is_empty();
    let responsible = if judged { &owners } else { &asked };
    let missing = match (responsible.iter().all(|n| libraries[*n].fetched), judged) {
        (false, _) => Reason::NotFetched,
        (true, true) => Reason::NotListed,
        (true, false) => Reason::NoLocation,
    };
    let groups = if one.is_some() {
        vec![asked.clone()]
    } else {
        vec![owners, others]
    };
    let strong = groups.iter().find_map(|group| strong(libraries, group, rules, path));
    let weak = || groups.iter().find_map(|group| weak(libraries, group, path));
    let (match_kind, mut found) = strong.or_else(weak).unwrap_or((MatchKind::None, BTreeMap::new()));
    let fetched: Vec<usize> = asked.iter().copied().filter(|n| libraries[*n].fetched).collect();
    let moved_in = |n: usize| {
        let library = &libraries[n];
        let paths = library
            .paths()
            .filter(move |(_, listed, _)| only_root(library, path, listed));
        paths.map(move |(item, listed, _)| ((n, item.rating_key.clone()), listed.to_vec()))
    };
    // Files that differ only in the root replace all others with the same name.
    let mut moved: Fits = BTreeMap::new();
    if match_kind > MatchKind::Mapped && !owned {
        for (item, listed) in fetched.iter().flat_map(|n| moved_in(*n)) {
            moved.entry(item).or_default().push(listed);
        }
    }
    let is_only_root = !moved.is_empty();
    if is_only_root {
        found = moved;
    }
    let first = found.keys().next().map(|(library, _)| *library);
    let one_library = found.keys().all(|(library, _)| Some(*library) == first);
    let (confidence, reason) = match (found.len(), one_library) {
        (0, _) => (Confidence::None, missing),
        (1, _) if match_kind > MatchKind::Mapped && owned => {
            let is_fetched = !judged || missing == Reason::NotListed;
            (
                Confidence::Low,
                if is_fetched {
                    Reason::NotListed
                } else {
                    Reason::NotFetched
                },
            )
        }
        (1, _) if match_kind > MatchKind::Mapped && is_only_root => (Confidence::Low, Reason::OnlyRootDiffers),
        (1, _) if match_kind > MatchKind::Mapped => (Confidence::Low, Reason::SameName),
        (1, _) => (Confidence::High, Reason::None),
        (_, true) => (Confidence::Low, Reason::SeveralItems),
        (_, false) => (Confidence::Low, Reason::SeveralLibraries),
    };
    Answer {
        match_kind,
        confidence,
        reason,
        found,
    }
}
