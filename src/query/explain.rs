//! Why an answer is what it is, in a sentence.

use std::fmt::Write;

use super::answer::Answer;
use super::room::Queries;
use crate::error::{Error, Status};
use crate::model::Reason;
use crate::store::LibraryRow;
use crate::sync::cannot;

impl Queries {
    /// Why there is no single item, or what speaks for one that was found by the end of its path, in a sentence.
    pub fn explain(&self, answer: &Answer<'_>, rows: &[LibraryRow], path: &[u8], failure: Option<&Error>) -> String {
        let path = self.shown.path(path);
        if answer.status == Status::Ok {
            return self.evident(answer, &path);
        }
        let titles = || {
            let titles: Vec<&str> = rows.iter().map(|row| row.library.title.as_str()).collect();
            titles.join("', '")
        };
        let mut text = match (answer.status, answer.reason) {
            (Status::NotYet | Status::NeedsWarm, _) if rows.is_empty() => {
                "the deadline came before the server was asked for its libraries: allow a later one".to_owned()
            }
            (Status::NotYet, _) => format!(
                "the deadline came before '{}' was fetched; ask again, it goes on",
                titles()
            ),
            (Status::NeedsWarm, _) => format!(
                "the server cannot answer for '{}' within such a deadline: fetch it once without one \
             (refresh)",
                titles()
            ),
            (_, Reason::SeveralItems) => format!("{} items fit '{path}' equally well", answer.total),
            (_, Reason::SeveralLibraries) => format!("several libraries list '{path}': name one"),
            (_, Reason::Unconfirmed) => {
                format!("'{path}' was invalidated, and the server has not confirmed it since")
            }
            (_, Reason::NotFetched) if rows.len() > 1 => format!("libraries '{}' were never fetched", titles()),
            (_, Reason::NotFetched) => format!("library '{}' was never fetched", titles()),
            (_, Reason::NotListed) => format!("'{path}' lies in a folder of Plex's, but is not listed (yet)"),
            _ if rows.is_empty() => {
                format!("no library is known, so '{path}' lies in none: a server has to be asked first")
            }
            _ => {
                let folders: Vec<_> = rows
                    .iter()
                    .flat_map(|row| row.library.locations.iter())
                    .map(|folder| self.shown.path(folder.as_bytes()))
                    .take(6)
                    .collect();
                let mapping = self
                    .samples
                    .proposal(&|folder| self.shown.path(folder).into_owned())
                    .unwrap_or_else(|| "a mapping may be missing".into());
                format!(
                    "no library has a folder above '{path}'; their folders are '{}': {mapping}",
                    folders.join("', '")
                )
            }
        };
        if let Some(error) = failure {
            let _ = write!(text, " (and {}: {error})", cannot(error));
        }
        text
    }

    /// What speaks for a single item, or against it.
    fn evident(&self, answer: &Answer<'_>, path: &str) -> String {
        let listed = answer
            .item()
            .map(|found| self.shown.path(found.path))
            .unwrap_or_default();
        match answer.reason {
            Reason::OnlyRootDiffers => {
                format!("Plex lists '{listed}': only the root of '{path}' differs, a mapping is missing")
            }
            Reason::PathTells => format!("Plex lists '{listed}', and '{path}' tells the same item"),
            Reason::Contradicted => format!(
                "Plex lists '{listed}', but '{path}' tells of another year, number or edition, or lies among extras: most \
                 likely it is another file"
            ),
            Reason::NotListed => format!(
                "'{path}' lies in a folder of Plex's, but is not listed (yet): '{listed}' has only its end in common with it"
            ),
            _ => format!(
                "Plex lists '{listed}', and what '{path}' has in common with it is too little (a film needs its year): verify \
                 that it is the same file, or give the mapping that is missing"
            ),
        }
    }
}
