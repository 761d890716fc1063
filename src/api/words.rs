//! The words of answers. Below, each has a value for 'none': here that is `Option`.

use std::fmt;

use crate::error::Status as Outcome;
use crate::model;

/// What became of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// There is just one item.
    Found,
    /// Several items fit equally well: they are the candidates, best first.
    Ambiguous,
    /// No item fits: [`Match::reason`](crate::Match::reason) says why.
    NotFound,
    /// The deadline came first. The same question, asked again, goes on where this one stopped.
    NotYet,
    /// The server cannot answer within such a short deadline. Fetch the library once without one:
    /// [`Library::refresh`](crate::Library::refresh).
    NeedsWarm,
}

impl Status {
    /// What an answer's status is; `None` for an error.
    pub(super) fn of(status: Outcome) -> Option<Self> {
        match status {
            Outcome::Ok => Some(Self::Found),
            Outcome::Ambiguous => Some(Self::Ambiguous),
            Outcome::NotFound => Some(Self::NotFound),
            Outcome::NotYet => Some(Self::NotYet),
            Outcome::NeedsWarm => Some(Self::NeedsWarm),
            _ => None,
        }
    }
}

/// Enums that lack what means 'none' below.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$said:meta])* $word:ident $text:literal)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
            #[non_exhaustive]
            pub enum $name {
                $($(#[$said])* $word,)*
            }

            impl $name {
                pub(super) fn of(inside: model::$name) -> Option<Self> {
                    match inside {
                        model::$name::None => None,
                        $(model::$name::$word => Some(Self::$word),)*
                    }
                }
            }

            /// The word that the command and the Python package use.
            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.pad(match self {
                        $(Self::$word => $text,)*
                    })
                }
            }
        )*
    };
}

words! {
    /// Which step of the ladder found an answer. The first that finds an item ends the climb.
    Rung {
        /// The host recorded this match as true.
        Confirmed "confirmed"
        /// The path is listed: the same bytes, or the same normal form.
        Exact "exact"
        /// The path is listed once a mapping rewrote it.
        Mapped "mapped"
        /// The longest common end of two or more components.
        Suffix "suffix"
        /// The same file name.
        FileName "file_name"
    }

    /// How sure an answer is.
    Confidence {
        /// One item that only the end of its path speaks for, or several candidates.
        Low "low"
        /// This file's item, as far as anything that is known can tell.
        High "high"
    }

    /// Why a path has no single item; of a single item that was found by the end of its path, what speaks for it.
    Reason {
        /// No library has a folder above this path: a mapping is missing, or the file is none of Plex's.
        NoLocation "no_location"
        /// A library has a folder above this path, but does not list the file (yet). A single item is another file's, as
        /// far as is known: its confidence is low.
        NotListed "not_listed"
        /// The library was never fetched completely, so nothing can be said.
        NotFetched "not_fetched"
        /// Several items fit equally well.
        SeveralItems "several_items"
        /// Several libraries list it.
        SeveralLibraries "several_libraries"
        /// The path was listed, but was invalidated, and the server has not confirmed it since.
        Unconfirmed "unconfirmed"
        /// The path is the listed one below another root: a mapping is missing. High.
        OnlyRootDiffers "only_root_differs"
        /// The path carries the item's title, and whatever else it tells agrees. High.
        PathTells "path_tells"
        /// Only the end of the path, or the file's name, is the same. Low.
        NoEvidence "no_evidence"
        /// The end is the same, but the path tells of another year, number or edition. Low.
        Contradicted "contradicted"
        /// One file with several episodes: all are candidates, in order, and the first is the item. High.
        SeveralEpisodes "several_episodes"
        /// The folder is a library's own, or lies above one, and nothing is listed below it.
        Empty "empty"
        /// The folder lies above the folders of libraries, and holds several shows or items.
        AboveLocations "above_locations"
        /// It is not listed, and the server, which may have it, could not be asked or did not answer in time.
        Unavailable "unavailable"
    }
}

impl Rung {
    /// What it is below.
    pub(super) fn inside(self) -> model::Rung {
        match self {
            Self::Confirmed => model::Rung::Confirmed,
            Self::Exact => model::Rung::Exact,
            Self::Mapped => model::Rung::Mapped,
            Self::Suffix => model::Rung::Suffix,
            Self::FileName => model::Rung::FileName,
        }
    }
}
