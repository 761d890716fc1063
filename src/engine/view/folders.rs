//! Finds items below a folder, and reads whole items: by rating key, in pages, by GUID and by title. Unchanged items are
//! in the segment, and changed items in the memtable.

use std::collections::HashSet;

use super::Hit;
use super::library_snapshot::LibrarySnapshot;
use crate::engine::memtable::{MemtableChange, MemtableEntry};
use crate::engine::segment::{ListingSegment, folded_titles_of, listing_cursor};
use crate::matching::{
    FolderContents, FolderFile, FolderIndex, FolderMember, FolderPosition, Form, FoundItem, HitDoubt, ItemRef,
    LibraryIndex, MAX_CANDIDATES, Mappings, NormalPath, RequestedGuid, Season, fold_title, has_all_words,
    nearest_position,
};
use crate::model::{FolderKind, Item};

impl LibrarySnapshot {
    /// Returns the segment's entries that the memtable overrides: for each item that the memtable changes or removes,
    /// the number of the item's first entry, in ascending order.
    fn overridden_entries(&self, segment: &ListingSegment) -> Vec<u32> {
        let mut firsts: Vec<u32> = self
            .memtable
            .records()
            .filter_map(|record| match &record.change {
                MemtableChange::Added { item, .. } => segment.find(&item.rating_key),
                MemtableChange::Removed { rating_key, .. } => segment.find(rating_key),
                _ => None,
            })
            .collect();
        firsts.sort_unstable();
        firsts.dedup();
        firsts
    }

    /// Returns whether an item has a file below a folder (a normal form). `is_host_path`: whether `folder` is a host
    /// path, which this function compares with the host paths that mappings produce.
    fn has_below(&self, rating_key: &str, folder: &[u8], is_host_path: bool) -> bool {
        match &self.segment {
            Some(segment) if self.newest_override(rating_key).is_none() => {
                let mut any = false;
                if let Some(first) = segment.find(rating_key) {
                    // `is_eq`: the path is below the folder. `0`: compare all bytes.
                    segment.for_each_entry_of(first, |entry| {
                        any |= entry.is_mapped() == is_host_path && entry.form().compare_to_folder(folder, 0).0.is_eq();
                    });
                }
                any
            }
            _ => self
                .added_below(folder, is_host_path)
                .any(|(item, ..)| item.rating_key == rating_key),
        }
    }

    /// Returns whether all files of one of a show's items are outside a folder. `is_host_path`: as in [`Self::has_below`].
    fn has_item_outside(&self, show_rating_key: &str, folder: &[u8], is_host_path: bool) -> bool {
        let below: HashSet<&str> = self
            .added_below(folder, is_host_path)
            .map(|(item, ..)| item.rating_key.as_str())
            .collect();
        let is_outside =
            |rating_key: &str| !self.hides(rating_key) && !self.has_below(rating_key, folder, is_host_path);
        let is_added_outside = |item: &Item| {
            item.show_rating_key == show_rating_key
                && !item.parts.is_empty()
                && !below.contains(item.rating_key.as_str())
        };
        self.added().any(is_added_outside)
            || self
                .segment
                .as_ref()
                .is_some_and(|segment| segment.any_item_of_show(show_rating_key, is_outside))
    }

    /// Returns the memtable's paths below a folder: for each path, the item, the listed path and the normal form.
    /// `mapped`: whether `folder` is a host path, which this function compares with host paths from mappings.
    fn added_below<'v>(&'v self, folder: &[u8], mapped: bool) -> impl Iterator<Item = (&'v Item, &'v [u8], &'v [u8])> {
        let folder = folder.to_vec();
        let live = self
            .memtable
            .records()
            .filter_map(|record| Some((record, self.live_item(record)?)));
        // `is_eq`: the path is below the folder. `0`: compare all bytes.
        live.flat_map(move |(record, item)| paths_of(record, item, mapped))
            .filter(move |(_, _, form)| Form::from_folded(form).compare_to_folder(&folder, 0).0.is_eq())
    }
}

/// Returns, for each path of an added item, the item, the listed path and the normal form. If `mapped`, returns only
/// the paths that a mapping translates to host paths, each with the host path's normal form.
fn paths_of<'v>(
    record: &'v MemtableEntry,
    item: &'v Item,
    mapped: bool,
) -> impl Iterator<Item = (&'v Item, &'v [u8], &'v [u8])> {
    let parts = item.parts.len();
    let forms = record.forms.iter().enumerate();
    forms.filter_map(move |(form_index, form)| {
        // The forms of the parts come first, and then the forms of the host paths.
        let part = match form_index.checked_sub(parts) {
            None if !mapped => form_index,
            Some(host_index) if mapped => record.mapped.get(host_index)?.0,
            _ => return None,
        };
        Some((item, item.parts.get(part)?.as_bytes(), &**form))
    })
}

/// Returns the number of path components in a normal form.
fn components(form: &[u8]) -> usize {
    Form::from_folded(form).rev_components().count()
}

impl FolderIndex for LibrarySnapshot {
    /// Returns the items below a folder, at most [`MAX_CANDIDATES`] of them, and the counts of all: first unchanged
    /// items from the segment, then items from the memtable. `is_host_path`: whether `folder` is a host path, which
    /// this function compares with host paths from mappings. `kind`: the members to return.
    fn folder_contents<'v>(
        &'v self,
        folder: &[u8],
        is_host_path: bool,
        kind: Option<FolderKind>,
    ) -> FolderContents<'v> {
        let mut folder_contents = FolderContents::default();
        let depth = components(folder);
        let (mut segment, mut omitted) = (None, Vec::new());
        if let Some(listed) = &self.segment {
            let positions = listed.below(folder, is_host_path);
            if !positions.is_empty() {
                let hidden = if self.memtable.is_empty() {
                    Vec::new()
                } else {
                    let first_entries = self.overridden_entries(listed).into_iter();
                    listed.hidden_positions(first_entries, &positions, folder, is_host_path)
                };
                omitted = listed.add_contents(&positions, &hidden, depth, kind, &mut folder_contents);
                segment = Some(listed);
            }
        }
        // Add the memtable's items. All items with one group key are one member, such as a show's episodes.
        let mut counted_keys = HashSet::new();
        for (item, path, form) in self.added_below(folder, is_host_path) {
            folder_contents.files += 1;
            if !counted_keys.insert(item.rating_key.as_str()) {
                continue;
            }
            folder_contents.items += 1;
            let levels = components(form).saturating_sub(depth);
            let Some(member) = FolderMember::new(ItemRef::from(item), Season::of(item), path, levels, kind) else {
                continue;
            };
            let (group_key, is_group) = (member.group_key, !member.group_key.is_empty());
            let same_group = folder_contents
                .members
                .iter_mut()
                .find(|known| is_group && known.group_key == group_key);
            // Whether the segment has already counted the group, although the answer has no room for it.
            let is_omitted = || segment.is_some_and(|segment| is_group && segment.contains_key(&omitted, group_key));
            if let Some(same_group) = same_group {
                same_group.merge_season(member.season);
            } else if folder_contents.members.len() < MAX_CANDIDATES {
                folder_contents.members.push(member);
                folder_contents.total += 1;
            } else if !is_omitted() && (!is_group || counted_keys.insert(group_key)) {
                folder_contents.total += 1;
            }
        }
        // Without a kind, a season is an answer only if its show has other items elsewhere.
        if let ([member], None) = (&mut folder_contents.members[..], kind)
            && member
                .season
                .is_some_and(|season| season.rating_key != member.group_key)
            && !self.has_item_outside(member.group_key, folder, is_host_path)
        {
            member.season = None;
        }
        folder_contents
    }

    /// Returns the rating keys of at most `limit` items that are doubted, or withheld by a doubted path, from the memtable,
    /// which contains all these doubts. `below`: only items with a file below this folder, and whether the folder is a
    /// host path.
    fn invalidated_items(&self, below: Option<(&[u8], bool)>, mappings: &Mappings, limit: usize) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        let mut consider = |rating_key: &str, path: &[u8]| {
            let is_doubted = || NormalPath::with(path, |normal| self.doubt(normal, path, rating_key) != HitDoubt::None);
            if found.len() < limit && !found.iter().any(|known| known == rating_key) && is_doubted() {
                found.push(rating_key.to_owned());
            }
        };
        for record in self.memtable.records() {
            match &record.change {
                MemtableChange::DoubtedItem { rating_key, .. } => match below {
                    None => consider(rating_key, b""),
                    Some((folder, mapped)) if self.has_below(rating_key, folder, mapped) => consider(rating_key, b""),
                    Some(_) => {}
                },
                MemtableChange::DoubtedPath { path, .. } => NormalPath::with(path, |normal| {
                    // The invalidated path can be a server path or a host path.
                    let mut consider_hit = |hit| {
                        let Some((rating_key, listed)) = self.key_and_path(hit) else {
                            return;
                        };
                        let lies_below = |(folder, mapped): (&[u8], bool)| {
                            let is_below = |path: &[u8]| {
                                NormalPath::with(path, |path| {
                                    Form::from_folded(path.form()).compare_to_folder(folder, 0).0.is_eq()
                                })
                            };
                            let is_host_below = || mappings.to_host(listed).is_some_and(|host| is_below(&host));
                            is_below(path) || if mapped { is_host_below() } else { is_below(listed) }
                        };
                        if below.is_none_or(lies_below) {
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

    /// Calls `each` once for each listed folder (a normal form) that ends with as many of `folder`'s last components as
    /// any listed folder does, at least `min_components` and at least one. Passes the number of these common components
    /// and the folder. Returns the number of such folders.
    fn folder_suffix_matches(
        &self,
        folder: &[u8],
        min_components: usize,
        each: &mut dyn FnMut(usize, Vec<u8>),
    ) -> usize {
        let form = Form::from_folded(folder);
        let mut best = min_components.max(1);
        // `added` contains the best of the memtable's folders: so few that a linear search is fast enough.
        let mut added: Vec<Vec<u8>> = Vec::new();
        let live = self
            .memtable
            .records()
            .filter_map(|record| Some((record, self.live_item(record)?)));
        for (_, _, path) in live.flat_map(|(record, item)| paths_of(record, item, false)) {
            let path = Form::from_folded(path);
            for depth in 1..path.rev_components().count() {
                let folder = path.leading_components(depth);
                let common = Form::from_folded(&folder).common_components(form);
                if common > best {
                    (best, added) = (common, Vec::new());
                }
                if common == best && !added.contains(&folder) {
                    added.push(folder);
                }
            }
        }
        // If the segment has folders with longer common suffixes, they replace the memtable's folders.
        let mut count = 0;
        if let Some(segment) = &self.segment {
            let hidden = || {
                if self.memtable.is_empty() {
                    Vec::new()
                } else {
                    self.overridden_entries(segment)
                }
            };
            count = segment.folder_suffix_matches(form, best, &hidden, |common, folder| {
                if common > best {
                    (best, added) = (common, Vec::new());
                }
                added.retain(|known| *known != folder); // the segment has already counted it
                each(common, folder);
            });
        }
        count += added.len();
        for folder in added {
            each(best, folder);
        }
        count
    }

    /// Calls `each` for at most `limit` files below a folder, and for all files with the last file's normal form, in
    /// the order of the normal forms. Starts after the normal form `after`. `mapped`: whether `folder` is a host path.
    fn files_below<'v>(
        &'v self,
        folder: &[u8],
        mapped: bool,
        after: Option<&[u8]>,
        limit: usize,
        each: &mut dyn FnMut(FolderFile<'v>),
    ) {
        let mut added: Vec<(&[u8], &Item, &[u8])> = Vec::new();
        if !self.memtable.is_empty() {
            let is_after = |form: &[u8]| after.is_none_or(|after| form > after);
            let below = self.added_below(folder, mapped).filter(|(_, _, form)| is_after(form));
            added.extend(below.map(|(item, path, form)| (form, item, path)));
            added.sort_by_key(|(form, ..)| *form);
        }
        let mut added = added.into_iter().peekable();
        let mut count = 0;
        let mut last_form = Vec::new();
        // Reports a file, and returns whether the file was within the limit.
        let mut report = |file: FolderFile<'v>| {
            if count >= limit && file.form != last_form {
                return false;
            }
            count += 1;
            last_form.clone_from(&file.form);
            each(file);
            true
        };
        let added_file = |(form, item, path): (&[u8], &'v Item, &'v [u8])| FolderFile {
            form: form.to_vec(),
            found: FoundItem::new(0, ItemRef::from(item), path),
            item_has_other_files: item.parts.len() > 1,
        };
        if let Some(segment) = &self.segment {
            let positions = segment.below(folder, mapped);
            let hidden = if self.memtable.is_empty() || positions.is_empty() {
                Vec::new()
            } else {
                segment.hidden_positions(self.overridden_entries(segment).into_iter(), &positions, folder, mapped)
            };
            // Merge the segment's files, which are already sorted, with the memtable's files.
            let positions = match after {
                Some(after) => segment.range_after(&positions, after),
                None => positions,
            };
            for index in positions.filter(|index| hidden.binary_search(index).is_err()) {
                let Some(entry) = segment.entry_at(index) else { return };
                let form: Vec<u8> = entry.form().bytes().collect();
                while let Some(added) = added.next_if(|(added_form, ..)| *added_form <= form.as_slice()) {
                    if !report(added_file(added)) {
                        return;
                    }
                }
                let listed_number = entry.listed_number();
                let Some((item, item_has_other_files)) = segment.item_and_is_multi_file(listed_number) else {
                    return;
                };
                let Some((_, path)) = segment.key_and_path(listed_number) else {
                    return;
                };
                if !report(FolderFile {
                    form,
                    found: FoundItem::new(0, item, path),
                    item_has_other_files,
                }) {
                    return;
                }
            }
        }
        for added in added {
            if !report(added_file(added)) {
                return;
            }
        }
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
