//! Synchronising: what is asked of the source, when, by one caller at a time, and what becomes of the replies.

mod back_off;
mod call;
mod delta;
mod find;
mod flight;
mod job;
mod listing;
mod probe;
mod refresh;
mod verify;

pub use back_off::{BACK_OFF_MS, BACK_OFF_NOT_FETCHED_MS, cannot};
pub use call::{Call, Progress, QUESTION_SILENCE, Whose};
pub use find::SHORTLY;
pub use job::Syncing;
pub use refresh::Why;
pub use verify::Unverified;
