//! Finds items below a folder, and reads whole items: by rating key, in pages, by GUID and by title. Unchanged items are
//! in the segment, and changed items in the memtable.

use super::Hit;
use super::library_snapshot::LibrarySnapshot;
use crate::engine::memtable::MemtableChange;
use crate::engine::segment::{folded_titles_of, folder_hash, listing_cursor};
use crate::matching::normal::normal_form;
use crate::matching::{
    FolderFile, FolderIndex, FolderPosition, Form, FoundItem, HitDoubt, ItemRef, LibraryIndex, Mappings, NormalPath,
    RequestedGuid, Season, fold_title, has_all_words, has_files, nearest_position,
};
use crate::model::Item;

impl LibrarySnapshot {
    /// Returns the memtable's files: of listed paths or, if `mapped`, of the paths that a mapping translates to host paths.
    fn added_files(&self, mapped: bool) -> impl Iterator<Item = FolderFile<'_>> {
        let live = self
            .memtable
            .records()
            .filter_map(|record| Some((record, self.live_item(record)?)));
        live.flat_map(move |(record, item)| {
            let paths = record.paths.iter().filter(move |path| path.host.is_some() == mapped);
            paths.map(move |path| FolderFile {
                form: Form::from_folded(&path.form),
                found: FoundItem::new(0, ItemRef::from(item), item.parts[path.part].as_bytes()),
                season: Season::of(item),
                item_has_other_files: item.parts.len() > 1,
            })
        })
    }

    /// Returns the rating keys of at most `limit` items that are doubted, or withheld by a doubted path, from the memtable,
    /// which contains all these doubts. `below`: only items with a file below this folder, and whether the folder is a
    /// host path, so that server-to-host rules translate the listed paths. Without it, also items without files.
    pub fn invalidated_items(&self, below: Option<(&[u8], bool)>, mappings: &Mappings, limit: usize) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        let mut consider = |rating_key: &str, path: &[u8]| {
            let is_doubted = || NormalPath::with(path, |normal| self.doubt(normal, path, rating_key) != HitDoubt::None);
            if found.len() < limit && !found.iter().any(|known| known == rating_key) && is_doubted() {
                found.push(rating_key.to_owned());
            }
        };
        let is_below =
            |path: &[u8], folder: &[u8]| Form::from_folded(&normal_form(path)).compare_to_folder(folder).is_eq();
        let lies_below = |listed: &[u8], (folder, mapped): (&[u8], bool)| {
            let host = mappings.to_host(listed).filter(|_| mapped);
            (host.is_some() || !mapped) && is_below(host.as_deref().unwrap_or(listed), folder)
        };
        for record in self.memtable.records() {
            match &record.change {
                MemtableChange::DoubtedItem { rating_key, .. } => {
                    let item = below.and_then(|_| self.stored_item(rating_key));
                    let has_below = |below| {
                        item.iter()
                            .flat_map(|item| &item.parts)
                            .any(|part| lies_below(part.as_bytes(), below))
                    };
                    if below.is_none_or(has_below) {
                        consider(rating_key, b"");
                    }
                }
                MemtableChange::DoubtedPath { path, .. } => NormalPath::with(path, |normal| {
                    // The invalidated path can be a server path or a host path.
                    let mut consider_hit = |hit| {
                        if let Some((rating_key, listed)) = self.key_and_path(hit)
                            && below.is_none_or(|below| is_below(path, below.0) || lies_below(listed, below))
                        {
                            consider(rating_key, path);
                        }
                    };
                    self.each_listed(normal, |hit, _| consider_hit(hit));
                    self.each_mapped(normal, |hit, _| consider_hit(hit));
                    mappings.to_server(normal, |server| {
                        NormalPath::with(server, |server| self.each_listed(server, |hit, _| consider_hit(hit)));
                        None::<()> // continue with the next mapping
                    });
                }),
                _ => {}
            }
        }
        found
    }
}

impl FolderIndex for LibrarySnapshot {
    fn files_below<'v>(
        &'v self,
        folder: &[u8],
        mapped: bool,
        after: Option<&[u8]>,
        each: &mut dyn FnMut(FolderFile<'v>) -> bool,
    ) {
        let is_wanted = |file: &FolderFile<'_>| {
            let is_after = |after| file.form.compare(Form::from_folded(after)).is_gt();
            file.form.compare_to_folder(folder).is_eq() && after.is_none_or(is_after)
        };
        let mut added: Vec<FolderFile<'v>> = self.added_files(mapped).filter(is_wanted).collect();
        added.sort_by(|a, b| a.form.compare(b.form));
        let mut added = added.into_iter().peekable();
        // Merge the segment's files, which are already sorted, with the memtable's files.
        if let Some(segment) = &self.segment {
            for position in segment.below(folder, mapped, after) {
                let Some(file) = segment.file_at(position) else { return };
                if self.hides(file.found.item.rating_key) {
                    continue;
                }
                while let Some(added) = added.next_if(|added| added.form.compare(file.form).is_le()) {
                    if !each(added) {
                        return;
                    }
                }
                if !each(file) {
                    return;
                }
            }
        }
        let _ = added.all(each);
    }

    fn each_folder_named(&self, name: &[u8], each: &mut dyn FnMut(Form<'_>)) {
        // Of a file's path, the folders with this name.
        let folders = |form: Form<'_>, each: &mut dyn FnMut(Form<'_>)| {
            let components = form.rev_components().count();
            let names = form.rev_components().enumerate().skip(1); // without the file's name
            for (above, _) in names.filter(|(_, component)| component.equals(name)) {
                each(form.leading_components(components - above));
            }
        };
        self.added_files(false).for_each(|file| folders(file.form, each));
        let Some(segment) = &self.segment else { return };
        // The first listed entry in each folder with this name.
        segment.each_named(folder_hash(name), |entry| {
            let is_hidden = segment.key_of(entry).is_ok_and(|rating_key| self.hides(rating_key));
            folders(entry.form(), &mut |folder| {
                // The folder may have other files.
                let has_listed = || has_files(self, &folder.bytes().collect::<Vec<u8>>(), false);
                if !is_hidden || has_listed() {
                    each(folder);
                }
            });
            true
        });
    }

    fn any_item_of_show(&self, show_rating_key: &str, is_wanted: &mut dyn FnMut(&str) -> bool) -> bool {
        let is_of_show = |item: &&Item| item.show_rating_key == show_rating_key && !item.parts.is_empty();
        let mut added = self.added().filter(is_of_show);
        added.any(|item| is_wanted(&item.rating_key))
            || self.segment.as_ref().is_some_and(|segment| {
                segment.any_item_of_show(show_rating_key, |rating_key| {
                    !self.hides(rating_key) && is_wanted(rating_key)
                })
            })
    }

    /// Returns the folder's position: outside, above, inside or equal to one of the library's folders.
    fn folder_position(&self, folder: &[u8]) -> FolderPosition {
        nearest_position(folder, self.own_folders())
    }
}

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
    /// the item or to its season, album, show or artist. Needs the index of texts, as the next methods.
    pub fn items_with_guid(&self, guid: &RequestedGuid, limit: usize) -> ItemSearchResult {
        self.search_by_index(&guid.canonical, limit, |item| guid.is_of(item))
    }

    /// Returns at most `limit` items of the show with the own GUID `show`, in its canonical spelling, and the total
    /// number. Leaves out items that [`Self::items_with_guid`] returns for `guid`, another GUID of the show.
    pub fn items_of_show(&self, show: String, guid: &RequestedGuid, limit: usize) -> ItemSearchResult {
        let show = RequestedGuid::of_show(show);
        self.search_by_index(&show.canonical, limit, |item| show.is_of(item) && !guid.is_of(item))
    }

    /// Returns at most `limit` items with this title or show title. If no item has this title, but the title ends in a
    /// year in brackets, returns the items of this year with the rest of the title. Otherwise returns items whose title
    /// or show title contains all words of `title`. Ignores case, accents and punctuation.
    pub fn items_with_title(&self, title: &str, limit: usize) -> ItemSearchResult {
        let wanted = fold_title(title);
        let hits = self.search_by_index(&wanted, limit, |item| folded_titles_of(item).any(|fold| fold == wanted));
        if hits.total > 0 {
            return hits;
        }
        if let Some((title, year)) = split_year(title) {
            let wanted = fold_title(title);
            let is_hit = |item: &Item| item.year == year && folded_titles_of(item).any(|fold| fold == wanted);
            let hits = self.search_by_index(&wanted, limit, is_hit);
            if hits.total > 0 {
                return hits;
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
        ItemSearchResult {
            items: items.collect(),
            total: found.len(),
            by_words: true,
        }
    }

    /// Returns at most `limit` items for which `is_hit` returns `true`, and their total number. `text`: the GUID or
    /// folded title by which the segment's index finds items. Items in the memtable are all considered.
    fn search_by_index(&self, text: &str, limit: usize, is_hit: impl Fn(&Item) -> bool) -> ItemSearchResult {
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
            });
        }
        self.added().filter(|item| is_hit(item)).cloned().for_each(add);
        hits
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
