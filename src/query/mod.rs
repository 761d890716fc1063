//! Queries: answers for paths, folders, GUIDs and titles. The server is asked if that is necessary and allowed.

mod answer;
mod ask;
mod below;
mod explain;
mod feed;
mod folder;
mod found;
mod items;
mod libraries;
mod path;
mod proposals;
mod queries;
mod question;
mod samples;
mod shown;
mod walks;

pub use answer::{Answer, FolderFacts};
pub use below::FileFilter;
pub use feed::{Change, ChangeKind, ChangePage};
pub use found::{Folder, Item, Match, MatchStatus, known};
pub use libraries::LibraryInfo;
pub use queries::Queries;
