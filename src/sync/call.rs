//! One call of the host: its limits, and its progress.

use std::time::Duration;

use super::reading::{Resolved, Selection};
use crate::engine::Snapshot;
use crate::error::{Error, Result, Status};
use crate::matching::Scope;
use crate::model::IdentityId;
use crate::platform::deadline::Deadline;

/// Maximum silence of a server during a query. Listings use the limit from the options, since a server that scans may
/// need long for a page.
const QUERY_SILENCE: Duration = Duration::from_secs(15);

/// Maximum time for retries during a query. Listings use the limit from the options.
const QUERY_RETRY_TIME: Duration = Duration::from_secs(3);

/// The views that may answer a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowedView {
    /// The view of the current token, for any user.
    Any,
    /// Only this view.
    Of(IdentityId),
    /// No view: the user of the token at the beginning of the call is unknown.
    Unknown,
}

/// The reason for a refresh of a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshReason {
    /// The listing has expired.
    Due,
    /// A path is not in the listing: the library may have changed before the listing expired.
    Missing,
    /// The host requested a check, even of a listing that has not expired.
    Now,
    /// Items were invalidated, and the source cannot fetch single items: a full listing is needed.
    Unverified,
    /// The host requested a full listing, and accepts the result without a second listing that confirms it.
    Full,
}

/// A call: its library, its deadline, and whether it may send requests.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// The library of the call; `None` for all libraries.
    pub library: Option<&'a Selection>,
    /// The deadline of the call, shared by all its jobs.
    pub deadline: Deadline,
    /// Maximum silence of the server; `None` for the limit from the options.
    pub silence: Option<Duration>,
    /// Maximum time for retries; `None` for the limit from the options.
    pub retry_for: Option<Duration>,
    /// The number of the token that the index had when the call began.
    pub session: u64,
    /// The view that may answer if the caller repeats the call with a new token.
    pub allowed_view: AllowedView,
    /// If the server rejects the token, the call fails without a stale answer, and the caller repeats the call with a
    /// new token.
    pub renews: bool,
    /// Whether the call must not send requests.
    pub offline: bool,
    /// The failure of an earlier attempt. Each step that needs the server fails with this error and sends no request.
    pub failure: Option<&'a Error>,
    /// Receives the progress of a fetch, on the caller's thread; `false` stops the fetch.
    pub progress: Option<&'a dyn Fn(&Progress<'_>) -> bool>,
}

impl<'a> Call<'a> {
    /// Returns the parameters of a call that sends no request. `library` is `None` for all libraries, and `session` the
    /// number of the token.
    pub fn offline(library: Option<&'a Selection>, session: u64) -> Self {
        Self {
            library,
            deadline: Deadline::NONE,
            silence: Some(QUERY_SILENCE),
            retry_for: Some(QUERY_RETRY_TIME),
            session,
            allowed_view: AllowedView::Any,
            renews: false,
            offline: true,
            failure: None,
            progress: None,
        }
    }

    /// Reports progress during work that sends no requests, so that the host can stop the call. Fails if the host stops
    /// it.
    pub fn report_progress(&self) -> Result<()> {
        let progress = Progress {
            library: None,
            items: 0,
            total: None,
            elapsed: Duration::ZERO,
        };
        match self.progress {
            Some(report) if !report(&progress) => Err(aborted()),
            _ => Ok(()),
        }
    }

    /// Returns the libraries of this call; `None` if the call names an unknown library.
    #[inline]
    pub fn scope(&self, snapshot: &Snapshot) -> Result<Option<Scope>> {
        match self.library.map(|library| library.resolve(snapshot)).transpose()? {
            None => Ok(Some(Scope::All)),
            Some(Resolved::Scope(scope)) => Ok(Some(scope)),
            Some(Resolved::Unknown) => Ok(None),
        }
    }
}

/// The progress of a fetch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Progress<'a> {
    /// Title of the library; `None` before the first library is fetched, and while another process fetches.
    pub library: Option<&'a str>,
    /// Number of fetched items, including items from an earlier, interrupted fetch.
    pub items: u64,
    /// Number of items in the library, if the server reports it.
    pub total: Option<u64>,
    /// Time since the start of the fetch.
    pub elapsed: Duration,
}

/// Returns the error for a call that the host stopped.
pub fn aborted() -> Error {
    Error::new(
        Status::Aborted,
        "the host stopped the call; the next call resumes the fetch",
    )
}
