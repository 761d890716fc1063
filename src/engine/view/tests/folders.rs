//! Compares folder resolution with a naive model of lists and path prefixes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::against::{Setup, build, compiled};
use super::naive::{Naive, Rule, common_end, components, form, only_root, replaced, to_host, under};
use super::random::{self, cases, key, locations, question, rules};
use crate::engine::memtable::MemtableChange;
use crate::engine::view::LibrarySnapshot;
use crate::matching::{FolderResolution, FolderResolver, FoundItem, MAX_CANDIDATES, Mappings, NormalPath, Scope};
use crate::model::{Confidence, Item, ItemType, MatchKind, Reason, Sequence};

fn asked<'v>(views: &'v [&'v LibrarySnapshot], scope: Scope, mappings: &Mappings, path: &[u8]) -> FolderResolution<'v> {
    NormalPath::with(path, |path| FolderResolver::new(views, scope, mappings, path).resolve())
}

/// An owner of files: library, whether it is a show, rating key.
type Who = (usize, bool, String);

#[derive(Debug)]
struct Told {
    match_kind: MatchKind,
    confidence: Confidence,
    reason: Reason,
    who: BTreeSet<Who>,
    /// The owners of the files below each folder.
    below: BTreeMap<Vec<u8>, BTreeSet<Who>>,
    /// The owners all of whose items have a file below one folder.
    whole: BTreeSet<Who>,
    /// The seasons and albums of these owners: rating key, and number.
    seasons: BTreeMap<Who, BTreeSet<(String, i32)>>,
    items: u64,
    files: u64,
    folders: usize,
}

fn trimmed(path: &[u8]) -> Vec<u8> {
    let mut form = form(path);
    while form.last() == Some(&b'/') {
        form.pop();
    }
    form
}

fn is_below(path: &[u8], folder: &[u8]) -> bool {
    form(path).starts_with(&[folder, b"/"].concat())
}

fn who(library: usize, item: &Item) -> Who {
    // A season stands for a show without a key.
    let of_show = [&item.show_rating_key, &item.season_rating_key];
    let of_show = of_show.into_iter().find(|key| !key.is_empty());
    (library, of_show.is_some(), of_show.unwrap_or(&item.rating_key).clone())
}

/// Adds the owners below each folder, by the paths that `names` returns.
fn add(
    told: &mut Told,
    library: usize,
    naive: &Naive,
    folder: &[u8],
    names: &dyn Fn(&[u8]) -> Option<Vec<u8>>,
) -> bool {
    let mut theirs = BTreeSet::new();
    let mut outside = BTreeSet::new();
    for (item, _) in &naive.items {
        let files = item.parts.iter().filter_map(|part| names(part.as_bytes()));
        let files = files.filter(|path| is_below(path, folder)).count() as u64;
        if files == 0 && !item.parts.is_empty() {
            outside.insert(who(library, item));
        }
        if files > 0 {
            told.items += 1;
            told.files += files;
            let season = if item.kind == ItemType::Episode {
                item.season
            } else {
                -1
            };
            let season = (item.season_rating_key.clone(), season);
            told.seasons.entry(who(library, item)).or_default().insert(season);
            theirs.insert(who(library, item));
        }
    }
    told.below
        .entry(folder.to_vec())
        .or_default()
        .extend(theirs.iter().cloned());
    told.who.extend(theirs.iter().cloned());
    told.whole.extend(theirs.difference(&outside).cloned());
    !theirs.is_empty()
}

fn own_folders(naive: &Naive, rules: &[Rule]) -> Vec<Vec<u8>> {
    let hosts = naive
        .locations
        .iter()
        .filter_map(|folder| to_host(format!("{folder}/").as_bytes(), rules));
    let given = naive.locations.iter().map(|folder| folder.clone().into_bytes());
    given.chain(hosts).collect()
}

/// 0 elsewhere, 1 above, 2 within, 3 the same.
fn place(naive: &Naive, rules: &[Rule], folders: &[Vec<u8>]) -> u8 {
    let mut best = 0;
    for own in own_folders(naive, rules) {
        for folder in folders {
            let as_folder: &[u8] = if folder.is_empty() { b"/" } else { folder };
            let rooted = |path: &[u8]| path.starts_with(b"/");
            let own_form = form(&own);
            let same = components(&own_form) == components(folder) && rooted(&own_form) == rooted(as_folder);
            best = best.max(match () {
                () if same && !own.is_empty() => 3,
                () if under(folder, &own) => 2,
                () if under(&own, as_folder) => 1,
                () => 0,
            });
        }
    }
    best
}

#[allow(clippy::too_many_lines)] // kind by kind, as in the design
fn naive(libraries: &[Naive], one: Option<usize>, rules: &[Rule], path: &[u8]) -> Told {
    let folder = trimmed(path);
    let asked: Vec<usize> = (0..libraries.len())
        .filter(|at| one.is_none_or(|one| one == *at))
        .collect();
    let fetched: Vec<usize> = asked.iter().copied().filter(|at| libraries[*at].fetched).collect();
    let mut told = Told {
        match_kind: MatchKind::None,
        confidence: Confidence::None,
        reason: Reason::None,
        who: BTreeSet::new(),
        below: BTreeMap::new(),
        whole: BTreeSet::new(),
        seasons: BTreeMap::new(),
        items: 0,
        files: 0,
        folders: 0,
    };
    let as_listed = |path: &[u8]| Some(path.to_vec());
    let mut found = Vec::new();
    let mut all = |told: &mut Told, folder: &[u8], names: &dyn Fn(&[u8]) -> Option<Vec<u8>>| {
        for at in &fetched {
            if add(told, *at, &libraries[*at], folder, names) {
                found.push((*at, folder.to_vec()));
            }
        }
        told.files > 0
    };
    if all(&mut told, &folder, &as_listed) {
        told.match_kind = MatchKind::Exact;
    } else if all(&mut told, &folder, &|path| to_host(path, rules)) {
        told.match_kind = MatchKind::Mapped;
    } else {
        let below = [&folder[..], b"/"].concat();
        for rule in rules.iter().filter(|rule| rule.to_server) {
            if told.match_kind == MatchKind::None
                && let Some(server) = replaced(&below, rule)
                && all(&mut told, &trimmed(&server), &as_listed)
            {
                told.match_kind = MatchKind::Mapped;
            }
        }
    }
    let mut folders = vec![folder.clone()];
    let below = [&folder[..], b"/"].concat();
    folders.extend(
        rules
            .iter()
            .filter(|rule| rule.to_server)
            .filter_map(|rule| replaced(&below, rule))
            .map(|path| trimmed(&path)),
    );
    let places: Vec<u8> = libraries.iter().map(|naive| place(naive, rules, &folders)).collect();
    if told.match_kind == MatchKind::None && std::str::from_utf8(path).is_ok() {
        for owns in [true, false] {
            let mut fits: Vec<(usize, usize, Vec<u8>)> = Vec::new();
            for at in fetched.iter().filter(|at| (places[**at] >= 2) == owns) {
                for (item, _) in &libraries[*at].items {
                    for part in &item.parts {
                        let form = form(part.as_bytes());
                        for end in (1..form.len()).filter(|end| form[*end] == b'/' && form[*end - 1] != b'/') {
                            let fit = (common_end(&form[..end], &folder), *at, form[..end].to_vec());
                            if !fits.contains(&fit) {
                                fits.push(fit);
                            }
                        }
                    }
                }
            }
            let rank = fits.iter().map(|(rank, ..)| *rank).max().unwrap_or(0);
            if rank == 0 {
                continue;
            }
            fits.retain(|(own, ..)| *own == rank);
            for (_, at, folder) in &fits {
                add(&mut told, *at, &libraries[*at], folder, &as_listed);
            }
            told.folders = fits.len();
            told.match_kind = if rank > 1 {
                MatchKind::Suffix
            } else {
                MatchKind::FileName
            };
            let one = fits.iter().all(|(.., form)| *form == fits[0].2);
            if !one {
                (told.items, told.files) = (0, 0);
            }
            let owned = places.iter().any(|place| *place > 0);
            let alike = one && told.who.len() == 1 && only_root(&libraries[fits[0].1], &folder, &fits[0].2);
            // Another folder at the end of a location's path may be the one that is meant.
            let names = components(&folder);
            let is_other = |library: &Naive, other: &[u8]| {
                let has_files = library.paths().any(|(_, listed, _)| is_below(listed, other));
                has_files && other != fits[0].2 && !is_below(&fits[0].2, other)
            };
            let ends = |location: &str| {
                let location = form(location.trim_end_matches('/').as_bytes());
                let end = |count: usize| [&location, &b"/"[..], &names[names.len() - count..].join(&b'/')].concat();
                (1..=names.len()).map(end).collect::<Vec<_>>()
            };
            let has_other = libraries.iter().filter(|library| library.fetched).any(|library| {
                let mut others = library.locations.iter().flat_map(|location| ends(location));
                others.any(|other| is_other(library, &other))
            });
            let all_fetched = asked.iter().all(|at| libraries[*at].fetched);
            (told.confidence, told.reason) = match (owned, alike && !has_other) {
                (true, _) if asked.iter().any(|at| places[*at] > 0 && !libraries[*at].fetched) => {
                    (Confidence::Low, Reason::NotFetched)
                }
                (true, _) => (Confidence::Low, Reason::NotListed),
                (_, true) if !all_fetched => (Confidence::Low, Reason::NotFetched),
                (_, true) => (Confidence::Low, Reason::OnlyRootDiffers),
                _ => (Confidence::Low, Reason::SameName),
            };
            found = fits.into_iter().map(|(_, at, form)| (at, form)).collect();
            break;
        }
    } else if told.match_kind != MatchKind::None {
        told.confidence = Confidence::High;
    }
    if told.match_kind == MatchKind::None {
        let best = asked.iter().map(|at| places[*at]).max().unwrap_or(0);
        let unfetched = asked.iter().any(|at| places[*at] == best && !libraries[*at].fetched);
        told.reason = match best {
            _ if unfetched => Reason::NotFetched,
            0 => Reason::NoLocation,
            2 => Reason::NotListed,
            _ => Reason::Empty,
        };
    } else if told.who.len() > 1 {
        told.confidence = Confidence::Low;
        let first = told.who.first().map(|(library, ..)| *library);
        let above = |(at, folder): &(usize, Vec<u8>)| place(&libraries[*at], rules, std::slice::from_ref(folder)) == 1;
        told.reason = if found.iter().all(above) {
            Reason::AboveLocations
        } else if told.who.iter().all(|(library, ..)| Some(*library) == first) {
            Reason::SeveralItems
        } else {
            Reason::SeveralLibraries
        };
    }
    told
}

fn compare(
    views: &[&LibrarySnapshot],
    libraries: &[Naive],
    one: Option<usize>,
    rules: &[Rule],
    mappings: &Mappings,
    path: &[u8],
) {
    let got = asked(views, one.map_or(Scope::All, Scope::One), mappings, path);
    let wanted = naive(libraries, one, rules, path);
    let context = || format!("{:?}: {got:?}\nwanted {wanted:?}", String::from_utf8_lossy(path));
    assert!(!got.members.is_broken, "{}", context());
    assert_eq!(got.members.match_kind, wanted.match_kind, "{}", context());
    assert_eq!(
        (got.facts.items, got.facts.files),
        (wanted.items, wanted.files),
        "{}",
        context()
    );
    // If there are more than an answer shows, the choice among them is arbitrary.
    if wanted.folders > MAX_CANDIDATES || wanted.who.len() > MAX_CANDIDATES {
        assert_eq!(
            got.members.found().len().min(MAX_CANDIDATES),
            got.members.found().len(),
            "{}",
            context()
        );
        return;
    }
    assert_eq!(got.members.total, wanted.who.len(), "{}", context());
    assert_eq!(
        (got.members.confidence, got.members.reason),
        (wanted.confidence, wanted.reason),
        "{}",
        context()
    );
    let is_show = |kind| matches!(kind, ItemType::Show | ItemType::Artist);
    let is_season = |kind| matches!(kind, ItemType::Season | ItemType::Album);
    let whose_is = |found: &FoundItem<'_>| {
        let of_show = is_season(found.item.kind);
        let key = if of_show && !found.item.show_rating_key.is_empty() {
            found.item.show_rating_key
        } else {
            found.item.rating_key
        };
        (found.library, of_show || is_show(found.item.kind), key.to_owned())
    };
    let whose = got.members.found().iter().map(whose_is);
    assert_eq!(whose.collect::<BTreeSet<_>>(), wanted.who, "{}", context());
    for found in got.members.found() {
        let own = whose_is(found);
        let seasons = &wanted.seasons[&own];
        let shares = |who: &BTreeSet<Who>| who.len() > 1 && who.contains(&own);
        let is_folder = !wanted.below.values().any(shares);
        let has_show = !seasons.iter().any(|(key, _)| *key == own.2);
        let is_part = is_folder && !wanted.whole.contains(&own);
        let season = seasons.first().filter(|_| seasons.len() == 1 && (is_part || !has_show));
        if own.1 {
            let number = season.map_or(-1, |(_, number)| *number);
            assert_eq!(found.item.season, number, "{}", context());
            let key = season.map_or("", |(key, _)| key).to_owned();
            let has_key = !key.is_empty();
            assert_eq!(is_season(found.item.kind), has_key, "{}", context());
            if has_key {
                let item = &found.item;
                let told = (item.rating_key, item.title, String::from(item.guid));
                assert_eq!(
                    told,
                    (&*key, &*key.to_uppercase(), format!("guid {key}")),
                    "{}",
                    context()
                );
            }
        }
        let own_folder = got.folders.iter().any(|folder| {
            let alike =
                |separator: &[u8]| components(&form(&[found.path, separator].concat())) == components(&folder.form);
            folder.library == found.library && (alike(b"/") || alike(b"\\"))
        });
        let is_spelt = matches!(
            wanted.match_kind,
            MatchKind::Suffix | MatchKind::FileName | MatchKind::Exact
        );
        assert!(!is_spelt || !is_folder || own_folder, "{}", context());
        let of = |item: &Item| who(found.library, item) == own;
        let spelt = libraries[found.library]
            .items
            .iter()
            .filter(|(item, _)| of(item))
            .flat_map(|(item, _)| &item.parts);
        assert!(
            spelt.into_iter().any(|part| part.as_bytes().starts_with(found.path)),
            "{}",
            context()
        );
    }
}

/// Checks that pages of any size have the files below a folder once and in order.
fn compare_pages(
    views: &[&LibrarySnapshot],
    libraries: &[Naive],
    one: Option<usize>,
    mappings: &Mappings,
    path: &[u8],
    limit: usize,
) {
    let scope = one.map_or(Scope::All, Scope::One);
    let outcome = asked(views, scope, mappings, path);
    let sure = outcome.members.match_kind.is_by_plex() || outcome.members.confidence == Confidence::High;
    let mut pages: Vec<(usize, String, Vec<u8>)> = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = NormalPath::with(path, |path| {
            FolderResolver::new(views, scope, mappings, path).files(after.as_deref(), limit)
        });
        assert!(page.windows(2).all(|pair| pair[0].form.compare(pair[1].form).is_le()));
        let Some(last) = page.last() else { break };
        after = Some(last.found.path.to_vec());
        let own = page.iter().map(|file| {
            (
                file.found.library,
                file.found.item.rating_key.to_owned(),
                file.found.path.to_vec(),
            )
        });
        pages.extend(own);
        assert!(sure, "{:?}: {outcome:?}", String::from_utf8_lossy(path));
    }
    if !sure {
        return;
    }
    assert_eq!(
        pages.len() as u64,
        outcome.facts.files,
        "{:?}: {outcome:?} {pages:?}",
        String::from_utf8_lossy(path)
    );
    let mut distinct = pages.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), pages.len());
    for (library, key, path) in &pages {
        let has = |item: &Item| item.rating_key == *key && item.parts.iter().any(|part| part.as_bytes() == path);
        assert!(libraries[*library].items.iter().any(|(item, _)| has(item)));
    }
}

/// A film, an episode or a track. One show has no key, and Plex lists its seasons; one season has none, as if hidden.
fn item() -> impl Strategy<Value = Item> {
    (random::item(), 0..6u8, 0..3i32).prop_map(|(item, show, season)| {
        if show > 3 {
            return item;
        }
        let of_season = |text: &str| {
            if season > 0 {
                format!("{text}{show}{season}")
            } else {
                String::new()
            }
        };
        Item {
            kind: if show == 2 { ItemType::Track } else { ItemType::Episode },
            show_title: format!("Zulu {show}"),
            show_rating_key: if show == 3 { String::new() } else { format!("s{show}") },
            season,
            season_rating_key: of_season("t"),
            season_title: of_season("T"),
            season_guid: of_season("guid t"),
            ..item
        }
    })
}

fn setup() -> impl Strategy<Value = Setup> {
    let change = prop_oneof![
        3 => item().prop_map(|item| MemtableChange::Added { item: Arc::new(item), asked: 1, shown: Sequence(1).into() }),
        2 => key().prop_map(|rating_key| MemtableChange::Removed { rating_key, asked: 1 }),
    ];
    let items = proptest::collection::vec(item(), 0..24);
    let changes = proptest::collection::vec(change, 0..6);
    (
        locations(),
        prop_oneof![1 => Just(false), 4 => Just(true)],
        items,
        changes,
    )
        .prop_map(|(locations, fetched, items, changes)| {
            let items: BTreeMap<String, Item> = items.into_iter().map(|item| (item.rating_key.clone(), item)).collect();
            Setup {
                locations,
                items: if fetched {
                    items.into_values().collect()
                } else {
                    Vec::new()
                },
                fetched,
                recorded: Vec::new(),
                changes,
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn folders_resolve_as_in_the_naive_model(
        setups in proptest::collection::vec(setup(), 1..4),
        rules in rules(),
        questions in proptest::collection::vec(question(), 1..6),
        limit in 1..9usize,
    ) {
        let mappings = compiled(&rules);
        let (views, libraries): (Vec<_>, Vec<_>) = setups.iter().map(|setup| build(setup, &mappings)).unzip();
        let views: Vec<&LibrarySnapshot> = views.iter().collect();
        let mut folders = questions;
        // The folders of listed paths: as they are, below another root, and mapped.
        for library in &libraries {
            for part in library.items.iter().take(6).flat_map(|(item, _)| &item.parts) {
                let ends = part.iter().enumerate().filter(|(_, byte)| matches!(byte, b'/' | b'\\'));
                for end in ends.map(|(at, _)| at) {
                    let folder = &part.as_bytes()[..end.max(1)];
                    folders.push(folder.to_vec());
                    folders.push([b"/host/x/", folder].concat());
                    folders.extend(to_host(&[folder, b"/"].concat(), &rules));
                }
            }
        }
        folders.sort_unstable();
        folders.dedup();
        for folder in &folders {
            for one in (0..views.len()).map(Some).chain([None]) {
                compare(&views, &libraries, one, &rules, &mappings, folder);
                compare_pages(&views, &libraries, one, &mappings, folder, limit);
            }
        }
    }
}
