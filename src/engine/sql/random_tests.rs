//! Random histories of a store, compared with a model: no call fails, nothing is stored twice, no record is lost, and
//! every dead row is swept.

use std::collections::{BTreeMap, BTreeSet};

use std::path::Path;
use std::sync::Arc;

use super::change_log::trim;
use super::for_tests::{compact, finish, items_after, record_pairs};
use super::*;
use crate::error::Status;
use crate::model::{Item, ItemType, Library, LibraryId, LibraryKind, Sequence, Server, SourceState, ViewId};
use crate::platform::deadline::Deadline;

/// A random number generator with a seed, so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((word ^ (word >> 31)) % limit as u64).unwrap_or(0)
    }
}

const LIBRARIES: [&str; 2] = ["films", "shows"];
const KEYS: usize = 12;
const DAY_MS: i64 = 86_400_000;

/// The expected state of a library of one identity.
#[derive(Default)]
struct Expected {
    items: BTreeMap<String, Item>,
    matches: BTreeMap<Vec<u8>, String>,
}

/// A user's view of the server.
struct User {
    view_id: ViewId,
    expected: BTreeMap<&'static str, Expected>,
    readers: Vec<Reader>,
}

/// A reader of the feed, which applies the changes to its own list of items.
#[derive(Default)]
struct Reader {
    cursor: Option<FeedCursor>,
    items: BTreeMap<LibraryId, BTreeMap<String, Item>>,
    /// Libraries that must be listed again.
    again: BTreeSet<LibraryId>,
}

impl Reader {
    fn apply(&mut self, told: Vec<ItemChange>) {
        for one in told {
            let id = one.library.id;
            if one.is_relist_marker() {
                self.items.remove(&id);
                self.again.insert(id);
                continue;
            }
            let items = self.items.entry(id).or_default();
            if let Some(was) = &one.was {
                items.remove(&was.rating_key);
            }
            if let Some(now) = one.now {
                items.insert(now.rating_key.clone(), now);
            }
        }
    }

    /// Reads a page. Returns whether there is more.
    fn read(&mut self, store: &Store, limit: usize) -> bool {
        let cursor = self.cursor.expect("it began");
        let read = FeedRows(store).page(&cursor, limit, &|row, after, limit| {
            items_after(store, row, after, limit)
        });
        match read {
            Ok(page) => {
                assert!(
                    page.next.position != cursor.position || !page.has_more,
                    "a page that goes nowhere"
                );
                self.apply(page.changes);
                self.cursor = Some(page.next);
                page.has_more
            }
            Err(error) => {
                assert_eq!(error.status, Status::ListAgain, "{error:?}");
                *self = Self::default();
                self.begin(store, cursor.view_id);
                true
            }
        }
    }

    fn begin(&mut self, store: &Store, view_id: ViewId) {
        self.cursor = Some(FeedRows(store).start(view_id, None, true).expect("begun"));
    }

    /// Reads to the end, and lists libraries again where necessary.
    fn read_all(&mut self, store: &Store, view_id: ViewId, limit: usize) {
        while self.read(store, limit) || !self.is_at_the_end(store) {}
        while let Some(id) = self.again.pop_first() {
            let mut listing = Self {
                cursor: Some(FeedRows(store).start(view_id, Some(id), true).expect("begun")),
                ..Self::default()
            };
            while listing.read(store, limit) {}
            self.items.extend(listing.items);
        }
    }

    /// Returns whether nothing more can be read. The last page of a full listing says so even if changes follow it.
    fn is_at_the_end(&self, store: &Store) -> bool {
        self.cursor
            .is_some_and(|cursor| !FeedRows(store).has(&cursor).expect("looked"))
    }
}

struct World {
    store: Arc<Store>,
    dice: Dice,
    now_ms: i64,
    /// The items that the server has now.
    server: BTreeMap<&'static str, BTreeMap<String, Item>>,
    users: Vec<User>,
    counter: u32,
    /// Number of items that the server has lost, and that number when the listing of a library began.
    lost: u32,
    begun: BTreeMap<LibraryId, u32>,
}

impl World {
    fn new(folder: &Path, seed: u64) -> Self {
        let store = Arc::new(Store::open(folder, true).expect("the store opens"));
        let mut world = Self {
            store,
            dice: Dice(seed),
            now_ms: 1_000 * DAY_MS,
            server: LIBRARIES.iter().map(|uuid| (*uuid, BTreeMap::new())).collect(),
            users: Vec::new(),
            counter: 0,
            lost: 0,
            begun: BTreeMap::new(),
        };
        for n in 0..2_u8 {
            let endpoint = Endpoint {
                url: "http://server".to_owned(),
                user_hash: vec![n; 32],
                until_ms: 0,
                first_used_ms: 0,
            };
            let server = Server {
                machine_identifier: "machine".to_owned(),
                ..Server::default()
            };
            let view_id = LibraryRows(&world.store).reached(&endpoint, &server).expect("reached");
            world.users.push(User {
                view_id,
                expected: BTreeMap::new(),
                readers: (0..3).map(|_| Reader::default()).collect(),
            });
            world.probe(usize::from(n));
        }
        world
    }

    fn item(&mut self, uuid: &str) -> Item {
        self.counter += 1;
        let key = self.dice.roll(KEYS);
        let of_show = uuid == "shows";
        Item {
            rating_key: format!("{key}"),
            kind: if of_show { ItemType::Episode } else { ItemType::Movie },
            title: format!("Title {}", self.counter % 7),
            show_title: if of_show {
                format!("Show {}", key % 3)
            } else {
                String::new()
            },
            show_rating_key: if of_show {
                format!("s{}", key % 3)
            } else {
                String::new()
            },
            season_rating_key: if of_show && key.is_multiple_of(2) {
                format!("t{}", key % 6)
            } else {
                String::new()
            },
            guid: format!("plex://{}", self.counter % 5),
            guids: vec![format!("imdb://{}", self.counter % 4)],
            parts: vec![format!("/data/{uuid}/{}.mkv", self.counter).into()],
            ..Item::default()
        }
    }

    fn shown() -> Vec<Library> {
        LIBRARIES
            .iter()
            .zip(1..)
            .map(|(uuid, section)| Library {
                section: format!("{section}"),
                uuid: (*uuid).to_owned(),
                title: (*uuid).to_owned(),
                kind: LibraryKind::Movie,
                locations: vec![format!("/data/{uuid}")],
                change: SourceState::default(),
            })
            .collect()
    }

    fn probe(&mut self, user: usize) {
        let begun = Totals::of(&self.store).expect("totals").sequence;
        LibraryRows(&self.store)
            .store_probe(
                self.users[user].view_id,
                &Self::shown(),
                begun,
                self.now_ms,
                Deadline::NONE,
                &|_, _| false,
            )
            .expect("probed");
    }

    fn row(&self, user: usize, uuid: &str) -> LibraryRow {
        let state = StoreStates(&self.store)
            .state(Some(self.users[user].view_id))
            .expect("state");
        let row = state.libraries.into_iter().find(|row| row.library.uuid == uuid);
        row.expect("a library that the last probe showed")
    }

    /// Makes a full listing, or stops it after this many pages.
    fn list(&mut self, user: usize, uuid: &'static str, pages: usize) {
        let row = self.row(user, uuid);
        let known = ListingRows(&self.store).listing(row.id).expect("a listing");
        // A resumed listing would miss items lost since. Real listings notice by the overlap that rows moved.
        let is_whole = self.begun.get(&row.id) == Some(&self.lost);
        let mut listing = match known {
            Some(listing) if is_whole && listing.generation == row.generation.next() && self.dice.roll(2) == 0 => {
                listing
            }
            _ => {
                self.begun.insert(row.id, self.lost);
                ListingRows(&self.store)
                    .begin_listing(&row, self.now_ms, Deadline::NONE)
                    .expect("begun")
            }
        };
        let items: Vec<Item> = self.server[uuid].values().cloned().collect();
        // A resumed listing passes the whole list here: items with the same key are one.
        let mut rest = &items[..];
        for page in 0.. {
            if page == pages {
                return;
            }
            let (some, more) = rest.split_at(rest.len().min(5));
            rest = more;
            listing.rows += some.len() as u64;
            listing.keyed += some.len() as u64;
            listing.touched_ms = self.now_ms;
            let asked = Totals::of(&self.store).expect("totals").sequence;
            ListingRows(&self.store)
                .store_page(&mut listing, some, asked, Deadline::NONE)
                .expect("a page is stored");
            if rest.is_empty() {
                break;
            }
        }
        finish(&self.store, self.users[user].view_id, &listing);
        self.expected(user, uuid).items = self.server[uuid].clone();
    }

    fn expected(&mut self, user: usize, uuid: &'static str) -> &mut Expected {
        self.users[user].expected.entry(uuid).or_default()
    }

    /// Lets one reader of a user read a page, or to the end.
    fn read_feed(&mut self, user: usize) {
        let (limit, all, reader) = (1 + self.dice.roll(4), self.dice.roll(2) == 0, self.dice.roll(3));
        let User { view_id, readers, .. } = &mut self.users[user];
        let reader = &mut readers[reader];
        if reader.cursor.is_none() {
            reader.begin(&self.store, *view_id);
        }
        if all {
            reader.read_all(&self.store, *view_id, limit);
        } else {
            reader.read(&self.store, limit); // it continues another time
        }
    }

    fn record(&mut self, user: usize, uuid: &'static str) {
        let row = self.row(user, uuid);
        // One path, several, repeated ones, a batch, and a large batch.
        let (count, paths) = match self.dice.roll(40) {
            0..20 => (1, 6),
            20..28 => (3, 6),
            28..34 => (5, 3),
            34..39 => (70, 90),
            _ => (1_100, 1_200),
        };
        let pairs: Vec<(Vec<u8>, String)> = (0..count)
            .map(|_| (format!("/h/{}", self.dice.roll(paths)), self.dice.roll(KEYS)))
            .map(|(path, key)| (path.into_bytes(), key.to_string()))
            .collect();
        let given: Vec<(&[u8], &str)> = pairs.iter().map(|(path, key)| (&path[..], &key[..])).collect();
        assert!(record_pairs(&self.store, &row, &given).is_some());
        let expected = self.expected(user, uuid);
        expected.matches.extend(pairs);
    }

    #[allow(clippy::too_many_lines)] // one line for each step
    fn step(&mut self) -> String {
        let user = self.dice.roll(2);
        let uuid = LIBRARIES[self.dice.roll(2)];
        let view_id = self.users[user].view_id;
        self.now_ms += 1_000;
        let what = self.dice.roll(23);
        match what {
            0..=2 => {
                let item = self.item(uuid);
                self.server
                    .entry(uuid)
                    .or_default()
                    .insert(item.rating_key.clone(), item);
            }
            3 => {
                let key = format!("{}", self.dice.roll(KEYS));
                self.server.entry(uuid).or_default().remove(&key);
                self.lost += 1;
            }
            4..=6 => self.list(user, uuid, usize::MAX),
            7 => {
                let pages = self.dice.roll(4);
                self.list(user, uuid, pages);
            }
            8 | 9 => {
                let row = self.row(user, uuid);
                let items: Vec<Item> = self.server[uuid].values().take(3).cloned().collect();
                ItemRows(&self.store)
                    .merge_items(&row, &items, None, Deadline::NONE)
                    .expect("merged");
                for item in items {
                    self.expected(user, uuid).items.insert(item.rating_key.clone(), item);
                }
            }
            10 => {
                let row = self.row(user, uuid);
                let key = format!("{}", self.dice.roll(KEYS));
                if !self.server[uuid].contains_key(&key) {
                    ItemRows(&self.store)
                        .remove_item(&row, &key, Deadline::NONE)
                        .expect("removed");
                    self.expected(user, uuid).items.remove(&key);
                }
            }
            11 | 12 => self.record(user, uuid),
            13 => {
                let row = self.row(user, uuid);
                let any = format!("{}", self.dice.roll(KEYS));
                let key = self
                    .expected(user, uuid)
                    .matches
                    .values()
                    .next()
                    .cloned()
                    .unwrap_or(any);
                RecordRows(&self.store).invalidate_item(view_id, row.id, &key);
                self.expected(user, uuid).matches.retain(|_, of| *of != key);
            }
            14 => {
                let row = self.row(user, uuid);
                LibraryRows(&self.store)
                    .invalidate_libraries(view_id, Some(row.id), Deadline::NONE)
                    .expect("invalidated");
                self.expected(user, uuid).matches.clear();
            }
            15 => {
                LibraryRows(&self.store)
                    .clear(view_id, Deadline::NONE)
                    .expect("cleared");
                self.users[user].expected.clear();
                self.probe(user);
            }
            16 => {
                Sweeper(&self.store)
                    .sweep(1 + self.dice.roll(8), Deadline::NONE)
                    .expect("swept");
                // Work that otherwise happens at each 1,024th write.
                let back = self.dice.roll(30) as u64;
                self.store
                    .write(Deadline::NONE, |tx| trim(tx, Sequence(tx.sequence.0 - 1 - back)))
                    .expect("trimmed");
            }
            18 => {
                let row = self.row(user, uuid);
                let path = format!("/h/{}", self.dice.roll(6)).into_bytes();
                LibraryRows(&self.store)
                    .invalidate(
                        view_id,
                        &LocalWrite::NONE,
                        &[],
                        &[(row.id, path.clone())],
                        Deadline::NONE,
                    )
                    .expect("invalidated");
                self.expected(user, uuid).matches.remove(&path);
            }
            19 | 20 => self.read_feed(user),
            21 if self.dice.roll(2) == 0 => {
                FeedRows(&self.store)
                    .remove_all_history(Deadline::NONE)
                    .expect("forgotten");
            }
            21 => {
                let now = Totals::of(&self.store).expect("totals").sequence.0;
                let upto = Sequence(now.saturating_sub(self.dice.roll(60) as u64));
                self.store
                    .write(Deadline::NONE, |tx| super::probes::remove_history_upto(tx, upto))
                    .expect("forgotten");
            }
            _ => {
                let row = self.row(user, uuid);
                if row.generation.is_fetched() {
                    compact(&self.store, view_id, &row);
                }
            }
        }
        format!("step {what} of user {user} on {uuid}")
    }

    /// Checks that the stored state is the expected one.
    fn check(&self, after: &str) {
        let store = &self.store;
        for user in &self.users {
            let state = StoreStates(store).state(Some(user.view_id)).expect("state");
            for row in &state.libraries {
                let nothing = Expected::default();
                let expected = user.expected.get(row.library.uuid.as_str()).unwrap_or(&nothing);
                let mut items = Vec::new();
                ItemRows(store)
                    .of(row)
                    .and_then(|stored| {
                        stored.for_each(&mut |item, _| {
                            items.push(item);
                            Ok(())
                        })
                    })
                    .expect("items");
                let by_key: BTreeMap<String, Item> = items
                    .iter()
                    .map(|item| (item.rating_key.clone(), item.clone()))
                    .collect();
                assert_eq!(by_key.len(), items.len(), "an item is listed twice after {after}");
                assert_eq!(by_key, expected.items, "items of {} after {after}", row.library.uuid);
                assert_eq!(row.items, items.len() as u64, "the count of items after {after}");
                let matches: BTreeMap<Vec<u8>, String> = for_tests::matches(store, row.id).into_iter().collect();
                assert_eq!(
                    matches, expected.matches,
                    "matches of {} after {after}",
                    row.library.uuid
                );
                // The state that a process reads.
                let mut seen = BTreeMap::new();
                for change in state.changes.iter().filter(|change| change.library == row.id) {
                    match change.kind {
                        LoggedKind::MatchRecorded => drop(seen.insert(change.path.clone(), change.rating_key.clone())),
                        LoggedKind::MatchRemoved => drop(seen.remove(&change.path)),
                        _ => {}
                    }
                }
                assert_eq!(seen, matches, "what others know of {} after {after}", row.library.uuid);
            }
        }
    }

    /// Checks that a reader of the feed has the listed items.
    fn check_feed(&mut self, after: &str) {
        for user in &mut self.users {
            let rows = StoreStates(&self.store)
                .state(Some(user.view_id))
                .expect("state")
                .libraries;
            for reader in &mut user.readers {
                if reader.cursor.is_none() {
                    continue;
                }
                reader.read_all(&self.store, user.view_id, 1 + self.dice.roll(5));
                for row in rows.iter().filter(|row| row.generation.is_fetched()) {
                    let has = reader.items.get(&row.id).cloned().unwrap_or_default();
                    let expected = user.expected.get(row.library.uuid.as_str()).map(|one| &one.items);
                    assert_eq!(
                        Some(&has),
                        expected.or(Some(&BTreeMap::new())),
                        "the feed of {} after {after}",
                        row.library.uuid
                    );
                }
            }
        }
    }

    fn count(&self, query: &str) -> i64 {
        self.store
            .read(|connection| connection.query_row(query, [], |row| row.get(0)))
            .expect("counted")
    }

    /// Checks that sweeping ends and leaves no dead row.
    fn sweep_all(&mut self) {
        FeedRows(&self.store)
            .remove_all_history(Deadline::NONE)
            .expect("forgotten");
        for slice in [3, 100] {
            for round in 0.. {
                assert!(round < 10_000, "sweeping does not end");
                if !Sweeper(&self.store).sweep(slice, Deadline::NONE).expect("swept") {
                    break;
                }
            }
        }
        for nothing in [
            "SELECT count(*) FROM libraries WHERE view_id < 0",
            "SELECT count(*) FROM changes WHERE kind IN (8, 9) AND library NOT IN (SELECT id FROM libraries)",
            "SELECT count(*) FROM feed",
            "SELECT count(*) FROM records WHERE in_table NOT IN (SELECT id FROM tables WHERE library IS NOT NULL)",
            "SELECT count(*) FROM tables WHERE library NOT IN (SELECT id FROM libraries)",
            "SELECT count(*) FROM unverified WHERE library NOT IN (SELECT id FROM libraries)",
            "SELECT count(*) FROM listings WHERE library NOT IN (SELECT id FROM libraries)",
        ] {
            assert_eq!(self.count(nothing), 0, "{nothing}");
        }
    }
}

#[test]
fn random_histories_neither_fail_nor_lose_data() {
    let rounds = std::env::var("PLEXINDEX_DEPTH").map_or(1, |depth| depth.parse().expect("a number"));
    for seed in 0..12 * rounds {
        let folder = tempfile::tempdir().expect("a folder");
        let mut world = World::new(folder.path(), seed);
        let mut history = Vec::new();
        for step in 0..60 {
            history.push(world.step());
            world.check(&format!("seed {seed}: {history:#?}"));
            if step % 7 == 6 {
                world.check_feed(&format!("seed {seed}: {history:#?}"));
            }
        }
        world.check_feed(&format!("seed {seed}, at the end: {history:#?}"));
        world.sweep_all();
        world.check(&format!("seed {seed}, swept: {history:#?}"));
        // Everything continues to work.
        for user in 0..2 {
            for uuid in LIBRARIES {
                world.list(user, uuid, usize::MAX);
            }
        }
        world.check("listed once more");
        world.check_feed("listed once more");
    }
}
