//! Which rule ignores a file or a folder, where it lies.

use std::sync::OnceLock;

use super::ignored::Ignored;
use super::paths::is_in;
use super::request::{Location, WalkRequest};
use super::rules::{Kinds, Rule, Rules, rule_for_file, rule_for_folder};
use crate::platform::files::named;

/// A rule, and the line of a `.plexignore` file.
type RuleMatch = (Rule, Vec<u8>);
/// Index of the innermost location that contains a path; `None` outside of all.
type LocationIndex = Option<usize>;

/// The rules of a walk.
pub struct WalkRules<'w> {
    locations: &'w [Location],
    rules: Rules,
    /// The `.plexignore` file of each location, which applies to all folders below.
    ignored: Vec<OnceLock<Option<Ignored>>>,
}

impl<'w> WalkRules<'w> {
    pub fn new(request: &'w WalkRequest<'w>) -> Self {
        Self {
            locations: request.locations,
            rules: request.rules,
            ignored: request.locations.iter().map(|_| OnceLock::new()).collect(),
        }
    }

    /// Returns the innermost location that contains a path.
    pub fn innermost(&self, path: &[u8]) -> LocationIndex {
        let around = (0..self.locations.len()).filter(|at| is_in(path, &self.locations[*at].folder));
        around.max_by_key(|at| self.locations[*at].folder.len())
    }

    pub fn location(&self, place: LocationIndex) -> Option<&'w Location> {
        place.map(|at| &self.locations[at])
    }

    pub fn is_out_of_scope(&self, place: LocationIndex) -> bool {
        self.location(place).is_some_and(|own| own.is_out_of_scope)
    }

    /// Returns the rule that ignores a folder. `at_root`: it lies directly in a location. `own`: the `.plexignore` file
    /// beside it, unless that is a location's.
    pub fn folder_rule(
        &self,
        path: &[u8],
        at: LocationIndex,
        at_root: bool,
        own: Option<&Ignored>,
    ) -> Option<RuleMatch> {
        let (rules, kinds) = self.rules_at(at);
        let rule = rule_for_folder(name_of(path), rules, kinds, at_root);
        rule.map(|rule| (rule, Vec::new())).or_else(|| {
            let line = self.ignored_at(at, own).find_map(|one| one.match_folder(path))?;
            Some((Rule::Plexignore, line))
        })
    }

    /// Returns the rule that ignores a file or a folder between it and its location.
    pub fn rule_for_path(&self, path: &[u8], place: LocationIndex) -> Option<RuleMatch> {
        let parent = path.iter().rposition(|byte| *byte == b'/')?;
        let root = self
            .location(place)
            .map_or(parent, |own| own.folder.strip_suffix(b"/").unwrap_or(&own.folder).len());
        let (mut own, mut above) = (None, root);
        while let Some(length) = path.get(above + 1..)?.iter().position(|byte| *byte == b'/') {
            let folder = &path[..=above + length];
            let found = self.folder_rule(folder, place, above == root, own.as_ref());
            if found.is_some() {
                return found;
            }
            own = self.rules.has(Rule::Plexignore).then(|| Ignored::of(folder)).flatten();
            above = folder.len();
        }
        let ((rules, kinds), name) = (self.rules_at(place), name_of(path));
        if rules.has(Rule::Extension) && !kinds.has(name) {
            return Some((Rule::Extension, Vec::new()));
        }
        let file = named(path);
        file.symlink_metadata().ok()?;
        let rule = rule_for_file(&file, name, rules, kinds);
        rule.map(|rule| (rule, Vec::new())).or_else(|| {
            let mut ignored = self.ignored_at(place, own.as_ref());
            let line = ignored.find_map(|one| one.match_file(path, name))?;
            Some((Rule::Plexignore, line))
        })
    }

    /// Returns the rules and media types at a location; outside of all locations, library rules do not apply.
    fn rules_at(&self, place: LocationIndex) -> (Rules, Kinds) {
        match self.location(place) {
            Some(location) => (self.rules, location.kinds),
            None => (self.rules.everywhere(), Kinds::of(&[])),
        }
    }

    /// Returns the `.plexignore` files that apply: that of the location, then that of the folder.
    fn ignored_at<'i>(&'i self, place: LocationIndex, own: Option<&'i Ignored>) -> impl Iterator<Item = &'i Ignored> {
        let of_location = place.filter(|_| self.rules.has(Rule::Plexignore)).and_then(|at| {
            let location = &self.locations[at];
            let ignored = self.ignored[at].get_or_init(|| Ignored::of(&location.folder));
            ignored.as_ref().filter(|_| !location.is_out_of_scope)
        });
        of_location.into_iter().chain(own)
    }
}

fn name_of(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}
