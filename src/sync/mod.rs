//! Synchronisation: which requests the source gets and when, one caller at a time, and how replies are stored.

mod back_off;
mod call;
mod delta;
mod exchange;
mod find;
mod flight;
mod job;
mod listing;
mod pages;
mod probe;
mod reading;
mod refresh;
mod searches;
mod shared;
mod verify;

pub use back_off::{BACK_OFF_MS, BACK_OFF_NOT_FETCHED_MS, cannot};
pub use call::{AllowedView, Call, Progress};
pub use exchange::Exchange;
pub use find::{RequestCounts, SHORTLY, SearchTarget};
pub use job::{Syncing, TICK};
pub use reading::{
    EvictionPin, MAX_RETRIES, Reading, Resolved, Selection, Selector, SharedEntries, cleared_again, nothing_known,
    segments_lost,
};
pub use refresh::RefreshReason;
pub use verify::Unverified;
