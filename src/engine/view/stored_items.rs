//! Reads whole items from a library's segment and memtable: by rating key, in pages, by GUID and by title.

use super::{Hit, LibrarySnapshot};
use crate::engine::segment::{folded_titles_of, listing_cursor};
use crate::error::Result;
use crate::matching::{LibraryIndex, RequestedGuid, fold_title, has_all_words};
use crate::model::Item;

/// The result of a search for items in a library.
#[derive(Debug, Default, PartialEq)]
pub struct ItemSearchResult {
    /// The matching items, at most as many as requested.
    pub items: Vec<Item>,
    /// The number of all matching items.
    pub total: usize,
    /// Whether no item has the requested title, so that `items` contains items with all words of the title instead.
    pub by_words: bool,
}

impl LibrarySnapshot {
    /// Returns the item with this rating key, including all files and external ids; `None` if there is no item.
    pub fn stored_item(&self, rating_key: &str) -> Option<Item> {
        self.item_of_hit(self.find_item(rating_key)?)
    }

    /// Reads a hit's item with all its fields; `None` for a confirmed match, or if the segment is damaged.
    fn item_of_hit(&self, hit: Hit<'_>) -> Option<Item> {
        match hit {
            Hit::Listed(first) => self.segment.as_ref()?.whole_item(first),
            Hit::Added(record, _) => self.live_item(record).cloned(),
            Hit::Matched(_) => None,
        }
    }

    /// Returns about `limit` items after a cursor, each with its own cursor, in the cursors' order. The caller
    /// continues from the last cursor. Cursors stay valid in later listings. A cursor is a part of the rating
    /// key's hash, so several items can have the same cursor. Such items are never split between pages, so a page can
    /// exceed `limit`.
    pub fn items_after(&self, cursor: i64, limit: usize) -> Vec<(i64, Item)> {
        let mut items: Vec<(i64, Item)> = Vec::new();
        if let Some(segment) = &self.segment {
            segment.items_after(cursor, |item_cursor, item| {
                let is_full = items.len() >= limit && items.last().is_some_and(|(last, _)| *last < item_cursor);
                if !is_full && !self.hides(&item.rating_key) {
                    items.push((item_cursor, item));
                }
                is_full // whether to stop
            });
        }
        // Merge the memtable's items, and keep all items whose cursor equals the last item's cursor.
        let added = self.added().map(|item| (listing_cursor(&item.rating_key), item));
        items.extend(
            added
                .filter(|(item_cursor, _)| *item_cursor > cursor)
                .map(|(item_cursor, item)| (item_cursor, item.clone())),
        );
        items.sort_by_key(|(item_cursor, _)| *item_cursor);
        if let Some(last) = items.get(limit.saturating_sub(1)).map(|(item_cursor, _)| *item_cursor) {
            items.truncate(items.partition_point(|(item_cursor, _)| *item_cursor <= last));
        }
        items
    }

    /// Returns the items that were added or changed since the segment was built.
    fn added(&self) -> impl Iterator<Item = &Item> {
        self.memtable.records().filter_map(|record| self.live_item(record))
    }

    /// Returns at most `limit` items with this GUID, and the total number. The GUID can be an external id, or belong to
    /// the item or to its season, album, show or artist.
    ///
    /// # Errors
    /// Index build errors.
    pub fn items_with_guid(&self, guid: &RequestedGuid, limit: usize) -> Result<ItemSearchResult> {
        self.search_by_index(&guid.canonical, limit, |item| guid.is_of(item))
    }

    /// Returns at most `limit` items of the show with the own GUID `show`, in its canonical spelling, and the total
    /// number. Leaves out items that [`Self::items_with_guid`] returns for `guid`, another GUID of the show.
    ///
    /// # Errors
    /// Index build errors.
    pub fn items_of_show(&self, show: String, guid: &RequestedGuid, limit: usize) -> Result<ItemSearchResult> {
        let show = RequestedGuid::of_show(show);
        self.search_by_index(&show.canonical, limit, |item| show.is_of(item) && !guid.is_of(item))
    }

    /// Returns at most `limit` items with this title or show title. If no item has this title, but the title ends in a
    /// year in brackets, returns the items of this year with the rest of the title. Otherwise returns items whose title
    /// or show title contains all words of `title`. Ignores case, accents and punctuation.
    ///
    /// # Errors
    /// Index build errors.
    pub fn items_with_title(&self, title: &str, limit: usize) -> Result<ItemSearchResult> {
        let wanted = fold_title(title);
        let hits = self.search_by_index(&wanted, limit, |item| folded_titles_of(item).any(|fold| fold == wanted))?;
        if hits.total > 0 {
            return Ok(hits);
        }
        if let Some((title, year)) = split_year(title) {
            let wanted = fold_title(title);
            let is_hit = |item: &Item| item.year == year && folded_titles_of(item).any(|fold| fold == wanted);
            let hits = self.search_by_index(&wanted, limit, is_hit)?;
            if hits.total > 0 {
                return Ok(hits);
            }
        }
        // Shorter titles are listed first, because they contain fewer words that were not requested.
        let mut found: Vec<(usize, String, Hit<'_>)> = Vec::new();
        // The longest word is probably the rarest, so most titles fail a quick search for it.
        let word = wanted.split(' ').max_by_key(|word| word.len()).unwrap_or_default();
        let mut add_if_matching = |titles: [&str; 2], hit| {
            let folds = titles
                .into_iter()
                .filter(|title| may_contain_word(title, word))
                .map(fold_title);
            let with_words = folds.filter(|fold| has_all_words(fold, &wanted));
            if let Some(fold) = with_words.min_by_key(String::len) {
                found.push((fold.len(), fold, hit));
            }
        };
        if let Some(segment) = &self.segment {
            segment.for_each_title(|first, key, titles| {
                if !self.hides(key) {
                    add_if_matching(titles, Hit::Listed(first));
                }
            });
        }
        for record in self.memtable.records() {
            if let Some(item) = self.live_item(record) {
                add_if_matching([&item.title, &item.show_title], Hit::Added(record, 0)); // 0: the first file
            }
        }
        found.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
        let items = found
            .iter()
            .take(limit)
            .filter_map(|(_, _, hit)| self.item_of_hit(*hit));
        Ok(ItemSearchResult {
            items: items.collect(),
            total: found.len(),
            by_words: true,
        })
    }

    /// Returns at most `limit` items for which `is_hit` returns `true`, and their total number. `text`: the GUID or
    /// folded title by which the segment's index finds items. Items in the memtable are all considered.
    fn search_by_index(&self, text: &str, limit: usize, is_hit: impl Fn(&Item) -> bool) -> Result<ItemSearchResult> {
        let mut hits = ItemSearchResult::default();
        let mut add = |item| {
            hits.total += 1;
            if hits.items.len() < limit {
                hits.items.push(item);
            }
        };
        if let Some(segment) = &self.segment {
            segment.items_with(text, |item| {
                if is_hit(&item) && !self.hides(&item.rating_key) {
                    add(item);
                }
            })?;
        }
        self.added().filter(|item| is_hit(item)).cloned().for_each(add);
        Ok(hits)
    }
}

/// Splits 'Title (1999)' into the title and the year; `None` for a title without a year.
fn split_year(title: &str) -> Option<(&str, i32)> {
    let (title, year) = title.trim_end().strip_suffix(')')?.rsplit_once('(')?;
    let is_year = year.len() == 4 && year.bytes().all(|byte| byte.is_ascii_digit());
    Some((title, year.parse().ok().filter(|_| is_year)?))
}

/// Returns `false` if the folded title certainly does not contain `word`. This fast check avoids folding every title,
/// which would take most of a search's time.
fn may_contain_word(title: &str, word: &str) -> bool {
    // In an ASCII title without these characters, folding changes only the case of each word.
    let mut windows = title.as_bytes().windows(word.len().max(1));
    !title.is_ascii()
        || title.contains(['\'', '&', '.', '*'])
        || windows.any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
}
