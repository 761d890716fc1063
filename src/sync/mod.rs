//! Decides when to send which requests, ensures that only one caller at a time sends them, and stores the replies.

mod back_off;
mod call;
mod delta;
mod flight;
mod job;
mod listing;
mod own_checks;
mod pages;
mod path_question;
mod probe;
mod reading;
mod refresh;
mod report;
mod scan;
mod search;
mod verify;

pub use back_off::{BACK_OFF_MS, BACK_OFF_NOT_FETCHED_MS, RequestCounts, failed_operation};
pub use call::{AllowedView, Batch, Call, FileSize, Progress, RefreshReason};
pub use job::{NoPeers, PeerComponents, Peers, Synchronizer, not_shared_error};
pub use path_question::Question;
pub use reading::{
    EvictionPin, IndexReader, MAX_RETRIES, Resolved, Selection, Selector, cleared_repeatedly_error,
    never_fetched_error, segments_lost_error,
};
pub use report::TICK;
pub use scan::Scan;
pub use search::{SEARCH_TIMEOUT, SearchCause, SearchTarget};
pub use verify::ItemToVerify;
