//! Decides when to send which requests, ensures that only one caller at a time sends them, and stores the replies.

mod back_off;
mod call;
mod delta;
mod flight;
mod job;
mod listing;
mod pages;
mod probe;
mod reading;
mod refresh;
mod report;
mod search;
mod verify;

pub use back_off::{BACK_OFF_MS, BACK_OFF_NOT_FETCHED_MS, cannot};
pub use call::{AllowedView, Call, Progress, RefreshReason};
pub use delta::MergedDelta;
pub use job::{AcceptedProbe, NoPeers, PeerComponents, Peers, SyncJob, Syncing, not_shared};
pub use reading::{
    EvictionPin, MAX_RETRIES, Reading, Resolved, Selection, Selector, cleared_again, nothing_known, segments_lost,
};
pub use report::TICK;
pub use search::{RequestCounts, SHORTLY, SearchTarget};
pub use verify::Unverified;
