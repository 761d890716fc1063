//! Whole items: by key, in pages, by GUID and by title, each compared with a search through all items.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::against::{host_rule, movie, write_listing};
use crate::engine::memtable::MemtableChange;
use crate::engine::segment::ListingSegment;
use crate::engine::view::{LibraryProperties, LibrarySnapshot};
use crate::matching::{LibraryIndex, Mappings, RequestedGuid, fold_title, has_all_words};
use crate::model::{Item, ItemType, Sequence};
use crate::platform::clock::Deadline;
use crate::platform::map::MapMode;

/// An episode: ten of them are a season, two seasons are a show.
fn episode(number: usize) -> Item {
    let (show, season) = (number / 20, number / 10);
    Item {
        kind: ItemType::Episode,
        title: format!("Part {number}"),
        guid: format!("plex://episode/{number}"),
        guids: vec![format!("tvdb://{number}")],
        show_title: format!("Show {show}"),
        show_rating_key: format!("s{show}"),
        show_guid: format!("plex://show/{show}"),
        season_title: format!("Season {season}"),
        season_rating_key: format!("e{season}"),
        season_guid: format!("plex://season/{season}"),
        ..movie(&number.to_string(), &[&format!("/data/{number}.mkv")])
    }
}

/// A view of these items, in a segment at this path.
fn view(path: &Path, items: &[Item]) -> LibrarySnapshot {
    let mappings = host_rule();
    write_listing(items, &mappings, path);
    let segment = ListingSegment::open(path, MapMode::Read, 0).expect("opens");
    segment.prepare_index(Deadline::NONE).expect("built");
    let properties = LibraryProperties {
        uuid: "uuid".into(),
        fetched: true,
        ..LibraryProperties::default()
    };
    LibrarySnapshot::new(properties, &mappings, Some(Arc::new(segment)), None)
}

fn change(view: &LibrarySnapshot, change: MemtableChange) {
    view.memtable.push(change, &Mappings::default()).expect("there is room");
}

fn add(view: &LibrarySnapshot, item: Item) {
    let item = Arc::new(item);
    change(
        view,
        MemtableChange::Added {
            item,
            asked: 9,
            shown: Sequence(9).into(),
        },
    );
}

/// Sixty listed episodes, of which two changed and one was removed; then fifteen added ones.
fn mixed(path: &Path) -> LibrarySnapshot {
    let view = view(path, &(0..60).map(episode).collect::<Vec<_>>());
    for number in [3, 4] {
        add(
            &view,
            Item {
                title: format!("Other {number}"),
                ..episode(number)
            },
        );
    }
    change(
        &view,
        MemtableChange::Removed {
            rating_key: "5".into(),
            asked: 9,
        },
    );
    (60..75).for_each(|number| add(&view, episode(number)));
    view
}

fn sorted_keys<'i>(items: impl IntoIterator<Item = &'i Item>) -> Vec<&'i str> {
    let mut keys: Vec<&str> = items.into_iter().map(|item| item.rating_key.as_str()).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn an_index_finds_the_same_items_as_a_scan() {
    let folder = tempfile::tempdir().expect("a folder");
    let view = mixed(&folder.path().join("a.segment"));
    let all: Vec<Item> = view
        .items_after(0, usize::MAX)
        .into_iter()
        .map(|(_, item)| item)
        .collect();
    assert_eq!(all.len(), 74);
    let scan = |is_hit: &dyn Fn(&Item) -> bool| sorted_keys(all.iter().filter(|item| is_hit(item)));
    for (guid, count) in [
        ("plex://episode/62", 1),
        ("tvdb://3", 1),
        ("tvdb://5", 0),
        ("plex://season/0", 9),
        ("plex://show/0", 19),
        ("plex://show/3", 15),
        ("plex://season/7", 5),
        ("plex://show/9", 0),
    ] {
        let found = view.items_with_guid(&RequestedGuid::literal(guid), 1_000);
        let expected = scan(&|item| {
            let own = [&item.guid, &item.season_guid, &item.show_guid];
            own.into_iter().chain(&item.guids).any(|one| one == guid)
        });
        assert_eq!((sorted_keys(&found.items), found.total), (expected, count), "{guid}");
        let some = view.items_with_guid(&RequestedGuid::literal(guid), 4);
        assert_eq!((some.items.len(), some.total), (count.min(4), count), "{guid}");
    }
    for title in [
        "part 7", "PART 70", "part 3", "other 3", "show 3", "part", "OTHER", "3 part", "nothing", "!",
    ] {
        let found = view.items_with_title(title, 1_000);
        let wanted = fold_title(title);
        let folds = |item: &Item| [&item.title, &item.show_title].map(|title| fold_title(title));
        let exact = scan(&|item| folds(item).contains(&wanted));
        let by_words = scan(&|item| folds(item).iter().any(|fold| has_all_words(fold, &wanted)));
        assert_eq!(found.by_words, exact.is_empty(), "{title}");
        let expected = if found.by_words { by_words } else { exact };
        assert_eq!(
            (sorted_keys(&found.items), found.total),
            (expected.clone(), expected.len()),
            "{title}"
        );
    }
}

#[test]
fn words_are_found_in_titles_with_marks_and_apostrophes() {
    let folder = tempfile::tempdir().expect("a folder");
    let titles = [
        "Don't Look Now",
        "Amélie & Co",
        "L’Été",
        "STRASSE, die",
        "...",
        "Look Who's There",
    ];
    let items: Vec<Item> = titles.iter().enumerate().map(|(n, title)| titled(n, title)).collect();
    let view = view(&folder.path().join("a.segment"), &items);
    for (words, expected) in [
        ("dont", vec!["0"]),
        ("look", vec!["0", "5"]),
        ("whos", vec!["5"]),
        ("amelie", vec!["1"]),
        ("lete", vec!["2"]),
        ("straße", vec!["3"]),
        ("...", vec!["4"]),
    ] {
        let found = view.items_with_title(words, 9);
        assert_eq!(sorted_keys(&found.items), expected, "{words}");
    }
}

fn titled(number: usize, title: &str) -> Item {
    Item {
        title: title.into(),
        ..movie(&number.to_string(), &[])
    }
}

#[test]
fn pages_have_each_item_once_also_when_the_library_is_listed_again_meanwhile() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = mixed(&folder.path().join("a.segment"));
    let all = first.items_after(0, usize::MAX);
    assert!(all.is_sorted_by_key(|(cursor, _)| *cursor) && all[0].0 > 0);
    // The next listing has them in another order, and all changes.
    let mut items: Vec<Item> = all.iter().map(|(_, item)| item.clone()).collect();
    items.sort_by(|one, other| other.rating_key.cmp(&one.rating_key));
    let second = view(&folder.path().join("b.segment"), &items);
    for limit in [1, 2, 7, 64] {
        let (mut cursor, mut paged) = (0, Vec::new());
        loop {
            let view = if paged.len() < 30 { &first } else { &second };
            let page = view.items_after(cursor, limit);
            assert!(page.len() <= limit);
            let Some((last, _)) = page.last() else { break };
            cursor = *last;
            paged.extend(page);
        }
        assert_eq!(paged, all, "{limit} a page");
    }
}

#[test]
fn an_item_is_stored_with_every_field() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = Item {
        rating_key: "key \u{e9}".into(),
        season: 2,
        episode: -7,
        parts: vec!["/mnt/Part 1/a.mkv".into(), r"C:\b".into(), "/mnt/\u{e9}.mkv".into()],
        guids: vec![
            "imdb://tt007".into(),
            String::new(),
            "x".into(),
            "mbid://0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9".into(),
        ],
        ..episode(1)
    };
    // Ids of each kind, and such as only look like one.
    let prefixes = "plex://movie/ plex://episode/ plex://track/ plex://show/ plex://artist/ plex://clip/ plex://season/ \
                    imdb://tt imdb:// tmdb:// tvdb:// mbid:// local:// PLEX://movie/";
    let (hex, uuid) = ("57cb3d0c48e28585464383f5", "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9");
    let mut rests = [
        "",
        "0",
        "007",
        "18446744073709551615",
        "99999999999999999999",
        "9999999999999999999",
        "+1",
        "1 ",
    ]
    .map(str::to_owned)
    .to_vec();
    rests.extend(["\u{e4}", "a\nb", "\0", hex, uuid, &hex[1..]].map(str::to_owned));
    rests.extend([hex.to_uppercase(), uuid.to_uppercase(), uuid.replace('-', "0")]);
    let ids_with = |prefix: &str| rests.iter().map(|rest| format!("{prefix}{rest}")).collect::<Vec<_>>();
    let many = prefixes.split(' ').chain([""]).flat_map(ids_with).collect();
    let items = [
        // A hidden season has no key, a show may lack anything.
        Item {
            season_rating_key: String::new(),
            rating_key: "2".into(),
            ..whole.clone()
        },
        Item {
            show_title: String::new(),
            show_guid: String::new(),
            rating_key: "3".into(),
            ..whole.clone()
        },
        Item {
            show_rating_key: String::new(),
            rating_key: "4".into(),
            guid: String::new(),
            ..whole.clone()
        },
        Item {
            rating_key: "5".into(),
            parts: Vec::new(),
            ..whole.clone()
        },
        Item {
            rating_key: "6".into(),
            guids: many,
            ..whole.clone()
        },
        Item {
            rating_key: "7".into(),
            season: -1,
            episode: i32::MIN,
            year: i32::MAX,
            ..Item::default()
        },
        Item {
            rating_key: "a key with spaces, \u{e9} and 200 more bytes: ".to_owned() + &"x".repeat(200),
            title: "T".repeat(70_000),
            year: -44,
            season: 0,
            episode: i32::MAX,
            parts: vec![("/".to_owned() + &"long/".repeat(14_000) + "x.flac").into()],
            ..whole.clone()
        },
        whole,
    ];
    let guids = "plex://movie/5d776825880197001ec90a2f plex://movie/5D776825880197001EC90A2F \
                 plex://movie/5d776825880197001ec90a2 plex://film/5d776825880197001ec90a2f \
                 plex://episode/000000000000000000000000 plex://clip/ffffffffffffffffffffffff \
                 plex://season/5d776825880197001ec90a2f plex://album/ffffffffffffffffffffffff imdb://tt1";
    let with_guid = |guid: &str| Item {
        rating_key: guid.to_owned(),
        guid: guid.to_owned(),
        show_guid: guid.to_owned(),
        ..movie("", &[])
    };
    let items: Vec<Item> = items.into_iter().chain(guids.split(' ').map(with_guid)).collect();
    let view = view(&folder.path().join("a.segment"), &items);
    for item in &items {
        assert_eq!(view.stored_item(&item.rating_key).as_ref(), Some(item));
    }
    assert_eq!(view.stored_item("8"), None);
    assert!(!view.is_broken());
}

#[test]
fn a_damaged_index_hides_nothing_and_an_old_one_is_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, index) = (folder.path().join("a.segment"), folder.path().join("a.segment.index"));
    let items: Vec<Item> = (0..60).map(episode).collect();
    let total = |view: &LibrarySnapshot| view.items_with_guid(&RequestedGuid::literal("plex://show/1"), 4).total;
    assert_eq!(total(&view(&path, &items)), 20);
    let sound = fs::read(&index).expect("a file");
    // In every block; the last bytes are the check sums.
    for at in [9, 500, 4096, 4100, sound.len() - 1] {
        let mut damaged = sound.clone();
        damaged[at] ^= 1;
        fs::write(&index, damaged).expect("written");
        let view = view(&path, &items);
        assert!(total(&view) == 20 || view.is_broken(), "{at}");
    }
    fs::write(&index, &sound[..100]).expect("written");
    assert_eq!(total(&view(&path, &items)), 20);
    fs::remove_file(&path).expect("removed");
    assert_eq!(
        total(&view(&path, &items[25..])),
        15,
        "the index is of another segment of that name"
    );
}

#[test]
fn an_index_that_is_not_ready_by_the_deadline_is_continued() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.segment");
    write_listing(&(0..10).map(episode).collect::<Vec<_>>(), &host_rule(), &path);
    let passed = Deadline::after(Duration::ZERO);
    let segment = ListingSegment::open(&path, MapMode::Read, 0).expect("opens");
    // Each call has time for four items.
    let is_ready = std::array::from_fn(|_| segment.prepare_index(passed).expect("built"));
    assert_eq!(is_ready, [false, false, true]);
    assert!(segment.has_index());
    // Another process opens what is there, although it has no time.
    assert!(path.with_extension("segment.index").exists());
    let segment = ListingSegment::open(&path, MapMode::Read, 0).expect("opens");
    assert!(!segment.has_index());
    assert!(segment.prepare_index(passed).expect("opened"));
}
