//! Right or uncertain: Plex lists one half of a collection, and all of it is queried below an unmapped root, with sizes as
//! such files have them. A listed file is found; an unlisted one never gets another item with high confidence.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{library, sizes};
use crate::engine::view::LibrarySnapshot;
use crate::matching::{Mappings, NormalPath, QueriedSize, Resolution, Resolver, Scope};
use crate::model::{Confidence, Item, ItemType, Reason};

const ADJECTIVES: [&str; 6] = ["Quiet", "Golden", "Last", "The Broken", "Café", "Red"];
const NOUNS: [&str; 5] = ["River", "Heat", "Summers of Émile", "Window & Door", "夜の海"];

/// Patterns of file paths; the first few contain the title, in the file name or in a folder.
const FILMS: [&str; 9] = [
    "{t} ({y})/{t} ({y}).mkv",
    "{s}.{y}.1080p.BluRay.x264-GRP.mkv",
    "{t} ({y}) {edition-E{d}}/{t} ({y}) {edition-E{d}}.mkv",
    "{t} ({y})/movie.mkv",
    "{t} ({y})/BDMV/STREAM/0001{d}.m2ts",
    "box {n}/film{d}.mkv",
    "film{n}.mkv",
    "box {n}/VIDEO_TS/VTS_01_{d}.VOB",
    "box {n}/BDMV/STREAM/0001{d}.m2ts",
];
const EPISODES: [&str; 5] = [
    "{t}/Season 0{d}/{t} - S0{d}E0{e}.mkv",
    "{s}.S0{d}E0{e}.720p.mkv",
    "{t}/Season 0{d}/S0{d}E0{e}.mkv",
    "{t}/Season 0{d}/0{e}.mkv",
    "show {n}/S0{d}E0{e}.mkv",
];
const TRACKS: [&str; 3] = [
    "{t}/Album {d}/0{e} - Intro.flac",
    "{t}/Album {d}/CD1/0{e}.flac",
    "mix {n}/0{e} Intro.flac",
];
const PHOTOS: [&str; 2] = ["Trip {n}/IMG_000{d}.JPG", "DCIM/{n}00CANON/IMG_000{d}.JPG"];

#[derive(Clone, Debug)]
struct File {
    kind: ItemType,
    item: Item,
    below: String,
    size: u64,
    listed: bool,
}

/// The sizes of all parts of discs, and of all photos.
const ALL_HAVE: [u64; 2] = [(1 << 30) - 2048, 25_165_824];

/// Returns a size as a file of this name may have it: the discs are cut at one size, and the photos are not compressed.
/// `drawn` is random. No other size is round, or just below a round one, or of whole sectors.
fn size_of(kind: ItemType, name: &str, drawn: u64) -> u64 {
    let size = match kind {
        _ if name.contains("VTS_01") => return ALL_HAVE[0],
        ItemType::Photo => return ALL_HAVE[1],
        ItemType::Track => 4_000_001 + drawn % 3_762_000,
        // One in a hundred has the size of another film.
        _ if drawn.is_multiple_of(100) => 1_500_000_001,
        _ => (10 + drawn % 100) * (64 << 20) + drawn % (31 << 20),
    } | 1;
    let mut units = (20..=30)
        .map(|bits| 1 << bits)
        .chain((6..=9).map(|digits| 10_u64.pow(digits)));
    size + if units.any(|unit| unit - size % unit <= unit / 2048) {
        1 << 19
    } else {
        0
    }
}

fn file() -> impl Strategy<Value = File> {
    let kinds = [ItemType::Movie, ItemType::Episode, ItemType::Track, ItemType::Photo];
    let title = (0..ADJECTIVES.len(), 0..NOUNS.len());
    let kind = proptest::sample::select(kinds.to_vec());
    (
        kind,
        title,
        any::<prop::sample::Index>(),
        1..5_i32,
        1..4_i32,
        1..3_i32,
        any::<(bool, u64)>(),
    )
        .prop_map(|(kind, (adjective, noun), scheme, n, d, e, (listed, drawn))| {
            let schemes = match kind {
                ItemType::Movie => &FILMS[..],
                ItemType::Episode => &EPISODES,
                ItemType::Track => &TRACKS,
                _ => &PHOTOS,
            };
            let title = format!("{} {}", ADJECTIVES[adjective], NOUNS[noun]);
            let year = 1950 + n * 10;
            let below = schemes[scheme.index(schemes.len())]
                .replace("{t}", &title)
                .replace("{s}", &title.replace(' ', "."))
                .replace("{y}", &year.to_string())
                .replace("{n}", &n.to_string())
                .replace("{d}", &d.to_string())
                .replace("{e}", &e.to_string());
            let show = matches!(kind, ItemType::Episode | ItemType::Track);
            let item = Item {
                kind,
                title: if show { "Intro".into() } else { title.clone() },
                show_title: if show { title } else { String::new() },
                year,
                season: if kind == ItemType::Track { 1 } else { d },
                episode: e,
                guid: "plex://movie/5d776825880197001ec90a2f".into(),
                ..Item::default()
            };
            File {
                kind,
                item,
                size: size_of(kind, &below, drawn),
                below,
                listed,
            }
        })
}

const ROOTS: [(ItemType, &str); 4] = [
    (ItemType::Movie, "/data/movies"),
    (ItemType::Episode, "/data/tv"),
    (ItemType::Track, "/data/music"),
    (ItemType::Photo, "/data/photos"),
];

/// Index of the library, a path below its folder, its size, and its rating key if it is listed.
type QueriedFile = (usize, String, u64, Option<String>);

/// The libraries, and all files as [`QueriedFile`].
fn collection(files: Vec<File>) -> (Vec<LibrarySnapshot>, Vec<QueriedFile>) {
    // No two files share a path, or show the same film, edition or episode: the item of a copy would be right.
    let of_what = |file: &File| {
        let item = &file.item;
        match file.kind {
            ItemType::Movie => format!("{} {} {:?}", item.title, item.year, file.below.split_once('{')),
            ItemType::Episode => format!("{} {} {}", item.show_title, item.season, item.episode),
            _ => file.below.clone(),
        }
    };
    let files: BTreeMap<String, File> = files.into_iter().map(|file| (of_what(&file), file)).collect();
    let mut files: BTreeMap<String, File> = files.into_values().map(|file| (file.below.clone(), file)).collect();
    // Two tracks, or two films of one name, may have one size by chance, which nothing listed can show.
    let mut taken = BTreeSet::new();
    files.retain(|below, file| {
        let name = below.rsplit('/').next().filter(|_| file.kind != ItemType::Track);
        ALL_HAVE.contains(&file.size) || taken.insert((name.map(str::to_owned), file.size))
    });
    let mut asked = Vec::new();
    let mut views = Vec::new();
    for (place, (kind, root)) in ROOTS.iter().enumerate() {
        // Of the sizes that all such files have, the library has several files.
        let same_size = |name: &str, size| Item {
            rating_key: format!("same {name}"),
            parts: vec![format!("{root}/same/{name}").into()],
            facts: sizes(&[size]),
            ..Item::default()
        };
        let mut items = match kind {
            ItemType::Movie => vec![same_size("VTS_09_9.VOB", ALL_HAVE[0])],
            ItemType::Photo => vec![same_size("IMG_9999.JPG", ALL_HAVE[1])],
            _ => Vec::new(),
        };
        for (number, file) in files.values().enumerate().filter(|(_, file)| file.kind == *kind) {
            let key = number.to_string();
            if file.listed {
                items.push(Item {
                    rating_key: key.clone(),
                    parts: vec![format!("{root}/{}", file.below).into()],
                    facts: sizes(&[file.size]),
                    ..file.item.clone()
                });
            }
            asked.push((place, file.below.clone(), file.size, file.listed.then_some(key)));
        }
        views.push(library(&[root], &items, &Mappings::default()));
    }
    (views, asked)
}

/// Returns whether two of the gaps between this size and the others, and the size itself, have a divisor in common that is so
/// large that it counts as a step between sizes: by chance, one pair in 100,000 has.
fn has_step(size: u64, others: &[u64]) -> bool {
    let gcd = |mut one: u64, mut other: u64| {
        while other > 0 {
            (one, other) = (other, one % other);
        }
        one
    };
    let gaps = others.iter().map(|other| other.abs_diff(size)).filter(|gap| *gap > 0);
    let gaps: Vec<u64> = gaps.chain([size]).collect();
    (1..gaps.len()).any(|nth| gaps[..nth].iter().any(|other| gcd(gaps[nth], *other) >= 1 << 17))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: super::random::cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_file_gets_another_s_item(files in proptest::collection::vec(file(), 1..60), root in "/(mnt|nas/media|x)") {
        let (views, asked) = collection(files);
        let views: Vec<&LibrarySnapshot> = views.iter().collect();
        let none = Mappings::default();
        let listed_size = |wanted: u64| {
            let mut listed = asked.iter().filter(|(.., size, key)| *size == wanted && key.is_some());
            !ALL_HAVE.contains(&wanted) && listed.next().is_some() && listed.next().is_none()
        };
        let has_name = |below: &str, other: &str| below.rsplit('/').next() == other.rsplit('/').next();
        let is_near = |size: u64, other: u64| size != other && size.abs_diff(other) <= size / 128;
        for (library, below, size, key) in &asked {
            let (folder, name) = below.rsplit_once('/').unwrap_or(("", below));
            let folder_name = folder.rsplit('/').next().unwrap_or_default();
            // Elsewhere, in a folder of the same name, which only tracks need.
            for path in [format!("{root}/{below}"), format!("{root}/other/{folder_name}/{name}")] {
                for scope in [Scope::One(*library), Scope::All] {
                    let resolver = Resolver::new(&views, scope, &none);
                    let resolve = |size: u64| {
                        let mut found = Resolution::default();
                        NormalPath::with(path.as_bytes(), |path| resolver.resolve_normal(path, QueriedSize::Known(size), None, true, &mut found));
                        found
                    };
                    let found = resolve(*size);
                    let high = found.single().filter(|_| found.confidence == Confidence::High);
                    if let Some(high) = high {
                        prop_assert_eq!(Some(high.item.rating_key), key.as_deref(), "{}: {:?}", path, found.reason);
                        prop_assert_eq!(found.reason, Reason::SameFile);
                    }
                    let of_name = || asked.iter().filter(|(_, other, _, key)| key.is_some() && has_name(below, other));
                    // Of the name, or perhaps beside the file.
                    let beside = asked.iter().filter(|(place, .., key)| key.is_some() && place == library);
                    let sizes: Vec<u64> = of_name().chain(beside).map(|(.., other, _)| *other).collect();
                    let is_gathered = sizes.iter().any(|other| is_near(*size, *other)) || has_step(*size, &sizes);
                    if key.is_some() && listed_size(*size) && of_name().count() <= 3 && !is_gathered && !(folder_name.is_empty() && *size < 16 << 20) {
                        prop_assert!(high.is_some(), "{}: {:?} {:?}", path, found.match_kind, found.reason);
                    }
                    // Without a size, or with another, it can be any file of this name.
                    for other in [0, *size + 1] {
                        let found = resolve(other);
                        prop_assert!(found.confidence != Confidence::High || listed_size(other), "{}: {:?}", path, found.reason);
                    }
                    prop_assert_eq!(resolver.fast_lookup(path.as_bytes()), None);
                }
            }
        }
    }
}

/// Ways in which a host spells the folder that Plex lists as `The Quiet River (1999)`.
const SPELLINGS: [fn(&str, i32) -> String; 11] = [
    |title, year| format!("{}.{year}", title.replace(' ', ".")),
    |title, year| format!("[GRP] {title} ({year})"),
    |title, year| format!("{title} {year}"),
    |title, year| format!("{title} ({year})").to_lowercase(),
    |title, year| format!("{} ({year})", title.trim_start_matches("The ")),
    |title, _| title.to_owned(),
    |title, year| {
        format!(
            "{}.{year}.1080p.BluRay.x264-GRP",
            title.to_lowercase().replace(' ', ".")
        )
    },
    |title, year| format!("{}_({year})", title.replace(' ', "_")),
    |title, year| match title.strip_prefix("The ") {
        Some(rest) => format!("{rest}, The ({year})"),
        None => format!("{year} - {title}"),
    },
    |title, year| format!("{} ({year})", title.replace('é', "e").replace('É', "E")),
    |title, year| format!("{title} ({year}) {{tmdb-{}}}", year * 7),
];

/// Files of one name, listed in 400 folders. The host's folder is spelt differently.
#[test]
fn a_folder_spelt_differently_is_among_the_first_candidates() {
    let adjectives: Vec<&str> =
        "Quiet Golden Last Broken Café Red Silent Long Lost Blue Dark Final Hidden Secret Wild Cold Burning Empty Little Great"
            .split(' ')
            .collect();
    let nouns: Vec<&str> =
        "Sea Heat Summers Window 夜の海 It Thing Island Night Road Winter Garden Letter Train House King Dream Mountain Song Émile"
            .split(' ')
            .collect();
    let none = Mappings::default();
    let (mut asked, mut right) = (0, 0);
    let mut missed = Vec::new();
    for (kind, below) in [
        (ItemType::Movie, "movie.mkv"),
        (ItemType::Movie, "VIDEO_TS/VTS_01_1.VOB"),
        (ItemType::Movie, "BDMV/STREAM/00001.m2ts"),
        (ItemType::Episode, "S01E01.mkv"),
        (ItemType::Episode, "Season 01/S01E01.mkv"),
    ] {
        for translated in [false, true] {
            let names: Vec<(String, i32)> = (0..400)
                .map(|n| {
                    // Every tenth film is a remake of the next one.
                    let same = n + usize::from(n % 10 == 1);
                    let article = if same % 3 == 0 { "The " } else { "" };
                    let (adjective, noun) = (adjectives[n / 20], nouns[same % 20]);
                    // Every tenth title is a part of others.
                    let title = match n % 10 {
                        0 => format!("{article}{noun}{}", ["", " II", " III"][n / 20 % 3]),
                        _ => format!("{article}{adjective} {noun}"),
                    };
                    (title, 1950 + i32::try_from(n * 7 % 70).expect("small"))
                })
                .collect();
            let items: Vec<Item> = names
                .iter()
                .enumerate()
                .map(|(n, (title, year))| {
                    let shown = if translated {
                        format!("Übersetzung {n}")
                    } else {
                        title.clone()
                    };
                    let is_film = kind == ItemType::Movie;
                    Item {
                        rating_key: n.to_string(),
                        kind,
                        title: if is_film { shown.clone() } else { "Pilot".into() },
                        show_title: if is_film { String::new() } else { shown },
                        year: *year,
                        parts: vec![format!("/data/all/{title} ({year})/{below}").into()],
                        ..Item::default()
                    }
                })
                .collect();
            let view = library(&["/data/all"], &items, &none);
            let views = [&view];
            for (n, (title, year)) in names.iter().enumerate().step_by(9) {
                let folder = SPELLINGS[n % SPELLINGS.len()](title, *year);
                let path = format!("/mnt/x/{folder}/{below}");
                let found = Resolver::new(&views, Scope::One(0), &none).resolve(path.as_bytes());
                let file = items[n].parts[0].as_bytes();
                asked += 1;
                if found.found().iter().take(3).any(|one| one.path == file) {
                    right += 1;
                } else {
                    missed.push(path);
                }
            }
        }
    }
    assert!(right * 100 >= asked * 98, "{right} of {asked}, not {missed:#?}");
}
