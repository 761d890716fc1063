use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{library, movie};
use crate::engine::memtable::{Memtable, MemtableChange, MemtableFull};
use crate::matching::{Mappings, Resolver, Scope};
use crate::model::{Item, Sequence};

fn doubted(n: usize) -> MemtableChange {
    MemtableChange::DoubtedPath {
        path: format!("/host/{n}.mkv").into_bytes(),
        raised: 1,
    }
}

#[test]
fn a_memtable_holds_its_capacity_and_no_more() {
    let none = Mappings::default();
    let memtable = Memtable::default();
    assert!(memtable.is_empty());
    let mut taken = 0;
    while memtable.push(doubted(taken), &none).is_ok() {
        taken += 1;
    }
    assert_eq!(taken, 8192);
    assert_eq!(memtable.len(), taken);
    assert_eq!(memtable.push(doubted(0), &none), Err(MemtableFull));
    assert_eq!(memtable.changes().count(), taken);
    assert_eq!(memtable.changes().nth(8191), Some(&doubted(8191)));
}

#[test]
fn an_item_with_very_many_files_fills_it_without_harm() {
    let none = Mappings::default();
    let films = library(&[], &[movie("1", &["/mnt/a.mkv"])], &none);
    let parts = (0..80_000).map(|n| format!("/mnt/{n}.mkv").into()).collect();
    let item = Item {
        parts,
        ..movie("1", &[])
    };
    let added = MemtableChange::Added {
        item: Arc::new(item),
        asked: 1,
        shown: Sequence(1).into(),
    };
    assert_eq!(films.memtable.push(added, &none), Err(MemtableFull));
    // An item that did not fit completely hides nothing.
    assert!(
        Resolver::new(&[&films], Scope::One(0), &none)
            .fast_lookup(b"/mnt/a.mkv")
            .is_some()
    );
}

#[test]
fn a_reply_that_was_asked_for_before_a_doubt_does_not_end_it() {
    let none = Mappings::default();
    let films = library(&[], &[movie("1", &["/mnt/a.mkv"])], &none);
    let push = |change| films.memtable.push(change, &none).expect("there is room");
    let added = |asked| MemtableChange::Added {
        item: Arc::new(movie("1", &["/mnt/b.mkv"])),
        asked,
        shown: Sequence(asked).into(),
    };
    push(MemtableChange::DoubtedItem {
        rating_key: "1".to_owned(),
        raised: 5,
    });
    assert!(films.is_doubted("1"));
    push(added(3));
    assert!(films.is_doubted("1"), "it was asked for before");
    push(added(6));
    assert!(!films.is_doubted("1"));
    assert!(!films.is_doubted("2"));
}

/// A reader never sees half a change: a moving item is always at exactly one path, the old or the new one.
#[test]
fn readers_see_whole_changes_while_a_writer_appends() {
    let none = Mappings::default();
    let films = library(&[], &[movie("1", &["/mnt/0.mkv"])], &none);
    let views = [&films];
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut asked = 0;
                while !done.load(Ordering::Acquire) || asked == 0 {
                    let before = films.memtable.len();
                    let is_at = |n: usize| {
                        let path = format!("/mnt/{n}.mkv");
                        Resolver::new(&views, Scope::One(0), &none)
                            .resolve(path.as_bytes())
                            .total
                            == 1
                    };
                    // A change is visible a moment before it is counted, and for longer if its writer is stopped in
                    // between.
                    assert!(
                        is_at(before) || is_at(before + 1) || films.memtable.len() != before,
                        "the item is nowhere"
                    );
                    asked += 1;
                }
            });
        }
        for n in 1..4000 {
            let item = Arc::new(movie("1", &[&format!("/mnt/{n}.mkv")]));
            films
                .memtable
                .push(
                    MemtableChange::Added {
                        item,
                        asked: 1,
                        shown: Sequence(1).into(),
                    },
                    &none,
                )
                .expect("there is room");
        }
        done.store(true, Ordering::Release);
    });
}
