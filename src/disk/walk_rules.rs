//! Finds the rule by which Plex's scanner ignores a file or folder, and compares and resolves their paths.

use std::fs;
use std::io;
use std::sync::OnceLock;

use super::ignored::Ignored;
use super::rules::{MediaTypes, Rule, Rules, rule_for_file, rule_for_folder};
use super::walk_request::{Location, WalkRequest};
use crate::matching::NormalPath;
use crate::platform::files::{Inode, is_gone, path_from_bytes};
use crate::platform::folder_reader::FolderId;

/// A rule, and a line from a `.plexignore` file. The line is empty for rules other than [`Rule::Plexignore`].
type RuleMatch = (Rule, Vec<u8>);
/// Index of the innermost location that contains a path; `None` outside all locations.
type LocationIndex = Option<usize>;

/// The rules of a walk.
pub struct WalkRules<'w> {
    locations: &'w [Location],
    rules: Rules,
    /// Each location's `.plexignore` file, which applies to all folders below. The walk reads the file on first use.
    ignored: Vec<OnceLock<Option<Ignored>>>,
}

impl<'w> WalkRules<'w> {
    /// Prepares the rules for a request, without reading a file.
    pub fn new(request: &'w WalkRequest<'w>) -> Self {
        Self {
            locations: request.locations,
            rules: request.rules,
            ignored: request.locations.iter().map(|_| OnceLock::new()).collect(),
        }
    }

    /// Returns the index of the innermost location that contains a path; `None` outside all locations.
    pub fn innermost(&self, path: &[u8]) -> LocationIndex {
        let containing = (0..self.locations.len()).filter(|index| is_in(path, &self.locations[*index].folder));
        containing.max_by_key(|index| self.locations[*index].folder.len())
    }

    /// Returns the location with this index; `None` outside all locations.
    pub fn location(&self, location_index: LocationIndex) -> Option<&'w Location> {
        location_index.map(|index| &self.locations[index])
    }

    /// Returns whether all libraries with this location are out of the walk's scope; `false` outside all locations.
    pub fn is_out_of_scope(&self, location_index: LocationIndex) -> bool {
        self.location(location_index)
            .is_some_and(|location| location.is_out_of_scope)
    }

    /// Returns the rule that ignores a folder; `None` if no rule does. `location_index`: the innermost location that
    /// contains the folder. `at_root`: whether the folder is directly in this location. `parent_ignored`: the parent
    /// folder's `.plexignore` file, unless the parent is a location.
    pub fn folder_rule(
        &self,
        path: &[u8],
        location_index: LocationIndex,
        at_root: bool,
        parent_ignored: Option<&Ignored>,
    ) -> Option<RuleMatch> {
        let (rules, kinds) = self.rules_and_kinds_at(location_index);
        let rule = rule_for_folder(name_of(path), rules, kinds, at_root);
        rule.map(|rule| (rule, Vec::new())).or_else(|| {
            let line = self
                .ignored_at(location_index, parent_ignored)
                .find_map(|ignored| ignored.match_folder(path))?;
            Some((Rule::Plexignore, line))
        })
    }

    /// Returns the rule that ignores a file, or a folder between the file and its location; `None` if no rule does.
    /// `location_index`: the innermost location that contains the file; `None` outside all locations.
    pub fn rule_for_path(&self, path: &[u8], location_index: LocationIndex) -> Option<RuleMatch> {
        // Check the folders between the location and the file, from the outermost inwards: `root_length` is the length
        // of the location's path. Outside all locations, check only the file itself.
        let parent = path.iter().rposition(|byte| *byte == b'/')?;
        let root_length = self.location(location_index).map_or(parent, |location| {
            location.folder.strip_suffix(b"/").unwrap_or(&location.folder).len()
        });
        let (mut parent_ignored, mut parent_length) = (None, root_length);
        while let Some(length) = path.get(parent_length + 1..)?.iter().position(|byte| *byte == b'/') {
            let folder = &path[..=parent_length + length];
            let rule = self.folder_rule(
                folder,
                location_index,
                parent_length == root_length,
                parent_ignored.as_ref(),
            );
            if rule.is_some() {
                return rule;
            }
            let reads_plexignore = self.rules.has(Rule::Plexignore);
            parent_ignored = reads_plexignore.then(|| Ignored::read(folder)).flatten();
            parent_length = folder.len();
        }
        let ((rules, kinds), name) = (self.rules_and_kinds_at(location_index), name_of(path));
        if rules.has(Rule::Extension) && !kinds.has_extension(name) {
            return Some((Rule::Extension, Vec::new()));
        }
        let file = path_from_bytes(path);
        file.symlink_metadata().ok()?; // no rule if the file disappeared during the walk
        let rule = rule_for_file(&file, name, rules, kinds);
        rule.map(|rule| (rule, Vec::new())).or_else(|| {
            let mut ignored = self.ignored_at(location_index, parent_ignored.as_ref());
            let line = ignored.find_map(|ignored| ignored.match_file(path, name))?;
            Some((Rule::Plexignore, line))
        })
    }

    /// Returns the rules and media types for a location. Outside all locations, only some rules apply.
    fn rules_and_kinds_at(&self, location_index: LocationIndex) -> (Rules, MediaTypes) {
        match self.location(location_index) {
            Some(location) => (self.rules, location.media_types),
            None => (self.rules.outside_libraries(), MediaTypes::of(&[])),
        }
    }

    /// Returns the `.plexignore` files that apply in a folder: first the file of the location, if it is in scope, then
    /// the folder's own file.
    fn ignored_at<'i>(
        &'i self,
        location_index: LocationIndex,
        folder_ignored: Option<&'i Ignored>,
    ) -> impl Iterator<Item = &'i Ignored> {
        let location_ignored = location_index.and_then(|index| self.location_ignored(index));
        location_ignored.into_iter().chain(folder_ignored)
    }

    /// Returns the `.plexignore` file of a location; `None` for a location out of scope. Reads the file on first use.
    fn location_ignored(&self, index: usize) -> Option<&Ignored> {
        let location = &self.locations[index];
        if location.is_out_of_scope || !self.rules.has(Rule::Plexignore) {
            return None;
        }
        self.ignored[index]
            .get_or_init(|| Ignored::read(&location.folder))
            .as_ref()
    }
}

/// Returns the last component of a path.
fn name_of(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

/// Returns whether a path is `folder` or lies below it.
pub fn is_in(path: &[u8], folder: &[u8]) -> bool {
    let folder = folder.strip_suffix(b"/").unwrap_or(folder);
    path.strip_prefix(folder)
        .is_some_and(|subpath| subpath.first().is_none_or(|byte| *byte == b'/'))
}

/// Returns the path of the entry `name` in a folder.
pub fn join_path(folder: &[u8], name: &[u8]) -> Vec<u8> {
    [folder, b"/", name].concat()
}

/// Returns whether the path is a folder or a link to a folder. For a link to a folder, also returns the target's id;
/// otherwise `None`. A missing path and a dangling or circular link are not folders; other errors are returned.
pub fn resolve_folder(path: &[u8]) -> io::Result<(bool, Option<FolderId>)> {
    let path = path_from_bytes(path);
    match fs::metadata(&path) {
        Ok(facts) if facts.is_dir() => {
            let is_link = fs::symlink_metadata(&path)?.is_symlink();
            Ok((true, if is_link { Some(FolderId::of(&path)?) } else { None }))
        }
        Ok(_) => Ok((false, None)),
        Err(error) if is_gone(&error) => Ok((false, None)),
        Err(error) => Err(error),
    }
}

/// Returns whether a link leads, directly or through other links, to a folder above the link. A walk that followed the
/// link would never end.
pub fn leads_up(link: &[u8]) -> bool {
    let link = path_from_bytes(link);
    let Some(target) = Inode::of_target(&link) else {
        return false;
    };
    let mut ancestors = link.ancestors().skip(1);
    ancestors.any(|folder| Inode::of_target(folder) == Some(target))
}

/// Returns the hash of a normal form. Twins have the same hash.
pub fn hash_of(name: &NormalPath<'_>) -> u64 {
    name.hash()
}
