//! The ladder for folders: which show, season, artist, album or item a folder is, by what is listed below it.
//!
//! Rung 2: files are listed below the folder. 3: they are after mappings. 4: a folder of listed files has the longest common
//! end, of two or more components. 5: it has the same name. What is confirmed (rung 1) is single files, and says nothing of
//! folders.
//!
//! All libraries asked count at once, for a folder may be above those of several. Only libraries that were fetched do: of
//! what is known of the others the deepest show that all files share cannot be told.
//!
//! By its end a folder is found with high confidence for one reason only: but for the root it is the listed folder, and the
//! name says whose it is ([`folder_root_differs`]).

use std::ops::Deref;

use super::asked::{Folders, Held, Place};
use super::outcome::{FolderOutcome, FoundFolder};
use super::place::{folder_form, places_of, rewritten};
use crate::matching::ladder::Scope;
use crate::matching::mappings::Mappings;
use crate::matching::member::Member;
use crate::matching::normal::Normal;
use crate::matching::outcome::LIMIT;
use crate::matching::telling::{IsPart, folder_is_called, folder_root_differs};
use crate::model::{Confidence, ItemType, Reason, Rung};

/// Climbs the ladder for a folder.
#[must_use]
pub fn climb_folder<'v, L, V>(views: &'v [V], scope: Scope, mappings: &Mappings, path: &Normal<'_>) -> FolderOutcome<'v>
where
    L: Folders + 'v,
    V: Deref<Target = L>,
{
    let climb = Climb::new(views, scope, mappings, path);
    let mut outcome = FolderOutcome::default();
    climb.fill(&mut outcome);
    outcome.broken = climb.asked().any(|(_, view)| view.broken());
    outcome
}

/// The same in libraries that were never fetched, by what single questions brought. That a folder holds one show, artist or film is
/// not known of it then, unless its name says so.
#[must_use]
pub fn climb_by_one_file<'v, L, V>(
    views: &'v [V],
    scope: Scope,
    mappings: &Mappings,
    path: &Normal<'_>,
) -> Option<FolderOutcome<'v>>
where
    L: Folders + 'v,
    V: Deref<Target = L>,
{
    let climb = Climb::new(views, scope, mappings, path);
    let (mut sum, rung) = climb.unfetched();
    let ([Known { member, .. }], [folder]) = (&mut sum.members[..], &sum.folders[..]) else {
        return None;
    };
    let form = if folder.mapped { climb.folder } else { &folder.form };
    let album = member.season.filter(|_| member.item.kind == ItemType::Track);
    let IsPart(is_part) = folder_is_called(&member.item, album.map_or("", |album| album.title), form)?;
    if !is_part {
        member.season = None;
    }
    (sum.items, sum.files) = (0, 0);
    let mut outcome = FolderOutcome {
        by_one_file: true,
        ..FolderOutcome::default()
    };
    climb.show(&mut outcome, sum, rung, Confidence::High, Reason::None);
    Some(outcome)
}

/// The same where all that is below the folder was asked for: as of libraries that were fetched.
#[must_use]
pub fn climb_whole<'v, L, V>(
    views: &'v [V],
    scope: Scope,
    mappings: &Mappings,
    path: &Normal<'_>,
) -> Option<FolderOutcome<'v>>
where
    L: Folders + 'v,
    V: Deref<Target = L>,
{
    let climb = Climb::new(views, scope, mappings, path);
    let (sum, rung) = climb.unfetched();
    let mut outcome = FolderOutcome::default();
    (!sum.is_empty()).then(|| {
        climb.show(&mut outcome, sum, rung, Confidence::High, Reason::None);
        outcome
    })
}

/// One question.
pub struct Climb<'v, 'p, V> {
    views: &'v [V],
    scope: Scope,
    pub mappings: &'p Mappings,
    path: &'p Normal<'p>,
    /// The path's folder form.
    pub folder: &'p [u8],
}

impl<'v, 'p, L, V> Climb<'v, 'p, V>
where
    L: Folders + 'v,
    V: Deref<Target = L>,
{
    pub fn new(views: &'v [V], scope: Scope, mappings: &'p Mappings, path: &'p Normal<'p>) -> Self {
        Self {
            views,
            scope,
            mappings,
            path,
            folder: folder_form(path),
        }
    }

    fn asked(&self) -> impl Iterator<Item = (usize, &'v L)> {
        let is_asked = |place: usize| match self.scope {
            Scope::All => true,
            Scope::One(one) => one == place,
        };
        let views = self.views.iter().map(|view| &**view).enumerate();
        views.filter(move |(place, _)| is_asked(*place))
    }

    /// The views asked that were fetched, with their places.
    pub fn fetched(&self) -> impl Iterator<Item = (usize, &'v L)> {
        self.asked().filter(|(_, view)| view.fetched())
    }

    /// Climbs, and fills the answer in.
    pub fn fill(&self, outcome: &mut FolderOutcome<'v>) {
        let mut sum = Sum::default();
        self.listed(self.folder, false, &mut sum);
        if !sum.is_empty() {
            return self.show(outcome, sum, Rung::Exact, Confidence::High, Reason::None);
        }
        if self.mappings.digest() != 0 {
            self.listed(self.folder, true, &mut sum);
        }
        if sum.is_empty() {
            rewritten(self.mappings, self.folder, |folder| {
                self.listed(folder, false, &mut sum);
                (!sum.is_empty()).then_some(())
            });
        }
        if !sum.is_empty() {
            return self.show(outcome, sum, Rung::Mapped, Confidence::High, Reason::None);
        }
        let places = places_of(self.views, self.mappings, self.path);
        if self.path.is_text() {
            self.by_its_end(outcome, &places);
        }
        if outcome.rung == Rung::None {
            outcome.reason = self.reason_of_miss(&places);
        }
    }

    /// What is listed below a folder in all libraries asked.
    fn listed(&self, folder: &[u8], mapped: bool, sum: &mut Sum<'v>) {
        self.known(true, folder, mapped, sum);
    }

    /// What is known of it in those that were fetched, or in the others.
    fn known(&self, fetched: bool, folder: &[u8], mapped: bool, sum: &mut Sum<'v>) {
        for (library, view) in self.asked().filter(|(_, view)| view.fetched() == fetched) {
            let held = view.held(folder, mapped);
            if held.files > 0 {
                sum.add(library, held, true);
                sum.folders.push(FoundFolder {
                    library,
                    form: folder.to_vec(),
                    mapped,
                });
            }
        }
        // Of several, none has the folder to itself, whichever libraries they are of.
        if sum.total > 1 {
            sum.members.iter_mut().for_each(|known| known.is_folder = false);
        }
    }

    /// What is known of it in libraries that were never fetched, and by which rung.
    fn unfetched(&self) -> (Sum<'v>, Rung) {
        let mut sum = Sum::default();
        self.known(false, self.folder, false, &mut sum);
        if !sum.is_empty() {
            return (sum, Rung::Exact);
        }
        if self.mappings.digest() != 0 {
            self.known(false, self.folder, true, &mut sum);
        }
        rewritten(self.mappings, self.folder, |folder| {
            self.known(false, folder, false, &mut sum);
            (!sum.is_empty()).then_some(())
        });
        (sum, Rung::Mapped)
    }

    fn by_its_end(&self, outcome: &mut FolderOutcome<'v>, places: &[Place]) {
        let (mut rank, mut total) = (0, 0);
        let mut folders: Vec<(usize, Vec<u8>)> = Vec::new();
        // As for files: in libraries that should have it first.
        for owns in [true, false] {
            for (library, view) in self.fetched().filter(|(at, _)| (places[*at] >= Place::Within) == owns) {
                let mut reached = 0;
                let count = view.folders_alike(self.folder, rank.max(1), &mut |common, folder| {
                    if common > rank {
                        (rank, total) = (common, 0);
                        folders.clear();
                    }
                    reached = common;
                    folders.push((library, folder));
                });
                if reached == rank {
                    total += count;
                }
            }
            if rank > 0 {
                break;
            }
        }
        if rank == 0 {
            return;
        }
        let mut sum = Sum::default();
        folders.truncate(LIMIT);
        let held = |(library, folder): &(usize, Vec<u8>)| self.views[*library].held(folder, false);
        let helds: Vec<Held<'v>> = folders.iter().map(held).collect();
        let below = |folder: &[u8]| -> usize {
            let theirs = folders.iter().zip(&helds).filter(|((_, other), _)| other == folder);
            theirs.map(|(_, held)| held.total).sum()
        };
        let alone: Vec<bool> = folders.iter().map(|(_, folder)| below(folder) == 1).collect();
        for (((library, _), held), is_folder) in folders.iter().zip(helds).zip(alone) {
            sum.add(*library, held, is_folder);
        }
        let one = folders.windows(2).all(|pair| pair[0].1 == pair[1].1) && total == folders.len();
        let owned = places.iter().any(|place| *place >= Place::Above);
        let rung = if rank > 1 { Rung::Suffix } else { Rung::FileName };
        let reason = match (sum.members.first(), folders.first()) {
            _ if owned => Reason::NotListed,
            (Some(known), Some((_, folder))) if one && sum.total == 1 => {
                let below = Normal::with(folder, |folder| self.views[known.library].below(folder));
                if folder_root_differs(&known.member.item, self.folder, folder, rank, below) {
                    Reason::OnlyRootDiffers
                } else {
                    Reason::NoEvidence
                }
            }
            _ => Reason::NoEvidence,
        };
        let confidence = if reason == Reason::OnlyRootDiffers {
            Confidence::High
        } else {
            Confidence::Low
        };
        if !one {
            // Which of them is meant is not known: what is below each is no count of anything.
            (sum.items, sum.files) = (0, 0);
            if total > folders.len() {
                sum.total = sum.total.max(total);
            }
        }
        sum.folders = folders
            .into_iter()
            .map(|(library, form)| FoundFolder {
                library,
                form,
                mapped: false,
            })
            .collect();
        self.show(outcome, sum, rung, confidence, reason);
    }

    fn show(
        &self,
        outcome: &mut FolderOutcome<'v>,
        sum: Sum<'v>,
        rung: Rung,
        confidence: Confidence,
        evidence: Reason,
    ) {
        let single = sum.total == 1;
        outcome.rung = rung;
        outcome.total = sum.total;
        (outcome.items, outcome.files) = (sum.items, sum.files);
        outcome.confidence = if single { confidence } else { Confidence::Low };
        let libraries = || sum.members.iter().map(|known| known.library);
        outcome.reason = if single {
            evidence
        } else if self.is_above_all(&sum) {
            Reason::AboveLocations
        } else if libraries().all(|library| Some(library) == libraries().next()) {
            Reason::SeveralItems
        } else {
            Reason::SeveralLibraries
        };
        let shown = |known: &Known<'v>| known.member.shown(known.library, known.is_folder);
        outcome.found = sum.members.iter().map(shown).collect();
        outcome.found.sort_by_key(|found| (found.library, found.path));
        if let [one] = &outcome.found[..]
            && single
        {
            outcome.kind = one.item.kind;
        }
        outcome.folders = sum.folders;
    }

    /// Whether a folder that was found is above the libraries' own, and not in one.
    fn is_above_all(&self, sum: &Sum<'_>) -> bool {
        !sum.folders.is_empty()
            && sum
                .folders
                .iter()
                .all(|folder| self.views[folder.library].place(&folder.form) == Place::Above)
    }

    fn reason_of_miss(&self, places: &[Place]) -> Reason {
        let best = self.asked().map(|(at, _)| places[at]).max().unwrap_or(Place::Elsewhere);
        let mut theirs = self.asked().filter(|(at, _)| places[*at] == best);
        if theirs.any(|(_, view)| !view.fetched()) {
            return Reason::NotFetched;
        }
        match best {
            Place::Elsewhere => Reason::NoLocation,
            Place::Above | Place::Own => Reason::Empty,
            Place::Within => Reason::NotListed,
        }
    }
}

/// What was found below a folder.
struct Known<'v> {
    library: usize,
    member: Member<'v>,
    /// Nothing else is below that folder.
    is_folder: bool,
}

/// What several libraries or folders hold together.
#[derive(Default)]
struct Sum<'v> {
    members: Vec<Known<'v>>,
    total: usize,
    items: u64,
    files: u64,
    folders: Vec<FoundFolder>,
}

impl<'v> Sum<'v> {
    fn is_empty(&self) -> bool {
        self.files == 0
    }

    fn add(&mut self, library: usize, held: Held<'v>, is_folder: bool) {
        self.items += held.items;
        self.files += held.files;
        self.total += held.total;
        for member in held.members {
            let is = |known: &&mut Known<'_>| known.library == library && known.member.is(&member);
            if let Some(known) = self.members.iter_mut().find(is) {
                known.member.meets(member.season);
                known.is_folder &= is_folder;
                self.total -= 1;
            } else if self.members.len() < LIMIT {
                self.members.push(Known {
                    library,
                    member,
                    is_folder,
                });
            }
        }
    }
}
