//! Items by GUID, by title and in pages: the results of a search through all items, with other libraries' rows in between.

use super::for_tests::{NOW_MS, count, endpoint, finish, listed, movie, opened, probed, server};
use super::items::ItemRows;
use super::libraries::LibraryRows;
use super::listings::ListingRows;
use super::{LibraryRow, Store};
use crate::matching::text::{fold_title, has_all_words};
use crate::model::{IdentityId, Item, ItemType, Sequence};
use crate::platform::deadline::Deadline;

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
        ..movie(&number.to_string(), &format!("/data/{number}.mkv"))
    }
}

/// Three libraries, listed one after the other; then each gets single items in turn.
fn mixed() -> (tempfile::TempDir, Store, IdentityId, Vec<LibraryRow>) {
    let (folder, store) = opened();
    let identity = LibraryRows(&store)
        .reached(&endpoint("http://a"), &server("one"))
        .expect("reached");
    let rows = probed(&store, identity, &["a", "b", "c"], NOW_MS);
    for (row, items) in rows.iter().zip([60, 5, 60]) {
        let items: Vec<Item> = (0..items).map(episode).collect();
        listed(&store, identity, row, &items);
    }
    let rows: Vec<LibraryRow> = rows
        .iter()
        .map(|row| LibraryRows(&store).library_row(row.id).expect("a row"))
        .collect();
    for number in 60..75 {
        for row in &rows {
            ItemRows(&store)
                .merge_items(row, &[episode(number)], None, Deadline::NONE)
                .expect("merged");
        }
    }
    (folder, store, identity, rows)
}

fn keys(items: &[Item]) -> Vec<String> {
    items.iter().map(|item| item.rating_key.clone()).collect()
}

#[test]
fn pages_of_interleaved_libraries_have_each_item_once() {
    let (_folder, store, _, rows) = mixed();
    for row in &rows {
        let all = ItemRows(&store)
            .items_after(row.id, row.generation, 0, 1_000)
            .expect("read");
        assert!(all.is_sorted_by_key(|(id, _)| *id));
        let expected = count(
            &store,
            &format!("SELECT count(*) FROM items WHERE library = {}", row.id.0),
        );
        assert_eq!(i64::try_from(all.len()).ok(), Some(expected));
        for limit in [1, 2, 7, 64] {
            let (mut after, mut paged) = (0, Vec::new());
            loop {
                let page = ItemRows(&store)
                    .items_after(row.id, row.generation, after, limit)
                    .expect("read");
                assert!(page.len() <= limit);
                let Some((last, _)) = page.last() else { break };
                after = *last;
                paged.extend(page);
            }
            assert_eq!(paged, all, "{limit} a page");
        }
    }
}

#[test]
fn an_index_finds_the_same_items_as_a_scan() {
    let (_folder, store, identity, rows) = mixed();
    let guids = [
        ("plex://episode/62", 1),
        ("tvdb://3", 1),
        ("plex://season/0", 10),
        ("plex://show/0", 20),
        ("plex://show/3", 15),
        ("plex://season/7", 5),
        ("plex://show/9", 0),
    ];
    for (guid, count) in guids {
        assert_eq!(
            ItemRows(&store)
                .items_with_guid(&rows[0], guid, 16, Deadline::NONE)
                .expect("found")
                .total,
            count,
            "{guid}"
        );
    }
    let check = |row: &LibraryRow| {
        let current = LibraryRows(&store).library_row(row.id).expect("a row");
        let all = ItemRows(&store)
            .items_after(row.id, current.generation, 0, 1_000)
            .expect("read");
        let where_it = |is_hit: &dyn Fn(&Item) -> bool| -> Vec<String> {
            let hits = all.iter().filter(|(_, item)| is_hit(item));
            hits.map(|(_, item)| item.rating_key.clone()).collect()
        };
        for (guid, _) in guids {
            let found = ItemRows(&store)
                .items_with_guid(row, guid, 1_000, Deadline::NONE)
                .expect("found");
            let expected = where_it(&|item| {
                let own = [&item.guid, &item.season_guid, &item.show_guid];
                own.into_iter().chain(&item.guids).any(|one| one == guid)
            });
            assert!(found.is_current, "{guid}");
            assert_eq!(
                (keys(&found.items), found.total),
                (expected.clone(), expected.len()),
                "{guid}"
            );
        }
        for title in ["part 7", "PART 70", "show 3", "part", "nothing"] {
            let found = ItemRows(&store)
                .items_with_title(row, title, 1_000, Deadline::NONE)
                .expect("found");
            let wanted = fold_title(title);
            let folds = |item: &Item| [&item.title, &item.show_title].map(|title| fold_title(title));
            let mut expected = where_it(&|item| folds(item).contains(&wanted));
            assert_eq!(found.by_words, expected.is_empty(), "{title}");
            if found.by_words {
                expected = where_it(&|item| folds(item).iter().any(|fold| has_all_words(fold, &wanted)));
            }
            let mut found = keys(&found.items);
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected, "{title}");
        }
    };
    rows.iter().for_each(check);
    let upto = || count(&store, "SELECT guids_upto FROM store");
    let before = upto();
    let mut listing = ListingRows(&store)
        .begin_listing(&rows[0], NOW_MS, Deadline::NONE)
        .expect("begun");
    let items: Vec<Item> = (0..200).map(episode).collect();
    ListingRows(&store)
        .store_page(&mut listing, &items, Sequence(u64::MAX >> 1), Deadline::NONE)
        .expect("stored");
    check(&rows[1]);
    assert_eq!(upto(), before, "no search waits for rows of another library");
    check(&rows[2]);
    check(&finish(&store, identity, &mut listing));
    assert_eq!(upto(), count(&store, "SELECT last_item FROM store"));
    check(&rows[1]);
}
