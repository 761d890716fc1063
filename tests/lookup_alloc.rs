//! A warm lookup allocates nothing: counted by the allocator, for every kind of match. A program of its own and without the test
//! harness, so that nothing else allocates.

#![allow(dead_code, unused_imports)] // modules are included whole
#![allow(missing_docs)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The parts of it that a lookup reads.
#[path = "../src/engine"]
mod engine {
    pub mod memtable;
    pub mod segment;
    pub mod version_page;
    pub mod view;
}
#[macro_use]
#[path = "../src/enum_names.rs"]
mod enum_names;
#[path = "../src/error.rs"]
mod error;
#[path = "../src/matching/mod.rs"]
mod matching;
#[path = "../src/model/mod.rs"]
mod model;
#[path = "../src/options.rs"]
mod options;
#[path = "../src/platform/mod.rs"]
mod platform;
mod read_path;

use engine::memtable::MemtableChange;
use engine::segment::{
    ListingBuilder, ListingMeta, ListingSegment, Matches, Record, RecordSegmentBuilder, RecordSegments, Stored,
    match_value,
};
use engine::view::{LibraryView, ViewFacts};
use matching::{Mappings, Resolver, Scope};
use model::{Item, MatchKind, Sequence, TableId};
use options::{Mapping, MappingKind, Pattern};
use read_path::movie;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counting;

fn grew(bytes: usize) {
    ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    let live = LIVE.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(live, Ordering::Relaxed);
}

// SAFETY: everything is passed on to the system's allocator; only numbers are kept.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grew(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const ITEMS: usize = 20_000;

fn image(mappings: &Mappings, fill: impl FnOnce(&mut ListingBuilder)) -> Arc<ListingSegment> {
    let mut builder = ListingBuilder::new(ListingMeta {
        generation: 1,
        mappings: mappings.clone(),
        ..ListingMeta::default()
    });
    fill(&mut builder);
    Arc::new(ListingSegment::from_bytes(builder.finish_in_memory().expect("is made")).expect("opens"))
}

fn view(location: &str, items: impl Iterator<Item = Item>, mappings: &Mappings) -> LibraryView {
    let listing = image(mappings, |builder| {
        items.for_each(|item| builder.push(&item));
    });
    let mut recorded: Vec<(String, Vec<u8>)> = (0..100)
        .map(|number| {
            (
                format!("/host/{number}.mkv"),
                match_value(&(100_000 + number).to_string(), Sequence(1)),
            )
        })
        .collect();
    recorded.sort();
    let mut builder = RecordSegmentBuilder::new(None);
    for (path, value) in &recorded {
        let state = Stored {
            value: Some(value),
            length: value.len() as u64,
            expires_ms: None,
        };
        let record = Record {
            table: TableId(1),
            is_path: true,
            name: path.as_bytes(),
            row: 1,
            state: Some(state),
        };
        builder.push(&record).expect("memory");
    }
    let segment = Arc::new(builder.finish_in_memory().expect("is made"));
    let segments = Arc::new(RecordSegments::new(vec![segment]));
    let matches = Matches::new(segments, TableId(1), 100, Sequence(0));
    let facts = ViewFacts {
        locations: vec![location.to_owned()],
        listed_at: 1,
        fetched: true,
        ..ViewFacts::default()
    };
    let view = LibraryView::new(facts, mappings, Some(listing), Some(matches), Arc::default());
    let memtable = &view.memtable;
    for number in 0..100 {
        let change = MemtableChange::Matched {
            path: format!("/host/overlaid/{number}.mkv").into_bytes(),
            rating_key: (100_000 + number).to_string(),
            sequence: 1,
        };
        memtable.push(change, mappings).expect("there is room");
        let item = Item {
            parts: vec![format!("{location}/new {number}/n{number}.mkv")],
            ..movie(ITEMS * 2 + number)
        };
        let change = MemtableChange::Added {
            item: Arc::new(item),
            sequence: 1,
        };
        memtable.push(change, mappings).expect("there is room");
    }
    view
}

/// Allocations of `ask` over all paths, after a first round that need not be free.
fn allocations(paths: &[Vec<u8>], mut ask: impl FnMut(&[u8])) -> usize {
    for path in paths {
        ask(path);
    }
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    for path in paths {
        ask(path);
    }
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

fn lookups_allocate_nothing() {
    let rule = |kind, from: &str, to: &str| Mapping {
        kind,
        from: Pattern::Prefix(from.into()),
        to: to.into(),
    };
    let mappings = Mappings::new(&[
        rule(MappingKind::HostToServer, "/data", "/mnt/media"),
        rule(MappingKind::ServerToHost, "/mnt/media", "/stash"),
    ])
    .expect("rules compile");
    // Every fifth file is called like many others.
    let crowd = |number: usize| {
        let mut item = movie(number);
        if number.is_multiple_of(5) {
            item.parts = vec![format!("/mnt/media/movies/album {number}/01.mkv")];
        }
        item
    };
    let one = view("/mnt/media/movies", (0..ITEMS).map(crowd), &mappings);
    let two = view("/mnt/media/tv", (ITEMS..ITEMS + 10).map(movie), &mappings);
    let views = [&one, &two];
    let numbers = 0..200;
    let listed = |number: usize| movie(number * 5 + 1).parts.remove(0);
    let each =
        |make: &dyn Fn(usize) -> String| -> Vec<Vec<u8>> { numbers.clone().map(|n| make(n).into_bytes()).collect() };
    let cases = [
        (
            "confirmed",
            MatchKind::Confirmed,
            each(&|n| format!("/host/{}.mkv", n % 100)),
        ),
        (
            "confirmed since",
            MatchKind::Confirmed,
            each(&|n| format!("/host/overlaid/{}.mkv", n % 100)),
        ),
        ("exact", MatchKind::Exact, each(&listed)),
        ("other case", MatchKind::Exact, each(&|n| listed(n).to_uppercase())),
        (
            "added since",
            MatchKind::Exact,
            each(&|n| format!("/mnt/media/movies/new {0}/n{0}.mkv", n % 100)),
        ),
        (
            "mapped to the server",
            MatchKind::Mapped,
            each(&|n| listed(n).replace("/mnt/media", "/data")),
        ),
        (
            "mapped to the host",
            MatchKind::Mapped,
            each(&|n| listed(n).replace("/mnt/media", "/stash")),
        ),
        (
            "suffix",
            MatchKind::Suffix,
            each(&|n| listed(n).replace("/mnt/media", "/x")),
        ),
        ("ambiguous", MatchKind::FileName, each(&|n| format!("/x/{n}/01.mkv"))),
        (
            "not text",
            MatchKind::None,
            numbers
                .clone()
                .map(|n| [format!("/x/{n}").as_bytes(), b"\xff"].concat())
                .collect(),
        ),
        ("nothing", MatchKind::None, each(&|n| format!("/x/{n}.none"))),
        (
            "accents",
            MatchKind::None,
            each(&|n| format!("/x/Caf\u{e9} e\u{301} \u{c5}/{n}.none")),
        ),
        (
            "4 KiB",
            MatchKind::None,
            each(&|n| format!("/x/{}/{n}.none", "long/".repeat(800))),
        ),
        (
            "4 KiB with accents",
            MatchKind::None,
            each(&|n| format!("/x/{}/{n}.none", "l\u{f6}ng/".repeat(600))),
        ),
    ];
    for (name, match_kind, paths) in cases {
        for scope in [Scope::One(0), Scope::All] {
            let found = Resolver::new(&views, scope, &mappings).resolve(&paths[0]);
            assert_eq!(found.match_kind, match_kind, "{name}: {found:?}");
            let climbing = allocations(&paths, |path| {
                std::hint::black_box(Resolver::new(&views, scope, &mappings).resolve(path));
            });
            let looking = allocations(&paths, |path| {
                std::hint::black_box(Resolver::new(&views, scope, &mappings).fast_lookup(path));
            });
            assert_eq!((climbing, looking), (0, 0), "{name}, {scope:?}");
        }
    }
    println!("warm lookups: no allocation for any kind of match");
}

fn building_stays_within_bounds() {
    let mut peaks = Vec::new();
    for items in [10_000, 100_000] {
        let before = LIVE.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("image");
        let mut builder = ListingBuilder::in_file(ListingMeta::default(), &path);
        for number in 0..items {
            builder.push(&movie(number));
        }
        builder.finish(&path, 0).expect("is written");
        let peak = PEAK.load(Ordering::Relaxed) - before;
        println!("building an image of {items} items: {} KiB at the peak", peak >> 10);
        peaks.push(peak);
    }
    assert!(peaks[1] <= 16 << 20, "{} bytes", peaks[1]);
}

fn main() {
    lookups_allocate_nothing();
    building_stays_within_bounds();
}
