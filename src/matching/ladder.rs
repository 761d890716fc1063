//! The ladder: the first rung that finds anything ends the climb.
//!
//! 1. confirmed match · 2. exact path · 3. path after mappings · 4. longest common end of two or more components ·
//! 5. file name. Within a rung the same raw bytes beat the same normal form; what then fits equally well is ambiguous.
//!
//! Across libraries, rungs 1 to 3 are climbed first in the libraries that can own the path (it lies under one of their
//! folders, as given or mapped), then in the others; then 4 and 5 in the same order. If any library can own the path, be
//! it asked or not, then 4 and 5 are of low confidence wherever they find something: the path *should* be listed as it
//! is. Else they are of high confidence when the path differs by its root only, or tells the item ([`super::telling`]).
//!
//! The end of a path is compared over all libraries of a group at once: three common components in one library beat
//! two in another, as they do within one library. Paths that are not UTF-8 equal themselves only and stop at rung 3.

use std::ops::Deref;

use super::candidates::{Candidate, Candidates};
use super::mappings::Mappings;
use super::normal::Normal;
use super::outcome::{Found, ItemRef, LookupHit, Outcome};
use super::telling::{Verdict, only_root_differs, tells};
use super::view::{First, View};
use crate::model::{Confidence, Reason, Rung};

/// Which of the views are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The one with this index.
    One(usize),
    /// All of them; folders choose.
    All,
}

/// Climbs the ladder. Allocates nothing, unless a pattern rule (not a prefix) rewrites the path on the way.
#[must_use]
pub fn climb<'v, L, V>(views: &'v [V], scope: Scope, mappings: &Mappings, path: &[u8]) -> Outcome<'v>
where
    L: View + 'v,
    V: Deref<Target = L>,
{
    // Filled where it stands: an outcome is large, and moving it would cost more than most climbs.
    let mut outcome = Outcome::default();
    Normal::with(path, |path| {
        climb_normal(views, scope, mappings, path, None, &mut outcome);
    });
    outcome
}

/// [`climb`] for a path that is normalised already, into an outcome that is still empty. `first`: of its hash in the one library
/// that is asked, where that is known.
pub fn climb_normal<'v, L, V>(
    views: &'v [V],
    scope: Scope,
    mappings: &Mappings,
    path: &Normal<'_>,
    first: Option<First>,
    outcome: &mut Outcome<'v>,
) where
    L: View + 'v,
    V: Deref<Target = L>,
{
    if let Scope::One(library) = scope
        && let Some(view) = views.get(library)
        && let Some(hit) = sole(
            &**view,
            path,
            first.unwrap_or_else(|| view.first(path.hash(), 2 * path.raw().len())),
        )
    {
        outcome.rung = Rung::Exact;
        outcome.total = 1;
        outcome.confidence = Confidence::High;
        outcome.put_one(|found| {
            found.library = library;
            view.show(hit, found);
        });
        return;
    }
    Climb::new(views, scope, mappings, *path).fill(outcome);
}

/// What the climb ends with on the second rung, without the climb, where nothing else has a say.
fn sole<'v, L: View>(view: &'v L, path: &Normal<'_>, first: First) -> Option<L::Hit<'v>> {
    let (_, Rung::Exact) = view.sole(path, first)? else {
        return None;
    };
    view.listed_first(first)
}

/// Which libraries a rung is tried in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Group {
    /// Those that can own the path.
    Owners,
    /// The rest.
    Others,
    /// All that are asked: with one library the distinction does not matter to rungs 1 to 3.
    Everyone,
}

pub(super) struct Climb<'v, 'p, V> {
    views: &'v [V],
    scope: Scope,
    mappings: &'p Mappings,
    path: Normal<'p>,
}

impl<'v, 'p, L, V> Climb<'v, 'p, V>
where
    L: View + 'v,
    V: Deref<Target = L>,
{
    pub(super) fn new(views: &'v [V], scope: Scope, mappings: &'p Mappings, path: Normal<'p>) -> Self {
        Self {
            views,
            scope,
            mappings,
            path,
        }
    }

    fn fill(&self, outcome: &mut Outcome<'v>) {
        let mut candidates = Candidates::new();
        let (rung, confidence, evidence) = self.run(&mut candidates);
        if candidates.total == 0 {
            outcome.reason = self.reason_of_miss();
        } else {
            outcome.rung = rung;
            outcome.total = candidates.total;
            if matches!(rung, Rung::Suffix | Rung::FileName) {
                outcome.components = candidates.rank;
            }
            candidates.in_order(self.path.raw(), |candidate| {
                outcome.unverified |= self.unverified(candidate);
                outcome.push(self.shown(candidate));
            });
            outcome.sort_episodes();
            (outcome.confidence, outcome.reason) = match (outcome.single(), candidates.is_of_one_library()) {
                (Some(_), _) if outcome.unverified => (confidence, Reason::Unconfirmed),
                (Some(_), _) if outcome.total > 1 && confidence == Confidence::High => {
                    (confidence, Reason::SeveralEpisodes)
                }
                (Some(_), _) => (confidence, evidence),
                (None, true) => (Confidence::Low, Reason::SeveralItems),
                (None, false) => (Confidence::Low, Reason::SeveralLibraries),
            };
        }
        outcome.broken = self.broken();
    }

    pub(super) fn fast_lookup(&self) -> Option<LookupHit<'v>> {
        let mut candidates = Candidates::new();
        let (rung, confidence, _) = self.run(&mut candidates);
        let best = candidates.first()?;
        let sure = candidates.total == 1 && confidence == Confidence::High && !self.unverified(best) && !self.broken();
        sure.then_some(LookupHit {
            library: best.library,
            rung,
            rating_key: best.rating_key,
        })
    }

    /// Fills the candidates from the first rung that finds something; the confidence and its reason are those of a single item.
    fn run(&self, candidates: &mut Candidates<'v, L>) -> (Rung, Confidence, Reason) {
        let owners = match self.scope {
            Scope::One(_) => &[Group::Everyone][..],
            Scope::All => &[Group::Owners, Group::Others],
        };
        for group in owners {
            for rung in [Rung::Confirmed, Rung::Exact, Rung::Mapped] {
                match rung {
                    Rung::Confirmed => self.confirmed(*group, candidates),
                    Rung::Exact => self.exact(*group, candidates),
                    _ => self.mapped(*group, candidates),
                }
                if candidates.total > 0 {
                    return (rung, Confidence::High, Reason::None);
                }
            }
        }
        if self.path.is_text() {
            for group in owners {
                self.alike(*group, candidates);
                if candidates.total > 0 {
                    let rung = if candidates.rank >= 2 {
                        Rung::Suffix
                    } else {
                        Rung::FileName
                    };
                    let evidence = self.evidence(candidates);
                    let confidence = if speaks_for(evidence) {
                        Confidence::High
                    } else {
                        Confidence::Low
                    };
                    return (rung, confidence, evidence);
                }
            }
        }
        (Rung::None, Confidence::None, Reason::None)
    }

    /// What speaks for what was found by its end, or against it: the single item, or all that one file may have.
    fn evidence(&self, candidates: &Candidates<'v, L>) -> Reason {
        let mut evidence = Reason::None;
        if candidates.are_of_one_path() {
            for candidate in candidates.iter() {
                evidence = self.evidence_for(candidate, candidates);
                if !speaks_for(evidence) {
                    break;
                }
            }
        }
        evidence
    }

    /// What speaks for one of them. Any of its files that fit as well may: where there are several they are examined in turn.
    fn evidence_for(&self, candidate: &Candidate<'v, L>, candidates: &Candidates<'v, L>) -> Reason {
        if self.views.iter().any(|view| self.owns(view)) {
            return Reason::NotListed;
        }
        let view = &*self.views[candidate.library];
        let mut evidence = Reason::NoEvidence;
        let mut look = |hit: L::Hit<'v>, listed: &[u8]| {
            if !speaks_for(evidence) {
                evidence = self.evidence_of(view, hit, listed, candidates.rank, evidence);
            }
        };
        match candidate.item {
            Some(hit) if !candidates.repeated => look(hit, candidate.path),
            _ => {
                view.alike(&self.path, candidates.rank, |_, hit| {
                    let (rating_key, listed) = view.facts(hit);
                    if rating_key == candidate.rating_key {
                        look(hit, listed);
                    }
                });
            }
        }
        evidence
    }

    /// What one of its files says; `before` where it says nothing.
    fn evidence_of(&self, view: &'v L, hit: L::Hit<'v>, listed: &[u8], components: usize, before: Reason) -> Reason {
        let item = view.item(hit);
        Normal::with(listed, |listed| {
            if only_root_differs(&item, &self.path, listed, components, view.below(listed)) {
                return Reason::OnlyRootDiffers;
            }
            match tells(&item, &self.path, listed, components) {
                Verdict::Tells => Reason::PathTells,
                Verdict::Against => Reason::Contradicted,
                Verdict::Nothing => before,
            }
        })
    }

    fn members(&self, group: Group) -> impl Iterator<Item = (usize, &'v L)> {
        let asked = move |library: usize| match self.scope {
            Scope::All => true,
            Scope::One(one) => one == library,
        };
        self.views
            .iter()
            .enumerate()
            .filter(move |(library, _)| asked(*library))
            .map(|(library, view)| (library, &**view))
            .filter(move |(_, view)| match group {
                Group::Everyone => true,
                Group::Owners => self.owns(view),
                Group::Others => !self.owns(view),
            })
    }

    fn owns(&self, view: &L) -> bool {
        let mapped = |path: &[u8]| Normal::with(path, |path| view.owns(path)).then_some(());
        view.owns(&self.path) || self.mappings.to_server(&self.path, mapped).is_some()
    }

    fn confirmed(&self, group: Group, candidates: &mut Candidates<'v, L>) {
        for (library, view) in self.members(group) {
            if !view.may_be_recorded() {
                continue;
            }
            view.recorded(&self.path, |hit| {
                let (rating_key, path) = view.facts(hit);
                let item = view.find(rating_key);
                // Its item has left the newest complete listing: it sleeps.
                if item.is_none() && view.fetched() {
                    return;
                }
                if overruled(view, hit, rating_key, path) {
                    return;
                }
                let candidate = Candidate {
                    library,
                    rating_key,
                    path,
                    item,
                };
                candidates.offer(usize::from(path == self.path.raw()), candidate);
            });
        }
    }

    fn exact(&self, group: Group, candidates: &mut Candidates<'v, L>) {
        for (library, view) in self.members(group) {
            Self::listed(library, view, &self.path, candidates);
        }
    }

    fn listed(library: usize, view: &'v L, path: &Normal<'_>, candidates: &mut Candidates<'v, L>) {
        view.listed(path, |hit, raw| {
            candidates.offer(usize::from(raw), Self::candidate(library, view, hit));
        });
    }

    fn mapped(&self, group: Group, candidates: &mut Candidates<'v, L>) {
        // Without a rule to the host no listed path has a second one.
        let members = self.members(group).filter(|_| self.mappings.digest() != 0);
        for (library, view) in members {
            view.mapped(&self.path, |hit, raw| {
                candidates.offer(usize::from(raw), Self::candidate(library, view, hit));
            });
        }
        if candidates.total > 0 {
            return;
        }
        self.mappings.to_server(&self.path, |rewritten| {
            Normal::with(rewritten, |rewritten| {
                for (library, view) in self.members(group) {
                    Self::listed(library, view, rewritten, candidates);
                }
            });
            (candidates.total > 0).then_some(())
        });
    }

    fn alike(&self, group: Group, candidates: &mut Candidates<'v, L>) {
        // Of a library that was never fetched some items may be known: that none of them fits better tells nothing.
        for (library, view) in self.members(group).filter(|(_, view)| view.fetched()) {
            let mut reached = 0;
            let more = view.alike(&self.path, candidates.rank.max(1), |components, hit| {
                reached = components;
                candidates.offer(components, Self::candidate(library, view, hit));
            });
            if reached == candidates.rank {
                candidates.total += more;
            }
        }
    }

    fn candidate(library: usize, view: &'v L, hit: L::Hit<'v>) -> Candidate<'v, L> {
        let (rating_key, path) = view.facts(hit);
        Candidate {
            library,
            rating_key,
            path,
            item: Some(hit),
        }
    }

    fn unverified(&self, candidate: &Candidate<'v, L>) -> bool {
        let view = &*self.views[candidate.library];
        view.is_unverified(&self.path, candidate.path, candidate.rating_key)
    }

    fn shown(&self, candidate: &Candidate<'v, L>) -> Found<'v> {
        let view = &*self.views[candidate.library];
        let item = match candidate.item {
            Some(hit) => view.item(hit),
            None => ItemRef::key_only(candidate.rating_key),
        };
        Found {
            library: candidate.library,
            item,
            path: candidate.path,
        }
    }

    fn broken(&self) -> bool {
        self.members(Group::Everyone).any(|(_, view)| view.broken())
    }

    fn reason_of_miss(&self) -> Reason {
        let fetched = |group| self.members(group).all(|(_, view)| view.fetched());
        let owned = self.members(Group::Owners).next().is_some();
        match (owned, fetched(if owned { Group::Owners } else { Group::Everyone })) {
            (_, false) => Reason::NotFetched,
            (true, true) => Reason::NotListed,
            (false, true) => Reason::NoLocation,
        }
    }
}

/// Whether evidence makes an answer high.
fn speaks_for(evidence: Reason) -> bool {
    matches!(evidence, Reason::OnlyRootDiffers | Reason::PathTells)
}

/// Whether something newer than the match gives its exact path to other items, and not to the match's own.
fn overruled<'v, L: View>(view: &'v L, hit: L::Hit<'v>, rating_key: &str, path: &[u8]) -> bool {
    let recorded = view.stamp(hit);
    let (mut own, mut newer) = (false, false);
    let mut listed = |other: L::Hit<'v>| {
        if view.facts(other).0 == rating_key {
            own = true;
        } else {
            newer |= view.stamp(other) > recorded;
        }
    };
    Normal::with(path, |path| {
        view.listed(path, |other, raw| {
            if raw {
                listed(other);
            }
        });
        view.mapped(path, |other, raw| {
            if raw {
                listed(other);
            }
        });
    });
    newer && !own
}
