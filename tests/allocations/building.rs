//! Building a segment takes bounded memory.

use plexindex::model::{Item, ItemType};
use plexindex::testing::engine::{FileTickets, ListingBuilder, ListingMeta, Sequence};

use crate::peak;

/// A film with a title of some 21 bytes and a path of some 78.
fn movie(number: usize) -> Item {
    let title = format!("Silent Winter Road {}", number % 1_000);
    Item {
        rating_key: (100_000 + number).to_string(),
        kind: ItemType::Movie,
        year: 2001,
        season: -1,
        episode: -1,
        guid: format!("plex://movie/5d77{number:020x}"),
        parts: vec![format!("/mnt/media/movies/{title} (2001)/{title} {number}.mkv").into()],
        title,
        ..Item::default()
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
                builder.push_item(&movie(number), Sequence::default(), &FileTickets::default());
            }
            builder.finish(&path, 0).expect("is written");
        });
        println!("building a segment of {items} items: {} KiB at the peak", peak >> 10);
        peaks.push(peak);
    }
    // The buffers of a run and of a thread, whatever the number of items: with those that unit tests have it is a third.
    assert!(peaks[1] <= 32 << 20, "{} bytes", peaks[1]);
}
