//! Builds the message of an answer.

use super::answer::Answer;
use super::queries::{Queries, extension};
use crate::engine::LibraryRow;
use crate::error::{Error, Status};
use crate::matching::normal::normal_form;
use crate::matching::{NormalPath, PathShape, Relation, can_have, has_replaced_characters, lies_at_or_under};
use crate::model::{Confidence, FolderKind, ItemType, MatchKind, Reason, ViewId};
use crate::source::SourceKind;
use crate::sync::failed_operation;

/// Facts about the queried path that are not in the answer, for the answer's message.
pub struct ExplanationContext<'b> {
    /// The title of a library that is out of scope and has a location above the path.
    pub owner: Option<&'b str>,
    /// For a confirmed match whose item is not listed: the item's rating key and the library's title.
    pub unlisted_match: Option<(&'b str, &'b str)>,
    /// The view that the answer is from.
    pub view_id: Option<ViewId>,
}

impl ExplanationContext<'_> {
    /// Returns a clause to append to the message if the confirmed match's item is not listed; otherwise an empty
    /// string.
    fn explain_unlisted_match(&self) -> String {
        self.unlisted_match.map_or_else(String::new, |(key, library)| {
            format!(
                " (the item '{key}' recorded for this path is not listed in library '{library}': the key may be wrong \
                 or belong to a different library)"
            )
        })
    }
}

/// Returns the libraries' titles, joined by `', '` (the caller adds the outer quotes), and 'was' or 'were' to agree
/// with their number.
fn joined_titles<'r>(rows: impl Iterator<Item = &'r LibraryRow>) -> (String, &'static str) {
    let titles: Vec<&str> = rows.map(|row| row.library.title.as_str()).collect();
    (titles.join("', '"), if titles.len() > 1 { "were" } else { "was" })
}

/// What is ignored in names that are alike.
const ALIKE_PARTS: &str = "spaces, punctuation or characters that SMB, rclone and Windows replace";

/// Iterates over the unfetched libraries among `rows`.
fn unfetched(rows: &[LibraryRow]) -> impl Iterator<Item = &LibraryRow> {
    rows.iter().filter(|row| !row.generation.is_fetched())
}

/// Explains that the host must first fetch the unfetched libraries among `rows`. A query of all libraries fetches none that
/// was evicted, which would evict others.
pub fn explain_unfetched(rows: &[LibraryRow]) -> String {
    let (titles, were) = joined_titles(unfetched(rows));
    let noun = if were == "were" { "libraries" } else { "library" };
    if unfetched(rows).all(|row| row.generation.is_lost()) {
        return format!(
            "{noun} '{titles}' {were} evicted to keep the size limit: query this library alone, or raise it"
        );
    }
    format!("{noun} '{titles}' {were} never fetched: fetch the {noun} first (refresh)")
}

/// Explains an answer with the status `NotYet` or `NeedsWarm`: the deadline left no time to fetch the libraries. The message
/// contains the titles of the unfetched libraries, or of all libraries if none is unfetched or the deadline is too short for
/// any fetch. `kind` provides the noun for the source.
pub fn explain_deadline(status: Status, rows: &[LibraryRow], kind: &SourceKind) -> String {
    let noun = kind.noun;
    let needs_warm = status == Status::NeedsWarm;
    if rows.is_empty() {
        // A longer timeout only helps if the server is sending.
        let remedy = if needs_warm {
            "check that it responds"
        } else {
            "set a longer timeout"
        };
        return format!("the timeout passed before {noun} listed its libraries: {remedy}");
    }
    let has_unfetched = unfetched(rows).next().is_some();
    let is_meant = |row: &&LibraryRow| needs_warm || !has_unfetched || !row.generation.is_fetched();
    let (titles, were) = joined_titles(rows.iter().filter(is_meant));
    if needs_warm {
        return format!(
            "{noun} cannot answer for '{titles}' within this timeout: fetch the library once without a timeout (refresh)"
        );
    }
    format!("the timeout passed before '{titles}' {were} fetched: retry to resume")
}

impl Queries {
    /// Returns the libraries' first six locations, joined by `', '`, for a message; the caller adds the outer quotes.
    fn locations_text<'r>(&self, rows: impl Iterator<Item = &'r LibraryRow>) -> String {
        const MAX_LOCATIONS: usize = 6;
        let mut shown_locations: Vec<_> = Vec::new();
        for location in rows.flat_map(|row| &row.library.locations) {
            let location = self.display.path(location.as_bytes());
            if shown_locations.len() < MAX_LOCATIONS && !shown_locations.contains(&location) {
                shown_locations.push(location);
            }
        }
        shown_locations.join("', '")
    }

    /// Returns a message for the user: why a path has no item or several, or why a suffix match or file name match has
    /// its confidence. `rows` contains the libraries in scope, and `failure` the error of a failed request. `context`
    /// contains facts that are not in the answer: the library out of scope whose location contains the path, and a
    /// confirmed match whose item is not listed.
    pub fn explain(
        &self,
        answer: &Answer<'_>,
        rows: &[LibraryRow],
        queried: &NormalPath<'_>,
        context: &ExplanationContext<'_>,
        failure: Option<&Error>,
    ) -> String {
        let raw = queried.raw();
        let path = self.display.path(raw);
        let kind = self.reading.kind;
        if answer.status == Status::Ok {
            let mut text = self.explain_item(answer, &path, raw) + &context.explain_unlisted_match();
            if answer.reason == Reason::NotFetched {
                text = format!("{text}; {}", explain_unfetched(rows));
            }
            // A suffix match has an item although its path is not listed. The server may have an item with this path,
            // so the message mentions the failed request.
            if let Some(error) = failure.filter(|_| matches!(answer.reason, Reason::NotListed | Reason::NotFetched)) {
                text.push_str(&explain_failure(error, kind));
            }
            return text;
        }
        let mut text = match (answer.status, answer.reason) {
            (Status::NotYet | Status::NeedsWarm, _) => explain_deadline(answer.status, rows, kind),
            (_, Reason::SeveralItems) => format!("{} items match '{path}' equally well", answer.total),
            (_, Reason::SeveralLibraries) => format!("several libraries list '{path}': query a single library"),
            (Status::Ambiguous, _) => format!(
                "Plex does not list '{path}', but the names of {} items' files differ only in {ALIKE_PARTS}",
                answer.total
            ),
            (_, Reason::Unconfirmed) => {
                format!(
                    "'{path}' has changed or was invalidated, and {} has not confirmed it since",
                    kind.noun
                )
            }
            (_, Reason::NotListed | Reason::NoLocation | Reason::NotFetched)
                if library_at_or_below(rows, queried).is_some() =>
            {
                format!(
                    "'{path}' is a folder of library '{}': use the folder query (folder), or specify a file",
                    library_at_or_below(rows, queried).unwrap_or_default()
                )
            }
            (_, Reason::NotFetched) => explain_unfetched(rows),
            (_, Reason::NoLocation) if context.owner.is_some() => format!(
                "'{path}' is in a folder of library '{}', but only '{}' was queried: query all libraries",
                context.owner.unwrap_or_default(),
                joined_titles(rows.iter()).0
            ),
            (_, Reason::NotAsked) => format!(
                "'{path}' is in a library folder, but not in the listing. plexindex has not asked {} about this file \
                 yet, to limit the requests: retry later, or ask now (check)",
                kind.noun
            ),
            (_, Reason::NotListed) => {
                let folder = folder_hint(raw);
                format!("'{path}' is in a library folder, but Plex does not list it (yet){folder}")
            }
            _ if rows.is_empty() => format!("cannot find '{path}': the index has no libraries; {}", kind.empty_hint),
            _ => self.explain_outside(&path, rows, raw, context.view_id),
        };
        text.push_str(&context.explain_unlisted_match());
        text.push_str(parent_hint(raw));
        text.push_str(encoding_hint(raw));
        if has_replaced_characters(raw) {
            text.push_str(
                " (the path contains characters with which SMB, rclone and Windows replace ':' and others: Plex may list \
                 the original name)",
            );
        }
        if let Some(error) = failure {
            text.push_str(&explain_failure(error, kind));
        }
        text
    }

    /// Explains that a path is outside all locations of the libraries, and proposes a mapping that suffix matches in
    /// the view `view_id` suggest. `path` is the path `raw` formatted for messages.
    fn explain_outside(&self, path: &str, rows: &[LibraryRow], raw: &[u8], view_id: Option<ViewId>) -> String {
        // A mapping to a folder of other libraries would not help.
        let is_in_scope = |server_folder: &[u8]| {
            let locations = rows.iter().flat_map(|row| row.library.locations.iter());
            locations
                .map(String::as_bytes)
                .any(|location| is_at_or_under(location, server_folder) || is_at_or_under(server_folder, location))
        };
        let mapping = self
            .samples
            .best_mapping_sentence(view_id, &|folder| self.display.path(folder).into_owned(), is_in_scope)
            .unwrap_or_else(|| "a mapping may be missing".into());
        let relative_note = if PathShape::of(raw).windows || raw.starts_with(b"/") {
            ""
        } else {
            ", which is not an absolute path"
        };
        let locations = self.locations_text(rows.iter());
        format!(
            "no library has a folder above '{path}'{relative_note}; the library folders are '{locations}': {mapping}{}",
            folder_hint(raw)
        )
    }

    /// Explains the evidence for or against the only item. `path` is the path `raw` formatted for messages.
    fn explain_item(&self, answer: &Answer<'_>, path: &str, raw: &[u8]) -> String {
        let listed = answer
            .item()
            .map(|found| self.display.path(found.path))
            .unwrap_or_default();
        let episodes = (answer.total > 1).then(|| format!(" ({} episodes)", answer.total));
        let episodes = episodes.unwrap_or_default();
        let has_other_name = || {
            let is_other = |listed| NormalPath::with(raw, |path| Relation::of(path, listed).common_components == 0);
            answer.item().is_some_and(|found| is_other(found.path))
        };
        let (file, listed) = (format!("'{path}'"), format!("'{listed}'{episodes}"));
        match answer.reason {
            Reason::SeveralEpisodes => format!("{file} has {} episodes in one file", answer.total),
            Reason::SameFile => format!("{file} has the name and the size of {listed}"),
            Reason::SizeDiffers if answer.match_kind.is_listed() && answer.confidence == Confidence::High => format!(
                "{file}{episodes} has another size than Plex lists: the file was replaced, and Plex has not scanned it yet"
            ),
            Reason::SizeDiffers => format!(
                "Plex lists {listed} with another size: {file} is a different file with the same name, or a version that \
                 Plex has not scanned yet"
            ),
            Reason::SameSize => {
                format!("Plex lists {listed}, the only file of this size: {file} may be this file under another name")
            }
            Reason::OnlyRootDiffers => format!(
                "Plex lists {listed}: only the root of {file} differs, but the sizes are unknown or prove nothing, so it may \
                 be another work: add the missing mapping, or pass the size if plexindex cannot read it"
            ),
            Reason::NotListed if std::str::from_utf8(raw).is_err() => format!(
                "{file} is in a library folder, but its name is not UTF-8. Plex lists {listed}, which is probably this file: \
                 give the file a name in UTF-8"
            ),
            Reason::NotListed | Reason::NoLocation if has_other_name() => format!(
                "Plex lists {listed}, but not {file}: the names differ only in {ALIKE_PARTS}: check that both are the same \
                 file, and record the match"
            ),
            Reason::NotListed => format!(
                "{file} is in a library folder, but Plex does not list it (yet): only the end of the path matches {listed}{}",
                parent_hint(raw)
            ),
            Reason::NotFetched => {
                format!("Plex lists {listed}, but {file} may be a different file, of a library that was never fetched")
            }
            _ => format!(
                "Plex lists {listed}, but {file} may be a different file with the same name: check that both are the same \
                 file, or add the missing mapping"
            ),
        }
    }
}

/// Explains why a folder is not a single show or item, or why a suffix match is uncertain. `rows` contains the
/// libraries in scope, and `failure` is the error of a failed request. `is_file`: the path `raw` is a listed file.
/// `owner` is the title of a library out of scope whose location contains the folder.
pub fn explain_folder(
    queries: &Queries,
    answer: &Answer<'_>,
    rows: &[LibraryRow],
    (raw, item_kind, is_file, owner): (&[u8], Option<FolderKind>, bool, Option<&str>),
    failure: Option<&Error>,
) -> String {
    let path = queries.display.path(raw);
    let wanted = item_kind.map_or("file", FolderKind::name);
    let can_have_kind = |row: &&LibraryRow| can_have(row.library.kind, item_kind);
    let kind = queries.reading.kind;
    let listed = || {
        let candidate = answer.candidates.first();
        candidate
            .map(|found| queries.display.path(found.path))
            .unwrap_or_default()
    };
    let mut text = match (answer.status, answer.reason) {
        _ if is_file => format!("'{path}' is a file, not a folder: use the match query (match)"),
        (Status::NotYet | Status::NeedsWarm, _) => explain_deadline(answer.status, rows, kind),
        (Status::Ok, Reason::SameFile) => {
            format!(
                "files in '{path}' have the names and the sizes of files in '{}'",
                listed()
            )
        }
        (Status::Ok, Reason::SizeDiffers) => format!(
            "Plex lists files in '{}' with other sizes: '{path}' is a different folder with the same name",
            listed()
        ),
        (Status::Ok, Reason::OnlyRootDiffers) => format!(
            "Plex lists files in '{}': only the root of '{path}' differs, but no size of a file confirms it: add the \
             missing mapping",
            listed()
        ),
        (Status::Ok, Reason::NotListed) => format!(
            "'{path}' is in a library folder, but Plex lists no file below it (yet): only the end of the path matches \
             '{}'",
            listed()
        ),
        (Status::Ok, Reason::NotFetched) => format!(
            "Plex lists files in '{}', but '{path}' may be a different folder; {}",
            listed(),
            explain_unfetched(rows)
        ),
        (Status::Ok, _) => format!(
            "Plex lists files in '{}', but '{path}' may be a different folder with the same name: check that both are \
             the same folder, or add the missing mapping",
            listed()
        ),
        (Status::Ambiguous, _) if matches!(answer.match_kind, MatchKind::Suffix | MatchKind::FileName) => {
            format!(
                "{} listed folders or shows end like '{path}': specify the full path, or add a mapping",
                answer.total
            )
        }
        (_, Reason::AboveLocations) => format!(
            "'{path}' is above the library folders and contains {} {}",
            answer.total,
            nouns_of_candidates(answer)
        ),
        (_, Reason::SeveralLibraries) => format!("several libraries list files below '{path}': query a single library"),
        (_, Reason::SeveralItems) => format!("'{path}' contains {} {}", answer.total, nouns_of_candidates(answer)),
        (_, Reason::Empty) => format!("Plex lists no {wanted} below '{path}', which is or contains a library folder"),
        (_, Reason::NotListed) => {
            format!("'{path}' is in a library folder, but Plex lists no {wanted} below it (yet)")
        }
        (_, Reason::NotFetched) if !rows.is_empty() => explain_unfetched(rows),
        _ if rows.is_empty() => format!("cannot find '{path}': the index has no libraries; {}", kind.empty_hint),
        _ if owner.is_some() => format!(
            "'{path}' is in library '{}', but only '{}' was queried: query all libraries",
            owner.unwrap_or_default(),
            joined_titles(rows.iter()).0
        ),
        _ if !rows.iter().any(|row| can_have_kind(&row)) => format!("no library has items of the kind '{wanted}'"),
        _ => format!(
            "no library lists any {wanted} below '{path}'; the library folders are '{}': a mapping may be missing",
            queries.locations_text(rows.iter().filter(can_have_kind))
        ),
    };
    text.push_str(parent_hint(raw));
    if let Some(error) = failure {
        text.push_str(&explain_failure(error, kind));
    }
    text
}

/// Returns a clause about a failed request, to append to a message. `kind` provides the noun for the source.
pub fn explain_failure(error: &Error, kind: &SourceKind) -> String {
    format!(" (and {}: {error})", failed_operation(error, kind))
}

/// Returns the candidates' types as plural nouns, such as 'shows or movies'.
fn nouns_of_candidates(answer: &Answer<'_>) -> String {
    let mut names: Vec<&str> = Vec::new();
    for found in answer.candidates {
        let name = match found.item.kind {
            ItemType::Other => "item",
            kind => kind.name(),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join("s or ") + "s"
}

/// Returns a hint to append to a message if the path looks like a folder; otherwise an empty string.
fn folder_hint(path: &[u8]) -> &'static str {
    if extension(path).is_empty() {
        "; to query a folder, use the folder query (folder), or specify a file in the folder"
    } else {
        ""
    }
}

/// Returns a hint to append to a message if the path contains `..`; otherwise an empty string.
fn parent_hint(path: &[u8]) -> &'static str {
    let windows = PathShape::of(path).windows;
    let leads_up = path.windows(2).any(|bytes| bytes == b"..")
        && path
            .split(|byte| *byte == b'/' || windows && *byte == b'\\')
            .any(|component| component == b"..");
    if leads_up {
        " (plexindex does not resolve '..', because a symbolic link may lead elsewhere: remove '..' from the path)"
    } else {
        ""
    }
}

/// Returns a hint to append to a message if the path looks like a URL, or contains a percent-encoded character;
/// otherwise an empty string.
fn encoding_hint(path: &[u8]) -> &'static str {
    let is_encoded_char =
        |bytes: &[u8]| matches!(bytes, [b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit());
    let is_url = path.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"file:"));
    if is_url || path.contains(&b'%') && path.windows(3).any(is_encoded_char) {
        " (the path looks encoded, as in a URL: remove 'file://', and decode characters such as '%20')"
    } else {
        ""
    }
}

/// Returns the title of the first library with a location at or below a path; `None` if there is no such library.
pub fn library_at_or_below<'r>(rows: &'r [LibraryRow], path: &NormalPath<'_>) -> Option<&'r str> {
    let is_below = |location: &String| {
        NormalPath::with(location.as_bytes(), |location| {
            lies_at_or_under(location.form(), path.form())
        })
    };
    let has_folder = |row: &&LibraryRow| row.library.locations.iter().any(is_below);
    rows.iter().find(has_folder).map(|row| row.library.title.as_str())
}

/// Returns whether `folder` equals `other` or lies below `other`. The folders need not be in normal form.
fn is_at_or_under(folder: &[u8], other: &[u8]) -> bool {
    lies_at_or_under(&normal_form(folder), &normal_form(other))
}
