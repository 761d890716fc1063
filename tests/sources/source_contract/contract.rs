//! The contract itself: a source is asked, without an index.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use plexindex::error::{Result, RetryAdvice, Status};
use plexindex::model::{Item, Library, TokenReliability};
use plexindex::source::{Bounds, Event, IndexedItems, Source, SourceChanges};

use crate::support::worker::until;
use crate::support::{rows_of, stopped_by, wanted, within};

use crate::source_contract::plex::notification;
use crate::source_contract::rig::{FOLDER, Failure, Rig, library_of, list, list_from, sorted, source_of};

pub fn keys_are_public<R: Rig>() {
    let rig = R::new(5);
    let (source, _) = source_of(&rig);
    let kind = source.kind();
    for (rating_key, _) in rig.paths() {
        let key = kind.key(&rating_key);
        assert!(key.starts_with(kind.key_prefix), "{key}");
        assert_eq!(kind.rating_key(&key), Ok(rating_key.as_str()));
        assert_eq!(kind.rating_key(&rating_key), Ok(rating_key.as_str()));
    }
    for none in ["", kind.key_prefix, "a/b", "a\0b"] {
        let refused = kind.rating_key(none).expect_err("it is no key");
        assert_eq!(refused.status, Status::InvalidArgument, "{none:?}");
    }
}

pub fn a_listing_has_each_item_once<R: Rig>() {
    let rig = R::new(57);
    let (source, library) = source_of(&rig);
    assert!(source.partitions(&library) > 0);
    for size in [7, 19, 1_000] {
        let items = list(&*source, &library, size).expect("listed");
        assert_eq!(sorted(&items), rig.paths(), "pages of {size}");
        assert!(items.iter().all(|item| !item.rating_key.contains('\0')));
        assert!(items.iter().all(|item| !item.title.is_empty()));
    }
    let mut totals = 0;
    for partition in 0..source.partitions(&library) {
        let request = rows_of(&library, partition, 0, 3);
        let page = source.page(&request, Bounds::NONE, &mut Vec::new());
        totals += page.expect("a page").total.expect("a total");
    }
    assert_eq!(totals, 57);
    // What is listed by two at once is the same.
    assert_eq!(source.server(Bounds::NONE), rig.source().server(Bounds::NONE));
}

pub fn a_listing_goes_on_from_a_position<R: Rig>() {
    let rig = R::new(40);
    let (source, library) = source_of(&rig);
    for pages in 1..6 {
        let mut items = Vec::new();
        let stopped = list_from(&*source, &library, (0, 0), 7, pages, &mut items).expect("more is left");
        // Another process goes on.
        let (other, library) = source_of(&rig);
        let from = (stopped.partition, stopped.position);
        assert!(list_from(&*other, &library, from, 11, usize::MAX, &mut items).is_none());
        assert_eq!(sorted(&items), rig.paths(), "after {pages} pages");
    }
}

pub fn a_position_that_stands_misses_nothing<R: Rig>() {
    let rig = R::new(40);
    let (source, library) = source_of(&rig);
    let mut items = Vec::new();
    let stopped = list_from(&*source, &library, (0, 0), 5, 1, &mut items).expect("more is left");
    let gone = items.pop().expect("an item");
    rig.remove(std::slice::from_ref(&gone.rating_key));
    let from = (stopped.partition, stopped.position);
    let mut rest = Vec::new();
    assert!(list_from(&*source, &library, from, 5, usize::MAX, &mut rest).is_none());
    items.extend(rest);
    let all = sorted(&items) == rig.paths();
    // All behind it moved, unless it stays where it is. That is why what is listed by rows compares some of them.
    assert_eq!(all, library.is_exact());
}

pub fn a_token_moves_as_far_as_it_is_trusted<R: Rig>() {
    let rig = R::new(5);
    let (source, mut first) = source_of(&rig);
    let trust = first.change.trust;
    // A file that was written a moment ago has another token than the same file a moment later.
    until("two tokens are equal", || {
        let again = library_of(&*source);
        assert_eq!(again.change.trust, trust);
        let is_equal = again.change.token == first.change.token;
        first = again;
        is_equal
    });
    let mut seen = BTreeSet::from([first.change.token.clone()]);
    let mut moves = || seen.insert(library_of(&*source).change.token);
    let key = rig.add("Another", &format!("{FOLDER}/Another.mkv"));
    assert!(moves(), "an item came");
    if trust == TokenReliability::Exact {
        rig.rename(&key, &format!("{FOLDER}/Other.mkv"));
        assert!(moves(), "an item changed");
    }
    rig.remove(&[key]);
    assert!(moves(), "an item went");
    assert_eq!(library_of(&*source).uuid, first.uuid);
}

/// An index as simple as can be.
struct Simple {
    items: RefCell<BTreeMap<String, Item>>,
    since: String,
}

impl IndexedItems for Simple {
    fn base_token(&self) -> &str {
        &self.since
    }

    fn add(&self, items: &[Item]) -> Result<()> {
        let items = items.iter().map(|item| (item.rating_key.clone(), item.clone()));
        self.items.borrow_mut().extend(items);
        Ok(())
    }

    fn has(&self, item: &Item) -> Result<bool> {
        Ok(self.items.borrow().get(&item.rating_key) == Some(item))
    }

    fn has_any(&self, rating_keys: &[String]) -> Result<bool> {
        Ok(rating_keys.iter().any(|key| self.items.borrow().contains_key(key)))
    }

    fn count(&self) -> Result<u64> {
        Ok(self.items.borrow().len() as u64)
    }

    fn keys(&self, each: &mut dyn FnMut(&str)) -> Result<()> {
        self.items.borrow().keys().for_each(|key| each(key));
        Ok(())
    }

    fn accepts_shrinking_to(&self, _: u64) -> Result<bool> {
        Ok(true)
    }
}

pub fn changes_lead_to_what_is_there<R: Rig>() {
    let rig = R::new(300);
    let (source, library) = source_of(&rig);
    let mut known = Simple {
        items: RefCell::default(),
        since: library.change.token.clone(),
    };
    let items = list(&*source, &library, 1_000).expect("listed");
    known.add(&items).expect("added");
    for round in 0..4 {
        let keys: Vec<String> = rig.paths().into_iter().map(|(key, _)| key).collect();
        if round > 0 {
            rig.remove(&[keys[7 * round].clone(), keys[100 + round].clone()]);
        }
        for number in 0..=round {
            rig.add("A new one", &format!("{FOLDER}/New {round} {number}.mkv"));
        }
        if library.is_exact() {
            rig.rename(&keys[200 + round], &format!("{FOLDER}/Renamed {round}.mkv"));
        }
        let shown = library_of(&*source);
        let told = source.changes(&shown, &known, Bounds::NONE).expect("asked");
        match told {
            SourceChanges::Known { removed_keys: gone, .. } => {
                for key in gone {
                    known.items.borrow_mut().remove(&key);
                }
            }
            // To find out what went may cost more than a listing, which tells it too.
            SourceChanges::Unknown => {
                assert!(round > 0, "so little is worth no listing");
                assert!(!library.is_exact(), "it told that it tells all");
                let items = list(&*source, &library, 1_000).expect("listed");
                let there = |key: &String| items.iter().any(|item| item.rating_key == *key);
                known.items.borrow_mut().retain(|key, _| there(key));
            }
        }
        let items: Vec<Item> = known.items.borrow().values().cloned().collect();
        assert_eq!(sorted(&items), rig.paths(), "round {round}");
        known.since = shown.change.token;
    }
}

fn found_by(source: &dyn Source, library: &Library, path: &str, title: Option<&str>) -> (bool, Vec<Item>) {
    let paths = [path.as_bytes().to_vec()];
    let wanted = wanted(&paths, path.rsplit('/').next().expect("a name"), title);
    let mut seen = Vec::new();
    let found = source.find_path(library, &wanted, Bounds::NONE, &mut |items| {
        let is_it = items.iter().any(|item| item.parts.iter().any(|part| part == path));
        seen.extend(items);
        Ok(is_it)
    });
    (found.expect("asked"), seen)
}

pub fn a_path_is_found<R: Rig>() {
    let rig = R::new(30);
    let (source, library) = source_of(&rig);
    let (key, path) = rig.paths().swap_remove(4);
    let (found, items) = found_by(&*source, &library, &path, None);
    assert!(found && items.iter().any(|item| item.rating_key == key));
    let renamed = format!("{FOLDER}/Some other name.mkv");
    rig.rename(&key, &renamed);
    assert!(found_by(&*source, &library, &renamed, None).0);
    assert!(!found_by(&*source, &library, &path, None).0);
    let (found, _) = found_by(&*source, &library, &format!("{FOLDER}/Nowhere.mkv"), Some("Nowhere"));
    assert!(!found);
}

pub fn items_that_are_gone_are_left_out<R: Rig>() {
    let rig = R::new(10);
    let (source, _) = source_of(&rig);
    let paths = rig.paths();
    let keys: Vec<&str> = paths.iter().map(|(key, _)| key.as_str()).collect();
    rig.remove(&[paths[3].0.clone()]);
    let items = source.items(&keys, Bounds::NONE).expect("asked");
    let items: Vec<_> = items.into_iter().map(|placed| placed.item).collect();
    assert_eq!(sorted(&items), rig.paths());
    assert_eq!(source.items(&[keys[3]], Bounds::NONE), Ok(Vec::new()));
    assert_eq!(source.items(&[], Bounds::NONE), Ok(Vec::new()));
}

pub fn a_failure_says_what_it_means<R: Rig>() {
    let rig = R::new(10);
    for (failure, meaning) in [
        (Failure::Down, RetryAdvice::NotNow),
        (Failure::Starting, RetryAdvice::NotNow),
        (Failure::Unauthorized, RetryAdvice::Never),
        (Failure::Forbidden, RetryAdvice::Never),
    ] {
        let (source, library) = source_of(&rig);
        rig.fail(failure);
        let mut items = Vec::new();
        let request = rows_of(&library, 0, 0, 10);
        let page = source.page(&request, Bounds::NONE, &mut items).expect_err("it fails");
        let probe = source.libraries(Bounds::NONE).expect_err("it fails");
        for error in [page, probe] {
            assert_eq!(error.status.retry_advice(), meaning, "{failure:?}: {error}");
            assert!(!error.message.is_empty());
        }
        assert!(items.is_empty());
        rig.heal();
        assert_eq!(sorted(&list(&*source, &library, 10).expect("it is over")), rig.paths());
    }
}

pub fn rows_that_came_before_a_cut_are_true<R: Rig>() {
    let rig = R::new(60);
    let (source, library) = source_of(&rig);
    if !rig.fail(Failure::CutOff) {
        return;
    }
    let mut items = Vec::new();
    let stopped = list_from(&*source, &library, (0, 0), 60, usize::MAX, &mut items).expect("it is cut off");
    let error = stopped.error.expect("it is cut off");
    assert_eq!(error.status.retry_advice(), RetryAdvice::Failed, "{error}");
    let paths = rig.paths();
    assert!(items.len() < paths.len());
    assert!(sorted(&items).iter().all(|pair| paths.contains(pair)));
    rig.heal();
    assert_eq!(sorted(&list(&*source, &library, 60).expect("it is over")), paths);
}

pub fn a_library_that_is_gone_is_not_there<R: Rig>() {
    let rig = R::new(3);
    let (source, mut library) = source_of(&rig);
    "77".clone_into(&mut library.section);
    let error = list(&*source, &library, 10).expect_err("there is none");
    assert_eq!(error.status.retry_advice(), RetryAdvice::NothingThere, "{error}");
}

pub fn a_call_ends_with_its_bounds<R: Rig>() {
    let rig = R::new(3);
    let (source, library) = source_of(&rig);
    let request = rows_of(&library, 0, 0, 10);
    let aborted = stopped_by(&|| true);
    let status = |bounds| {
        let page = source.page(&request, bounds, &mut Vec::new());
        page.map(drop).map_err(|error| error.status)
    };
    assert_eq!(status(aborted), Err(Status::Aborted));
    let probed = source.libraries(aborted).map_err(|error| error.status);
    assert_eq!(probed, Err(Status::Aborted));

    assert_eq!(status(within(Duration::ZERO)), Err(Status::Timeout));
    if !rig.fail(Failure::Slow) {
        return;
    }
    let begun = Instant::now();
    assert_eq!(status(within(Duration::from_millis(50))), Err(Status::Timeout));
    assert!(begun.elapsed() < Duration::from_secs(20));
    rig.heal();
    assert_eq!(status(Bounds::NONE), Ok(()), "and that was it");
}

pub fn events_that_hosts_receive_are_read<R: Rig>() {
    let rig = R::new(3);
    let (source, library) = source_of(&rig);
    let (key, _) = rig.paths().swap_remove(1);
    let read_events = source.kind().parse_notification;
    let read = read_events(notification(&library.section, &key).as_bytes()).expect("read");
    let [
        Event::Changed {
            section, rating_key, ..
        },
    ] = &read.events[..]
    else {
        panic!("{read:?}")
    };
    assert_eq!((section.as_deref(), rating_key), (Some(library.section.as_str()), &key));
    for none in ["", "[1]", "{\"a\":1}", "\u{0}"] {
        let refused = read_events(none.as_bytes()).expect_err("it tells nothing");
        assert_eq!(refused.status, Status::InvalidArgument, "{none:?}");
    }
}
