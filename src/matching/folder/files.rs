//! The files below a folder, page by page.

use std::ops::Deref;

use super::position::rewritten;
use super::resolver::FolderResolver;
use super::view::Folders;
use crate::matching::normal::normal_form;
use crate::matching::resolution::FoundItem;
use crate::model::Confidence;

/// A file below a folder.
#[derive(Clone, Debug)]
pub struct FolderFile<'v> {
    /// Its normal form, or that of what mappings make of it: what pages are in the order of.
    pub form: Vec<u8>,
    /// Its item, and its path as it is listed.
    pub found: FoundItem<'v>,
    /// The item has other files, too.
    pub is_of_several: bool,
}

impl<'v, L, V> FolderResolver<'v, '_, V>
where
    L: Folders + 'v,
    V: Deref<Target = L>,
{
    /// The files below the folder behind `after`, which is a listed path, or the first ones: `limit` of them in the order of
    /// their normal forms, and more where the last ones have the same. None if the folder is not found for certain. If a segment is
    /// damaged, [`crate::matching::View::broken`] says so.
    #[must_use]
    pub fn files(&self, after: Option<&[u8]>, limit: usize) -> Vec<FolderFile<'v>> {
        let Some((folder, mapped)) = self.certain() else {
            return Vec::new();
        };
        let after = after.map(|after| match self.mappings.to_host(after).filter(|_| mapped) {
            Some(host) => normal_form(&host),
            None => normal_form(after),
        });
        let mut files: Vec<FolderFile<'v>> = Vec::new();
        for (library, view) in self.fetched() {
            view.files_below(&folder, mapped, after.as_deref(), limit, &mut |file| {
                files.push(FolderFile {
                    form: file.form,
                    found: FoundItem {
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
            let mut resolution = self.resolve_listed();
            let sure = resolution.confidence == Confidence::High;
            resolution
                .folders
                .pop()
                .filter(|_| sure)
                .map(|folder| (folder.form, folder.mapped))
        })
    }
}
