//! A warm lookup allocates nothing, for every kind of match, and building a segment takes bounded memory.

use std::sync::Arc;

use plexindex::model::{Item, MatchKind};
use plexindex::options::Mapping;
use plexindex::testing::engine::{
    LibraryView, ListingBuilder, ListingMeta, ListingSegment, MapMode, Matches, MemtableChange, Record, RecordSegment,
    RecordSegmentBuilder, RecordSegments, Sequence, Stored, TableId, ViewFacts, match_value,
};
use plexindex::testing::matching::{Mappings, Resolver, Scope};

use crate::support::read_path::movie;
use crate::{allocations, peak};

const ITEMS: usize = 20_000;

fn segment(mappings: &Mappings, items: impl Iterator<Item = Item>) -> Arc<ListingSegment> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("segment");
    let mut builder = ListingBuilder::new(
        ListingMeta {
            generation: 1,
            mappings: mappings.clone(),
            ..ListingMeta::default()
        },
        &path,
    );
    items.for_each(|item| builder.push(&item));
    builder.finish(&path, 0).expect("is made");
    Arc::new(ListingSegment::open(&path, MapMode::Map, 0).expect("opens"))
}

fn view(location: &str, items: impl Iterator<Item = Item>, mappings: &Mappings) -> LibraryView {
    let listing = segment(mappings, items);
    let mut recorded: Vec<(String, Vec<u8>)> = (0..100)
        .map(|number| {
            (
                format!("/host/{number}.mkv"),
                match_value(&(100_000 + number).to_string(), Sequence(1)),
            )
        })
        .collect();
    recorded.sort();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("matches");
    let mut builder = RecordSegmentBuilder::new(&path);
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
    builder.finish(&path, 0).expect("is made");
    let segment = Arc::new(RecordSegment::open(&path, MapMode::Map, 0).expect("opens"));
    let segments = Arc::new(RecordSegments::after(vec![segment], &RecordSegments::default()));
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
fn allocations_of(paths: &[Vec<u8>], mut ask: impl FnMut(&[u8])) -> u64 {
    for path in paths {
        ask(path);
    }
    allocations(|| paths.iter().for_each(|path| ask(path)))
}

#[test]
fn lookups_allocate_nothing() {
    let mappings = Mappings::new(&[
        Mapping::host_to_server("/data", "/mnt/media"),
        Mapping::server_to_host("/mnt/media", "/stash"),
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
            let climbing = allocations_of(&paths, |path| {
                std::hint::black_box(Resolver::new(&views, scope, &mappings).resolve(path));
            });
            let looking = allocations_of(&paths, |path| {
                std::hint::black_box(Resolver::new(&views, scope, &mappings).fast_lookup(path));
            });
            assert_eq!((climbing, looking), (0, 0), "{name}, {scope:?}");
        }
    }
}

#[test]
fn building_stays_within_bounds() {
    let mut peaks = Vec::new();
    for items in [10_000, 100_000] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("segment");
        let peak = peak(|| {
            let mut builder = ListingBuilder::new(ListingMeta::default(), &path);
            for number in 0..items {
                builder.push(&movie(number));
            }
            builder.finish(&path, 0).expect("is written");
        });
        println!("building a segment of {items} items: {} KiB at the peak", peak >> 10);
        peaks.push(peak);
    }
    // The buffers of a run and of a thread, whatever the number of items: with those that unit tests have it is a third.
    assert!(peaks[1] <= 32 << 20, "{} bytes", peaks[1]);
}
