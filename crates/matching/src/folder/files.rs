//! Lists the files below a folder, page by page.

use std::ops::Deref;

use super::folder_index::{FolderFile, FolderIndex};
use super::folder_resolver::FolderResolver;
use super::position::rewrite_folder;
use crate::model::Confidence;
use crate::normal::normal_form;

impl<'v, V: Deref<Target: FolderIndex + 'v>> FolderResolver<'v, '_, V> {
    /// Returns a page of the files below the folder, in the order of their normal forms. The page starts after the
    /// listed path `after`, or with the first file if `after` is `None`. The page has at most `limit` files; more only
    /// if several files share the last normal form. The page is empty unless the folder matches with high confidence.
    /// Check [`crate::LibraryIndex::is_broken`] afterwards: if a segment is damaged, the page is incomplete.
    #[must_use]
    pub fn files(&self, after: Option<&[u8]>, limit: usize) -> Vec<FolderFile<'v>> {
        let Some((folder, mapped)) = self.find_listed_folder() else {
            return Vec::new();
        };
        let after_form = after.map(|after| match self.mappings.to_host(after).filter(|_| mapped) {
            Some(host_path) => normal_form(&host_path),
            None => normal_form(after),
        });
        let mut files: Vec<FolderFile<'v>> = Vec::new();
        for (library, view) in self.fetched_libraries() {
            view.files_below(&folder, mapped, after_form.as_deref(), limit, &mut |mut file| {
                file.found.library = library;
                files.push(file);
            });
        }
        // Each library returned up to `limit` files, so only the first `limit` of all these files are complete.
        files.sort_by(|a, b| a.form.cmp(&b.form));
        if let Some(last_form) = files.get(limit.saturating_sub(1)).map(|file| file.form.clone()) {
            files.truncate(files.partition_point(|file| file.form <= last_form));
        }
        files
    }

    /// Returns the normal form of the folder in the listing, and whether this form is a host path, translated by
    /// server-to-host rules. `None` unless the folder matches with high confidence.
    fn find_listed_folder(&self) -> Option<(Vec<u8>, bool)> {
        // `mapped`: the folder is a host path, so server-to-host rules translate the listed paths first.
        let has_files = |folder: &[u8], mapped: bool| {
            self.fetched_libraries().any(|(_, view)| {
                let mut has_file = false;
                view.files_below(folder, mapped, None, 1, &mut |_| has_file = true);
                has_file
            })
        };
        if has_files(self.folder, false) {
            return Some((self.folder.to_vec(), false));
        }
        if self.mappings.has_server_to_host_rules() && has_files(self.folder, true) {
            return Some((self.folder.to_vec(), true));
        }
        let rewritten = rewrite_folder(self.mappings, self.folder, |folder| {
            has_files(folder, false).then(|| (folder.to_vec(), false))
        });
        rewritten.or_else(|| {
            let mut resolution = self.resolve_listed();
            let is_certain = resolution.confidence == Confidence::High;
            let folder = resolution.folders.pop().filter(|_| is_certain)?;
            Some((folder.form, folder.is_host_path))
        })
    }
}
