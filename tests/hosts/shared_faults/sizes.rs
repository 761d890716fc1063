//! Items and entries that are too large for the log.

use plexindex::model::Item;
use plexindex_sharing::LARGEST_ENTRY;
use plexindex_sharing::bodies::{Chunk, unpack};
use plexindex_standin::{ItemSpec, MediaSpec};

use crate::shared_faults::hosts::pair;
use crate::support::{HOUR_MS, movie, requests};

/// Paths that are more than an entry together.
fn many_long_paths() -> Vec<String> {
    (0..40)
        .map(|n| format!("/media/{n}/{}.mkv", "a".repeat(30_000)))
        .collect()
}

/// A delta has an item that no entry can have: the whole listing is published, so that others need not ask.
#[test]
fn an_item_that_is_too_large_for_an_entry_is_in_the_listing() {
    let (world, one, two) = pair();
    let paths = many_long_paths();
    let large = ItemSpec {
        files: paths.iter().cloned().map(MediaSpec::File).collect(),
        ..movie("Large", &paths[0])
    };
    world
        .server
        .change(|state| state.add_items(1, vec![large], true))
        .expect("added");
    world.clock.advance_ms(2 * HOUR_MS);
    one.refresh();
    assert!(one.known(&paths[39]).is_some());
    world.server.reset();
    two.refresh();
    assert_eq!(two.known(&paths[39]), one.known(&paths[39]));
    assert_eq!(requests(&world.server)[2], 0, "nothing is listed twice");
    let size = |entry: &plexindex_sharing::Entry| entry.name.key.len() + entry.body.len();
    assert!(world.entries().iter().all(|entry| size(entry) < LARGEST_ENTRY));
}

#[test]
fn a_chunk_is_full_by_its_bytes_too() {
    let item = |bytes: usize| Item {
        rating_key: "7".into(),
        title: "t".repeat(bytes),
        ..Item::default()
    };
    let mut chunk = Chunk::default();
    while !chunk.is_full() {
        chunk.push(&item(1 << 20));
    }
    assert_eq!(chunk.len(), 8);
    let packed = chunk.pack().expect("others unpack it");
    assert_eq!(unpack(&packed).map(|items| items.len()), Some(8));
    let mut chunk = Chunk::default();
    chunk.push(&item(65 << 20));
    assert_eq!(chunk.pack(), None);
    assert_eq!(
        unpack(&Chunk::default().pack().expect("empty")).map(|items| items.len()),
        Some(0)
    );
}
