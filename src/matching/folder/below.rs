//! The files below a folder, page by page.

use std::ops::Deref;

use super::asked::Folders;
use super::climb::Climb;
use super::outcome::FolderOutcome;
use super::place::rewritten;
use crate::matching::ladder::Scope;
use crate::matching::mappings::Mappings;
use crate::matching::normal::{Normal, normal_form};
use crate::matching::outcome::Found;
use crate::model::Confidence;

/// A file below a folder.
#[derive(Clone, Debug)]
pub struct FileBelow<'v> {
    /// Its normal form, or that of what mappings make of it: what pages are in the order of.
    pub form: Vec<u8>,
    /// Its item, and its path as it is listed.
    pub found: Found<'v>,
    /// The item has other files, too.
    pub is_of_several: bool,
}

/// The files below a folder behind `after`, which is a listed path, or the first ones: `limit` of them in the order of their
/// normal forms, and more where the last ones have the same. The folder is found as by [`super::climb_folder`], if that is certain.
/// An image may be damaged: then [`crate::matching::View::broken`] says so.
#[must_use]
pub fn files_below<'v, L, V>(
    views: &'v [V],
    scope: Scope,
    mappings: &Mappings,
    path: &Normal<'_>,
    after: Option<&[u8]>,
    limit: usize,
) -> Vec<FileBelow<'v>>
where
    L: Folders + 'v,
    V: Deref<Target = L>,
{
    let climb = Climb::new(views, scope, mappings, path);
    let Some((folder, mapped)) = climb.certain() else {
        return Vec::new();
    };
    let after = after.map(|after| match mappings.to_host(after).filter(|_| mapped) {
        Some(host) => normal_form(&host),
        None => normal_form(after),
    });
    let mut files: Vec<FileBelow<'v>> = Vec::new();
    for (library, view) in climb.fetched() {
        view.files_below(&folder, mapped, after.as_deref(), limit, &mut |file| {
            files.push(FileBelow {
                form: file.form,
                found: Found {
                    library,
                    item: file.item,
                    path: file.path,
                },
                is_of_several: file.is_of_several,
            });
        });
    }
    files.sort_by(|a, b| a.form.cmp(&b.form));
    if let Some(last) = files.get(limit.saturating_sub(1)).map(|file| file.form.clone()) {
        files.truncate(files.partition_point(|file| file.form <= last));
    }
    files
}

impl<'v, L, V> Climb<'v, '_, V>
where
    L: Folders + 'v,
    V: Deref<Target = L>,
{
    /// The listed folder that certainly is the one asked for, and whether server-to-host rules lead to it.
    fn certain(&self) -> Option<(Vec<u8>, bool)> {
        let has = |folder: &[u8], mapped: bool| {
            self.fetched().any(|(_, view)| {
                let mut any = false;
                view.files_below(folder, mapped, None, 1, &mut |_| any = true);
                any
            })
        };
        if has(self.folder, false) {
            return Some((self.folder.to_vec(), false));
        }
        if self.mappings.digest() != 0 && has(self.folder, true) {
            return Some((self.folder.to_vec(), true));
        }
        let rewritten = rewritten(self.mappings, self.folder, |folder| {
            has(folder, false).then(|| (folder.to_vec(), false))
        });
        rewritten.or_else(|| {
            let mut outcome = FolderOutcome::default();
            self.fill(&mut outcome);
            let sure = outcome.confidence == Confidence::High;
            outcome
                .folders
                .pop()
                .filter(|_| sure)
                .map(|folder| (folder.form, folder.mapped))
        })
    }
}
