//! The outbox while the shared log is unavailable.

use std::sync::Arc;

use super::for_tests::{endpoint, opened, probed, record_pairs, server};
use super::library_rows::LibraryRows;
use super::outbox::Outbox;
use super::store::{LocalWrite, WriteObserver};
use crate::entries::{EntryKind, EntryName, NewEntry};
use crate::model::{Library, LibraryId};
use crate::platform::deadline::Deadline;

/// Makes an entry of each recorded match and of each invalidated path.
struct Observer;

impl WriteObserver for Observer {
    fn observes(&self) -> bool {
        true
    }

    fn entries(&self, _: &[(LibraryId, Library)], write: &LocalWrite<'_>) -> Vec<NewEntry> {
        let entry = |kind, key: &[u8], body: &[u8]| NewEntry {
            name: EntryName {
                kind,
                library: "films".to_owned(),
                key: key.to_vec(),
            },
            body: body.to_vec(),
        };
        match write {
            LocalWrite::Matches(_, pairs) => {
                let of_pair = |(path, key): &(&[u8], &str)| entry(EntryKind::Match, path, key.as_bytes());
                pairs.iter().map(of_pair).collect()
            }
            LocalWrite::Paths(_, paths) => paths
                .iter()
                .map(|path| entry(EntryKind::InvalidPath, path, b""))
                .collect(),
            _ => Vec::new(),
        }
    }

    fn after_commit(&self) {}
}

#[test]
fn the_outbox_stays_bounded_and_keeps_the_newest_entries() {
    let (_folder, store) = opened();
    let observer: Arc<dyn WriteObserver> = Arc::new(Observer);
    Outbox(&store).observe(Arc::downgrade(&observer));
    let view_id = LibraryRows(&store)
        .reached(&endpoint("http://a"), &server("one"))
        .expect("reached");
    let row = probed(&store, view_id, &["films"], 1).remove(0);
    let count = || Outbox(&store).count(view_id).expect("counted");
    let host = || Outbox(&store).host().expect("a host");
    let first_host = host();
    // Newer entries of the same paths replace older ones.
    for key in ["1", "2", "3"] {
        for number in 0..1_000 {
            record_pairs(&store, &row, &[(format!("/data/{number}.mkv").as_bytes(), key)]);
        }
    }
    assert_eq!(count(), 1_000, "one for each path");
    let first = Outbox(&store).entries(view_id, 1).expect("read").remove(0).entry;
    assert_eq!((&*first.name.key, &*first.body), (&b"/data/0.mkv"[..], &b"3"[..]));
    assert_ne!(host(), first_host, "the log may have some of the removed entries");
    // Of entries with different names, the newest remain.
    for number in 0..5_000 {
        let path = format!("/data/{number}.mkv");
        let write = LocalWrite::Paths(&[], &[path.as_bytes()]);
        store
            .write(Deadline::NONE, |tx| store.observe(tx, view_id, &write))
            .expect("written");
    }
    assert!((1_000..=4_000).contains(&count()), "{}", count());
    let entries = Outbox(&store).entries(view_id, usize::MAX).expect("read");
    let last = entries.last().expect("an entry");
    assert_eq!(last.entry.name.key, b"/data/4999.mkv");
    assert!(entries.windows(2).all(|pair| pair[0].number < pair[1].number));
    assert!(entries.iter().all(|row| row.host == host()));
}
