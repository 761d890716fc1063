//! What did not work, for Rust.

use std::fmt;

use crate::error::{self as inside, Status};

/// What every fallible function of the crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Something that did not work.
///
/// Its text says what, with which input, and what can be done about it. It never holds a token, and names a media path only
/// where that was passed in this very call. Programs decide by its [`kind`](Error::kind).
///
/// ```
/// use plexindex::{ErrorKind, Index, Options};
///
/// let error = Index::open(Options::new("")).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidArgument);
/// assert_eq!(error.to_string(), "cache_dir is empty: name the folder that shall hold the store");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

impl Error {
    /// What kind of failure it is, for programs.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What stands in the place of an answer of a batch.
    pub(super) fn of_answer(status: Status, message: &str) -> Self {
        inside::Error::new(status, message).into()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Shows the kind and the text: it is what `main` prints of an error that it returns.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.message)
    }
}

impl std::error::Error for Error {}

#[doc(hidden)]
impl From<inside::Error> for Error {
    fn from(error: inside::Error) -> Self {
        Self {
            kind: ErrorKind::of(error.status),
            message: error.message,
        }
    }
}

/// What kind of failure an [`Error`] is.
///
/// More may come: a `match` needs an arm for the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The value of an argument is refused.
    InvalidArgument,
    /// What the index asks cannot do this: its kind of server has no events, or no edits.
    Unsupported,
    /// The progress callback ended the call. What was fetched is kept.
    Aborted,
    /// The store cannot be opened, read or written, or no thread can be started.
    Store,
    /// The disk is full, or a limit is reached. Nothing was changed.
    StoreFull,
    /// No connection to the server can be made.
    Connect,
    /// The server's certificate is refused, or TLS failed in another way.
    Tls,
    /// The server refuses the token (401), or the token expired (498): set a new one.
    Unauthorized,
    /// The server does not allow this to the token's user (403).
    Forbidden,
    /// The server has no such item, library or address (404).
    NotOnServer,
    /// The answer is not from a Plex Media Server, or from one that is too old.
    NotPlex,
    /// The server is starting, or upgrading its database.
    Starting,
    /// The server's answer is cut off or malformed.
    BadAnswer,
    /// The server failed: it answered 5xx, or with another status that is not expected.
    ServerError,
    /// The server did not answer within the deadline or the time-outs.
    Timeout,
    /// The server redirects to another host. The token is not sent there.
    Redirected,
    /// A request is needed, but the call or the index is offline, or there is no server URL.
    Offline,
    /// The server has no library with this title, section id or uuid.
    LibraryNotFound,
    /// Two libraries have this title.
    LibraryAmbiguous,
    /// What changed since the cursor is not known any more: list again, in full.
    ListAgain,
    /// A defect in plexindex. Please report it.
    Defect,
}

impl ErrorKind {
    /// The kind that a status of the index stands for. Answers and what only C can do wrong are no failures of a call of
    /// Rust's: one of them would be a defect.
    fn of(status: Status) -> Self {
        match status {
            Status::InvalidArgument => Self::InvalidArgument,
            Status::Unsupported => Self::Unsupported,
            Status::Aborted => Self::Aborted,
            Status::Store => Self::Store,
            Status::StoreFull => Self::StoreFull,
            Status::Connect => Self::Connect,
            Status::Tls => Self::Tls,
            Status::Unauthorized => Self::Unauthorized,
            Status::Forbidden => Self::Forbidden,
            Status::NotOnServer => Self::NotOnServer,
            Status::NotPlex => Self::NotPlex,
            Status::Starting => Self::Starting,
            Status::BadAnswer => Self::BadAnswer,
            Status::ServerError => Self::ServerError,
            Status::Timeout => Self::Timeout,
            Status::Redirected => Self::Redirected,
            Status::Offline => Self::Offline,
            Status::LibraryNotFound => Self::LibraryNotFound,
            Status::LibraryAmbiguous => Self::LibraryAmbiguous,
            Status::ListAgain => Self::ListAgain,
            Status::Ok
            | Status::NotFound
            | Status::Ambiguous
            | Status::NotYet
            | Status::NeedsWarm
            | Status::NullPointer
            | Status::BufferTooSmall
            | Status::Panic => Self::Defect,
        }
    }
}
