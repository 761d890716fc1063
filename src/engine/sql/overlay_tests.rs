//! Single items, and what readers see of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::for_tests::{FINISHED, Films, NOW_MS, Random, film, library, live, movie, segments, written};
use super::schema::CachedStatements;
use super::{FeedCursor, FeedRows, ItemRows, KnowledgeRows, LibraryRows, ListingRows, Store};
use crate::engine::snapshot::LiveSnapshot;
use crate::knowledge::SyncRequest;
use crate::matching::{HitDoubt, LibraryIndex, Mappings, NormalPath, Resolver, Scope};
use crate::model::{Item, KnownFacts, MatchKind, Sequence, SourceState, TokenReliability};
use crate::platform::clock::Deadline;

/// A reader in another process.
fn reader(films: &Films) -> LiveSnapshot {
    live(&Arc::new(
        Store::open(films.folder.path(), true).expect("the store opens"),
    ))
}

fn doubt(live: &LiveSnapshot, path: &str, key: &str) -> HitDoubt {
    live.catch_up(Deadline::NONE).expect("read");
    let snapshot = live.snapshot();
    NormalPath::with(path.as_bytes(), |normal| {
        snapshot.libraries[0].doubt(normal, path.as_bytes(), key)
    })
}

/// Folds a delta after a probe with this token.
fn delta(films: &Films, token: &str, items: &[Item], is_resized: bool) {
    let probed = crate::model::Library {
        change: SourceState {
            token: token.to_owned(),
            trust: TokenReliability::Hint,
            ..SourceState::default()
        },
        ..library("films")
    };
    LibraryRows(&films.store)
        .store_probe(films.view_id, &[probed], films.ticket(), NOW_MS, Deadline::NONE)
        .expect("probed");
    let request: SyncRequest = films.row().knowledge.begin(films.ticket(), NOW_MS).expect("probed");
    let replies: Vec<_> = items
        .iter()
        .map(|item| (item.rating_key.clone(), Some(item.clone())))
        .collect();
    KnowledgeRows(&films.store)
        .fold_changes(
            films.id,
            &request,
            &replies,
            (&|_| is_resized, ""),
            &|_, _| Vec::new(),
            (NOW_MS, Deadline::NONE),
        )
        .expect("stored");
}

/// A path is doubted, and its item is as listed. Then many other items change.
#[test]
fn a_compaction_does_not_withhold_a_verified_item_again() {
    let films = Films::with(&[1, 2].map(film));
    films.invalidate(b"/data/1.mkv", "");
    let live = reader(&films);
    assert_eq!(doubt(&live, "/data/1.mkv", "1"), HitDoubt::Path);
    films.merge(&[film(1)]);
    assert_eq!(doubt(&live, "/data/1.mkv", "1"), HitDoubt::None);
    films.merge(&[film(3)]);
    delta(&films, "1", &[film(3)], true);
    films.compact();
    assert_eq!(films.count("SELECT count(*) FROM overlay WHERE item IS NOT x''"), 0);
    assert_eq!(doubt(&live, "/data/1.mkv", "1"), HitDoubt::None);
}

/// The server sends the item as it is listed again while another path is doubted: nothing new about its own path.
#[test]
fn a_compaction_does_not_end_a_record() {
    let with_facts = |key: u32| Item {
        facts: KnownFacts(Some(Box::default())),
        ..film(key)
    };
    let films = Films::with(&[1, 2, 3].map(with_facts));
    let path = b"/data/1.mkv";
    films.record(&[(path, "2")]);
    films.invalidate(b"/data/3.mkv", "");
    films.merge(&[with_facts(1)]);
    delta(&films, "1", &[with_facts(4)], true);
    films.compact();
    assert_eq!(films.count("SELECT count(*) FROM overlay WHERE item IS NOT x''"), 0);
    let live = reader(&films);
    live.catch_up(Deadline::NONE).expect("read");
    let (snapshot, scope) = (live.snapshot(), Scope::One(0));
    let is_known = live.ask_matches(&snapshot, scope, path, Some(Deadline::NONE));
    assert!(is_known.expect("read"));
    let found = Resolver::new(&snapshot.libraries, scope, &Mappings::default()).fast_lookup(path);
    assert_eq!(found, Some(("2", MatchKind::Confirmed)));
}

/// An item keeps the tickets of its request when it moves into a segment.
#[test]
fn a_compaction_does_not_let_an_older_reply_win() {
    let films = Films::with(&[1, 2].map(film));
    let earlier = films.ticket();
    delta(&films, "1", &[movie("1", "/data/new.mkv")], true);
    films.compact();
    assert_eq!(films.count("SELECT count(*) FROM overlay WHERE item IS NOT x''"), 0);
    assert!(!films.merge_asked(&[film(1)], earlier), "it overlaps");
    assert_eq!(films.paths(), ["/data/2.mkv", "/data/new.mkv"]);
}

/// A reply to a request from before a listing comes when the listing, which is as before, is about to be published.
#[test]
fn an_item_that_a_listing_drops_is_not_counted() {
    let films = Films::with(&[film(1)]);
    let asked = films.ticket();
    let mut listing = films.begin();
    films.page(&mut listing, &[film(1)], films.ticket());
    let at = films.cursor(false);
    films.merge_asked(&[film(2)], asked);
    let published = ListingRows(&films.store).finish_listing(&listing, &FINISHED, None, Deadline::NONE);
    if published.is_err() {
        films.finish(&listing);
    }
    assert_eq!(films.row().items, films.paths().len() as u64);
    let page = FeedRows(&films.store).page(&at, 10, &*films.store).expect("a page");
    let last = page.changes.last().expect("the item came and went");
    assert!(last.now.is_none(), "{:?}", page.changes);
}

/// A server sends a row twice.
#[test]
fn an_item_that_a_reply_has_twice_counts_once() {
    let films = Films::with(&[1, 2, 3].map(film));
    let rows = films.count("SELECT count(*) FROM feed");
    films.merge(&[film(4), film(4)]);
    assert_eq!(
        (films.row().items, films.count("SELECT count(*) FROM feed") - rows),
        (4, 1)
    );
    films.remove(&["1", "1"]);
    assert_eq!(
        (films.row().items, films.count("SELECT count(*) FROM feed") - rows),
        (3, 2)
    );
}

/// An item was verified, and is as listed. A delta, whose page has the item, does not show how the content changed.
#[test]
fn an_item_as_listed_explains_no_change() {
    for verifies in [false, true] {
        let films = Films::with(&[1, 2].map(film));
        delta(&films, "1", &[], false);
        if verifies {
            films.merge(&[film(1)]);
        }
        written(&films.store, |tx| tx.run("DELETE FROM doubts", []));
        delta(&films, "2", &[film(1)], false);
        assert_eq!(
            films.count("SELECT count(*) FROM doubts WHERE cause = 8"),
            1,
            "{verifies}"
        );
    }
}

const KEYS: u64 = 4;

/// What a reader sees.
#[derive(Debug, PartialEq)]
struct Seen {
    /// Of each item, its first file, and whether it is doubted.
    items: BTreeMap<String, (Option<String>, bool)>,
    /// Of each path and item, whether the path does not lead to the item.
    withheld: Vec<(String, String, bool)>,
}

fn seen(live: &LiveSnapshot) -> Seen {
    live.catch_up(Deadline::NONE).expect("read");
    let snapshot = live.snapshot();
    assert!(!snapshot.is_incomplete);
    let view = &snapshot.libraries[0];
    let (mut items, mut withheld) = (BTreeMap::new(), Vec::new());
    for key in 0..KEYS {
        let key = key.to_string();
        let path = view.find_item(&key).and_then(|hit| view.key_and_path(hit));
        let path = path.map(|(_, path)| String::from_utf8_lossy(path).into_owned());
        items.insert(key.clone(), (path, view.is_doubted(&key)));
        for number in 0..KEYS {
            let path = format!("/data/{number}.mkv");
            let is_withheld =
                NormalPath::with(path.as_bytes(), |normal| view.doubt(normal, path.as_bytes(), &key)) == HitDoubt::Path;
            if view.find_item(&key).is_some() {
                withheld.push((path, key.clone(), is_withheld));
            }
        }
    }
    Seen { items, withheld }
}

#[expect(clippy::too_many_lines, reason = "an arm for each step")]
fn run(seed: u64) {
    let mut random = Random(seed);
    let films = Films::with(&[0, 1].map(film));
    let (always, seldom) = (reader(&films), reader(&films));
    let mut tickets: Vec<Sequence> = vec![films.ticket()];
    let (mut listing, mut lost) = (None, false);
    let mut feed: FeedCursor = films.cursor(true);
    let mut replica: BTreeMap<String, Item> = BTreeMap::new();
    let mut log = Vec::new();
    for _ in 0..40 {
        let (key, file) = (random.below(KEYS), random.below(KEYS));
        let item = movie(&key.to_string(), &format!("/data/{file}.mkv"));
        let path = format!("/data/{file}.mkv");
        let nth = random.place(tickets.len());
        let asked = tickets[nth];
        let action = random.below(18);
        log.push(format!("{action}: {key} {file} {}", asked.0 & 0xFFFF));
        match action {
            0 => tickets.push(films.ticket()),
            1 | 2 => {
                films.merge_asked(&[item], asked);
            }
            3 => {
                films.remove_asked(&[key.to_string()], asked);
            }
            4 => films.invalidate(b"", &key.to_string()),
            5 => films.invalidate(path.as_bytes(), ""),
            6 => films.merge(&[item]),
            7 => listing = Some(films.begin()),
            8 => {
                if let Some(mut begun) = listing.take() {
                    let items: Vec<Item> = (0..random.below(KEYS))
                        .map(|key| movie(&key.to_string(), &format!("/data/{}.mkv", random.below(2) + key)))
                        .collect();
                    films.page(&mut begun, &items, films.ticket());
                    tickets.push(films.ticket());
                    let segments = segments(&films.store);
                    let row = films.row();
                    let draft = segments.draft(&row, &begun).expect("pages");
                    let is_same = segments.has_same_content(&row, &draft);
                    let new = (!is_same).then(|| segments.write_draft(&row, &begun, draft).expect("written"));
                    if random.below(2) == 0 {
                        films.merge_asked(&[movie("3", "/data/9.mkv")], asked);
                    }
                    let _ = segments.publish(&begun, &FINISHED, new, Deadline::NONE);
                }
            }
            9 => {
                let row = films.row();
                if row.generation.is_fetched() {
                    segments(&films.store)
                        .compact_listing(films.view_id, &row, Deadline::NONE)
                        .expect("compacted");
                }
            }
            10 if random.below(3) == 0 => {
                segments(&films.store)
                    .compact_full_memtable(films.view_id, &films.row(), Deadline::NONE)
                    .expect("compacted");
                listing = None;
            }
            11 if random.below(4) == 0 => {
                films.evict();
                listing = None;
            }
            12 => drop(films.record(&[(path.as_bytes(), &key.to_string())])),
            13 => {
                let stored = ItemRows(&films.store).of(films.id).expect("read");
                let items: Vec<Item> = stored.item(&key.to_string()).into_iter().collect();
                delta(&films, &random.below(3).to_string(), &items, false);
            }
            14 | 15 => {
                let value = Some(item).filter(|_| random.below(4) > 0);
                let rival = |_: &str, _: &Item| vec![((key + 1) % KEYS).to_string()];
                KnowledgeRows(&films.store)
                    .fold_items(
                        films.id,
                        &[(key.to_string(), value)],
                        (asked, false),
                        &rival,
                        NOW_MS,
                        Deadline::NONE,
                    )
                    .expect("stored");
            }
            16 if random.below(2) == 0 => LibraryRows(&films.store)
                .invalidate_all_paths(films.view_id, films.id, Deadline::NONE)
                .expect("invalidated"),
            17 if random.below(3) == 0 => {
                let row = films.row();
                if let Some(name) = &row.segment {
                    for path in films.store.folder.files_of_segment(name).expect("files") {
                        std::fs::remove_file(path).expect("removed");
                    }
                    if random.below(2) == 0 {
                        films.merge_asked(&[movie(&key.to_string(), &path)], asked);
                    }
                    segments(&films.store)
                        .replace_segment(films.view_id, &row, Deadline::NONE)
                        .expect("replaced");
                    lost = true;
                    listing = None;
                }
            }
            _ => {}
        }
        if films.row().generation.is_fetched() {
            lost = false;
        }
        let fresh = seen(&reader(&films));
        assert_eq!(seen(&always), fresh, "always, seed {seed}: {log:#?}");
        if random.below(6) == 0 {
            assert_eq!(seen(&seldom), fresh, "seldom, seed {seed}: {log:#?}");
        }
        let stored = ItemRows(&films.store).of(films.id).expect("read");
        for (key, (path, is_doubted)) in &fresh.items {
            let item = stored.item(key);
            assert_eq!(
                item.and_then(|item| item
                    .parts
                    .first()
                    .map(|path| String::from_utf8_lossy(path.as_bytes()).into_owned())),
                *path,
                "seed {seed}: {log:#?}"
            );
            let doubts = films.count(&format!(
                "SELECT count(*) FROM doubts WHERE scope = CAST('i{key}' AS BLOB) AND cause <> 9"
            ));
            assert_eq!(doubts > 0, *is_doubted, "doubt {key}, seed {seed}: {log:#?}");
        }
        let row = films.row();
        assert!(
            lost || row.items == stored.count(),
            "items, {} {}, seed {seed}: {log:#?}",
            row.items,
            stored.count()
        );
        // A host that keeps what it reads.
        if row.generation.is_fetched() {
            let relist = |feed: &mut FeedCursor, replica: &mut BTreeMap<String, Item>| {
                *feed = films.cursor(true);
                replica.clear();
            };
            for _ in 0..20 {
                match FeedRows(&films.store).page(&feed, 10, &*films.store) {
                    Err(_) => relist(&mut feed, &mut replica),
                    Ok(page) => {
                        feed = page.next;
                        let mut again = false;
                        for change in page.changes {
                            let kept = &mut replica;
                            match (change.was, change.now) {
                                (None, None) => again = true,
                                (was, Some(now)) => {
                                    if let Some(was) = was {
                                        kept.remove(&was.rating_key);
                                    }
                                    kept.insert(now.rating_key.clone(), now);
                                }
                                (Some(was), None) => drop(kept.remove(&was.rating_key)),
                            }
                        }
                        if again {
                            relist(&mut feed, &mut replica);
                        } else if !feed.has_more() {
                            break;
                        }
                    }
                }
            }
            let mut listed: Vec<_> = replica.values().flat_map(|item| item.parts.clone()).collect();
            listed.sort();
            assert_eq!(listed, films.paths(), "feed, seed {seed}: {log:#?}");
        }
    }
}

/// Readers that follow the rows see what a new process reads, and the feed and the counts agree with it.
#[test]
fn readers_see_what_the_store_has() {
    (0..4).for_each(run);
}
