//! Resolves a path to its item. The search stops at the first kind of match that finds an item, but what the file's size
//! shows comes before a longer suffix.
//!
//! The kinds of match are: (1) confirmed match, (2) exact path, (3) mapped path, (4) longest common suffix of two or
//! more components, (5) file name. Within one kind, equal bytes take precedence over equal normal forms. Several
//! candidates that match equally well are ambiguous.
//!
//! A library *owns* the paths under its locations; mappings may translate a path first. The resolver first tries kinds
//! 1 to 3 in the owners and then in the other libraries, and then kinds 4 and 5 in the same order. If any library owns
//! the path, even a library out of scope, the owner *should* list the path itself. Kinds 4 and 5 have high confidence
//! only if the file's size shows that it is the listed file ([`super::same_file`]).
//!
//! The resolver looks for the longest suffix in all owners together, and then in all other libraries together. Paths
//! that are not UTF-8 have no suffix matches. [`PathResolver::add_lookalikes`] finds files with alike names for a miss.
//!
//! Most fast lookups ([`FoldBuffers`]) need only a single index entry. All other lookups use the full [`Resolver`].

use std::cell::{Cell, OnceCell};
use std::ops::Deref;

use smallvec::SmallVec;

use super::candidates::{Candidates, PathWords, RankedHit, Similarity};
use super::form::{Form, LastNames, PathBuffer, last_names, write_path_below};
use super::mappings::Mappings;
use super::normal::{FoldBuffer, FoldedPath, NormalPath, may_have_redundant_components, normal_form};
use super::resolution::{
    EntryTime, FoundItem, HitDoubt, ItemRef, LibraryIndex, OnlyEntry, Resolution, Scope, libraries_in_scope,
};
use super::words::{name_hash, naming_title};
use crate::model::{Confidence, MatchKind, Reason};

/// Maximum number of listed paths with the longest common suffix that a library compares with the queried path, so that
/// no path takes long.
pub(super) const MAX_COMPARED: usize = 4096;

/// Resolves paths in a list of libraries.
#[derive(Debug)]
pub struct Resolver<'v, 'm, V> {
    pub(super) libraries: &'v [V],
    pub(super) scope: Scope,
    pub(super) mappings: &'m Mappings,
}

impl<'v, 'm, V: Deref<Target: LibraryIndex + 'v>> Resolver<'v, 'm, V> {
    /// Creates a resolver. `libraries` has one entry per library; the resolver searches only the libraries in `scope`.
    #[inline]
    #[must_use]
    pub fn new(libraries: &'v [V], scope: Scope, mappings: &'m Mappings) -> Self {
        Self {
            libraries,
            scope,
            mappings,
        }
    }

    /// Resolves a path. Allocates memory only if a regular expression rewrites the path, or to rank several candidates.
    #[must_use]
    pub fn resolve(&self, path: &[u8]) -> Resolution<'v> {
        // The search fills the resolution in place, because moving a resolution takes longer than most searches.
        let mut resolution = Resolution::default();
        NormalPath::with(path, |path| {
            self.resolve_normal(path, QueriedSize::UNKNOWN, None, false, &mut resolution);
        });
        resolution
    }

    /// Resolves a path in normal form, and writes the result to an empty `resolution`. `entry` is the only entry with
    /// the path's hash in the only library in scope; `None` if the caller has not looked up the entry. `finds_alike`: adds
    /// files with alike names for a miss.
    pub fn resolve_normal(
        &self,
        path: &NormalPath<'_>,
        size: QueriedSize<'_>,
        entry: Option<OnlyEntry>,
        finds_alike: bool,
        resolution: &mut Resolution<'v>,
    ) {
        // Fast path: the only library in scope lists the path, and the path has only one item.
        let is_unknown = !matches!(size, QueriedSize::Known(1..));
        let hit = self.only_library().filter(|_| is_unknown).and_then(|(library, view)| {
            let entry = entry.unwrap_or_else(|| only_entry_of(view, path));
            let (_, MatchKind::Exact) = view.unique_hit(path, entry)? else {
                return None;
            };
            Some((library, view, view.hit_of_entry(entry)?))
        });
        let Some((library, view, hit)) = hit else {
            let mut one_path = self.path_resolver(*path);
            match size {
                QueriedSize::Known(size) => one_path.size = Cell::new(size),
                QueriedSize::Read(read) => one_path.read_size = Some(read),
            }
            if one_path.resolve_into(resolution) && finds_alike {
                one_path.add_lookalikes(resolution);
            }
            return;
        };
        resolution.match_kind = MatchKind::Exact;
        resolution.total = 1;
        resolution.confidence = Confidence::High;
        let is_read = resolution.push_with(|found| {
            found.library = library;
            view.fill_found(hit, found)
        });
        if !is_read {
            *resolution = Resolution::broken();
        }
    }

    /// Returns the change sequence at which the only library in scope last listed a path for another item; `None` if it lists
    /// the path for the item `rating_key`, or for no item.
    #[must_use]
    pub fn listed_for_others(&self, path: &[u8], rating_key: &str) -> Option<u64> {
        let (_, view) = self.only_library()?;
        NormalPath::with(path, |path| {
            let listed = self.path_resolver(*path).others_listed_at(view, path, rating_key);
            listed.map(|time| time.sequence)
        })
    }

    /// Returns the only library in scope and its index; `None` if all libraries are in scope.
    #[inline]
    fn only_library(&self) -> Option<(usize, &'v V::Target)> {
        let library = self.scope.only()?;
        Some((library, &**self.libraries.get(library)?))
    }

    /// Creates the resolver for one path.
    fn path_resolver<'p>(&'p self, path: NormalPath<'p>) -> PathResolver<'v, 'p, V> {
        PathResolver {
            resolver: self,
            path,
            size: Cell::new(0),
            read_size: None,
            owners: [const { Cell::new(0) }; 2],
            name_hash: OnceCell::new(),
            lacks_matches: Cell::new(false),
        }
    }
}

/// Looks up the only entry with a path's hash, and prefetches the stored path and its normal form, each about as long
/// as the path.
#[inline]
fn only_entry_of<L: LibraryIndex>(view: &L, path: &NormalPath<'_>) -> OnlyEntry {
    view.only_entry(path.hash(), 2 * path.raw().len())
}

/// The size of the queried file in bytes.
#[derive(Clone, Copy)]
pub enum QueriedSize<'s> {
    /// 0 if unknown.
    Known(u64),
    /// Only a path that is neither recorded nor listed nor mapped in this spelling needs the size. `None`: it cannot be
    /// read now, so the resolution remains without a result.
    Read(ReadSize<'s>),
}

type ReadSize<'s> = &'s dyn Fn() -> Option<u64>;

impl QueriedSize<'_> {
    /// No size.
    pub const UNKNOWN: Self = Self::Known(0);
}

/// A hit in a library that `V` refers to.
pub(super) type HitOf<'v, V> = <<V as Deref>::Target as LibraryIndex>::Hit<'v>;

/// Returns how similar a suffix match with this number of common components is to the queried path.
pub(super) type SimilarityOf<'s, 'v, H> = &'s dyn Fn(&RankedHit<'v, H>, usize) -> Similarity;

/// Resolves one path in the libraries of a [`Resolver`].
pub(super) struct PathResolver<'v, 'p, V> {
    resolver: &'p Resolver<'v, 'p, V>,
    pub(super) path: NormalPath<'p>,
    /// Size of the queried file in bytes; 0 if unknown.
    size: Cell<u64>,
    read_size: Option<ReadSize<'p>>,
    /// The first 64 libraries whose locations were compared with the path, and those of them that own it, a bit each.
    owners: [Cell<u64>; 2],
    name_hash: OnceCell<Option<u64>>,
    /// Whether a library does not know its confirmed matches of the path.
    lacks_matches: Cell<bool>,
}

/// A group of libraries that the resolver searches together.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum LibraryGroup {
    /// All libraries in scope.
    All,
    /// The libraries in scope with a location that contains the path.
    Owners,
    /// The libraries in scope without a location that contains the path.
    Others,
}

impl<'v, V: Deref<Target: LibraryIndex + 'v>> PathResolver<'v, '_, V> {
    /// Returns the path's [`name_hash`].
    pub(super) fn name_hash(&self) -> Option<u64> {
        *self.name_hash.get_or_init(|| name_hash(self.path.form()))
    }

    /// Returns the size of the queried file in bytes; 0 if unknown.
    pub(super) fn size(&self) -> u64 {
        self.size.get()
    }

    /// Searches for the path, and writes the result to an empty `resolution`. Returns `false` if the size cannot be read now.
    fn resolve_into(&self, resolution: &mut Resolution<'v>) -> bool {
        let mut candidates = Candidates::new();
        let words = OnceCell::new();
        let similarity = |hit: &RankedHit<'v, HitOf<'v, V>>, common: usize| self.similarity(&words, hit, common);
        let Some((match_kind, confidence, evidence)) = self.search(&mut candidates, &similarity) else {
            return false;
        };
        if candidates.total == 0 {
            resolution.reason = self.miss_reason();
        } else {
            let first = candidates.first();
            let has_other_size = || first.is_some_and(|first| self.has_other_size(first, match_kind));
            resolution.match_kind = match_kind;
            self.fill(&candidates, &similarity, resolution);
            (resolution.confidence, resolution.reason) = match (resolution.single(), candidates.have_same_library()) {
                (Some(_), _) if resolution.doubt == HitDoubt::Path => (confidence, Reason::Unconfirmed),
                (Some(_), _) if match_kind.is_listed() && has_other_size() => {
                    let is_other_file = is_respelled(match_kind, candidates.rank)
                        || match_kind == MatchKind::Exact && first.is_some_and(|first| self.is_elsewhere(first.path));
                    (
                        if is_other_file { Confidence::Low } else { confidence },
                        Reason::SizeDiffers,
                    )
                }
                (Some(_), _) if resolution.total > 1 && confidence == Confidence::High => {
                    (confidence, Reason::SeveralEpisodes)
                }
                (Some(_), _) => (confidence, evidence),
                (None, true) => (Confidence::Low, Reason::SeveralItems),
                (None, false) => (Confidence::Low, Reason::SeveralLibraries),
            };
        }
        resolution.is_owned = !match_kind.is_listed() && self.is_owned();
        resolution.is_by_size = evidence == Reason::SameFile && resolution.confidence == Confidence::High;
        if self.is_broken() {
            *resolution = Resolution::broken();
        }
        true
    }

    /// Fills a resolution, whose kind of match is set, with the candidates' items, the most similar first.
    #[inline]
    pub(super) fn fill(
        &self,
        candidates: &Candidates<'v, HitOf<'v, V>>,
        similarity: SimilarityOf<'_, 'v, HitOf<'v, V>>,
        resolution: &mut Resolution<'v>,
    ) {
        resolution.total = candidates.total;
        if !resolution.match_kind.is_listed() {
            resolution.common_components = candidates.rank;
        }
        let common = resolution.common_components;
        candidates.for_each_ranked(
            |hit| match common {
                0 => Similarity::of_bytes(self.path.raw(), hit.path, self.size_rank(hit)),
                common => similarity(hit, common),
            },
            |candidate| {
                resolution.doubt = resolution.doubt.max(self.doubt(candidate));
                resolution.push(self.found_item(candidate));
            },
        );
        resolution.sort_episodes();
    }

    /// Returns the item if the item is the only match, has high confidence and is verified; otherwise `None`.
    pub(super) fn fast_lookup(&self) -> Option<(&'v str, MatchKind)> {
        let mut candidates = Candidates::new();
        let match_kind = self.search_listed(&mut candidates)?;
        let hit = candidates.first()?;
        let is_certain = candidates.total == 1 && self.doubt(hit) == HitDoubt::None && !self.is_broken();
        is_certain.then_some((hit.rating_key, match_kind))
    }

    /// Collects the candidates for the first kind of match that finds an item. Returns the kind, and the confidence and
    /// reason that apply if there is only one candidate: three times `None` if nothing matches. Returns no tuple if the size
    /// cannot be read now.
    fn search(
        &self,
        candidates: &mut Candidates<'v, HitOf<'v, V>>,
        similarity: SimilarityOf<'_, 'v, HitOf<'v, V>>,
    ) -> Option<(MatchKind, Confidence, Reason)> {
        let listed = self.search_listed(candidates);
        if listed.is_none_or(|match_kind| is_respelled(match_kind, candidates.rank))
            && let Some(read_size) = self.read_size
        {
            self.size.set(read_size()?);
        }
        if let Some(match_kind) = listed {
            return Some((match_kind, Confidence::High, Reason::None));
        }
        if self.path.is_utf8() {
            let mut of_size = Candidates::new();
            if self.size() > 0
                && let Some(found) = self.add_same_files(&mut of_size)
            {
                *candidates = of_size;
                return Some(found);
            }
            for group in self.groups() {
                self.add_suffix_matches(*group, candidates, similarity);
                if candidates.total > 0 {
                    let mut reason = self.judge_suffix_matches(candidates);
                    // A file of this size comes before those of other sizes, and is the one among many.
                    let is_one_of_many = of_size.total == 1 && candidates.total > 1;
                    if of_size.total > 0 && (reason == Reason::SizeDiffers || is_one_of_many) {
                        (*candidates, reason) = (of_size, Reason::SameName);
                    } else if reason == Reason::SizeDiffers && self.add_renamed(candidates) {
                        reason = Reason::SameSize;
                    }
                    let match_kind = if candidates.rank >= 2 {
                        MatchKind::Suffix
                    } else {
                        MatchKind::FileName
                    };
                    return Some((match_kind, Confidence::Low, reason));
                }
            }
            if !self.is_owned() && self.add_renamed(candidates) {
                return Some((MatchKind::FileName, Confidence::Low, Reason::SameSize));
            }
        }
        Some((MatchKind::None, Confidence::None, Reason::None))
    }

    /// Collects the candidates for the first of kinds 1 to 3 that finds an item. Returns the kind; `None` if none does.
    fn search_listed(&self, candidates: &mut Candidates<'v, HitOf<'v, V>>) -> Option<MatchKind> {
        for group in self.groups() {
            for match_kind in [MatchKind::Confirmed, MatchKind::Exact, MatchKind::Mapped] {
                match match_kind {
                    MatchKind::Confirmed => self.add_confirmed(*group, candidates),
                    MatchKind::Exact => self.add_listed(*group, (&self.path, true), candidates),
                    MatchKind::Mapped => self.add_mapped(*group, candidates),
                    MatchKind::None | MatchKind::Suffix | MatchKind::FileName => {}
                }
                if candidates.total > 0 {
                    let is_other_spelling = match_kind == MatchKind::Confirmed && candidates.rank == 0;
                    if !is_other_spelling || !self.are_spellings_listed() {
                        return Some(match_kind);
                    }
                    *candidates = Candidates::new();
                }
            }
        }
        None
    }

    /// Returns whether the libraries list the path both in this spelling and in another one. The files then differ, so that a
    /// match that a host recorded for another spelling says nothing about this one.
    fn are_spellings_listed(&self) -> bool {
        let mut is_listed = [false; 2];
        for view in self.resolver.libraries {
            self.each_leading_to(view, &self.path, &mut |_, is_same_bytes| {
                is_listed[usize::from(is_same_bytes)] = true;
            });
        }
        is_listed == [true; 2]
    }

    /// Returns the reason of suffix matches, which have low confidence: [`Reason::NotListed`] if any library owns the path,
    /// since the owner should list the path itself; [`Reason::NotFetched`] if an owner in scope was never fetched;
    /// [`Reason::OnlyRootDiffers`] if exactly one listed file differs only in the root. If any files differ only in the
    /// root, replaces the candidates with their items.
    fn judge_suffix_matches(&self, candidates: &mut Candidates<'v, HitOf<'v, V>>) -> Reason {
        if self.is_owned() {
            let are_fetched = self
                .libraries_of(LibraryGroup::Owners)
                .all(|(_, view)| view.is_fetched());
            return if are_fetched {
                Reason::NotListed
            } else {
                Reason::NotFetched
            };
        }
        let mut moved = Candidates::new();
        self.add_moved_files(candidates.rank, &mut moved);
        let is_moved = moved.total > 0 && moved.have_same_path();
        if moved.total > 0 {
            *candidates = moved;
        }
        if candidates.iter().all(|hit| self.has_other_size(hit, MatchKind::Suffix)) {
            Reason::SizeDiffers
        } else if is_moved {
            Reason::OnlyRootDiffers
        } else {
            Reason::SameName
        }
    }

    /// Adds the items in scope of all files that differ from the queried path only in the root: they have all components
    /// below the library's folder in common, at least two, and at most `rank`, since no file has more in common.
    fn add_moved_files(&self, rank: usize, moved: &mut Candidates<'v, HitOf<'v, V>>) {
        let names: LastNames = last_names(self.path.form(), usize::MAX);
        let mut listed = PathBuffer::new();
        for (library, view) in self.fetched_in_scope() {
            for location in view.locations() {
                for below in 2..=names.len().min(rank) {
                    write_path_below(location, &names[..below], &mut listed);
                    NormalPath::with(&listed, |listed| {
                        view.each_listed(listed, |hit, _| {
                            // As a path of another system, the listed path may drop parts of names.
                            let form = Form::from_folded(listed.form());
                            let common = Form::from_folded(self.path.form()).common_components(form);
                            if view.components_below_location(listed) == below && common >= below {
                                moved.add_candidate(rank, Self::candidate(library, view, hit));
                            }
                        });
                    });
                }
            }
        }
    }

    /// Returns the groups in search order. For a single library, the order makes no difference.
    pub(super) fn groups(&self) -> &'static [LibraryGroup] {
        match self.resolver.scope {
            Scope::One(_) => &[LibraryGroup::All],
            Scope::All => &[LibraryGroup::Owners, LibraryGroup::Others],
        }
    }

    /// Iterates over the libraries in a group, with their indexes.
    pub(super) fn libraries_of(&self, group: LibraryGroup) -> impl Iterator<Item = (usize, &'v V::Target)> {
        let libraries = libraries_in_scope(self.resolver.libraries, self.resolver.scope);
        libraries.filter(move |(library, _)| {
            group == LibraryGroup::All || (group == LibraryGroup::Owners) == self.is_owned_by(*library)
        })
    }

    /// Returns whether a location of any library contains the path or a mapped path.
    pub(super) fn is_owned(&self) -> bool {
        (0..self.libraries().len()).any(|library| self.is_owned_by(library))
    }

    /// Returns whether a location of a library out of scope contains the path or a mapped path.
    pub(super) fn is_owned_elsewhere(&self) -> bool {
        (0..self.libraries().len()).any(|library| !self.is_in_scope(library) && self.is_owned_by(library))
    }

    pub(super) fn libraries(&self) -> &'v [V] {
        self.resolver.libraries
    }

    pub(super) fn scope(&self) -> Scope {
        self.resolver.scope
    }

    pub(super) fn is_in_scope(&self, library: usize) -> bool {
        self.resolver.scope.only().is_none_or(|only| only == library)
    }

    /// Iterates over all fetched libraries, in scope or not, with their indexes.
    pub(super) fn fetched(&self) -> impl Iterator<Item = (usize, &'v V::Target)> {
        let libraries = self.resolver.libraries.iter().map(|view| &**view).enumerate();
        libraries.filter(|(_, view)| view.is_fetched())
    }

    /// Iterates over the fetched libraries in scope, with their indexes.
    pub(super) fn fetched_in_scope(&self) -> impl Iterator<Item = (usize, &'v V::Target)> {
        self.libraries_of(LibraryGroup::All)
            .filter(|(_, view)| view.is_fetched())
    }

    /// Returns whether a location of the library contains the path or a mapped path.
    fn is_owned_by(&self, library: usize) -> bool {
        let bit = u32::try_from(library).map_or(0, |library| 1_u64.checked_shl(library).unwrap_or(0));
        let [compared, owners] = &self.owners;
        if compared.get() & bit == 0 {
            let is_owner = owns(&*self.libraries()[library], &self.path, self.resolver.mappings);
            if bit == 0 {
                return is_owner;
            }
            compared.set(compared.get() | bit);
            owners.set(owners.get() | if is_owner { bit } else { 0 });
        }
        owners.get() & bit != 0
    }

    /// Adds the confirmed matches for the path, with rank 1 if the bytes are equal, or 0 if only the normal forms are.
    fn add_confirmed(&self, group: LibraryGroup, candidates: &mut Candidates<'v, HitOf<'v, V>>) {
        for (library, view) in self.libraries_of(group) {
            let mut recorded = SmallVec::<[HitOf<'v, V>; 4]>::new();
            if !view.each_confirmed(&self.path, |hit| recorded.push(hit)) {
                self.lacks_matches.set(true);
            }
            // An earlier version may have recorded a file twice, in spellings that never name two files. The later one counts.
            let time_of_this_file = |hit: &HitOf<'v, V>| {
                let (_, path) = view.key_and_path(*hit)?;
                self.path.has_spelling(path).then(|| view.entry_time(*hit))
            };
            let is_one = recorded.len() == 1;
            let latest = (!is_one)
                .then(|| recorded.iter().filter_map(time_of_this_file).max())
                .flatten();
            for hit in recorded {
                let Some((rating_key, path)) = view.key_and_path(hit) else {
                    continue;
                };
                let is_of_this_file = self.path.has_spelling(path);
                if is_of_this_file && latest.is_some_and(|latest| view.entry_time(hit) < latest) {
                    continue;
                }
                let item = view.find_item(rating_key);
                // A match does not count while a complete listing lacks its item.
                if item.is_none() && view.is_fetched() {
                    continue;
                }
                if self.is_outdated_match(view, hit, (rating_key, path)) {
                    continue;
                }
                let candidate = RankedHit {
                    library,
                    rating_key,
                    path,
                    item,
                };
                candidates.add_candidate(usize::from(is_of_this_file), Some(candidate));
            }
        }
    }

    /// Returns whether a confirmed match (`hit`, with this rating key and path) is outdated: only other items list the path,
    /// or the queried spelling of it, and one of them was listed after the host recorded the match.
    fn is_outdated_match(&self, view: &'v V::Target, hit: HitOf<'v, V>, (rating_key, path): (&str, &[u8])) -> bool {
        let match_time = view.entry_time(hit);
        let is_outdated = |path: &NormalPath<'_>| {
            self.others_listed_at(view, path, rating_key)
                .is_some_and(|time| time > match_time)
        };
        is_outdated(&self.path) || path != self.path.raw() && NormalPath::with(path, is_outdated)
    }

    /// Returns when the path was last listed for an item other than `rating_key`; `None` if it is listed for this item, or for
    /// no item.
    fn others_listed_at(&self, view: &'v V::Target, path: &NormalPath<'_>, rating_key: &str) -> Option<EntryTime> {
        let (mut is_listed_for_item, mut newest) = (false, None);
        self.each_leading_to(view, path, &mut |listed, is_same_bytes| {
            let key = view.key_and_path(listed).map(|(key, _)| key);
            if is_same_bytes && key == Some(rating_key) {
                is_listed_for_item = true;
            } else if is_same_bytes {
                newest = newest.max(Some(view.entry_time(listed)));
            }
        });
        newest.filter(|_| !is_listed_for_item)
    }

    /// Passes to `each` the entries of a library that a path leads to, as it is or by a mapping, and whether their bytes are
    /// equal.
    fn each_leading_to(&self, view: &'v V::Target, path: &NormalPath<'_>, each: &mut dyn FnMut(HitOf<'v, V>, bool)) {
        view.each_listed(path, &mut *each);
        self.each_mapped(view, path, &mut *each);
        self.resolver
            .mappings
            .to_server_spelled(path, |rewritten, is_same_folder| {
                let mut is_listed = false;
                NormalPath::with(rewritten, |rewritten| {
                    view.each_listed(rewritten, |hit, is_same_bytes| {
                        is_listed = true;
                        each(hit, is_same_folder && is_same_bytes);
                    });
                });
                is_listed.then_some(())
            });
    }

    /// Passes to `each` the entries of a library that server-to-host rules map to a path, and whether the path's bytes and
    /// the spelling of the rule's folder are equal.
    fn each_mapped(&self, view: &'v V::Target, path: &NormalPath<'_>, mut each: impl FnMut(HitOf<'v, V>, bool)) {
        let mappings = self.resolver.mappings;
        let is_same_folder = |hit| {
            view.key_and_path(hit)
                .is_some_and(|(_, listed)| mappings.spells_folder_of(listed))
        };
        view.each_mapped(path, |hit, is_same_bytes| {
            each(hit, is_same_bytes && is_same_folder(hit));
        });
    }

    /// Adds the items with the listed path `path`, which is the queried path, or a path to which a rule maps it, whose
    /// folder has the same spelling if `is_same_folder`. The rank is 1 if the bytes are equal, and 0 if only the normal
    /// forms are.
    fn add_listed(
        &self,
        group: LibraryGroup,
        (path, is_same_folder): (&NormalPath<'_>, bool),
        candidates: &mut Candidates<'v, HitOf<'v, V>>,
    ) {
        for (library, view) in self.libraries_of(group) {
            view.each_listed(path, |hit, is_same_bytes| {
                let rank = usize::from(is_same_folder && is_same_bytes);
                candidates.add_candidate(rank, Self::candidate(library, view, hit));
            });
        }
    }

    /// Adds the items that match after mappings rewrite the listed path or the queried path. The rank is 1 if the bytes
    /// are equal, and 0 if only the normal forms are.
    fn add_mapped(&self, group: LibraryGroup, candidates: &mut Candidates<'v, HitOf<'v, V>>) {
        // Without server-to-host rules, the segments contain no mapped paths.
        let has_mapped_forms = self.resolver.mappings.has_server_to_host_rules();
        for (library, view) in self.libraries_of(group).filter(|_| has_mapped_forms) {
            self.each_mapped(view, &self.path, |hit, is_same_bytes| {
                candidates.add_candidate(usize::from(is_same_bytes), Self::candidate(library, view, hit));
            });
        }
        if candidates.total > 0 {
            return;
        }
        self.resolver
            .mappings
            .to_server_spelled(&self.path, |rewritten, is_same_folder| {
                NormalPath::with(rewritten, |rewritten| {
                    self.add_listed(group, (rewritten, is_same_folder), candidates);
                });
                (candidates.total > 0).then_some(())
            });
    }

    /// Returns whether the mappings have the file with this listed path, which is also the queried path, at another path on
    /// the host, or lead from the queried path to another listed file.
    fn is_elsewhere(&self, listed: &[u8]) -> bool {
        let mut mapped = Candidates::new();
        self.add_mapped(LibraryGroup::All, &mut mapped);
        mapped.iter().any(|hit| hit.path != listed)
            || normal_form(&self.resolver.mappings.host_path(listed)) != self.path.form()
    }

    /// Adds the items whose listed paths have the longest common suffix with the queried path.
    fn add_suffix_matches(
        &self,
        group: LibraryGroup,
        candidates: &mut Candidates<'v, HitOf<'v, V>>,
        similarity: SimilarityOf<'_, 'v, HitOf<'v, V>>,
    ) {
        let (form, Some(hash)) = (Form::from_folded(self.path.form()), self.name_hash()) else {
            return;
        };
        // Skip libraries that were never fetched, because an unknown item might match better.
        let libraries = || self.libraries_of(group).filter(|(_, view)| view.is_fetched());
        let mut longest = 1;
        for (_, view) in libraries() {
            view.each_named(hash, |listed, _| {
                longest = longest.max(listed.common_components(form));
                true
            });
        }
        for (library, view) in libraries() {
            let mut compared = 0;
            view.each_named(hash, |listed, hit| {
                if listed.common_components(form) < longest {
                    return true;
                }
                compared += 1;
                if compared > MAX_COMPARED {
                    candidates.total += 1;
                } else if let Some(left_over) = candidates.add_candidate(longest, Self::candidate(library, view, hit)) {
                    candidates.replace_least_similar(left_over, |hit| similarity(hit, longest));
                }
                true
            });
        }
    }

    /// Creates a candidate from a library's listed path; `None` if the segment is damaged.
    pub(super) fn candidate(
        library: usize,
        view: &'v V::Target,
        hit: HitOf<'v, V>,
    ) -> Option<RankedHit<'v, HitOf<'v, V>>> {
        let (rating_key, path) = view.key_and_path(hit)?;
        Some(RankedHit {
            library,
            rating_key,
            path,
            item: Some(hit),
        })
    }

    /// Returns what is doubted about a candidate.
    fn doubt(&self, candidate: &RankedHit<'v, HitOf<'v, V>>) -> HitDoubt {
        let view = &*self.resolver.libraries[candidate.library];
        view.doubt(&self.path, candidate.path, candidate.rating_key)
    }

    /// Returns how similar a suffix match with `common` components is to the queried path, which has these `words`.
    pub(super) fn similarity(
        &self,
        words: &OnceCell<PathWords>,
        candidate: &RankedHit<'v, HitOf<'v, V>>,
        common: usize,
    ) -> Similarity {
        let hit = candidate.item;
        let item = hit.and_then(|hit| self.resolver.libraries[candidate.library].item(hit));
        let title = item.as_ref().and_then(naming_title);
        let bytes = Similarity::of_bytes(self.path.raw(), candidate.path, self.size_rank(candidate));
        let words = words.get_or_init(|| PathWords::of(&self.path));
        words.similarity(bytes, title, candidate.path, common)
    }

    /// Reads a candidate's item from the library; `None` if the segment is damaged.
    fn found_item(&self, candidate: &RankedHit<'v, HitOf<'v, V>>) -> Option<FoundItem<'v>> {
        let view = &*self.resolver.libraries[candidate.library];
        let item = match candidate.item {
            Some(hit) => view.item(hit)?,
            None => ItemRef::key_only(candidate.rating_key),
        };
        Some(FoundItem::new(candidate.library, item, candidate.path))
    }

    /// Returns whether a library in scope has a damaged segment, or does not know its confirmed matches of the path, so that
    /// results may be incomplete.
    fn is_broken(&self) -> bool {
        self.lacks_matches.get() || self.libraries_of(LibraryGroup::All).any(|(_, view)| view.is_broken())
    }

    /// Returns why nothing matches, judged by the libraries that own the path, or by all libraries if there is no
    /// owner.
    fn miss_reason(&self) -> Reason {
        let has_owner = self.libraries_of(LibraryGroup::Owners).next().is_some();
        let group = if has_owner {
            LibraryGroup::Owners
        } else {
            LibraryGroup::All
        };
        if !self.libraries_of(group).all(|(_, view)| view.is_fetched()) {
            Reason::NotFetched
        } else if has_owner {
            Reason::NotListed
        } else {
            Reason::NoLocation
        }
    }
}

/// Returns whether a location of the library contains the path itself, or a path that a host-to-server rule gives for it.
pub fn owns(view: &impl LibraryIndex, path: &NormalPath<'_>, mappings: &Mappings) -> bool {
    let owns_rewritten = |path: &[u8]| NormalPath::with(path, |path| view.owns(path)).then_some(());
    view.owns(path) || mappings.to_server(path, owns_rewritten).is_some()
}

/// Returns whether a path with this kind and rank is listed or mapped only in another spelling. A disk may have both
/// spellings, so the files may differ.
fn is_respelled(match_kind: MatchKind, rank: usize) -> bool {
    match_kind.is_by_plex() && rank == 0
}

/// Maximum number of paths per call of [`Resolver::fast_lookup_batch`].
pub const MAX_BATCH: usize = 16;

/// Buffers for the folded paths in one call of [`Resolver::fast_lookup_batch`]. Callers reuse the buffers, because
/// zeroing new buffers would slow down lookups measurably.
pub struct FoldBuffers([FoldBuffer; MAX_BATCH]);

impl Default for FoldBuffers {
    fn default() -> Self {
        Self([FoldBuffer::ZEROED; MAX_BATCH])
    }
}

impl<'v, V: Deref<Target: LibraryIndex + 'v>> Resolver<'v, '_, V> {
    /// Returns the rating key and the kind of match of the item for a path if the item is the only match, has high
    /// confidence and is verified; otherwise `None`.
    #[inline]
    #[must_use]
    pub fn fast_lookup(&self, path: &[u8]) -> Option<(&'v str, MatchKind)> {
        let mut buffer = FoldBuffer::ZEROED;
        let folded = FoldedPath::of(path, &mut buffer);
        let entry = match (self.only_library(), folded.hash()) {
            (Some((_, view)), Some(hash)) => view.only_entry(hash, folded.stored_length(path)),
            _ => OnlyEntry::default(),
        };
        self.fast_lookup_folded(path, &folded, entry)
    }

    /// Looks up at most [`MAX_BATCH`] paths. Passes each path's item to `each`, in order, if the item is the only
    /// match, has high confidence and is verified; otherwise `None`. Prefetches the memory for all paths first, so that
    /// cache misses overlap.
    #[inline]
    pub fn fast_lookup_batch(
        &self,
        paths: &[&[u8]],
        buffers: &mut FoldBuffers,
        mut each: impl FnMut(Option<(&'v str, MatchKind)>),
    ) {
        let mut folded_paths = [FoldedPath::NotFolded; MAX_BATCH];
        let mut entries = [OnlyEntry::default(); MAX_BATCH];
        let view = self.only_library().map(|(_, view)| view);
        for ((path, buffer), folded) in paths.iter().zip(&mut buffers.0).zip(&mut folded_paths) {
            *folded = FoldedPath::of(path, buffer);
            if let (Some(view), Some(hash)) = (view, folded.hash()) {
                view.prefetch(hash);
            }
        }
        for ((path, folded), entry) in paths.iter().zip(&folded_paths).zip(&mut entries) {
            if let (Some(view), Some(hash)) = (view, folded.hash()) {
                *entry = view.only_entry(hash, folded.stored_length(path));
            }
        }
        for ((path, folded), entry) in paths.iter().zip(&folded_paths).zip(entries) {
            let is_valid = !path.is_empty();
            each(is_valid.then(|| self.fast_lookup_folded(path, folded, entry)).flatten());
        }
    }

    /// Looks up a folded path; `None` unless the only match has high confidence and is verified. `entry` is the first
    /// entry with the path's hash in the only library in scope; a default entry if several libraries are in scope.
    #[inline]
    fn fast_lookup_folded(
        &self,
        path: &[u8],
        folded: &FoldedPath<'_>,
        entry: OnlyEntry,
    ) -> Option<(&'v str, MatchKind)> {
        match folded {
            FoldedPath::Ascii(normal) => {
                if let Some((_, view)) = self.only_library()
                    && let Some(hit) = view.unique_hit(normal, entry)
                {
                    return Some(hit);
                }
                if !may_have_redundant_components(path) {
                    return self.fast_lookup_by_all_kinds(normal);
                }
            }
            FoldedPath::ExactBytes(spelling) => {
                if let Some((_, view)) = self.only_library()
                    && let Some(hit) = view.unique_hit_by_bytes(spelling, entry)
                {
                    return Some(hit);
                }
            }
            FoldedPath::NotFolded => {}
        }
        NormalPath::with(path, |path| {
            if let Some((_, view)) = self.only_library()
                && let Some(hit) = view.unique_hit(path, only_entry_of(view, path))
            {
                return Some(hit);
            }
            self.fast_lookup_by_all_kinds(path)
        })
    }

    /// Looks up a path that a single index entry cannot answer, such as one whose hash several entries have, by all
    /// kinds of match in all libraries in scope. `None` unless the only match has high confidence and is verified.
    /// Never inlined, so that the fast path stays small.
    #[inline(never)]
    fn fast_lookup_by_all_kinds(&self, path: &NormalPath<'_>) -> Option<(&'v str, MatchKind)> {
        // If the path is in the locations of only one library, and this library lists the path, its item is the answer.
        if self.scope == Scope::All && !self.mappings.has_host_to_server_rules() {
            let mut owners = (0..self.libraries.len()).filter(|library| self.libraries[*library].owns(path));
            if let (Some(library), None) = (owners.next(), owners.next())
                && let view = &*self.libraries[library]
                && let Some(hit) = view.unique_hit(path, only_entry_of(view, path))
            {
                return Some(hit);
            }
        }
        self.path_resolver(*path).fast_lookup()
    }
}
