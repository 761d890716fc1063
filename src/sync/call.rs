//! The limits of one call from the host, and what the paths of a batch share.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use crate::engine::Selection;
use crate::error::{Error, Result, Status};
use crate::model::{LibraryId, Sequence, ViewId};
use crate::platform::clock::Deadline;
use crate::platform::fork::lock;

/// Maximum time without data from the server during a query. Listings use the limit from the options, because during a
/// scan, a server can need a long time for a page.
const QUERY_SILENCE: Duration = Duration::from_secs(15);

/// Maximum total time for retries during a query. Listings use the limit from the options.
const QUERY_RETRY_TIME: Duration = Duration::from_secs(3);

/// The views from which plexindex may answer a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowedView {
    /// The view of the current token, whoever the user is.
    Any,
    /// Only this view.
    Of(ViewId),
    /// No view, because plexindex does not know whose token the call started with.
    Unknown,
}

/// Why a library is refreshed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshReason {
    /// The listing has expired.
    Due,
    /// A requested path is not in the listing, so the library may have changed.
    Missing,
    /// The host requested a check, even if the listing has not expired.
    Check,
    /// The host requested a full listing, and accepts a much smaller listing without a second listing as confirmation.
    Full,
}

/// How a call learns the size of the file that it asks about, which can show which listed file it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileSize {
    /// plexindex reads it on this machine if the answer depends on it.
    #[default]
    Read,
    /// The host knows it, in bytes.
    Known(u64),
    /// Nothing may be read.
    Unread,
}

/// The parameters of a call: library, deadline, and whether the call may send requests.
#[derive(Clone, Copy)]
#[allow(clippy::struct_excessive_bools)] // independent options
pub struct Call<'a> {
    /// The library of the call; `None` for all libraries.
    pub library: Option<&'a Selection>,
    /// The call's deadline, which applies to all of the call's jobs.
    pub deadline: Deadline,
    /// Maximum time without data from the server; `None` for the limit from the options.
    pub max_silence: Option<Duration>,
    /// Maximum time for retries; `None` for the limit from the options.
    pub retry_for: Option<Duration>,
    /// Number of the index's token at the start of the call.
    pub session: u64,
    /// The views from which plexindex may answer the call, in case the caller repeats it with a new token.
    pub allowed_view: AllowedView,
    /// Whether the caller repeats the call with a new token if the server rejects the token, so that the call must fail
    /// instead of returning a stale answer.
    pub will_retry_with_new_token: bool,
    /// Whether the call must not send requests.
    pub offline: bool,
    /// The size of the file that the call asks about.
    pub file_size: FileSize,
    /// Whether the call must ask the server for changes even if the listings are fresh.
    pub always_asks: bool,
    /// The change sequence, and the time in Unix ms, at the start of the batch that the call belongs to, so that the
    /// batch's paths share the server's replies; `None` outside a batch.
    pub batch_start: Option<(Sequence, i64)>,
    /// The batch that the call belongs to.
    pub batch: Option<&'a Batch>,
    /// Whether the call's jobs fetch no full listing.
    pub skips_listings: bool,
    /// Maximum time that a query waits for the server if a stored listing can answer.
    pub listed_wait: Duration,
    /// The failure of an earlier attempt. Each step that needs the server then fails with this error, and sends no
    /// request.
    pub failure: Option<&'a Error>,
    /// The host's callback for a fetch's progress, which runs on the calling thread. The fetch stops if the callback
    /// returns `false`.
    pub progress: Option<&'a dyn Fn(&Progress<'_>) -> bool>,
}

impl<'a> Call<'a> {
    /// Returns the parameters of a call that sends no requests. `library`: `None` for all libraries. `session`: the
    /// token's number.
    pub fn offline(library: Option<&'a Selection>, session: u64) -> Self {
        Self {
            library,
            deadline: Deadline::NONE,
            max_silence: Some(QUERY_SILENCE),
            retry_for: Some(QUERY_RETRY_TIME),
            session,
            allowed_view: AllowedView::Any,
            will_retry_with_new_token: false,
            offline: true,
            file_size: FileSize::Read,
            always_asks: false,
            batch_start: None,
            batch: None,
            skips_listings: false,
            listed_wait: Duration::MAX,
            failure: None,
            progress: None,
        }
    }

    /// Calls the host's progress callback during work that sends no requests. Fails if the callback stops the call.
    pub fn report_progress(&self, elapsed: Duration) -> Result<()> {
        let progress = Progress {
            library: None,
            items: 0,
            total: None,
            elapsed,
        };
        match self.progress {
            Some(report) if !report(&progress) => Err(aborted_error()),
            _ => Ok(()),
        }
    }
}

/// The progress of a fetch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Progress<'a> {
    /// Title of the library; `None` before the first library is fetched, and while another process fetches.
    pub library: Option<&'a str>,
    /// Number of items fetched so far, including items from an earlier, interrupted fetch.
    pub items: u64,
    /// Number of items in the library, if the server reports it.
    pub total: Option<u64>,
    /// Time since the start of the fetch.
    pub elapsed: Duration,
}

/// Returns the error for a call that the host stopped.
pub fn aborted_error() -> Error {
    Error::new(
        Status::Aborted,
        "the host stopped the call; the next call resumes the fetch",
    )
}

/// What the paths of a batch share.
#[derive(Default)]
pub struct Batch(Mutex<BatchState>);

#[derive(Default)]
pub struct BatchState {
    /// Hashes of the folders in which plexindex has searched for a path since the change: one search is enough.
    pub searched_folders: HashSet<u64>,
    /// Answered questions that are not recorded yet.
    pub questions: Vec<(LibraryId, u64)>,
    /// Whether the server has changed libraries since the batch started.
    pub has_changed: bool,
    /// Time that the batch has waited for the server.
    pub waited: Duration,
}

impl Batch {
    pub fn state(&self) -> MutexGuard<'_, BatchState> {
        lock(&self.0)
    }
}
