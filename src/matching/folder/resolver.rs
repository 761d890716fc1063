//! From a folder to its show, season, artist, album or item, by the files that are listed below it.
//!
//! The kinds of match are those of files: 2. files are listed below the folder · 3. they are after mappings · 4. a folder of
//! listed files has the longest common end, of two or more components · 5. it has the same name. Confirmed matches are of
//! single files and say nothing of folders.
//!
//! All libraries in scope count together, since a folder may lie above those of several. Only fetched libraries count: what a
//! listing lacks might belong to another show.
//!
//! By its end a folder is found with high confidence only if it is the listed folder below another root, and its name says
//! whose it is ([`folder_root_differs`]).

use std::ops::Deref;

use super::position::{folder_form, places_of, rewritten};
use super::resolution::{FolderResolution, FoundFolder};
use super::view::{FolderContents, FolderPosition, Folders};
use crate::matching::mappings::Mappings;
use crate::matching::member::FolderMember;
use crate::matching::normal::Normal;
use crate::matching::resolution::LIMIT;
use crate::matching::resolver::{Scope, in_scope};
use crate::matching::title_evidence::{folder_root_differs, title_depth};
use crate::model::{Confidence, ItemType, Reason, Rung};

/// Resolves one folder in these views.
pub struct FolderResolver<'v, 'p, V> {
    views: &'v [V],
    scope: Scope,
    pub(super) mappings: &'p Mappings,
    path: &'p Normal<'p>,
    /// The path's folder form.
    pub(super) folder: &'p [u8],
}

impl<'v, 'p, L, V> FolderResolver<'v, 'p, V>
where
    L: Folders + 'v,
    V: Deref<Target = L>,
{
    /// With the rules between paths of the host and of the server.
    #[must_use]
    pub fn new(views: &'v [V], scope: Scope, mappings: &'p Mappings, path: &'p Normal<'p>) -> Self {
        Self {
            views,
            scope,
            mappings,
            path,
            folder: folder_form(path),
        }
    }

    /// Finds whose folder it is, by what libraries list below it.
    #[must_use]
    pub fn resolve(&self) -> FolderResolution<'v> {
        let mut resolution = self.resolve_listed();
        resolution.broken = in_scope(self.views, self.scope).any(|(_, view)| view.broken());
        resolution
    }

    /// The same in libraries that were never fetched, by the single file that is known. Only its name can say that the folder holds
    /// one show, artist or film.
    #[must_use]
    pub fn resolve_by_one_file(&self) -> Option<FolderResolution<'v>> {
        let (mut sum, rung) = self.below(false);
        let ([KnownMember { member, .. }], [folder]) = (&mut sum.members[..], &sum.folders[..]) else {
            return None;
        };
        let form = if folder.mapped { self.folder } else { &folder.form };
        let album = member.season.filter(|_| member.item.kind == ItemType::Track);
        if title_depth(&member.item, album.map_or("", |album| album.title), form)? == 0 {
            member.season = None;
        }
        (sum.items, sum.files) = (0, 0);
        Some(FolderResolution {
            by_one_file: true,
            ..self.show(sum, rung, Reason::None)
        })
    }

    /// The same in libraries that were never fetched, if all that lies below the folder was asked for.
    #[must_use]
    pub fn resolve_whole(&self) -> Option<FolderResolution<'v>> {
        let (sum, rung) = self.below(false);
        (!sum.is_empty()).then(|| self.show(sum, rung, Reason::None))
    }

    /// The views in scope that were fetched, with their indexes.
    pub(super) fn fetched(&self) -> impl Iterator<Item = (usize, &'v L)> {
        in_scope(self.views, self.scope).filter(|(_, view)| view.fetched())
    }

    pub(super) fn resolve_listed(&self) -> FolderResolution<'v> {
        let (sum, rung) = self.below(true);
        if !sum.is_empty() {
            return self.show(sum, rung, Reason::None);
        }
        let places = places_of(self.views, self.mappings, self.path);
        let by_its_end = self.path.is_text().then(|| self.by_its_end(&places)).flatten();
        by_its_end.unwrap_or_else(|| FolderResolution {
            reason: self.reason_of_miss(&places),
            ..FolderResolution::default()
        })
    }

    /// What is known below the folder, as given or else mapped: in the libraries that were fetched, or in the others.
    fn below(&self, fetched: bool) -> (FolderTotals<'v>, Rung) {
        let mut sum = FolderTotals::default();
        self.add_below(fetched, self.folder, false, &mut sum);
        if !sum.is_empty() {
            return (sum, Rung::Exact);
        }
        if self.mappings.digest() != 0 {
            self.add_below(fetched, self.folder, true, &mut sum);
        }
        if sum.is_empty() {
            rewritten(self.mappings, self.folder, |folder| {
                self.add_below(fetched, folder, false, &mut sum);
                (!sum.is_empty()).then_some(())
            });
        }
        (sum, Rung::Mapped)
    }

    fn add_below(&self, fetched: bool, folder: &[u8], mapped: bool, sum: &mut FolderTotals<'v>) {
        let views = in_scope(self.views, self.scope);
        for (library, view) in views.filter(|(_, view)| view.fetched() == fetched) {
            let contents = view.held(folder, mapped);
            if contents.files > 0 {
                sum.add(library, &contents, true);
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

    fn by_its_end(&self, places: &[FolderPosition]) -> Option<FolderResolution<'v>> {
        let (mut rank, mut total) = (0, 0);
        let mut folders: Vec<FoundFolder> = Vec::new();
        // As for files: in libraries that should have it first.
        for owns in [true, false] {
            let owned = |at: usize| places[at] >= FolderPosition::Within;
            for (library, view) in self.fetched().filter(|(at, _)| owned(*at) == owns) {
                let mut reached = 0;
                let count = view.folder_suffix_matches(self.folder, rank.max(1), &mut |common, form| {
                    if common > rank {
                        (rank, total) = (common, 0);
                        folders.clear();
                    }
                    reached = common;
                    folders.push(FoundFolder {
                        library,
                        form,
                        mapped: false,
                    });
                });
                if reached == rank {
                    total += count;
                }
            }
            if rank > 0 {
                break;
            }
        }
        folders.truncate(LIMIT);
        let first = folders.first()?;
        let contents = folders.iter().map(|one| self.views[one.library].held(&one.form, false));
        let contents: Vec<FolderContents<'v>> = contents.collect();
        let mut sum = FolderTotals::default();
        for (folder, own) in folders.iter().zip(&contents) {
            let same = folders.iter().zip(&contents).filter(|(one, _)| one.form == folder.form);
            let members: usize = same.map(|(_, contents)| contents.total).sum();
            sum.add(folder.library, own, members == 1);
        }
        let is_one = folders.iter().all(|folder| folder.form == first.form) && total == folders.len();
        let only_root_differs = |known: &KnownMember<'v>| {
            let below = Normal::with(&first.form, |form| self.views[known.library].below(form));
            folder_root_differs(&known.member.item, self.folder, &first.form, rank, below)
        };
        let evidence = if places.iter().any(|place| *place >= FolderPosition::Above) {
            Reason::NotListed
        } else if is_one && sum.total == 1 && sum.members.first().is_some_and(only_root_differs) {
            Reason::OnlyRootDiffers
        } else {
            Reason::NoEvidence
        };
        if !is_one {
            // Which of them is meant is not known: what is below each is no count of anything.
            (sum.items, sum.files) = (0, 0);
            if total > folders.len() {
                sum.total = sum.total.max(total);
            }
        }
        sum.folders = folders;
        let rung = if rank > 1 { Rung::Suffix } else { Rung::FileName };
        Some(self.show(sum, rung, evidence))
    }

    fn show(&self, sum: FolderTotals<'v>, rung: Rung, evidence: Reason) -> FolderResolution<'v> {
        let is_single = sum.total == 1;
        let mut libraries = sum.members.iter().map(|known| known.library);
        let first = libraries.next();
        let reason = if is_single {
            evidence
        } else if self.is_above_all(&sum) {
            Reason::AboveLocations
        } else if libraries.all(|library| Some(library) == first) {
            Reason::SeveralItems
        } else {
            Reason::SeveralLibraries
        };
        let is_sure = is_single && matches!(evidence, Reason::None | Reason::OnlyRootDiffers);
        let shown = |known: &KnownMember<'v>| known.member.shown(known.library, known.is_folder);
        let mut found: Vec<_> = sum.members.iter().map(shown).collect();
        found.sort_by_key(|found| (found.library, found.path));
        FolderResolution {
            rung,
            confidence: if is_sure { Confidence::High } else { Confidence::Low },
            reason,
            kind: match &found[..] {
                [one] if is_single => one.item.kind,
                _ => ItemType::Other,
            },
            found,
            total: sum.total,
            items: sum.items,
            files: sum.files,
            folders: sum.folders,
            ..FolderResolution::default()
        }
    }

    /// Whether a folder that was found is above the libraries' own, and not in one.
    fn is_above_all(&self, sum: &FolderTotals<'_>) -> bool {
        let is_above = |folder: &FoundFolder| self.views[folder.library].place(&folder.form) == FolderPosition::Above;
        !sum.folders.is_empty() && sum.folders.iter().all(is_above)
    }

    fn reason_of_miss(&self, places: &[FolderPosition]) -> Reason {
        let in_scope = || in_scope(self.views, self.scope);
        let best = in_scope()
            .map(|(at, _)| places[at])
            .max()
            .unwrap_or(FolderPosition::Elsewhere);
        let mut theirs = in_scope().filter(|(at, _)| places[*at] == best);
        if theirs.any(|(_, view)| !view.fetched()) {
            return Reason::NotFetched;
        }
        match best {
            FolderPosition::Elsewhere => Reason::NoLocation,
            FolderPosition::Above | FolderPosition::Own => Reason::Empty,
            FolderPosition::Within => Reason::NotListed,
        }
    }
}

/// A show, season, artist, album or item found below a folder, with its library.
struct KnownMember<'v> {
    library: usize,
    member: FolderMember<'v>,
    /// Nothing else is below that folder.
    is_folder: bool,
}

/// Sums over several libraries or folders.
#[derive(Default)]
struct FolderTotals<'v> {
    members: Vec<KnownMember<'v>>,
    total: usize,
    items: u64,
    files: u64,
    folders: Vec<FoundFolder>,
}

impl<'v> FolderTotals<'v> {
    fn is_empty(&self) -> bool {
        self.files == 0
    }

    fn add(&mut self, library: usize, contents: &FolderContents<'v>, is_folder: bool) {
        self.items += contents.items;
        self.files += contents.files;
        self.total += contents.total;
        for member in &contents.members {
            let is = |known: &&mut KnownMember<'_>| known.library == library && known.member.is(member);
            if let Some(known) = self.members.iter_mut().find(is) {
                known.member.meets(member.season);
                known.is_folder &= is_folder;
                self.total -= 1;
            } else if self.members.len() < LIMIT {
                self.members.push(KnownMember {
                    library,
                    member: *member,
                    is_folder,
                });
            }
        }
    }
}
