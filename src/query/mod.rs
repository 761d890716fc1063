//! Answers queries for paths, folders, GUIDs and titles. Sends requests to the server if necessary and allowed.

mod answer;
mod ask;
mod explain;
mod feed;
mod folder;
mod folder_content;
mod items;
mod libraries;
mod media;
mod owned_answers;
mod path;
mod path_display;
mod queries;
mod query_kind;
mod samples;
mod shows;
mod steps;

pub use answer::Answer;
pub use feed::{Change, ChangeKind, ChangePage};
pub use folder_content::FileFilter;
pub use libraries::LibraryInfo;
pub use media::{MatchedFile, Media, MediaFacts, MediaPart, non_empty};
pub use owned_answers::{Folder, Item, Match, MatchStatus};
pub use queries::Queries;
pub use shows::{Season, Show, ShowsAndSeasons};
