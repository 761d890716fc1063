//! Selects libraries by name, and finds them in a snapshot.

use std::sync::atomic::{AtomicU64, Ordering};

use super::reading_state::IndexReader;
use crate::engine::{LibraryRow, Snapshot};
use crate::error::{Error, Result, Status, invalid_argument_error, truncate_for_message};
use crate::matching::{Scope, distance};

/// Selects a library by a name. The variant says which field of a library plexindex compares with the name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Selector {
    /// A UUID, a title, a section id, or a title in a different case, in this order of preference.
    Any(String),
    /// A title, or a title that differs only in case if no library has exactly this title.
    Title(String),
    /// A section id.
    Section(String),
    /// A UUID.
    Uuid(String),
    /// All libraries.
    All,
}

/// The result of resolving a selection.
pub enum Resolved {
    Scope(Scope),
    /// No stored library matches.
    Unknown,
}

/// A selected library, or all libraries.
#[derive(Debug)]
pub struct Selection {
    selector: Selector,
    /// The last result, to save the comparison of names: the library's index in the low [`INDEX_BITS`] bits, and the
    /// snapshot's number in the high bits.
    cached: AtomicU64,
}

/// Number of bits for a library's index in [`Selection::cached`].
const INDEX_BITS: u32 = 16;

impl Selection {
    /// Creates a selection. Does not look for the library yet.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] if the selector's name is empty.
    pub fn new(selector: Selector) -> Result<Self> {
        if selector.name().is_empty() && selector != Selector::All {
            return invalid_argument_error(
                "the library's name is empty: give a title, a section id or a uuid, or select all libraries",
            );
        }
        Ok(Self {
            selector,
            cached: AtomicU64::new(0),
        })
    }

    /// Returns the name with which the host selected the library, and its kind, without looking for the library.
    pub fn selector(&self) -> &Selector {
        &self.selector
    }

    /// Finds the selected libraries in a snapshot. Returns [`Resolved::Unknown`] if no library matches. Fails if
    /// several libraries match the name.
    pub fn resolve(&self, snapshot: &Snapshot) -> Result<Resolved> {
        if self.selector == Selector::All {
            return Ok(Resolved::Scope(Scope::All));
        }
        if let Some(index) = self.cached_index(snapshot) {
            return Ok(Resolved::Scope(Scope::One(index)));
        }
        let mut matching = matching_rows(&self.selector, &snapshot.rows);
        let Some(index) = matching.next() else {
            return Ok(Resolved::Unknown);
        };
        if let Some(other) = matching.next() {
            let ids: Vec<String> = [index, other]
                .into_iter()
                .chain(matching)
                .filter_map(|index| snapshot.rows.get(index))
                .map(|row| format!("{} ({})", row.library.section, row.library.kind.name()))
                .collect();
            return Err(Error::new(
                Status::LibraryAmbiguous,
                format!(
                    "{} libraries have the name '{}'; use a section id: {}",
                    ids.len(),
                    truncate_for_message(self.selector.name().as_bytes()),
                    ids.join(", ")
                ),
            ));
        }
        let new_cached = snapshot.number << INDEX_BITS | index as u64;
        self.cached.store(new_cached, Ordering::Relaxed);
        Ok(Resolved::Scope(Scope::One(index)))
    }

    /// Returns the library's index in the snapshot if `resolve` last found it in the same snapshot; otherwise `None`.
    pub fn cached_index(&self, snapshot: &Snapshot) -> Option<usize> {
        let cached = self.cached.load(Ordering::Relaxed);
        let index = cached & ((1 << INDEX_BITS) - 1); // the low bits
        (cached >> INDEX_BITS == snapshot.number && snapshot.number > 0).then(|| usize::try_from(index).unwrap_or(0))
    }

    /// Returns the error for a selection that matches no library on the server. The message names the existing
    /// libraries, and suggests the title with the fewest differences.
    pub fn unknown_library_error(&self, snapshot: &Snapshot, reading: &IndexReader) -> Error {
        if let Err(not_accepted) = reading.check_accepted() {
            return not_accepted;
        }
        let kind = reading.kind();
        let names: Vec<String> = snapshot
            .rows
            .iter()
            .map(|row| format!("'{}' (section {})", row.library.title, row.library.section))
            .collect();
        let existing = if names.is_empty() {
            format!("it has no libraries; {}", kind.empty_hint)
        } else {
            format!("it has {}", names.join(", "))
        };
        // Suggest a title if at most a third of its letters differ.
        let suggestion = match &self.selector {
            Selector::Any(name) | Selector::Title(name) => snapshot
                .rows
                .iter()
                .map(|row| (distance(&name.to_lowercase(), &row.library.title.to_lowercase()), row))
                .filter(|(distance, row)| distance * 3 <= name.chars().count().min(row.library.title.chars().count()))
                .min_by_key(|(distance, _)| *distance)
                .map(|(_, row)| format!("; did you mean '{}'?", row.library.title)),
            _ => None,
        };
        Error::new(
            Status::LibraryNotFound,
            format!(
                "{} has no library '{}': {existing}{}",
                kind.noun,
                truncate_for_message(self.selector.name().as_bytes()),
                suggestion.unwrap_or_default()
            ),
        )
    }

    /// Returns the selected libraries. Fails if plexindex has fetched none of them, because an item that is not stored
    /// may exist on the server.
    pub fn fetched_scope(&self, snapshot: &Snapshot, reading: &IndexReader) -> Result<Scope> {
        let is_fetched = |row: &LibraryRow| row.generation.is_fetched();
        match self.resolve(snapshot)? {
            Resolved::Scope(scope) if snapshot.rows_in(scope).iter().any(is_fetched) => Ok(scope),
            Resolved::Scope(_) => Err(never_fetched_error(Some(self), reading)),
            Resolved::Unknown => Err(self.not_stored_error(snapshot, reading)),
        }
    }

    /// Returns the error for a library that is not stored, in a call that must not send requests. If the store contains
    /// no library at all, the message asks for a fetch.
    pub fn not_stored_error(&self, snapshot: &Snapshot, reading: &IndexReader) -> Error {
        if snapshot.rows.is_empty() {
            never_fetched_error(Some(self), reading)
        } else {
            self.unknown_library_error(snapshot, reading)
        }
    }
}

/// Returns the error for a library that was never fetched, in a call that must not send requests. `library`: the
/// library that the call selects.
pub fn never_fetched_error(library: Option<&Selection>, reading: &IndexReader) -> Error {
    if let Err(not_accepted) = reading.check_accepted() {
        return not_accepted;
    }
    let problem = match library.map(Selection::selector) {
        None | Some(Selector::All) => "no library was fetched yet".to_owned(),
        Some(selector) => format!(
            "library '{}' was never fetched",
            truncate_for_message(selector.name().as_bytes())
        ),
    };
    let remedy = reading.offline_remedy.unwrap_or("fetch it first (refresh)");
    Error::new(Status::NotFetched, format!("{problem}: {remedy}"))
}

/// Returns the indexes of the rows that a selector matches. [`Selector::Any`] compares the name with only one field:
/// the first of UUID, title and section id that some row has. If no row has the name, compares titles and ignores case.
fn matching_rows<'r>(selector: &'r Selector, rows: &'r [LibraryRow]) -> impl Iterator<Item = usize> + 'r {
    let has_row = |field: fn(&LibraryRow) -> &str, name: &str| rows.iter().any(|row| field(row) == name);
    let (field, name): (fn(&LibraryRow) -> &str, &str) = match selector {
        Selector::Any(name) if has_row(uuid, name) => (uuid, name),
        Selector::Any(name) if has_row(section, name) && !has_row(title, name) => (section, name),
        Selector::Any(name) | Selector::Title(name) => (title, name),
        Selector::Section(name) => (section, name),
        Selector::Uuid(name) => (uuid, name),
        Selector::All => (uuid, ""), // not used
    };
    let is_title = matches!(selector, Selector::Any(_) | Selector::Title(_));
    let folded = (is_title && !has_row(field, name)).then(|| name.to_lowercase());
    rows.iter()
        .enumerate()
        .filter(move |(_, row)| match &folded {
            Some(folded) => field(row).to_lowercase() == *folded,
            None => field(row) == name,
        })
        .map(|(index, _)| index)
}

/// Returns a library's UUID, by which a host can select the library.
fn uuid(row: &LibraryRow) -> &str {
    &row.library.uuid
}

/// Returns a library's title, by which a host can select the library.
fn title(row: &LibraryRow) -> &str {
    &row.library.title
}

/// Returns a library's section id, by which a host can select the library.
fn section(row: &LibraryRow) -> &str {
    &row.library.section
}

impl From<&str> for Selector {
    fn from(name: &str) -> Self {
        Self::Any(name.to_owned())
    }
}

impl From<&String> for Selector {
    fn from(name: &String) -> Self {
        Self::Any(name.clone())
    }
}

impl From<String> for Selector {
    fn from(name: String) -> Self {
        Self::Any(name)
    }
}

impl Selector {
    /// Returns the name; an empty string for [`Selector::All`].
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Any(name) | Self::Title(name) | Self::Section(name) | Self::Uuid(name) => name,
            Self::All => "",
        }
    }
}
