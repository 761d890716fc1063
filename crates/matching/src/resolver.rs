//! Resolves a path to its item. The search stops at the first kind of match that finds an item.
//!
//! The kinds of match are: (1) confirmed match, (2) exact path, (3) mapped path, (4) longest common suffix of two or
//! more components, (5) file name. Within one kind, equal bytes take precedence over equal normal forms. Several
//! candidates that match equally well are ambiguous.
//!
//! A library *owns* the paths under its locations; mappings may translate a path first. The resolver first tries kinds
//! 1 to 3 in the owners and then in the other libraries, and then kinds 4 and 5 in the same order. If any library owns
//! the path, even a library out of scope, kinds 4 and 5 have low confidence: the owner *should* list the path itself.
//! Otherwise kind 4 has high confidence if only the root differs ([`super::roots`]) from exactly one listed file.
//!
//! The resolver looks for the longest suffix in all owners together, and then in all other libraries together. Paths
//! that are not UTF-8 have no suffix matches. [`PathResolver::add_lookalikes`] finds files with alike names for a miss.

use std::cell::{Cell, OnceCell};
use std::ops::Deref;

use super::candidates::{Candidates, PathWords, RankedHit, Similarity};
use super::form::{Form, LastNames, PathBuffer, last_names, write_path_below};
use super::library_index::{FirstEntry, LibraryIndex, Scope, has_unfetched_of_kind, libraries_in_scope};
use super::likeness::name_hash;
use super::mappings::Mappings;
use super::normal::NormalPath;
use super::resolution::{FoundItem, HitDoubt, ItemRef, LookupHit, Resolution};
use super::roots::{naming_title, only_root_differs};
use crate::model::{Confidence, MatchKind, Reason};

/// Maximum number of listed paths with the longest common suffix that a library compares with the queried path, so that
/// no path takes long. If there are more, those that sort close to the queried path are compared.
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

    /// Resolves a path. Allocates memory only if a regular expression rewrites the path.
    #[must_use]
    pub fn resolve(&self, path: &[u8]) -> Resolution<'v> {
        // The search fills the resolution in place, because moving a resolution takes longer than most searches.
        let mut resolution = Resolution::default();
        NormalPath::with(path, |path| self.resolve_normal(path, None, false, &mut resolution));
        resolution
    }

    /// Resolves a path in normal form, and writes the result to an empty `resolution`. `entry` is the first entry with
    /// the path's hash in the only library in scope; `None` if the caller has not looked up the entry. `finds_alike`: adds
    /// files with alike names for a miss.
    pub fn resolve_normal(
        &self,
        path: &NormalPath<'_>,
        entry: Option<FirstEntry>,
        finds_alike: bool,
        resolution: &mut Resolution<'v>,
    ) {
        // Fast path: the only library in scope lists the path, and the path has only one item.
        let hit = self.only_library().and_then(|(library, view)| {
            let entry = entry.unwrap_or_else(|| first_entry_of(view, path));
            let (_, MatchKind::Exact) = view.unique_hit(path, entry)? else {
                return None;
            };
            Some((library, view, view.hit_of_entry(entry)?))
        });
        let Some((library, view, hit)) = hit else {
            let one_path = self.path_resolver(*path);
            one_path.resolve_into(resolution);
            if finds_alike {
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

    /// Returns the only library in scope and its index; `None` if all libraries are in scope.
    #[inline]
    pub(super) fn only_library(&self) -> Option<(usize, &'v V::Target)> {
        let library = self.scope.only()?;
        Some((library, &**self.libraries.get(library)?))
    }

    /// Creates the resolver for one path.
    pub(super) fn path_resolver<'p>(&'p self, path: NormalPath<'p>) -> PathResolver<'v, 'p, V> {
        PathResolver {
            resolver: self,
            path,
            name_hash: OnceCell::new(),
            lacks_matches: Cell::new(false),
        }
    }
}

/// Looks up the first entry with a path's hash, and prefetches the stored path and its normal form, each about as long
/// as the path.
#[inline]
pub(super) fn first_entry_of<L: LibraryIndex>(view: &L, path: &NormalPath<'_>) -> FirstEntry {
    view.first_entry(path.hash(), 2 * path.raw().len())
}

/// A hit in a library that `V` refers to.
pub(super) type HitOf<'v, V> = <<V as Deref>::Target as LibraryIndex>::Hit<'v>;

/// Returns how similar a suffix match with this number of common components is to the queried path.
pub(super) type SimilarityOf<'s, 'v, H> = &'s dyn Fn(&RankedHit<'v, H>, usize) -> Similarity;

/// Resolves one path in the libraries of a [`Resolver`].
pub(super) struct PathResolver<'v, 'p, V> {
    resolver: &'p Resolver<'v, 'p, V>,
    pub(super) path: NormalPath<'p>,
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

    /// Searches for the path, and writes the result to an empty `resolution`.
    fn resolve_into(&self, resolution: &mut Resolution<'v>) {
        let mut candidates = Candidates::new();
        let words = OnceCell::new();
        let similarity = |hit: &RankedHit<'v, HitOf<'v, V>>, common: usize| self.similarity(&words, hit, common);
        let (match_kind, confidence, evidence) = self.search(&mut candidates, Some(&similarity));
        if candidates.total == 0 {
            resolution.reason = self.miss_reason();
        } else {
            resolution.match_kind = match_kind;
            self.fill(&candidates, &similarity, resolution);
            (resolution.confidence, resolution.reason) = match (resolution.single(), candidates.have_same_library()) {
                (Some(_), _) if resolution.doubt == HitDoubt::Path => (confidence, Reason::Unconfirmed),
                (Some(_), _) if resolution.total > 1 && confidence == Confidence::High => {
                    (confidence, Reason::SeveralEpisodes)
                }
                (Some(_), _) => (confidence, evidence),
                (None, true) => (Confidence::Low, Reason::SeveralItems),
                (None, false) => (Confidence::Low, Reason::SeveralLibraries),
            };
        }
        if self.is_broken() {
            *resolution = Resolution::broken();
        }
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
        if matches!(resolution.match_kind, MatchKind::Suffix | MatchKind::FileName) {
            resolution.common_components = candidates.rank;
        }
        let common = resolution.common_components;
        candidates.for_each_ranked(
            |hit| match common {
                0 => Similarity::of_bytes(self.path.raw(), hit.path),
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
    pub(super) fn fast_lookup(&self) -> Option<LookupHit<'v>> {
        let mut candidates = Candidates::new();
        let (match_kind, confidence, _) = self.search(&mut candidates, None);
        let hit = candidates.first()?;
        let is_certain = candidates.total == 1
            && confidence == Confidence::High
            && self.doubt(hit) == HitDoubt::None
            && !self.is_broken();
        is_certain.then(|| LookupHit::new(hit.library, (hit.rating_key, match_kind)))
    }

    /// Collects the candidates for the first kind of match that finds an item. Returns the kind, and the confidence and
    /// reason that apply if there is only one candidate; three times `None` if nothing matches. Without `similarity`,
    /// the caller does not need the candidates of a match with low confidence.
    fn search(
        &self,
        candidates: &mut Candidates<'v, HitOf<'v, V>>,
        similarity: Option<SimilarityOf<'_, 'v, HitOf<'v, V>>>,
    ) -> (MatchKind, Confidence, Reason) {
        let groups = self.groups();
        for group in groups {
            for match_kind in [MatchKind::Confirmed, MatchKind::Exact, MatchKind::Mapped] {
                match match_kind {
                    MatchKind::Confirmed => self.add_confirmed(*group, candidates),
                    MatchKind::Exact => self.add_listed(*group, &self.path, candidates),
                    _ => self.add_mapped(*group, candidates),
                }
                if candidates.total > 0 {
                    return (match_kind, Confidence::High, Reason::None);
                }
            }
        }
        if self.path.is_utf8() {
            for group in groups {
                self.add_suffix_matches(*group, candidates, similarity);
                if candidates.total > 0 {
                    let (confidence, reason) = self.judge_suffix_matches(candidates);
                    let match_kind = if candidates.rank >= 2 {
                        MatchKind::Suffix
                    } else {
                        MatchKind::FileName
                    };
                    return (match_kind, confidence, reason);
                }
            }
        }
        (MatchKind::None, Confidence::None, Reason::None)
    }

    /// Returns the confidence of suffix matches, and its reason: [`Reason::OnlyRootDiffers`] if exactly one listed file
    /// differs only in the root; [`Reason::NotListed`] if any library owns the path, since the owner should list the
    /// path itself; [`Reason::NotFetched`] if an owner in scope was never fetched, or a library of this kind in scope,
    /// since it may have the same path below its own location. If any files differ only in the root, replaces the
    /// candidates with their items.
    fn judge_suffix_matches(&self, candidates: &mut Candidates<'v, HitOf<'v, V>>) -> (Confidence, Reason) {
        if self.resolver.libraries.iter().any(|view| self.is_owned_by(view)) {
            let are_fetched = self
                .libraries_of(LibraryGroup::Owners)
                .all(|(_, view)| view.is_fetched());
            let reason = if are_fetched {
                Reason::NotListed
            } else {
                Reason::NotFetched
            };
            return (Confidence::Low, reason);
        }
        let (mut moved, mut moved_elsewhere) = (Candidates::new(), Candidates::new());
        self.add_moved_files(candidates.rank, &mut moved, &mut moved_elsewhere);
        if moved.total == 0 {
            return (Confidence::Low, Reason::SameName);
        }
        *candidates = moved;
        let Some(first) = candidates.first().filter(|_| candidates.have_same_path()) else {
            return (Confidence::Low, Reason::SameName);
        };
        // A library out of scope may list the same file, but not another file.
        if moved_elsewhere.iter().any(|other| other.path != first.path) {
            return (Confidence::Low, Reason::SameName);
        }
        let kind = self.resolver.libraries[first.library].kind();
        if has_unfetched_of_kind(self.resolver.libraries, self.resolver.scope, kind) {
            return (Confidence::Low, Reason::NotFetched);
        }
        (Confidence::High, Reason::OnlyRootDiffers)
    }

    /// Returns whether the queried path differs from a listed path of the item `hit` only in the root.
    fn only_root_differs(&self, view: &'v V::Target, hit: HitOf<'v, V>, listed: &NormalPath<'_>) -> bool {
        let common = Form::from_folded(self.path.form()).common_components(Form::from_folded(listed.form()));
        let below = view.components_below_location(listed);
        view.item(hit)
            .is_some_and(|item| only_root_differs(&item, &self.path, listed, common, below))
    }

    /// Adds the items of all files that differ from the queried path only in the root: to `moved` for the libraries in
    /// scope, and otherwise to `elsewhere`. The path of such a file is that of a location, followed by last components
    /// of the queried path: at most `rank` in scope, where no file has more in common.
    fn add_moved_files(
        &self,
        rank: usize,
        moved: &mut Candidates<'v, HitOf<'v, V>>,
        elsewhere: &mut Candidates<'v, HitOf<'v, V>>,
    ) {
        let names: LastNames = last_names(self.path.form(), usize::MAX);
        let mut listed = PathBuffer::new();
        for (library, view) in self.resolver.libraries.iter().map(|view| &**view).enumerate() {
            let is_in_scope = self.resolver.scope.only().is_none_or(|only| only == library);
            let depths = || {
                2..=if is_in_scope {
                    names.len().min(rank)
                } else {
                    names.len()
                }
            };
            let places = view
                .locations()
                .flat_map(|location| depths().map(move |below| (location, below)));
            for (location, below) in places.filter(|_| view.is_fetched()) {
                write_path_below(location, &names[..below], &mut listed);
                NormalPath::with(&listed, |listed| {
                    view.each_listed(listed, |hit, _| {
                        if self.only_root_differs(view, hit, listed) {
                            let files = if is_in_scope { &mut *moved } else { &mut *elsewhere };
                            files.add_candidate(rank, Self::candidate(library, view, hit));
                        }
                    });
                });
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
        libraries.filter(move |(_, view)| {
            group == LibraryGroup::All || (group == LibraryGroup::Owners) == self.is_owned_by(view)
        })
    }

    /// Returns whether a location of the library contains the path or a mapped path.
    fn is_owned_by(&self, view: &V::Target) -> bool {
        let owns_rewritten = |path: &[u8]| NormalPath::with(path, |path| view.owns(path)).then_some(());
        view.owns(&self.path) || self.resolver.mappings.to_server(&self.path, owns_rewritten).is_some()
    }

    /// Adds the confirmed matches for the path, with rank 1 if the bytes are equal, or 0 if only the normal forms are.
    fn add_confirmed(&self, group: LibraryGroup, candidates: &mut Candidates<'v, HitOf<'v, V>>) {
        for (library, view) in self.libraries_of(group) {
            if !view.may_have_confirmed() {
                continue;
            }
            let knows_all = view.each_confirmed(&self.path, |hit| {
                let Some((rating_key, path)) = view.key_and_path(hit) else {
                    return;
                };
                let item = view.find_item(rating_key);
                // A match does not count while a complete listing lacks its item.
                if item.is_none() && view.is_fetched() {
                    return;
                }
                if is_outdated_match(view, hit, rating_key, path) {
                    return;
                }
                let candidate = RankedHit {
                    library,
                    rating_key,
                    path,
                    item,
                };
                candidates.add_candidate(usize::from(self.path.has_spelling(path)), Some(candidate));
            });
            if !knows_all {
                self.lacks_matches.set(true);
            }
        }
    }

    /// Adds the items with the listed path `path`, which is the queried path or a mapped path. The rank is 1 if the
    /// bytes are equal, and 0 if only the normal forms are.
    fn add_listed(&self, group: LibraryGroup, path: &NormalPath<'_>, candidates: &mut Candidates<'v, HitOf<'v, V>>) {
        for (library, view) in self.libraries_of(group) {
            view.each_listed(path, |hit, is_same_bytes| {
                candidates.add_candidate(usize::from(is_same_bytes), Self::candidate(library, view, hit));
            });
        }
    }

    /// Adds the items that match after mappings rewrite the listed path or the queried path. The rank is 1 if the bytes
    /// are equal, and 0 if only the normal forms are.
    fn add_mapped(&self, group: LibraryGroup, candidates: &mut Candidates<'v, HitOf<'v, V>>) {
        // Without server-to-host rules, the segments contain no mapped paths.
        let has_mapped_forms = self.resolver.mappings.has_server_to_host_rules();
        for (library, view) in self.libraries_of(group).filter(|_| has_mapped_forms) {
            view.each_mapped(&self.path, |hit, is_same_bytes| {
                candidates.add_candidate(usize::from(is_same_bytes), Self::candidate(library, view, hit));
            });
        }
        if candidates.total > 0 {
            return;
        }
        self.resolver.mappings.to_server(&self.path, |rewritten| {
            NormalPath::with(rewritten, |rewritten| self.add_listed(group, rewritten, candidates));
            (candidates.total > 0).then_some(())
        });
    }

    /// Adds the items whose listed paths have the longest common suffix with the queried path, or only one of each
    /// library without `similarity`.
    fn add_suffix_matches(
        &self,
        group: LibraryGroup,
        candidates: &mut Candidates<'v, HitOf<'v, V>>,
        similarity: Option<SimilarityOf<'_, 'v, HitOf<'v, V>>>,
    ) {
        let limit = similarity.map_or(1, |_| MAX_COMPARED);
        // Skip libraries that were never fetched, because an unknown item might match better.
        for (library, view) in self.libraries_of(group).filter(|(_, view)| view.is_fetched()) {
            let mut view_components = 0;
            let rank = candidates.rank.max(1);
            let further_paths = view.suffix_matches(&self.path, self.name_hash(), rank, limit, |components, hit| {
                view_components = components;
                let left_over = candidates.add_candidate(components, Self::candidate(library, view, hit));
                if let Some((candidate, similarity)) = left_over.zip(similarity) {
                    candidates.replace_least_similar(candidate, |hit| similarity(hit, components));
                }
            });
            if view_components == candidates.rank {
                candidates.total += further_paths;
            }
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
        let bytes = Similarity::of_bytes(self.path.raw(), candidate.path);
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

/// Returns whether a confirmed match (`hit`, for `path` and the item `rating_key`) is outdated: only other items list
/// the path, and one of them was listed after the host recorded the match.
fn is_outdated_match<'v, L: LibraryIndex>(view: &'v L, hit: L::Hit<'v>, rating_key: &str, path: &[u8]) -> bool {
    let match_time = view.entry_time(hit);
    let (mut is_listed_for_item, mut has_newer_item) = (false, false);
    let mut check = |listed: L::Hit<'v>, is_same_bytes: bool| {
        let is_same_item = view
            .key_and_path(listed)
            .is_some_and(|(listed_key, _)| listed_key == rating_key);
        is_listed_for_item |= is_same_bytes && is_same_item;
        has_newer_item |= is_same_bytes && !is_same_item && view.entry_time(listed) > match_time;
    };
    NormalPath::with(path, |path| {
        view.each_listed(path, &mut check);
        view.each_mapped(path, &mut check);
    });
    has_newer_item && !is_listed_for_item
}
