//! Resolves a path to its item: the first kind of match that finds anything ends the search.
//!
//! The kinds are: (1) confirmed match, (2) exact path, (3) path after mappings, (4) longest common suffix of two or
//! more components, (5) file name. Within one kind, equal bytes beat an equal normal form; candidates that match
//! equally well are ambiguous.
//!
//! Across libraries, kinds 1 to 3 are tried first in the libraries that can own the path (it lies under one of their
//! locations, as given or mapped), then in the others; then 4 and 5 in the same order. If any library can own the path,
//! in scope or not, 4 and 5 have low confidence: the path *should* be listed as it is. Otherwise they have high
//! confidence if the path differs by its root only, or carries the item's title ([`super::title_evidence`]).
//!
//! Suffixes are compared over all libraries of a group at once. Paths that are not UTF-8 have no suffix matches.

use std::ops::Deref;

use super::candidates::{Candidates, RankedHit};
use super::mappings::Mappings;
use super::normal::Normal;
use super::resolution::{FoundItem, ItemRef, LookupHit, OnDisk, Resolution};
use super::title_evidence::{TitleEvidence, only_root_differs, title_evidence};
use super::view::{FirstEntry, View};
use crate::model::{Confidence, MatchKind, Reason};

/// The views to search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The one with this index.
    One(usize),
    /// All views; library locations decide.
    All,
}

impl Scope {
    /// The index of the only view; `None` for all of them.
    #[inline]
    #[must_use]
    pub fn only(self) -> Option<usize> {
        match self {
            Self::One(place) => Some(place),
            Self::All => None,
        }
    }
}

/// The views in scope, with their indexes.
pub(super) fn views_in_scope<'v, L: 'v, V: Deref<Target = L>>(
    views: &'v [V],
    scope: Scope,
) -> impl Iterator<Item = (usize, &'v L)> {
    let is_in = move |library: usize| scope == Scope::All || scope == Scope::One(library);
    let views = views.iter().map(|view| &**view).enumerate();
    views.filter(move |(library, _)| is_in(*library))
}

/// Resolves paths in these views.
#[derive(Debug)]
pub struct Resolver<'v, 'm, V> {
    pub(super) views: &'v [V],
    pub(super) scope: Scope,
    pub(super) mappings: &'m Mappings,
}

impl<'v, 'm, L, V> Resolver<'v, 'm, V>
where
    L: View + 'v,
    V: Deref<Target = L>,
{
    /// Creates a resolver with these mappings.
    #[inline]
    #[must_use]
    pub fn new(views: &'v [V], scope: Scope, mappings: &'m Mappings) -> Self {
        Self { views, scope, mappings }
    }

    /// Resolves a path. Allocates only if a pattern rule (not a prefix) rewrites the path.
    #[must_use]
    pub fn resolve(&self, path: &[u8]) -> Resolution<'v> {
        // Filled in place: moving a resolution takes longer than most searches.
        let mut resolution = Resolution::default();
        Normal::with(path, |path| self.resolve_normal(path, None, &mut resolution));
        resolution
    }

    /// [`Resolver::resolve`] for a normalised path, into an empty resolution. `first`: first entry of the path's hash
    /// in the only view in scope, if the caller has it.
    pub fn resolve_normal(&self, path: &Normal<'_>, first: Option<FirstEntry>, resolution: &mut Resolution<'v>) {
        let hit = self.only_view().and_then(|(library, view)| {
            let first = first.unwrap_or_else(|| first_entry(view, path));
            let (_, MatchKind::Exact) = view.unique_hit(path, first)? else {
                return None;
            };
            Some((library, view, view.hit_of_entry(first)?))
        });
        let Some((library, view, hit)) = hit else {
            return self.with_path(*path).fill(resolution);
        };
        resolution.match_kind = MatchKind::Exact;
        resolution.total = 1;
        resolution.confidence = Confidence::High;
        resolution.push_with(|found| {
            found.library = library;
            view.show(hit, found);
        });
    }

    /// The only view in scope with its index; `None` if all are in scope.
    #[inline]
    pub(super) fn only_view(&self) -> Option<(usize, &'v L)> {
        let library = self.scope.only()?;
        Some((library, &**self.views.get(library)?))
    }

    pub(super) fn with_path<'p>(&'p self, path: Normal<'p>) -> PathResolver<'v, 'p, V> {
        PathResolver { all: self, path }
    }
}

/// Looks up the first entry of a path's hash.
#[inline]
pub(super) fn first_entry<L: View>(view: &L, path: &Normal<'_>) -> FirstEntry {
    view.first(path.hash(), 2 * path.raw().len())
}

/// The search for one path.
pub(super) struct PathResolver<'v, 'p, V> {
    all: &'p Resolver<'v, 'p, V>,
    path: Normal<'p>,
}

impl<'v, L, V> PathResolver<'v, '_, V>
where
    L: View + 'v,
    V: Deref<Target = L>,
{
    fn fill(&self, resolution: &mut Resolution<'v>) {
        let mut candidates = Candidates::new();
        let (match_kind, confidence, evidence) = self.run(&mut candidates);
        if candidates.total == 0 {
            resolution.reason = self.reason_of_miss();
        } else {
            resolution.match_kind = match_kind;
            resolution.total = candidates.total;
            if matches!(match_kind, MatchKind::Suffix | MatchKind::FileName) {
                resolution.components = candidates.rank;
            }
            candidates.for_each_ranked(self.path.raw(), |candidate| {
                resolution.unverified |= self.unverified(candidate);
                resolution.push(self.shown(candidate));
            });
            resolution.sort_episodes();
            (resolution.confidence, resolution.reason) = match (resolution.single(), candidates.share_library()) {
                (Some(_), _) if resolution.unverified => (confidence, Reason::Unconfirmed),
                (Some(_), _) if resolution.total > 1 && confidence == Confidence::High => {
                    (confidence, Reason::SeveralEpisodes)
                }
                (Some(_), _) => (confidence, evidence),
                (None, true) => (Confidence::Low, Reason::SeveralItems),
                (None, false) => (Confidence::Low, Reason::SeveralLibraries),
            };
        }
        resolution.broken = self.broken();
    }

    pub(super) fn fast_lookup(&self) -> Option<LookupHit<'v>> {
        let mut candidates = Candidates::new();
        let (match_kind, confidence, _) = self.run(&mut candidates);
        let best = candidates.first()?;
        let sure = candidates.total == 1 && confidence == Confidence::High && !self.unverified(best) && !self.broken();
        sure.then(|| LookupHit::new(best.library, (best.rating_key, match_kind)))
    }

    /// Collects the candidates of the first kind of match that finds any. The returned confidence and reason hold for a
    /// single item.
    fn run(&self, candidates: &mut Candidates<'v, L::Hit<'v>>) -> (MatchKind, Confidence, Reason) {
        // With one library, ownership makes no difference for kinds 1 to 3.
        let groups = match self.all.scope {
            Scope::One(_) => &[None][..],
            Scope::All => &[Some(true), Some(false)],
        };
        for group in groups {
            for match_kind in [MatchKind::Confirmed, MatchKind::Exact, MatchKind::Mapped] {
                match match_kind {
                    MatchKind::Confirmed => self.confirmed(*group, candidates),
                    MatchKind::Exact => self.exact(*group, candidates),
                    _ => self.mapped(*group, candidates),
                }
                if candidates.total > 0 {
                    return (match_kind, Confidence::High, Reason::None);
                }
            }
        }
        if self.path.is_text() {
            for group in groups {
                self.suffix_matches(*group, candidates);
                if candidates.total > 0 {
                    let match_kind = if candidates.rank >= 2 {
                        MatchKind::Suffix
                    } else {
                        MatchKind::FileName
                    };
                    let evidence = self.evidence(candidates);
                    return (match_kind, confidence_of(evidence), evidence);
                }
            }
        }
        (MatchKind::None, Confidence::None, Reason::None)
    }

    /// Returns the evidence for suffix matches: for a single item, or for all items of one file.
    fn evidence(&self, candidates: &Candidates<'v, L::Hit<'v>>) -> Reason {
        let mut evidence = Reason::None;
        if candidates.share_path() {
            for candidate in candidates.iter() {
                evidence = self.evidence_for_candidate(candidate, candidates);
                if !is_positive(evidence) {
                    break;
                }
            }
        }
        evidence
    }

    /// Returns the evidence for one candidate. If several of its files match, one with evidence is enough.
    fn evidence_for_candidate(
        &self,
        candidate: &RankedHit<'v, L::Hit<'v>>,
        candidates: &Candidates<'v, L::Hit<'v>>,
    ) -> Reason {
        if self.all.views.iter().any(|view| self.owns(view)) {
            return Reason::NotListed;
        }
        let view = &*self.all.views[candidate.library];
        let mut evidence = Reason::NoEvidence;
        let mut add_file = |hit: L::Hit<'v>, listed: &[u8]| {
            if !is_positive(evidence) {
                evidence = self.evidence_from_file(view, hit, listed, candidates.rank, evidence);
            }
        };
        match candidate.item {
            Some(hit) if !candidates.repeated => add_file(hit, candidate.path),
            _ => {
                view.suffix_matches(&self.path, candidates.rank, |_, hit| {
                    let (rating_key, listed) = view.facts(hit);
                    if rating_key == candidate.rating_key {
                        add_file(hit, listed);
                    }
                });
            }
        }
        evidence
    }

    /// Returns the evidence of one file of the item; `before` if the file has none.
    fn evidence_from_file(
        &self,
        view: &'v L,
        hit: L::Hit<'v>,
        listed: &[u8],
        components: usize,
        before: Reason,
    ) -> Reason {
        let item = view.item(hit);
        Normal::with(listed, |listed| {
            if only_root_differs(&item, &self.path, listed, components, view.below(listed)) {
                return Reason::OnlyRootDiffers;
            }
            match title_evidence(&item, &self.path, listed, components) {
                TitleEvidence::Confirms => Reason::PathTells,
                TitleEvidence::Contradicts => Reason::Contradicted,
                TitleEvidence::Neutral => before,
            }
        })
    }

    /// The views in scope. `group`: only those that can own the path, or only those that cannot.
    fn members(&self, group: Option<bool>) -> impl Iterator<Item = (usize, &'v L)> {
        views_in_scope(self.all.views, self.all.scope)
            .filter(move |(_, view)| group.is_none_or(|owns| owns == self.owns(view)))
    }

    fn owns(&self, view: &L) -> bool {
        let mapped = |path: &[u8]| Normal::with(path, |path| view.owns(path)).then_some(());
        view.owns(&self.path) || self.all.mappings.to_server(&self.path, mapped).is_some()
    }

    fn confirmed(&self, group: Option<bool>, candidates: &mut Candidates<'v, L::Hit<'v>>) {
        for (library, view) in self.members(group) {
            if !view.may_be_recorded() {
                continue;
            }
            view.recorded(&self.path, |hit| {
                let (rating_key, path) = view.facts(hit);
                let item = view.find(rating_key);
                // The item is missing from the newest complete listing: the match is dormant.
                if item.is_none() && view.fetched() {
                    return;
                }
                if is_overruled(view, hit, rating_key, path) {
                    return;
                }
                let candidate = RankedHit {
                    library,
                    rating_key,
                    path,
                    item,
                };
                candidates.offer(usize::from(path == self.path.raw()), candidate);
            });
        }
    }

    fn exact(&self, group: Option<bool>, candidates: &mut Candidates<'v, L::Hit<'v>>) {
        for (library, view) in self.members(group) {
            Self::listed(library, view, &self.path, candidates);
        }
    }

    fn listed(library: usize, view: &'v L, path: &Normal<'_>, candidates: &mut Candidates<'v, L::Hit<'v>>) {
        view.listed(path, |hit, raw| {
            candidates.offer(usize::from(raw), Self::candidate(library, view, hit));
        });
    }

    fn mapped(&self, group: Option<bool>, candidates: &mut Candidates<'v, L::Hit<'v>>) {
        // Without server-to-host rules no listed path has a mapped form.
        let members = self.members(group).filter(|_| self.all.mappings.digest() != 0);
        for (library, view) in members {
            view.mapped(&self.path, |hit, raw| {
                candidates.offer(usize::from(raw), Self::candidate(library, view, hit));
            });
        }
        if candidates.total > 0 {
            return;
        }
        self.all.mappings.to_server(&self.path, |rewritten| {
            Normal::with(rewritten, |rewritten| {
                for (library, view) in self.members(group) {
                    Self::listed(library, view, rewritten, candidates);
                }
            });
            (candidates.total > 0).then_some(())
        });
    }

    fn suffix_matches(&self, group: Option<bool>, candidates: &mut Candidates<'v, L::Hit<'v>>) {
        // In a library that was never fetched, an unknown item might match better.
        for (library, view) in self.members(group).filter(|(_, view)| view.fetched()) {
            let mut reached = 0;
            let more = view.suffix_matches(&self.path, candidates.rank.max(1), |components, hit| {
                reached = components;
                candidates.offer(components, Self::candidate(library, view, hit));
            });
            if reached == candidates.rank {
                candidates.total += more;
            }
        }
    }

    fn candidate(library: usize, view: &'v L, hit: L::Hit<'v>) -> RankedHit<'v, L::Hit<'v>> {
        let (rating_key, path) = view.facts(hit);
        RankedHit {
            library,
            rating_key,
            path,
            item: Some(hit),
        }
    }

    fn unverified(&self, candidate: &RankedHit<'v, L::Hit<'v>>) -> bool {
        let view = &*self.all.views[candidate.library];
        view.is_unverified(&self.path, candidate.path, candidate.rating_key)
    }

    fn shown(&self, candidate: &RankedHit<'v, L::Hit<'v>>) -> FoundItem<'v> {
        let view = &*self.all.views[candidate.library];
        let item = match candidate.item {
            Some(hit) => view.item(hit),
            None => ItemRef::key_only(candidate.rating_key),
        };
        FoundItem {
            library: candidate.library,
            item,
            path: candidate.path,
            on_disk: OnDisk::Assumed,
        }
    }

    fn broken(&self) -> bool {
        self.members(None).any(|(_, view)| view.broken())
    }

    fn reason_of_miss(&self) -> Reason {
        let fetched = |group| self.members(group).all(|(_, view)| view.fetched());
        let owned = self.members(Some(true)).next().is_some();
        match (owned, fetched(owned.then_some(true))) {
            (_, false) => Reason::NotFetched,
            (true, true) => Reason::NotListed,
            (false, true) => Reason::NoLocation,
        }
    }
}

/// The confidence of a suffix match.
pub(super) fn confidence_of(evidence: Reason) -> Confidence {
    if is_positive(evidence) {
        Confidence::High
    } else {
        Confidence::Low
    }
}

fn is_positive(evidence: Reason) -> bool {
    matches!(evidence, Reason::OnlyRootDiffers | Reason::PathTells)
}

/// Returns whether a recorded match is outdated: its path is listed for other items only, by a newer listing or item.
fn is_overruled<'v, L: View>(view: &'v L, hit: L::Hit<'v>, rating_key: &str, path: &[u8]) -> bool {
    let recorded = view.stamp(hit);
    let (mut own, mut newer) = (false, false);
    let mut listed = |other: L::Hit<'v>, raw: bool| {
        let is_own = view.facts(other).0 == rating_key;
        own |= raw && is_own;
        newer |= raw && !is_own && view.stamp(other) > recorded;
    };
    Normal::with(path, |path| {
        view.listed(path, &mut listed);
        view.mapped(path, &mut listed);
    });
    newer && !own
}
