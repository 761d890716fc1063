//! Whole items of a library: by key, in pages, by GUID and by title. Items in the memtable replace those in the
//! segment.

use super::library_view::{Hit, LibraryView};
use crate::engine::segment::{cursor_of, folds_of, guids_of};
use crate::error::Result;
use crate::matching::LibraryIndex;
use crate::matching::text::{fold_title, has_all_words};
use crate::model::Item;

/// Items found in a library.
#[derive(Debug, Default, PartialEq)]
pub struct Hits {
    /// At most the requested number of items.
    pub items: Vec<Item>,
    /// The number of all items found.
    pub total: usize,
    /// Whether no item has this title, so that `items` have its words instead.
    pub by_words: bool,
}

impl LibraryView {
    /// Returns the item with this rating key, with all its files and external ids.
    pub fn stored_item(&self, rating_key: &str) -> Option<Item> {
        self.item_of_hit(self.find_item(rating_key)?)
    }

    /// Reads the whole item of a hit.
    fn item_of_hit(&self, hit: Hit<'_>) -> Option<Item> {
        match hit {
            Hit::Listed(first) => self.segment.as_ref()?.whole_item(first),
            Hit::Added(record, _) => self.live(record).cloned(),
            _ => None,
        }
    }

    /// Returns about `limit` items after a cursor, with their cursors, which stay valid in later listings. All items
    /// with the same cursor are on one page, so there may be more.
    pub fn items_after(&self, cursor: i64, limit: usize) -> Vec<(i64, Item)> {
        let mut items: Vec<(i64, Item)> = Vec::new();
        if let Some(segment) = &self.segment {
            segment.items_after(cursor, |at, item| {
                let is_full = items.len() >= limit && items.last().is_some_and(|(last, _)| *last < at);
                if !is_full && !self.hides(&item.rating_key) {
                    items.push((at, item));
                }
                is_full
            });
        }
        let added = self.added().map(|item| (cursor_of(&item.rating_key), item));
        items.extend(
            added
                .filter(|(at, _)| *at > cursor)
                .map(|(at, item)| (at, item.clone())),
        );
        items.sort_by_key(|(at, _)| *at);
        if let Some(last) = items.get(limit.saturating_sub(1)).map(|(at, _)| *at) {
            items.truncate(items.partition_point(|(at, _)| *at <= last));
        }
        items
    }

    /// Returns the items that were added or changed since the segment.
    fn added(&self) -> impl Iterator<Item = &Item> {
        self.memtable.records().filter_map(|record| self.live(record))
    }

    /// Returns at most `limit` items with this GUID: as their own, as an external id, or as that of their season,
    /// album, show or artist.
    ///
    /// # Errors
    /// Errors of building the index.
    pub fn items_with_guid(&self, guid: &str, limit: usize) -> Result<Hits> {
        self.indexed(guid, limit, |item| guids_of(item).any(|own| own == guid))
    }

    /// Returns at most `limit` items whose title, or whose show's title, is this one. Ignores case, accents and
    /// punctuation. If there are none, returns the items whose title or show's title has all its words.
    ///
    /// # Errors
    /// Errors of building the index.
    pub fn items_with_title(&self, title: &str, limit: usize) -> Result<Hits> {
        let wanted = fold_title(title);
        let hits = self.indexed(&wanted, limit, |item| folds_of(item).any(|fold| fold == wanted))?;
        if hits.total > 0 {
            return Ok(hits);
        }
        // Shorter titles first: they have fewer words besides the wanted ones.
        let mut found: Vec<(usize, String, Hit<'_>)> = Vec::new();
        let word = wanted.split(' ').max_by_key(|word| word.len()).unwrap_or_default();
        let mut add = |titles: [&str; 2], hit| {
            let folds = titles.into_iter().filter(|title| may_have(title, word)).map(fold_title);
            let with_words = folds.filter(|fold| has_all_words(fold, &wanted));
            if let Some(fold) = with_words.min_by_key(String::len) {
                found.push((fold.len(), fold, hit));
            }
        };
        if let Some(segment) = &self.segment {
            segment.titles(|first, key, titles| {
                if !self.hides(key) {
                    add(titles, Hit::Listed(first));
                }
            });
        }
        for record in self.memtable.records() {
            if let Some(item) = self.live(record) {
                add([&item.title, &item.show_title], Hit::Added(record, 0));
            }
        }
        found.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
        let items = found
            .iter()
            .take(limit)
            .filter_map(|(_, _, hit)| self.item_of_hit(*hit));
        Ok(Hits {
            items: items.collect(),
            total: found.len(),
            by_words: true,
        })
    }

    /// Returns at most `limit` of the items for which `is_hit` is true, among those that the index has for `text` and
    /// those in the memtable.
    fn indexed(&self, text: &str, limit: usize, is_hit: impl Fn(&Item) -> bool) -> Result<Hits> {
        let mut hits = Hits::default();
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

/// Returns `false` if the folded title certainly lacks this word. Folding all titles would take most of a search's
/// time.
fn may_have(title: &str, word: &str) -> bool {
    // Folding keeps each word of an ASCII title without apostrophes.
    let mut places = title.as_bytes().windows(word.len().max(1));
    !title.is_ascii() || title.contains('\'') || places.any(|place| place.eq_ignore_ascii_case(word.as_bytes()))
}
