//! Answers queries for paths, folders, GUIDs and titles. Sends requests to the server if necessary and allowed.

mod answer;
mod ask;
mod explain;
mod feed;
mod folder;
mod items;
mod path;
mod queries;

pub use answer::{
    Answer, Folder, Item, Match, MatchStatus, MatchedFile, Media, MediaFacts, MediaPart, Season, Show, ShowsAndSeasons,
    non_empty,
};
pub use feed::{Change, ChangeKind, ChangePage};
pub use queries::Queries;
