//! The read path alone, below the index: `cargo bench --bench segment`. Questions are asked in random order over distinct
//! paths, laid out in memory in that order, as a host would make them.

#![allow(missing_docs)]

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use divan::Bencher;
use divan::counter::ItemsCount;

use plexindex::model;
use plexindex::testing::{engine, matching};

use engine::MapMode;
use engine::Swap;
use engine::{LibraryView, ListingBuilder, ListingMeta, ListingSegment, VersionPage, ViewFacts};
use matching::{FolderResolver, Mappings, Normal, Resolver, Scope};
use model::Item;
use plexindex_tests::read_path::{Random, movie};

const SIZES: [usize; 3] = [10_000, 100_000, 1_000_000];
/// So many distinct questions, or as many as there are items.
const QUESTIONS: usize = 100_000;

fn main() {
    for size in SIZES {
        let bytes = std::fs::metadata(file(size)).map_or(0, |facts| facts.len());
        println!("{size} items: {} bytes each", bytes.div_ceil(size as u64));
    }
    divan::main();
    let _ = std::fs::remove_dir_all(folder());
}

fn folder() -> PathBuf {
    std::env::temp_dir().join(format!("plexindex-bench-{}", std::process::id()))
}

fn build(items: &[Item], path: &std::path::Path) {
    let mut builder = ListingBuilder::new(ListingMeta::default(), path);
    for item in items {
        builder.push(item);
    }
    builder.finish(path, 0).expect("is written");
}

/// The segment of so many movies, made once.
fn file(size: usize) -> &'static PathBuf {
    static FILES: [OnceLock<PathBuf>; 3] = [const { OnceLock::new() }; 3];
    let place = SIZES.iter().position(|known| *known == size).expect("a known size");
    FILES[place].get_or_init(|| {
        std::fs::create_dir_all(folder()).expect("a folder");
        let path = folder().join(size.to_string());
        let items: Vec<Item> = (0..size).map(movie).collect();
        build(&items, &path);
        path
    })
}

fn view(size: usize) -> LibraryView {
    let segment = ListingSegment::open(file(size), MapMode::Map, 0).expect("opens");
    let facts = ViewFacts {
        locations: vec!["/mnt/media/movies".to_owned()],
        fetched: true,
        ..ViewFacts::default()
    };
    LibraryView::new(
        facts,
        &Mappings::default(),
        Some(Arc::new(segment)),
        None,
        Arc::default(),
    )
}

fn questions(size: usize, change: impl Fn(String) -> String) -> Vec<String> {
    let order = Random(42).order(size);
    let ask = |number: &usize| change(movie(*number).parts.remove(0));
    order.iter().take(QUESTIONS).map(ask).collect()
}

/// The folder of a file.
fn above(path: &str) -> String {
    path.rsplit_once('/')
        .map_or(String::new(), |(folder, _)| folder.to_owned())
}

/// One query of many in each iteration, one after the other.
fn ask_in_turn<R>(bencher: Bencher, questions: &[String], mut ask: impl FnMut(&[u8]) -> R) {
    let mut next = 0;
    bencher.counter(ItemsCount::new(1u32)).bench_local(|| {
        let path = questions[next].as_bytes();
        next = (next + 1) % questions.len();
        ask(path)
    });
}

#[divan::bench(args = SIZES, sample_count = 200, sample_size = 1000)]
fn fast_lookup_exact(bencher: Bencher, size: usize) {
    let (view, none) = (view(size), Mappings::default());
    let views = [&view];
    ask_in_turn(bencher, &questions(size, |path| path), |path| {
        Resolver::new(&views, Scope::One(0), &none)
            .fast_lookup(path)
            .map(|hit| hit.rating_key.len())
    });
}

#[divan::bench(args = SIZES, sample_count = 200, sample_size = 1000)]
fn fast_lookup_other_case(bencher: Bencher, size: usize) {
    let (view, none) = (view(size), Mappings::default());
    let views = [&view];
    ask_in_turn(bencher, &questions(size, |path| path.to_uppercase()), |path| {
        Resolver::new(&views, Scope::One(0), &none)
            .fast_lookup(path)
            .map(|hit| hit.rating_key.len())
    });
}

#[divan::bench(args = SIZES, sample_count = 200, sample_size = 1000)]
fn climb_exact(bencher: Bencher, size: usize) {
    let (view, none) = (view(size), Mappings::default());
    let views = [&view];
    ask_in_turn(bencher, &questions(size, |path| path), |path| {
        Resolver::new(&views, Scope::One(0), &none).resolve(path).total
    });
}

#[divan::bench(args = SIZES, sample_count = 200, sample_size = 1000)]
fn climb_suffix(bencher: Bencher, size: usize) {
    let (view, none) = (view(size), Mappings::default());
    let views = [&view];
    let elsewhere = |path: String| path.replace("/mnt/media/movies", "/data");
    ask_in_turn(bencher, &questions(size, elsewhere), |path| {
        Resolver::new(&views, Scope::One(0), &none).resolve(path).components
    });
}

#[divan::bench(args = SIZES, sample_count = 200, sample_size = 1000)]
fn climb_file_name(bencher: Bencher, size: usize) {
    let (view, none) = (view(size), Mappings::default());
    let views = [&view];
    let elsewhere = |path: String| format!("/new/{}", path.rsplit('/').next().unwrap_or_default());
    ask_in_turn(bencher, &questions(size, elsewhere), |path| {
        Resolver::new(&views, Scope::One(0), &none).resolve(path).components
    });
}

#[divan::bench(args = SIZES, sample_count = 200, sample_size = 1000)]
fn climb_miss(bencher: Bencher, size: usize) {
    let (view, none) = (view(size), Mappings::default());
    let views = [&view];
    ask_in_turn(bencher, &questions(size, |path| path + "x"), |path| {
        Resolver::new(&views, Scope::One(0), &none).resolve(path).total
    });
}

/// The folder of a film: each has its own.
#[divan::bench(args = SIZES, sample_count = 200, sample_size = 1000)]
fn folder_of_a_film(bencher: Bencher, size: usize) {
    let (view, none) = (view(size), Mappings::default());
    let views = [&view];
    ask_in_turn(bencher, &questions(size, |path| above(&path)), |path| {
        Normal::with(path, |path| {
            FolderResolver::new(&views, Scope::One(0), &none, path).resolve().items
        })
    });
}

/// The same below another root.
#[divan::bench(args = SIZES, sample_count = 200, sample_size = 1000)]
fn folder_of_a_film_by_its_end(bencher: Bencher, size: usize) {
    let (view, none) = (view(size), Mappings::default());
    let views = [&view];
    let elsewhere = |path: String| above(&path).replace("/mnt/media/movies", "/data");
    ask_in_turn(bencher, &questions(size, elsewhere), |path| {
        Normal::with(path, |path| {
            FolderResolver::new(&views, Scope::One(0), &none, path).resolve().total
        })
    });
}

/// A show of a hundred episodes in ten seasons, a season of one, and the library's own folder.
#[divan::bench(args = ["/", "/Season 07", ""], sample_count = 100, sample_size = 100)]
fn folder_of_a_show(bencher: Bencher, below: &str) {
    const SIZE: usize = 1_000_000;
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    let path = FILE.get_or_init(|| {
        std::fs::create_dir_all(folder()).expect("a folder");
        let path = folder().join("shows");
        let episode = |number: usize| {
            let (show, season, episode) = (number / 100, number % 100 / 10 + 1, number % 10 + 1);
            let file = format!("/tv/Show {show}/Season {season:02}/Show {show} - S{season:02}E{episode:02}.mkv");
            Item {
                kind: model::ItemType::Episode,
                show_title: format!("Show {show}"),
                show_rating_key: show.to_string(),
                season_title: format!("Season {season}"),
                season_rating_key: format!("{show}{season:02}"),
                season_guid: format!("plex://season/{:024x}", number / 10),
                season: i32::try_from(season).unwrap_or(0),
                parts: vec![file],
                ..movie(number)
            }
        };
        build(&(0..SIZE).map(episode).collect::<Vec<Item>>(), &path);
        path
    });
    let bytes = std::fs::metadata(path).map_or(0, |facts| facts.len());
    println!("{} bytes an episode", bytes.div_ceil(SIZE as u64));
    let none = Mappings::default();
    let facts = ViewFacts {
        locations: vec!["/tv".to_owned()],
        fetched: true,
        ..ViewFacts::default()
    };
    let segment = ListingSegment::open(path, MapMode::Map, 0).expect("opens");
    let view = LibraryView::new(facts, &none, Some(Arc::new(segment)), None, Arc::default());
    let views = [&view];
    let order = Random(7).order(SIZE / 100);
    let asked: Vec<String> = match below {
        "" => vec!["/tv".to_owned()],
        below => order.iter().map(|show| format!("/tv/Show {show}{below}")).collect(),
    };
    ask_in_turn(bencher, &asked, |path| {
        Normal::with(path, |path| {
            FolderResolver::new(&views, Scope::One(0), &none, path).resolve().items
        })
    });
}

/// The worst repeated name: all files are called alike, in folders that are called alike by the hundred.
#[divan::bench(args = [100, 100_000], sample_count = 100, sample_size = 1000)]
fn climb_repeated_name(bencher: Bencher, depth: usize) {
    let path = folder().join("repeated");
    std::fs::create_dir_all(folder()).expect("a folder");
    let named = |number: usize| format!("/plex/artist {}/album {}/01 - Intro.flac", number / 100, number % 100);
    let items: Vec<Item> = (0..100_000)
        .map(|number| Item {
            parts: vec![named(number)],
            ..movie(number)
        })
        .collect();
    build(&items, &path);
    let segment = ListingSegment::open(&path, MapMode::Map, 0).expect("opens");
    let none = Mappings::default();
    let view = LibraryView::new(
        ViewFacts::default(),
        &none,
        Some(Arc::new(segment)),
        None,
        Arc::default(),
    );
    let views = [&view];
    // Either one of a hundred albums of that name, or an album that does not exist.
    let asked: Vec<String> = Random(7)
        .order(100_000)
        .iter()
        .map(|number| match depth {
            100 => format!("/nas/x/album {}/01 - Intro.flac", number % 100),
            _ => format!("/nas/x/y{number}/01 - Intro.flac"),
        })
        .collect();
    ask_in_turn(bencher, &asked, |path| {
        Resolver::new(&views, Scope::One(0), &none).resolve(path).total
    });
}

/// A hundred thousand distinct paths from a segment that was just opened.
#[divan::bench(args = SIZES, sample_count = 10, sample_size = 1)]
fn fresh_segment(bencher: Bencher, size: usize) {
    let none = Mappings::default();
    let asked = questions(size, |path| path);
    bencher.with_inputs(|| view(size)).bench_local_refs(|view| {
        let views = [&*view];
        let found = asked.iter().filter(|path| {
            Resolver::new(&views, Scope::One(0), &none)
                .fast_lookup(path.as_bytes())
                .is_some()
        });
        found.count()
    });
}

#[divan::bench(args = SIZES, sample_count = 50)]
fn open_and_first(bencher: Bencher, size: usize) {
    let none = Mappings::default();
    let asked = questions(size, |path| path);
    bencher.bench_local(|| {
        let view = view(size);
        Resolver::new(&[&view], Scope::One(0), &none)
            .fast_lookup(asked[0].as_bytes())
            .is_some()
    });
}

#[divan::bench(args = SIZES, sample_count = 3, sample_size = 1)]
fn build_segment(bencher: Bencher, size: usize) {
    let items: Vec<Item> = (0..size).map(movie).collect();
    std::fs::create_dir_all(folder()).expect("a folder");
    bencher.bench_local(|| build(&items, &folder().join("built")));
}

#[divan::bench(sample_count = 200, sample_size = 1000)]
fn normal_form(bencher: Bencher) {
    let asked = questions(10_000, |path| path);
    ask_in_turn(bencher, &asked, |path| {
        Normal::with(path, |normal| (normal.hash(), normal.form().len()))
    });
}

#[divan::bench(sample_count = 200, sample_size = 1000)]
fn normal_form_with_accents(bencher: Bencher) {
    let asked = questions(10_000, |path| path.replace('o', "\u{f6}"));
    ask_in_turn(bencher, &asked, |path| {
        Normal::with(path, |normal| (normal.hash(), normal.form().len()))
    });
}

#[divan::bench(sample_count = 200, sample_size = 1000)]
fn read_swap(bencher: Bencher) {
    let swap = Swap::new(7u64);
    bencher.bench_local(|| *swap.read());
}

#[divan::bench(sample_count = 200, sample_size = 1000)]
fn read_counters(bencher: Bencher) {
    std::fs::create_dir_all(folder()).expect("a folder");
    let page = VersionPage::open(&folder().join("counters"), 1, true).expect("opens");
    bencher.bench_local(|| page.state());
}
