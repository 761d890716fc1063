//! One library as `matching` reads it: the segment of its listing, its confirmed matches, and the memtable over both.

use std::collections::HashMap;
use std::sync::Arc;

use crate::engine::memtable::{Memtable, MemtableChange, MemtableEntry};
use crate::engine::segment::{ListingSegment, Matches, RecordPlace, SegmentsLost, SingleMatch};
use crate::matching::normal::normal_form;
use crate::matching::{
    FactTime, FirstEntry, Form, FoundItem, ItemRef, LibraryIndex, Mappings, Normal, Spelling, lies_at_or_under,
    lies_under,
};
use crate::model::{Item, MatchKind};

/// Properties of a library besides its items.
#[derive(Clone, Debug, Default)]
pub struct ViewFacts {
    /// Plex's identifier of the library.
    pub uuid: String,
    /// Its folders, as the server sees them.
    pub locations: Vec<String>,
    /// The change sequence at which its listing was published.
    pub listed_at: u64,
    /// Whether a listing was ever completed.
    pub fetched: bool,
}

/// One library in a snapshot. Immutable, except for its memtable.
pub struct LibraryView {
    /// Its facts.
    pub facts: ViewFacts,
    /// The newest complete listing; `None` if the library was never listed or is empty.
    pub segment: Option<Arc<ListingSegment>>,
    /// The confirmed matches; `None` without any.
    pub matches: Option<Matches>,
    /// Changes since the segments.
    pub memtable: Arc<Memtable>,
    /// Normal forms of its folders, in the server's spelling.
    locations: Box<[Box<[u8]>]>,
    /// Normal forms of its folders, mapped to the host's paths.
    hosts: Box<[Box<[u8]>]>,
}

impl LibraryView {
    /// Creates a view. Ignores a segment of another library, such as a copied file.
    #[must_use]
    pub fn new(
        facts: ViewFacts,
        mappings: &Mappings,
        segment: Option<Arc<ListingSegment>>,
        matches: Option<Matches>,
        memtable: Arc<Memtable>,
    ) -> Self {
        let (mut locations, mut hosts) = (Vec::new(), Vec::new());
        for location in facts.locations.iter().filter(|location| !location.is_empty()) {
            locations.push(normal_form(location.as_bytes()).into_boxed_slice());
            // Map a path below the folder, since rules are written for files: `^/plex/media/(.*)`.
            let below = format!("{location}/");
            if let Some(host) = mappings.to_host(below.as_bytes()).filter(|host| !host.is_empty()) {
                hosts.push(normal_form(&host).into_boxed_slice());
            }
        }
        let ours = |segment: &Arc<ListingSegment>| segment.library() == facts.uuid;
        Self {
            segment: segment.filter(ours),
            matches,
            facts,
            memtable,
            locations: locations.into_boxed_slice(),
            hosts: hosts.into_boxed_slice(),
        }
    }

    /// Calls `each` with the recorded paths that have the normal form of `path`: the paths whose matches an
    /// invalidation of `path` removes.
    pub fn confirmed_paths(&self, path: &[u8], mut each: impl FnMut(&[u8])) {
        Normal::with(path, |path| {
            self.each_confirmed(path, |hit| each(self.key_and_path(hit).1));
        });
    }

    /// Returns the paths whose confirmed match is this item.
    pub fn paths_of(&self, rating_key: &str) -> Vec<Vec<u8>> {
        let is_match = |record: &&MemtableEntry| matches!(record.change, MemtableChange::Matched { .. });
        let changed = self.memtable.about_item(rating_key).filter(is_match);
        let mut paths: Vec<&[u8]> = changed.filter_map(|record| record.change.path()).collect();
        if let Some(matches) = &self.matches {
            matches.of_item(rating_key, |path| paths.push(path));
        }
        paths.sort_unstable();
        paths.dedup();
        paths.retain(|path| {
            let mut is_its = false;
            Normal::with(path, |normal| {
                self.each_confirmed(normal, |hit| is_its |= self.key_and_path(hit) == (rating_key, *path));
            });
            is_its
        });
        paths.into_iter().map(<[u8]>::to_vec).collect()
    }

    /// Returns the number of confirmed matches.
    ///
    /// # Errors
    /// [`SegmentsLost`].
    pub fn recorded_count(&self) -> Result<u64, SegmentsLost> {
        let mut newest: HashMap<&[u8], bool> = HashMap::new();
        for record in self.memtable.records() {
            match &record.change {
                MemtableChange::Matched { path, .. } => drop(newest.insert(path, true)),
                MemtableChange::Forgotten { path } => drop(newest.insert(path, false)),
                _ => {}
            }
        }
        let mut count = self.matches.as_ref().map_or(0, |matches| matches.count.cast_signed());
        for (path, is_recorded) in newest {
            let was_recorded = match &self.matches {
                Some(matches) => matches.has(path)?,
                None => false,
            };
            count += i64::from(is_recorded) - i64::from(was_recorded);
        }
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Returns the newest change that adds or removes the item; `None` if the item has not changed since the segment
    /// was built.
    pub(super) fn overridden(&self, rating_key: &str) -> Option<&MemtableEntry> {
        self.memtable.about_item(rating_key).find(|record| {
            matches!(
                record.change,
                MemtableChange::Added { .. } | MemtableChange::Removed { .. }
            )
        })
    }

    /// Returns whether an item of the segment was changed or removed since, so that the memtable decides.
    pub(super) fn hides(&self, rating_key: &str) -> bool {
        !self.memtable.is_empty() && self.overridden(rating_key).is_some()
    }

    /// Returns the item of an `Added` change; `None` if a newer change overrides it, and for other changes.
    pub(super) fn live<'v>(&'v self, record: &'v MemtableEntry) -> Option<&'v Item> {
        let item = added(record)?;
        let newest = self.overridden(&item.rating_key)?;
        (newest.order == record.order).then_some(item)
    }

    /// Returns the normal forms of the library's folders, in the server's and in the host's spelling.
    pub(super) fn own_folders(&self) -> impl Iterator<Item = &[u8]> {
        self.locations.iter().chain(&self.hosts).map(|folder| &**folder)
    }

    /// Returns the newest change of the match of exactly the path `raw`. `path`: its normal form.
    fn match_of<'v>(&'v self, path: &Normal<'_>, raw: &[u8]) -> Option<&'v MemtableEntry> {
        let about = |record: &&MemtableEntry| {
            matches!(
                record.change,
                MemtableChange::Matched { .. } | MemtableChange::Forgotten { .. }
            ) && record.change.path() == Some(raw)
        };
        let mut records = self.memtable.about_path(path).map(|(record, _)| record);
        records.find(about)
    }

    /// Returns the match in the memtable for exactly this path, if certainly no listed path contradicts it; otherwise
    /// `None`.
    fn unique_recorded<'v>(&'v self, path: &Normal<'_>) -> Option<(&'v str, MatchKind)> {
        if self.facts.fetched || path.is_text() {
            return None;
        }
        let MemtableChange::Matched { rating_key, .. } = &self.match_of(path, path.raw())?.change else {
            return None;
        };
        (!self.is_unverified(path, path.raw(), rating_key) && !self.is_broken())
            .then_some((rating_key, MatchKind::Confirmed))
    }

    /// Returns the match of a path that the segment lists once; `None` if a recorded match contradicts it. `form`: the
    /// hash of the path's normal form.
    #[inline]
    fn unique_listed<'v>(&'v self, path: &[u8], form: u64, rating_key: &'v str) -> Option<(&'v str, MatchKind)> {
        let recorded = self
            .matches
            .as_ref()
            .map_or(SingleMatch::None, |matches| matches.unique_hit(path, form));
        match recorded {
            _ if self.is_broken() => None,
            SingleMatch::None => Some((rating_key, MatchKind::Exact)),
            // The path is listed under the recorded item, so they do not contradict each other.
            SingleMatch::Match(recorded) => (recorded == rating_key).then_some((rating_key, MatchKind::Confirmed)),
            SingleMatch::Unsure => None,
        }
    }

    /// Calls `each` with the listed paths of this normal form, or if `mapped` with those that are mapped to it, and
    /// with whether the bytes are equal too.
    fn at_path<'v>(&'v self, path: &Normal<'_>, mapped: bool, mut each: impl FnMut(Hit<'v>, bool)) {
        if let Some(segment) = &self.segment {
            segment.paths(path, |entry, raw| {
                if entry.is_mapped() != mapped {
                    return;
                }
                if self.memtable.is_empty() || !self.hides(segment.rating_key(entry.number)) {
                    each(Hit::Listed(entry.listed()), raw);
                }
            });
        }
        if self.memtable.is_empty() {
            return;
        }
        for (record, form) in self.memtable.about_path(path) {
            let Some(item) = self.live(record) else {
                continue;
            };
            let (part, spelling) = match form.checked_sub(item.parts.len()) {
                None if !mapped => (form, item.parts[form].as_bytes()),
                Some(host) if mapped => {
                    let (part, spelling) = &record.mapped[host];
                    (*part, spelling.as_slice())
                }
                _ => continue,
            };
            each(hit_of(record, part), spelling == path.raw());
        }
    }
}

/// Returns the item of an addition.
fn added(record: &MemtableEntry) -> Option<&Item> {
    match &record.change {
        MemtableChange::Added { item, .. } => Some(item),
        _ => None,
    }
}

/// Returns the hit for a part of an added item.
fn hit_of(record: &MemtableEntry, part: usize) -> Hit<'_> {
    Hit::Added(record, u32::try_from(part).unwrap_or(u32::MAX))
}

/// A path in a view.
#[derive(Clone, Copy)]
pub enum Hit<'v> {
    /// Listed in the segment: the entry's number.
    Listed(u32),
    /// A confirmed match in the segments.
    Matched(RecordPlace),
    /// A part of an added item in the memtable.
    Added(&'v MemtableEntry, u32),
    /// A confirmed match in the memtable.
    Recorded(&'v MemtableEntry),
}

impl LibraryIndex for LibraryView {
    type Hit<'v> = Hit<'v>;

    fn is_fetched(&self) -> bool {
        self.facts.fetched
    }

    /// Returns whether a path lies in a folder of the library, in the server's or in the host's spelling.
    fn owns(&self, path: &Normal<'_>) -> bool {
        let mut folders = self.locations.iter().chain(&self.hosts);
        if path.is_text() {
            return folders.any(|folder| lies_under(path.form(), folder));
        }
        // The form of a path that is not text is not folded, while those of the folders are. So compare only the
        // folders in the path that are text.
        let text = path.raw().utf8_chunks().next().map_or("", |chunk| chunk.valid());
        let above = text.rfind(['/', '\\']).map_or("", |end| &text[..=end]);
        Normal::with(above.as_bytes(), |above| {
            folders.any(|folder| lies_at_or_under(above.form(), folder))
        })
    }

    /// Returns how many components a listed path has below its outermost location; 0 outside all locations.
    fn components_below_location(&self, listed: &Normal<'_>) -> usize {
        let length = |form: &[u8]| Form::from_folded(form).rev_components().count();
        let above = self
            .locations
            .iter()
            .filter(|folder| lies_under(listed.form(), folder))
            .map(|folder| length(folder))
            .min();
        above.map_or(0, |above| length(listed.form()) - above)
    }

    #[inline]
    fn may_have_confirmed(&self) -> bool {
        self.matches.is_some() || !self.memtable.is_empty()
    }

    /// Returns the match of exactly this path if no change and no other path could contradict it; most lookups end
    /// here.
    #[inline]
    fn unique_hit<'v>(&'v self, path: &Normal<'_>, first: FirstEntry) -> Option<(&'v str, MatchKind)> {
        let changed = !self.memtable.is_empty();
        if changed && self.memtable.about_path(path).next().is_some() {
            return self.unique_recorded(path);
        }
        // Nothing is listed, so no listed path contradicts a recorded match.
        if !self.facts.fetched {
            let SingleMatch::Match(rating_key) = self.matches.as_ref()?.unique_hit(path.raw(), path.hash()) else {
                return None;
            };
            let outdated = changed && self.memtable.about_item(rating_key).next().is_some();
            return (!outdated && !self.is_broken()).then_some((rating_key, MatchKind::Confirmed));
        }
        let rating_key = self.segment.as_ref()?.unique_hit(path.raw(), first)?;
        if changed && self.memtable.about_item(rating_key).next().is_some() {
            return None;
        }
        self.unique_listed(path.raw(), path.hash(), rating_key)
    }

    /// Does the work of [`Self::unique_hit`] for a path that is not ASCII, found by its spelling.
    #[inline]
    fn unique_hit_spelled<'v>(&'v self, path: &Spelling<'_>, first: FirstEntry) -> Option<(&'v str, MatchKind)> {
        // The memtable has changes only by their normal form.
        if !self.memtable.is_empty() || !self.facts.fetched {
            return None;
        }
        let (rating_key, form) = self.segment.as_ref()?.unique_hit_spelled(path.raw(), first)?;
        self.unique_listed(path.raw(), form, rating_key)
    }

    /// Returns the normal form that the segment stores for this spelling, so that the caller need not compute it.
    fn stored_form<'v>(&'v self, path: &Spelling<'_>, first: FirstEntry) -> Option<&'v [u8]> {
        self.segment.as_ref()?.form_of(path.raw(), first)
    }

    #[inline]
    fn prefetch(&self, hash: u64) {
        if let Some(matches) = &self.matches {
            matches.prefetch(hash);
        }
        if let Some(segment) = &self.segment {
            segment.prefetch(hash);
        }
    }

    /// Looks up the first entry of a hash, and prefetches its path and form, which have this length together.
    #[inline]
    fn first_entry(&self, hash: u64, length: usize) -> FirstEntry {
        let segment = self.segment.as_ref();
        segment.map(|segment| segment.first(hash, length)).unwrap_or_default()
    }

    /// Returns the listed path of a segment's entry.
    #[inline]
    fn hit_of_entry(&self, first: FirstEntry) -> Option<Hit<'_>> {
        first.0.map(|number| Hit::Listed(number.get()))
    }

    /// Calls `each` with the confirmed matches of this normal form, those of the segments first.
    fn each_confirmed<'v>(&'v self, path: &Normal<'_>, mut each: impl FnMut(Hit<'v>)) {
        if let Some(matches) = &self.matches {
            matches.each(path, |place, raw| {
                if self.memtable.is_empty() || self.match_of(path, raw).is_none() {
                    each(Hit::Matched(place));
                }
            });
        }
        for (record, _) in self.memtable.about_path(path) {
            if let MemtableChange::Matched { path: raw, .. } = &record.change
                && let Some(newest) = self.match_of(path, raw)
                && newest.order == record.order
            {
                each(Hit::Recorded(record));
            }
        }
    }

    fn each_listed<'v>(&'v self, path: &Normal<'_>, each: impl FnMut(Hit<'v>, bool)) {
        self.at_path(path, false, each);
    }

    /// Calls `each` with the listed paths that a mapping rule maps to this normal form.
    fn each_mapped<'v>(&'v self, path: &Normal<'_>, each: impl FnMut(Hit<'v>, bool)) {
        self.at_path(path, true, each);
    }

    /// Reports the paths with the longest common end, those of the memtable first. Returns how many it left out.
    fn suffix_matches<'v>(&'v self, path: &Normal<'_>, least: usize, mut each: impl FnMut(usize, Hit<'v>)) -> usize {
        let mut best = least.max(1);
        for (record, part, common) in self.memtable.suffix_matches(path) {
            if common >= best && self.live(record).is_some() {
                best = common;
                each(common, hit_of(record, part));
            }
        }
        match &self.segment {
            Some(segment) => {
                let hides = |rating_key: &str| self.hides(rating_key);
                let hides: Option<&dyn Fn(&str) -> bool> = if self.memtable.is_empty() { None } else { Some(&hides) };
                segment.suffix_matches(path, best, hides, |common, entry| {
                    each(common, Hit::Listed(entry.number));
                })
            }
            None => 0,
        }
    }

    /// Returns the item with this key from the memtable if it has changed, otherwise from the segment.
    fn find_item<'v>(&'v self, rating_key: &str) -> Option<Hit<'v>> {
        match self.overridden(rating_key) {
            Some(record) => self.live(record).map(|_| hit_of(record, 0)),
            None => self.segment.as_ref()?.find(rating_key).map(Hit::Listed),
        }
    }

    /// Returns the rating key and the path of a hit; empty if the segment is broken there.
    fn key_and_path<'v>(&'v self, hit: Hit<'v>) -> (&'v str, &'v [u8]) {
        match (hit, &self.segment, &self.matches) {
            (Hit::Listed(number), Some(segment), _) => segment.facts(number),
            (Hit::Matched(place), _, Some(matches)) => {
                matches.get(place).map_or(("", b""), |(key, path, _)| (key, path))
            }
            (Hit::Added(record, part), ..) => added(record).map_or(("", b""), |item| {
                let path = item.parts.get(part as usize);
                (&item.rating_key, path.map_or(b"", |path| path.as_bytes()))
            }),
            (Hit::Recorded(record), ..) => (
                record.change.rating_key().unwrap_or_default(),
                record.change.path().unwrap_or_default(),
            ),
            _ => ("", b""),
        }
    }

    /// Returns the item of a hit; for a confirmed match, only its key.
    fn item<'v>(&'v self, hit: Hit<'v>) -> ItemRef<'v> {
        match (hit, &self.segment) {
            (Hit::Listed(number), Some(segment)) => segment.item(number),
            (Hit::Added(record, _), _) => added(record).map_or(ItemRef::key_only(""), ItemRef::from),
            _ => ItemRef::key_only(self.key_and_path(hit).0),
        }
    }

    /// Reads the item and the path of a hit into `found`, without a copy of the item.
    fn fill_found<'v>(&'v self, hit: Hit<'v>, found: &mut FoundItem<'v>) {
        if let (Hit::Listed(number), Some(segment)) = (hit, &self.segment) {
            segment.show(number, found);
        } else {
            (found.item, found.path) = (self.item(hit), self.key_and_path(hit).1);
        }
    }

    /// Returns when a path was listed or recorded, so that the newer of two contradicting facts counts.
    fn fact_time(&self, hit: Hit<'_>) -> FactTime {
        // If an item was added before the listing was published, the listing has it too.
        let listed = |added_sequence: u64| added_sequence.max(self.facts.listed_at);
        let (sequence, order) = match (hit, &self.segment, &self.matches) {
            (Hit::Listed(number), Some(segment), _) => (listed(segment.added_sequence(number)), 0),
            (Hit::Matched(place), _, Some(matches)) => (matches.get(place).map_or(0, |(_, _, given)| given.0), 0),
            (Hit::Added(record, _), ..) => match &record.change {
                MemtableChange::Added { sequence, .. } => (listed(*sequence), record.order),
                _ => (0, 0),
            },
            (Hit::Recorded(record), ..) => match &record.change {
                MemtableChange::Matched { sequence, .. } => (*sequence, record.order),
                _ => (0, 0),
            },
            _ => (0, 0),
        };
        FactTime { sequence, order }
    }

    /// Returns whether the newest change of the item, of the question's path or of the matched path is an invalidation.
    fn is_unverified(&self, question: &Normal<'_>, path: &[u8], rating_key: &str) -> bool {
        if self.memtable.is_empty() {
            return false;
        }
        let item = self
            .memtable
            .about_item(rating_key)
            .find_map(|record| match record.change {
                MemtableChange::UnverifiedItem { .. } => Some(true),
                // Not `Added`: the store keeps an item invalidated when it is added again, and a new handle must agree.
                MemtableChange::VerifiedItem { .. } | MemtableChange::Matched { .. } => Some(false),
                _ => None,
            });
        let at = |path: &Normal<'_>| {
            let mut records = self.memtable.about_path(path);
            let newest = records.find_map(|(record, _)| match record.change {
                MemtableChange::UnverifiedPath { .. } => Some(true),
                MemtableChange::VerifiedPath { .. } | MemtableChange::Matched { .. } => Some(false),
                _ => None,
            });
            newest == Some(true)
        };
        item == Some(true) || at(question) || (path != question.raw() && Normal::with(path, at))
    }

    #[inline]
    fn is_broken(&self) -> bool {
        self.segment.as_ref().is_some_and(|segment| segment.is_broken())
            || self.matches.as_ref().is_some_and(Matches::are_lost)
    }
}
