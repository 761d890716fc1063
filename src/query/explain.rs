//! Explains an answer in a sentence.

use super::answer::Answer;
use super::queries::Queries;
use crate::engine::LibraryRow;
use crate::error::{Error, Status};
use crate::matching::FolderResolution;
use crate::matching::normal::{Shape, normal_form};
use crate::model::{IdentityId, ItemType, MatchKind, Reason};
use crate::source::Kind;
use crate::sync::cannot;

/// Context of an answer for its message.
pub struct AnswerContext<'b> {
    /// The title of a library outside of the query's scope that has the path below one of its folders.
    pub owner: Option<&'b str>,
    /// The recorded item of the path, if it is not listed, and the title of its library.
    pub recorded: Option<(&'b str, &'b str)>,
    /// The view that the answer comes from.
    pub identity: Option<IdentityId>,
}

impl AnswerContext<'_> {
    /// Explains that the recorded item is not listed.
    fn unlisted(&self) -> String {
        self.recorded.map_or_else(String::new, |(key, library)| {
            format!(
                " (and item '{key}', which was recorded for it, is not listed in library '{library}': is it another \
                 library's, or no key?)"
            )
        })
    }
}

/// The titles of the libraries that satisfy `which`, and 'was' or 'were'.
fn titles_of(rows: &[LibraryRow], which: impl Fn(&LibraryRow) -> bool) -> (String, &'static str) {
    let rows = rows.iter().filter(|row| which(row));
    let titles: Vec<&str> = rows.map(|row| row.library.title.as_str()).collect();
    (titles.join("', '"), if titles.len() > 1 { "were" } else { "was" })
}

fn all_of(rows: &[LibraryRow]) -> String {
    titles_of(rows, |_| true).0
}

/// The titles of the libraries that were never fetched, and 'was' or 'were'.
fn unfetched(rows: &[LibraryRow]) -> (String, &'static str) {
    titles_of(rows, |row| !row.generation.is_fetched())
}

/// Explains that the libraries have to be fetched.
pub fn fetch_once(rows: &[LibraryRow]) -> String {
    let (titles, were) = unfetched(rows);
    let what = if were == "were" { "libraries" } else { "library" };
    format!("{what} '{titles}' {were} never fetched: do so once (refresh)")
}

/// Explains that the deadline left no time to fetch the libraries. Names the unfetched ones, or all if none is
/// unfetched.
fn not_fetched_in_time(rows: &[LibraryRow], kind: &Kind) -> String {
    if rows.is_empty() {
        let noun = kind.noun;
        return format!("the deadline passed before {noun} listed its libraries: allow more time");
    }
    let (titles, were) = Some(unfetched(rows))
        .filter(|(titles, _)| !titles.is_empty())
        .unwrap_or_else(|| titles_of(rows, |_| true));
    format!("the deadline passed before '{titles}' {were} fetched: retry to resume")
}

/// Explains an answer that the deadline cut short.
pub fn explain_deadline(status: Status, rows: &[LibraryRow], kind: &Kind) -> String {
    if status == Status::NeedsWarm && !rows.is_empty() {
        return format!(
            "{} cannot answer for '{}' within this deadline: fetch the library once without a deadline (refresh)",
            kind.noun,
            all_of(rows)
        );
    }
    not_fetched_in_time(rows, kind)
}

impl Queries {
    /// Names a few folders of these libraries.
    fn folders_of(&self, rows: &[LibraryRow]) -> String {
        let mut folders: Vec<_> = Vec::new();
        for folder in rows.iter().flat_map(|row| &row.library.locations) {
            let folder = self.shown.path(folder.as_bytes());
            if folders.len() < 6 && !folders.contains(&folder) {
                folders.push(folder);
            }
        }
        folders.join("', '")
    }

    /// Explains in a sentence why there is no single item, or what supports a suffix or file name match.
    pub fn explain(
        &self,
        answer: &Answer<'_>,
        rows: &[LibraryRow],
        raw: &[u8],
        context: &AnswerContext<'_>,
        failure: Option<&Error>,
    ) -> String {
        let path = self.shown.path(raw);
        let kind = self.reading.kind();
        if answer.status == Status::Ok {
            let mut text = self.explain_item(answer, &path, raw) + &context.unlisted();
            // An item with this path may be new on the server.
            if let Some(error) = failure.filter(|_| answer.reason == Reason::NotListed) {
                text.push_str(&explain_failure(error, kind));
            }
            return text;
        }
        let mut text = match (answer.status, answer.reason) {
            (Status::NotYet | Status::NeedsWarm, _) => explain_deadline(answer.status, rows, kind),
            (_, Reason::SeveralItems) => format!("{} items fit '{path}' equally well", answer.total),
            (_, Reason::SeveralLibraries) => format!("several libraries list '{path}': name one"),
            (_, Reason::Unconfirmed) => {
                format!("'{path}' was invalidated, and {} has not confirmed it since", kind.noun)
            }
            (_, Reason::NotListed | Reason::NoLocation | Reason::NotFetched) if folder_of(rows, raw).is_some() => {
                format!(
                    "'{path}' is a folder of library '{}': ask what it is (folder), or give the path of a file",
                    folder_of(rows, raw).unwrap_or_default()
                )
            }
            (_, Reason::NotFetched) => fetch_once(rows),
            (_, Reason::NoLocation) if context.owner.is_some() => format!(
                "'{path}' is in a folder of library '{}', but you asked '{}': ask that library, or all",
                context.owner.unwrap_or_default(),
                all_of(rows)
            ),
            (_, Reason::NotListed) => {
                let folder = folder_hint(raw);
                format!("'{path}' lies in a folder of Plex's, but is not listed (yet){folder}")
            }
            _ if rows.is_empty() => format!("no library is known, so '{path}' is in none; {}", kind.empty_hint),
            _ => self.explain_outside(&path, rows, raw, context.identity),
        };
        text.push_str(&context.unlisted());
        text.push_str(parent_hint(raw));
        if let Some(error) = failure {
            text.push_str(&explain_failure(error, kind));
        }
        text
    }

    /// Explains that a path is outside of all folders of these libraries, and proposes a mapping.
    fn explain_outside(&self, path: &str, rows: &[LibraryRow], raw: &[u8], identity: Option<IdentityId>) -> String {
        let is_in_scope = |server: &[u8]| {
            let locations = rows.iter().flat_map(|row| row.library.locations.iter());
            locations
                .map(String::as_bytes)
                .any(|folder| is_under(folder, server) || is_under(server, folder))
        };
        let mapping = self
            .samples
            .proposal(identity, &|folder| self.shown.path(folder).into_owned(), is_in_scope)
            .unwrap_or_else(|| "a mapping may be missing".into());
        let full = if Shape::of(raw).windows || raw.starts_with(b"/") {
            ""
        } else {
            ", which is not a full path"
        };
        format!(
            "no library has a folder above '{path}'{full}; their folders are '{}': {mapping}{}",
            self.folders_of(rows),
            folder_hint(raw)
        )
    }

    /// Explains what supports or contradicts the only item.
    fn explain_item(&self, answer: &Answer<'_>, path: &str, raw: &[u8]) -> String {
        let listed = answer
            .item()
            .map(|found| self.shown.path(found.path))
            .unwrap_or_default();
        // Concatenated without formatting, which is faster: some hosts get a suffix match for every file.
        let episodes = answer.total.to_string();
        let parts: &[&str] = match answer.reason {
            Reason::SeveralEpisodes => &["'", path, "' has ", &episodes, " episodes in one file"],
            Reason::OnlyRootDiffers => &[
                "Plex lists '",
                &listed,
                "': only the root of '",
                path,
                "' differs, a mapping is missing",
            ],
            Reason::PathTells => &["Plex lists '", &listed, "', and '", path, "' tells the same item"],
            Reason::Contradicted => &[
                "Plex lists '",
                &listed,
                "', but '",
                path,
                "' tells of another year, number or edition, or lies among extras, samples or deleted files: most likely it is \
                 another file",
            ],
            Reason::NotListed => &[
                "'",
                path,
                "' lies in a folder of Plex's, but is not listed (yet): '",
                &listed,
                "' has only its end in common with it",
                parent_hint(raw),
            ],
            _ => &[
                "Plex lists '",
                &listed,
                "', and what '",
                path,
                "' has in common with it is too little (a film needs its year): verify that it is the same file, or give \
                 the mapping that is missing",
            ],
        };
        parts.concat()
    }
}

/// Explains in a sentence why a folder is not a single show or item, or why the suffix match is uncertain. `is_file`:
/// the path is a listed file. `owner`: title of a library out of scope that the folder belongs to.
pub fn explain_folder(
    queries: &Queries,
    answer: &Answer<'_>,
    outcome: &FolderResolution<'_>,
    rows: &[LibraryRow],
    (raw, is_file, owner): (&[u8], bool, Option<&str>),
    failure: Option<&Error>,
) -> String {
    let path = queries.shown.path(raw);
    let kind = queries.reading.kind();
    let found = || {
        let first = answer.candidates().first();
        first.map(|found| queries.shown.path(found.path)).unwrap_or_default()
    };
    let mut text = match (answer.status, answer.reason) {
        _ if is_file => format!("'{path}' is a file, not a folder: ask for its item (match)"),
        (Status::NotYet | Status::NeedsWarm, _) => not_fetched_in_time(rows, kind),
        (Status::Ok, Reason::OnlyRootDiffers) => format!(
            "Plex lists files in '{}': only the root of '{path}' differs, a mapping is missing",
            found()
        ),
        (Status::Ok, Reason::NotListed) => format!(
            "'{path}' lies in a folder of Plex's, but no file below it is listed (yet): '{}' has only its end in common \
             with it",
            found()
        ),
        (Status::Ok, _) => format!(
            "Plex lists files in '{}', and what '{path}' has in common with it is too little: verify that it is the same \
             folder, or give the mapping that is missing",
            found()
        ),
        (Status::Ambiguous, _) if matches!(outcome.match_kind, MatchKind::Suffix | MatchKind::FileName) => {
            format!(
                "{} folders or shows of Plex's end as '{path}' does: give the whole path, or a mapping",
                answer.total
            )
        }
        (_, Reason::AboveLocations) => format!(
            "'{path}' lies above the folders of Plex's: {} {} are below it",
            answer.total,
            what_is_below(answer)
        ),
        (_, Reason::SeveralLibraries) => format!("several libraries list files below '{path}': give one library"),
        (_, Reason::SeveralItems) => format!("'{path}' holds {} {}", answer.total, what_is_below(answer)),
        (_, Reason::Empty) => format!("nothing is listed below '{path}', which is a folder of Plex's, or above one"),
        (_, Reason::NotListed) => {
            format!("'{path}' lies in a folder of Plex's, but no file below it is listed (yet)")
        }
        (_, Reason::NotFetched) if !rows.is_empty() => fetch_once(rows),
        _ if rows.is_empty() => format!("no library is known, so '{path}' is in none; {}", kind.empty_hint),
        _ if owner.is_some() => format!(
            "'{path}' is in library '{}', but you asked '{}': ask that library, or all",
            owner.unwrap_or_default(),
            all_of(rows)
        ),
        _ => format!(
            "no library lists files below '{path}'; their folders are '{}': a mapping may be missing",
            queries.folders_of(rows)
        ),
    };
    text.push_str(parent_hint(raw));
    if let Some(error) = failure {
        text.push_str(&explain_failure(error, kind));
    }
    text
}

/// Appendix to a sentence: the server did not answer.
pub fn explain_failure(error: &Error, kind: &Kind) -> String {
    format!(" (and {}: {error})", cannot(error, kind))
}

/// Names the content of a folder by the types of its candidates.
fn what_is_below(answer: &Answer<'_>) -> String {
    let mut names: Vec<&str> = Vec::new();
    for found in answer.candidates() {
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

/// The hint for a path that looks like a folder.
fn folder_hint(path: &[u8]) -> &'static str {
    if looks_like_a_folder(path) {
        "; if it is a folder, ask what it is (folder), or give the path of a file in it"
    } else {
        ""
    }
}

/// Returns whether a path does not end in a file extension: a short word without spaces after the last dot.
fn looks_like_a_folder(path: &[u8]) -> bool {
    let windows = Shape::of(path).windows;
    let name = path.rsplit(|byte| *byte == b'/' || windows && *byte == b'\\').next();
    let extension = name.unwrap_or_default().rsplitn(2, |byte| *byte == b'.');
    let mut parts = extension.take(2);
    let (last, before) = (parts.next().unwrap_or_default(), parts.next());
    before.is_none() || last.is_empty() || last.len() > 5 || !last.iter().all(u8::is_ascii_alphanumeric)
}

/// The hint for a path with `..`.
fn parent_hint(path: &[u8]) -> &'static str {
    let windows = Shape::of(path).windows;
    let leads_up = path
        .split(|byte| *byte == b'/' || windows && *byte == b'\\')
        .any(|component| component == b"..");
    if leads_up {
        " ('..' in it is taken as it stands, since a link may lead elsewhere: give the path without it)"
    } else {
        ""
    }
}

/// The title of the library that has this path as a folder, or above one of its folders.
pub fn folder_of<'r>(rows: &'r [LibraryRow], path: &[u8]) -> Option<&'r str> {
    let has = |row: &&LibraryRow| {
        row.library
            .locations
            .iter()
            .any(|folder| is_under(folder.as_bytes(), path))
    };
    rows.iter().find(has).map(|row| row.library.title.as_str())
}

/// Returns whether a folder equals another one or lies below it.
fn is_under(folder: &[u8], other: &[u8]) -> bool {
    let trimmed = |path: &[u8]| {
        let form = normal_form(path);
        let end = form.iter().rposition(|byte| *byte != b'/').map_or(0, |at| at + 1);
        form[..end].to_vec()
    };
    let (folder, other) = (trimmed(folder), trimmed(other));
    folder
        .strip_prefix(other.as_slice())
        .is_some_and(|rest| !other.is_empty() && (rest.is_empty() || rest[0] == b'/'))
}
