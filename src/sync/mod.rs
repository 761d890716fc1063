//! Decides when to send which requests, ensures that only one caller at a time sends them, and stores the replies.

mod call;
mod commands;
mod job;
mod listing;
mod reading;
mod refresh;
mod search;

pub use call::{AllowedView, Batch, Call, FileSize, Progress, RefreshReason};
pub use commands::{ScanTarget, scan_target};
pub use job::{NoPeers, PeerComponents, Peers, Synchronizer, TICK, not_shared_error, on_worker};
pub use reading::{EvictionPin, IndexReader, MAX_RETRIES, cleared_repeatedly_error, segments_lost_error};
pub use refresh::ItemToVerify;
pub use search::{
    BACK_OFF_MS, BACK_OFF_NOT_FETCHED_MS, Question, RequestCounts, SEARCH_TIMEOUT, SearchCause, SearchTarget,
    failed_operation,
};
