//! Finds items below a folder: unchanged items in the segment, and changed items in the memtable.

use std::collections::HashSet;

use super::library_snapshot::LibrarySnapshot;
use crate::engine::memtable::{MemtableChange, MemtableEntry};
use crate::engine::segment::ListingSegment;
use crate::matching::{
    FolderContents, FolderIndex, FolderMember, FolderPosition, Form, InvalidatedItem, ItemRef, LibraryIndex,
    ListedFile, MAX_CANDIDATES, Mappings, NormalPath, Season, nearest_position,
};
use crate::model::Item;

impl LibrarySnapshot {
    /// Returns the segment's entries that the memtable overrides: for each item that the memtable changes or removes,
    /// the item's first entry, in order.
    fn overridden_entries(&self, segment: &ListingSegment) -> Vec<u32> {
        let mut firsts: Vec<u32> = self
            .memtable
            .records()
            .filter_map(|record| match &record.change {
                MemtableChange::Added { item, .. } => segment.find(&item.rating_key),
                MemtableChange::Removed { rating_key } => segment.find(rating_key),
                _ => None,
            })
            .collect();
        firsts.sort_unstable();
        firsts.dedup();
        firsts
    }

    /// Returns whether an item has a file below a folder. `is_host_path`: whether `folder` is a host path, which this
    /// function compares with the paths that a mapping translates to host paths.
    fn has_below(&self, rating_key: &str, folder: &[u8], is_host_path: bool) -> bool {
        match &self.segment {
            Some(segment) if self.newest_override(rating_key).is_none() => {
                let mut any = false;
                if let Some(first) = segment.find(rating_key) {
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

    /// Returns the memtable's paths below a folder: for each path, the item, the listed path and the normal form.
    /// `mapped`: whether `folder` is a host path, which this function compares with host paths from mappings.
    pub(super) fn added_below<'v>(
        &'v self,
        folder: &[u8],
        mapped: bool,
    ) -> impl Iterator<Item = (&'v Item, &'v str, &'v [u8])> {
        let folder = folder.to_vec();
        let live = self
            .memtable
            .records()
            .filter_map(|record| Some((record, self.live_item(record)?)));
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
) -> impl Iterator<Item = (&'v Item, &'v str, &'v [u8])> {
    let parts = item.parts.len();
    let forms = record.forms.iter().enumerate();
    forms.filter_map(move |(at, form)| {
        // The forms of the parts come first, and then the forms of the host paths.
        let part = match at.checked_sub(parts) {
            None if !mapped => at,
            Some(host) if mapped => record.mapped.get(host)?.0,
            _ => return None,
        };
        Some((item, item.parts.get(part)?.as_str(), &**form))
    })
}

/// Returns the number of path components in a normal form.
fn components(form: &[u8]) -> usize {
    Form::from_folded(form).rev_components().count()
}

impl FolderIndex for LibrarySnapshot {
    /// Returns the items below a folder: first unchanged items from the segment, then items from the memtable.
    /// `is_host_path`: whether `folder` is a host path, which this function compares with host paths from mappings.
    fn folder_contents<'v>(&'v self, folder: &[u8], is_host_path: bool) -> FolderContents<'v> {
        let mut folder_contents = FolderContents::default();
        let depth = components(folder);
        let (mut segment, mut others) = (None, Vec::new());
        // Add the segment's items, except the items that the memtable overrides.
        if let Some(known) = &self.segment {
            let within = known.below(folder, is_host_path);
            if !within.is_empty() {
                let hidden = if self.memtable.is_empty() {
                    Vec::new()
                } else {
                    let firsts = self.overridden_entries(known).into_iter();
                    known.hidden_positions(firsts, &within, folder, is_host_path)
                };
                others = known.add_contents(&within, &hidden, depth, &mut folder_contents);
                segment = Some(known);
            }
        }
        if self.memtable.is_empty() {
            return folder_contents;
        }
        // Add the memtable's items. Each show is one member, with the seasons of all its episodes.
        let mut counted_keys = HashSet::new();
        for (item, path, form) in self.added_below(folder, is_host_path) {
            folder_contents.files += 1;
            if !counted_keys.insert(item.rating_key.as_str()) {
                continue;
            }
            folder_contents.items += 1;
            let is_show = !item.show_rating_key.is_empty();
            let below = components(form).saturating_sub(depth);
            let member = FolderMember::new(ItemRef::from(item), Season::of(item), path.as_bytes(), below, is_show);
            let known = folder_contents
                .members
                .iter_mut()
                .find(|known| is_show && known.is_show && known.item.show_rating_key == item.show_rating_key);
            // Whether the segment has already counted the show, although the answer has no room for it.
            let is_among_others =
                || segment.is_some_and(|segment| is_show && segment.contains_show_key(&others, &item.show_rating_key));
            if let Some(known) = known {
                known.merge_season(member.season);
            } else if folder_contents.members.len() < MAX_CANDIDATES {
                folder_contents.members.push(member);
                folder_contents.total += 1;
            } else if !is_among_others() && (!is_show || counted_keys.insert(item.show_rating_key.as_str())) {
                folder_contents.total += 1;
            }
        }
        folder_contents
    }

    /// Returns at most `limit` invalidated items with their invalidated paths, from the memtable, which contains all
    /// invalidations. `below`: only items with a file below this folder; `true` if the folder is a host path.
    fn invalidated_items(
        &self,
        below: Option<(&[u8], bool)>,
        mappings: &Mappings,
        limit: usize,
    ) -> Vec<InvalidatedItem> {
        let mut found: Vec<InvalidatedItem> = Vec::new();
        let mut consider = |rating_key: &str, path: &[u8]| {
            let invalid = || NormalPath::with(path, |normal| self.is_unverified(normal, path, rating_key));
            // Paths are grouped by item, because the caller verifies each item once for all its paths.
            match found.iter().position(|(known, _)| known == rating_key) {
                Some(at) if found[at].1.iter().any(|known| known == path) || !invalid() => {}
                Some(at) => found[at].1.push(path.to_vec()),
                None if found.len() < limit && invalid() => found.push((rating_key.to_owned(), vec![path.to_vec()])),
                None => {}
            }
        };
        for record in self.memtable.records() {
            match &record.change {
                // An empty path stands for the item itself.
                MemtableChange::UnverifiedItem { rating_key } => match below {
                    None => consider(rating_key, b""),
                    Some((folder, mapped)) if self.has_below(rating_key, folder, mapped) => consider(rating_key, b""),
                    Some(_) => {}
                },
                MemtableChange::UnverifiedPath { path } => NormalPath::with(path, |normal| {
                    // The invalidated path can be a server path or a host path, so look up listed paths and mapped
                    // paths.
                    let mut hit = |hit| {
                        let (rating_key, listed) = self.key_and_path(hit);
                        let lies_below = |(folder, mapped): (&[u8], bool)| {
                            let is_below = |path: &[u8]| {
                                NormalPath::with(path, |path| {
                                    Form::from_folded(path.form()).compare_to_folder(folder, 0).0.is_eq()
                                })
                            };
                            let host = || mappings.to_host(listed).is_some_and(|host| is_below(&host));
                            is_below(path) || if mapped { host() } else { is_below(listed) }
                        };
                        if below.is_none_or(lies_below) {
                            consider(rating_key, path);
                        }
                    };
                    self.each_listed(normal, |found, _| hit(found));
                    self.each_mapped(normal, |found, _| hit(found));
                    mappings.to_server(normal, |server| {
                        NormalPath::with(server, |server| self.each_listed(server, |found, _| hit(found)));
                        None::<()>
                    });
                }),
                _ => {}
            }
        }
        found
    }

    /// Calls `each` once for each folder with the longest common suffix, at least `min_components` components, from the
    /// memtable and the segment. Passes the number of common components and the folder. Returns the number of such
    /// folders.
    fn folder_suffix_matches(
        &self,
        folder: &[u8],
        min_components: usize,
        each: &mut dyn FnMut(usize, Vec<u8>),
    ) -> usize {
        let form = Form::from_folded(folder);
        let mut best = min_components.max(1);
        // `added` contains only folders of items in the memtable, so a linear search is fast enough.
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
                added.retain(|known| *known != folder);
                each(common, folder);
            });
        }
        count += added.len();
        for folder in added {
            each(best, folder);
        }
        count
    }

    /// Calls `each` for at most `limit` files below a folder, from the segment and the memtable, in the order of their
    /// normal forms. Starts after the normal form `after`. `mapped`: whether `folder` is a host path.
    fn files_below<'v>(
        &'v self,
        folder: &[u8],
        mapped: bool,
        after: Option<&[u8]>,
        limit: usize,
        each: &mut dyn FnMut(ListedFile<'v>),
    ) {
        // Select and sort the memtable's files below the folder.
        let mut added: Vec<(&[u8], &Item, &str)> = Vec::new();
        if !self.memtable.is_empty() {
            let is_behind = |form: &[u8]| after.is_none_or(|after| form > after);
            let below = self.added_below(folder, mapped).filter(|(_, _, form)| is_behind(form));
            added.extend(below.map(|(item, path, form)| (form, item, path)));
            added.sort_by_key(|(form, ..)| *form);
        }
        let mut added = added.into_iter().peekable();
        let mut count = 0;
        let mut last = Vec::new();
        // Reports a file, and returns whether the file was within the limit. A file with the same normal form as the
        // previous file is always within the limit.
        let mut report = |file: ListedFile<'v>| {
            if count >= limit && file.form != last {
                return false;
            }
            count += 1;
            last.clone_from(&file.form);
            each(file);
            true
        };
        let of_added = |(form, item, path): (&[u8], &'v Item, &'v str)| ListedFile {
            form: form.to_vec(),
            item: ItemRef::from(item),
            path: path.as_bytes(),
            item_has_other_files: item.parts.len() > 1,
        };
        if let Some(segment) = &self.segment {
            let within = segment.below(folder, mapped);
            let hidden = if self.memtable.is_empty() || within.is_empty() {
                Vec::new()
            } else {
                segment.hidden_positions(self.overridden_entries(segment).into_iter(), &within, folder, mapped)
            };
            // Merge the segment's files, which are already sorted, with the memtable's files.
            let within = match after {
                Some(after) => segment.range_after(&within, after),
                None => within,
            };
            for place in within.filter(|place| hidden.binary_search(place).is_err()) {
                let Some(entry) = segment.entry_at(place) else { return };
                let form: Vec<u8> = entry.form().bytes().collect();
                while let Some(added) = added.next_if(|(own, ..)| *own <= form.as_slice()) {
                    if !report(of_added(added)) {
                        return;
                    }
                }
                let listed = entry.listed_number();
                let (item, is_of_several) = segment.item_and_is_multi_file(listed);
                let path = segment.key_and_path(listed).1;
                if !report(ListedFile {
                    form,
                    item,
                    path,
                    item_has_other_files: is_of_several,
                }) {
                    return;
                }
            }
        }
        for added in added {
            if !report(of_added(added)) {
                return;
            }
        }
    }

    /// Returns the folder's position: outside, above, inside or equal to one of the library's folders.
    fn folder_position(&self, folder: &[u8]) -> FolderPosition {
        nearest_position(folder, self.own_folders())
    }
}
