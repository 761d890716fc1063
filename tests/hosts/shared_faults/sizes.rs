//! Items and entries that are too large for the log.

use std::time::Duration;

use plexindex::model::Item;
use plexindex::options::{Options, Ttl};
use plexindex_sharing::bodies::{Chunk, unpack};
use plexindex_standin::{ItemSpec, MediaSpec};

use crate::shared_faults::hosts::{World, exchange};
use crate::support::{movie, requests};

/// Paths that are more than an entry together.
fn many_long_paths() -> Vec<String> {
    (0..40)
        .map(|n| format!("/media/{n}/{}.mkv", "a".repeat(30_000)))
        .collect()
}

/// A delta has an item that no entry can have: the whole listing is published, so that others need not ask.
#[test]
fn an_item_that_is_too_large_for_an_entry_is_in_the_listing() {
    let world = World::of(20);
    let soon = |options: &mut Options| options.library_ttl = Ttl::For(Duration::from_secs(60));
    let (one, two) = (world.host_with(soon), world.host_with(soon));
    exchange(&[&one, &two]);
    let paths = many_long_paths();
    let large = ItemSpec {
        files: paths.iter().cloned().map(MediaSpec::File).collect(),
        ..movie("Large", &paths[0])
    };
    world
        .server
        .change(|state| state.add_items(1, vec![large], true))
        .expect("added");
    world.clock.advance_ms(120_000);
    one.refresh();
    assert!(one.known(&paths[39]).is_some());
    world.server.reset();
    two.refresh();
    assert_eq!(two.known(&paths[39]), one.known(&paths[39]));
    assert_eq!(requests(&world.server), [0; 6], "nothing is asked twice");
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
