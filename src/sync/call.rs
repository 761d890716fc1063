//! One call of the host: what it may do, and its progress.

use std::time::Duration;

use super::reading::{Resolved, Selection};
use crate::engine::Snapshot;
use crate::error::{Error, Result, Status};
use crate::matching::Scope;
use crate::model::IdentityId;
use crate::platform::deadline::Deadline;

/// Longest silence of a server during a query. Listings use the limit from the options: a scanning server may need long
/// for a page.
const QUESTION_SILENCE: Duration = Duration::from_secs(15);

/// How long failures are retried during a query. Listings use the limit from the options.
const QUESTION_RETRY: Duration = Duration::from_secs(3);

/// The views that may answer a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowedView {
    /// The view of the current token, whichever user it belongs to.
    Any,
    /// Only this view.
    Of(IdentityId),
    /// No view: the user of the token at the beginning of the call is unknown.
    Unknown,
}

/// The reason for a refresh of a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshReason {
    /// Its listing has expired.
    Due,
    /// A path that should be listed is not: something may have changed before the listing expired.
    Missing,
    /// The host wants a check, whether the listing has expired or not.
    Now,
    /// Items were invalidated, and the source cannot fetch single items: a full listing is made.
    Unverified,
    /// The host wants a new listing, and accepts it without a second one.
    Full,
}

/// A call: its library, its deadline, and whether it may send requests.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// The library of the call; `None` for all.
    pub library: Option<&'a Selection>,
    /// The deadline of the call, shared by all its jobs.
    pub deadline: Deadline,
    /// How long the server may be silent; `None` for as long as the options allow.
    pub silence: Option<Duration>,
    /// How long failures of the server are retried; `None` for as long as the options allow.
    pub retry_for: Option<Duration>,
    /// The number of the token that the index had when the call began.
    pub session: u64,
    /// The view that may answer if the call is repeated with a token that the host set meanwhile.
    pub allowed_view: AllowedView,
    /// If the server refuses the token, the call fails without an old answer, and the caller repeats it with another
    /// token.
    pub renews: bool,
    /// Whether the call sends no requests.
    pub offline: bool,
    /// The failure of an earlier attempt: each step that needs the server fails with it, and sends no request.
    pub failure: Option<&'a Error>,
    /// Receives the progress of a fetch, on the caller's thread; `false` stops the fetch.
    pub progress: Option<&'a dyn Fn(&Progress<'_>) -> bool>,
}

impl<'a> Call<'a> {
    /// A call that sends no request.
    pub fn offline(library: Option<&'a Selection>, session: u64) -> Self {
        Self {
            library,
            deadline: Deadline::NONE,
            silence: Some(QUESTION_SILENCE),
            retry_for: Some(QUESTION_RETRY),
            session,
            allowed_view: AllowedView::Any,
            renews: false,
            offline: true,
            failure: None,
            progress: None,
        }
    }

    /// Lets the host stop a call that works without requests.
    pub fn tell_progress(&self) -> Result<()> {
        let progress = Progress {
            library: None,
            items: 0,
            total: None,
            elapsed: Duration::ZERO,
        };
        match self.progress {
            Some(goes_on) if !goes_on(&progress) => Err(aborted()),
            _ => Ok(()),
        }
    }

    /// The libraries of this call; `None` if it names an unknown one.
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
    /// Title of the library; `None` before the first one is fetched, and while another process fetches.
    pub library: Option<&'a str>,
    /// Items fetched, including those of an earlier, interrupted fetch.
    pub items: u64,
    /// Number of all items, if the server reports it.
    pub total: Option<u64>,
    /// Time since this call began to fetch.
    pub elapsed: Duration,
}

pub fn aborted() -> Error {
    Error::new(
        Status::Aborted,
        "the host stopped the call; the next call resumes the fetch",
    )
}
