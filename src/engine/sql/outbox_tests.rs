//! The outbox while the shared log is unavailable.

use std::sync::Arc;

use super::for_tests::Films;
use super::{LocalWrite, Outbox, WriteObserver};
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
    let films = Films::new();
    let outbox = Outbox(&films.store);
    let observer: Arc<dyn WriteObserver> = Arc::new(Observer);
    outbox.observe(Arc::downgrade(&observer));
    let count = || outbox.count(films.view_id).expect("counted");
    let host = || outbox.host().expect("a host");
    let first_host = host();
    // Newer entries of the same paths replace older ones.
    for key in ["1", "2", "3", "4"] {
        for number in 0..1_000 {
            films.record(&[(format!("/data/{number}.mkv").as_bytes(), key)]);
        }
    }
    assert!((1_000..3_000).contains(&count()), "{}", count());
    let first = outbox.entries(films.view_id, 1).expect("read").remove(0).entry;
    assert_eq!((&*first.name.key, &*first.body), (&b"/data/0.mkv"[..], &b"4"[..]));
    assert_ne!(host(), first_host, "the log may have some of the removed entries");
    // Of entries with different names, the newest remain.
    for number in 0..5_000 {
        let path = format!("/data/{number}.mkv");
        let write = LocalWrite::Paths(&[], &[path.as_bytes()]);
        films
            .store
            .write(Deadline::NONE, |tx| films.store.observe(tx, films.view_id, &write))
            .expect("written");
    }
    assert!((1_000..=4_000).contains(&count()), "{}", count());
    let entries = outbox.entries(films.view_id, usize::MAX).expect("read");
    let last = entries.last().expect("an entry");
    assert_eq!(last.entry.name.key, b"/data/4999.mkv");
    assert!(entries.windows(2).all(|pair| pair[0].number < pair[1].number));
    assert!(entries.iter().all(|row| row.host == host()));
}
