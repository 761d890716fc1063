//! Queries: from a path, a GUID or a title to an answer, by way of the server where that is needed and allowed.

mod answer;
mod below;
mod driver;
mod explain;
mod feed;
mod first_file;
mod folder;
mod items;
mod libraries;
mod path;
mod planner;
mod room;
mod samples;
mod shown;
mod walks;

pub use answer::{Answer, Candidate, FolderFacts, Match};
pub use below::Which;
pub use feed::{ChangeKind, Changes, FeedChange};
pub use libraries::LibraryFacts;
pub use path::tidy;
pub use room::Queries;
pub use samples::to_json;
