//! The outcomes of calls, and the error that carries an outcome with a text for users.

use std::borrow::Cow;
use std::ffi::CStr;
use std::fmt;
use std::io;
use std::sync::Arc;

/// The outcome of a call. The numbers are part of the ABI: none changes or is reused. 0 is success, 1 to 99 are answers.
/// Then come errors: from 100 on the caller's, 200 of the store, 300 of the server, 400 of libraries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
#[non_exhaustive]
pub enum Status {
    /// Success; for a match: one item.
    Ok = 0,
    /// No item has this path, GUID or title; the answer says why.
    NotFound = 1,
    /// Several items match equally well; the answer lists them, best first.
    Ambiguous = 2,
    /// The deadline passed before the answer was found. Repeat the call: plexindex continues where this call stopped.
    NotYet = 3,
    /// The deadline is too short for the server. Fetch the library once (`plexindex warm`).
    NeedsWarm = 4,

    /// An argument has an invalid value.
    InvalidArgument = 100,
    /// A pointer is NULL that must not be NULL.
    NullPointer = 101,
    /// A field or flag is unknown. For a known flag in the wrong call the status is `INVALID_ARGUMENT`.
    Unsupported = 102,
    /// The buffer is too small. Its `length` is the size needed.
    BufferTooSmall = 103,
    /// The host's progress callback ended the call. Items fetched so far are kept.
    Aborted = 104,
    /// A defect in plexindex was caught. The handle stays usable.
    Panic = 105,

    /// The store cannot be opened, read or written, or no thread can be started.
    Store = 200,
    /// The disk is full, or a limit is reached. Nothing was changed.
    StoreFull = 201,

    /// No connection to the server can be made.
    Connect = 300,
    /// The server's certificate is refused, or TLS failed in another way.
    Tls = 301,
    /// The server refuses the token (401), or the token expired (498): set a new one.
    Unauthorized = 302,
    /// The server does not allow this to the token's user (403).
    Forbidden = 303,
    /// The server has no such item, library or address (404).
    NotOnServer = 304,
    /// The reply is not from a Plex Media Server, or from one that is too old.
    NotPlex = 305,
    /// The server is starting, or upgrading its database.
    Starting = 306,
    /// The server's reply is cut off or malformed.
    BadAnswer = 307,
    /// The server failed: it replied with 5xx, or with another unexpected status.
    ServerError = 308,
    /// The server did not reply in time, or the deadline of an edit passed: try again, or give a longer one.
    Timeout = 309,
    /// The server redirects to another host. The token is not sent there.
    Redirected = 310,
    /// A request is needed, but the call or the index is offline, or there is no server URL.
    Offline = 311,

    /// The server has no library with this title, section id or uuid.
    LibraryNotFound = 400,
    /// Two libraries have this title.
    LibraryAmbiguous = 401,
    /// The index no longer has the changes since the cursor: list everything again.
    ListAgain = 402,
    /// The index does not hold the library: it was never fetched, or was removed to keep the folder within its limit. Or
    /// the server has not accepted a new token yet. Refresh first.
    NotFetched = 403,
}

/// Defines [`Status::ALL`] and [`Status::c_name`] from one list.
macro_rules! status_names {
    ($($status:ident $name:literal)*) => {
        /// Every status, in ascending order of its number.
        pub const ALL: [Self; [$($name),*].len()] = [$(Self::$status),*];

        /// Returns the constant's name in the C header without its prefix, such as `NOT_FOUND`.
        #[must_use]
        pub fn c_name(self) -> &'static CStr {
            match self {
                $(Self::$status => $name,)*
            }
        }
    };
}

impl Status {
    status_names! {
        Ok c"OK"
        NotFound c"NOT_FOUND"
        Ambiguous c"AMBIGUOUS"
        NotYet c"NOT_YET"
        NeedsWarm c"NEEDS_WARM"
        InvalidArgument c"INVALID_ARGUMENT"
        NullPointer c"NULL_POINTER"
        Unsupported c"UNSUPPORTED"
        BufferTooSmall c"BUFFER_TOO_SMALL"
        Aborted c"ABORTED"
        Panic c"PANIC"
        Store c"STORE"
        StoreFull c"STORE_FULL"
        Connect c"CONNECT"
        Tls c"TLS"
        Unauthorized c"UNAUTHORIZED"
        Forbidden c"FORBIDDEN"
        NotOnServer c"NOT_ON_SERVER"
        NotPlex c"NOT_PLEX"
        Starting c"STARTING"
        BadAnswer c"BAD_ANSWER"
        ServerError c"SERVER_ERROR"
        Timeout c"TIMEOUT"
        Redirected c"REDIRECTED"
        Offline c"OFFLINE"
        LibraryNotFound c"LIBRARY_NOT_FOUND"
        LibraryAmbiguous c"LIBRARY_AMBIGUOUS"
        ListAgain c"LIST_AGAIN"
        NotFetched c"NOT_FETCHED"
    }

    /// Returns whether neither the store nor the server failed: the caller is at fault, or ended the call.
    #[must_use]
    pub fn is_of_caller(self) -> bool {
        (self as i32) < Self::Store as i32
    }

    /// Returns whether the server failed, or does not have the item or library.
    #[must_use]
    pub fn is_of_server(self) -> bool {
        self as i32 >= Self::Connect as i32
    }

    /// Returns the constant's name in the C header without its prefix, as text: see [`Status::c_name`].
    #[must_use]
    pub fn name(self) -> &'static str {
        self.c_name().to_str().unwrap_or_default()
    }

    /// Returns the status with this number; `None` for an unknown number.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|status| *status as i32 == number)
    }
}

/// Whether another attempt may succeed after a failure of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// No: the item or library does not exist.
    NothingThere,
    /// Yes, later: an immediate attempt fails too.
    NotNow,
    /// Yes, perhaps at once: the source was reached, but failed this time.
    Failed,
    /// No, until a person changes something, such as the token.
    Never,
}

impl Status {
    /// Returns whether another attempt may succeed after this failure. The rules are the same for all sources.
    #[must_use]
    pub fn meaning(self) -> Meaning {
        match self {
            Self::NotOnServer | Self::LibraryNotFound | Self::NotFetched => Meaning::NothingThere,
            Self::Connect | Self::Timeout | Self::Starting => Meaning::NotNow,
            Self::BadAnswer | Self::ServerError | Self::Aborted => Meaning::Failed,
            _ => Meaning::Never,
        }
    }
}

/// A call without a result has succeeded.
impl From<()> for Status {
    /// Returns [`Status::Ok`].
    fn from((): ()) -> Self {
        Self::Ok
    }
}

/// An error: a kind for programs, and a text for users.
///
/// The text says what failed, with which input, and how to solve it. It never contains a token, and contains a media
/// path only if this call got that path. Programs decide by the [`kind`](Error::kind).
/// ```
/// # mod plexindex { pub use plexindex_matching::{error::ErrorKind, model::Confidence}; }
/// use plexindex::{Confidence, ErrorKind};
///
/// let error = "medium".parse::<Confidence>().unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidArgument);
/// assert_eq!(error.to_string(), "'medium' is not a valid Confidence");
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Error {
    /// The outcome, as in the C ABI.
    #[doc(hidden)]
    pub status: Status,
    kind: ErrorKind,
    /// The text, for users.
    #[doc(hidden)]
    pub message: String,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// Two errors are equal if their statuses and texts are.
impl PartialEq for Error {
    /// Compares statuses and texts.
    fn eq(&self, other: &Self) -> bool {
        (self.status, &self.message) == (other.status, &other.message)
    }
}

impl Eq for Error {}

/// The result of every fallible function of the crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Returns the kind of failure, for programs.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Creates an error, as an implementation of `Source` does. The status decides what the index does; the text says
    /// what people can do. A source returns the statuses from 300 to 399, [`Status::Unsupported`] and
    /// [`Status::Aborted`].
    #[cfg_attr(not(feature = "unstable-source"), doc(hidden))]
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Self {
            status,
            kind: ErrorKind::of(status),
            message: cut_middle(message.into()),
            source: None,
        }
    }

    /// Sets the error's [`source`](std::error::Error::source). The text must name the cause too: users see only the
    /// text.
    #[cfg_attr(not(feature = "unstable-source"), doc(hidden))]
    #[must_use]
    pub fn because(mut self, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(cause));
        self
    }

    /// Adds a copy of an error of the operating system as the cause. `io::Error` has no `Clone`.
    #[doc(hidden)]
    #[must_use]
    pub fn because_io(self, cause: &io::Error) -> Self {
        self.because(match cause.raw_os_error() {
            Some(number) => io::Error::from_raw_os_error(number),
            None => io::Error::new(cause.kind(), cause.to_string()),
        })
    }

    /// Puts the operation that failed before the error's text.
    #[doc(hidden)]
    #[must_use]
    pub fn while_doing(mut self, operation: &str) -> Self {
        self.message = format!("{operation}: {}", self.message);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Shows the kind and the text. `main` prints this for an error that it returns.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind(), self.message)
    }
}

impl std::error::Error for Error {
    /// Returns the cause: a [`std::io::Error`] of the operating system, or an error of `SQLite`. The text of this error
    /// contains the text of the cause.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// The kind of failure of an [`Error`].
///
/// Kinds may be added: a `match` needs an arm for others.
///
/// # Errors of the server
/// A call that sends a request may fail with [`Connect`](Self::Connect), [`Tls`](Self::Tls),
/// [`Unauthorized`](Self::Unauthorized), [`Forbidden`](Self::Forbidden), [`NotOnServer`](Self::NotOnServer),
/// [`NotPlex`](Self::NotPlex), [`Starting`](Self::Starting), [`BadAnswer`](Self::BadAnswer),
/// [`ServerError`](Self::ServerError), [`Timeout`](Self::Timeout), [`Redirected`](Self::Redirected) and
/// [`Offline`](Self::Offline). [`is_transient`](Self::is_transient) says which of them may pass by themselves.
///
/// # Errors of the store
/// Almost every call may fail with [`Store`](Self::Store), and one that writes with [`StoreFull`](Self::StoreFull).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument has an invalid value.
    InvalidArgument,
    /// The kind of source cannot do this: it has no events, or no edits.
    Unsupported,
    /// The host's progress callback ended the call. Items fetched so far are kept.
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
    /// The reply is not from a Plex Media Server, or from one that is too old.
    NotPlex,
    /// The server is starting, or upgrading its database.
    Starting,
    /// The server's reply is cut off or malformed.
    BadAnswer,
    /// The server failed: it replied with 5xx, or with another unexpected status.
    ServerError,
    /// The server did not reply in time, or the deadline of an edit passed: try again, or give a longer one.
    Timeout,
    /// The server redirects to another host. The token is not sent there.
    Redirected,
    /// A request is needed, but the call or the index is offline, or there is no server URL.
    Offline,
    /// The server has no library with this title, section id or uuid.
    LibraryNotFound,
    /// The index does not hold the library: it was never fetched, or was removed to keep the folder within its limit.
    /// Or the server has not accepted a new token yet. Refresh first.
    NotFetched,
    /// Two libraries have this title.
    LibraryAmbiguous,
    /// The index no longer has the changes since the cursor: list everything again.
    ListAgain,
    /// A defect in plexindex. Please report it.
    Defect,
}

/// Defines the names of [`ErrorKind`] and [`ErrorKind::of`] from one list. A kind has the name of its status.
macro_rules! error_kinds {
    ($($kind:ident $text:literal),*) => {
        enum_names! { ErrorKind: $($kind $text,)* Defect "defect" }

        impl ErrorKind {
            /// Returns the kind for a status. The Rust API never returns the other statuses as errors.
            fn of(status: Status) -> Self {
                match status {
                    $(Status::$kind => Self::$kind,)*
                    _ => Self::Defect,
                }
            }
        }
    };
}

error_kinds! {
    InvalidArgument "invalid_argument", Unsupported "unsupported", Aborted "aborted", Store "store",
    StoreFull "store_full", Connect "connect", Tls "tls", Unauthorized "unauthorized", Forbidden "forbidden",
    NotOnServer "not_on_server", NotPlex "not_plex", Starting "starting", BadAnswer "bad_answer",
    ServerError "server_error", Timeout "timeout", Redirected "redirected", Offline "offline",
    LibraryNotFound "library_not_found", NotFetched "not_fetched", LibraryAmbiguous "library_ambiguous",
    ListAgain "list_again"
}

impl ErrorKind {
    /// Returns whether the same call may succeed later: the server could not be reached, was too slow, is starting, or
    /// sent a bad reply. After a timeout, give a longer deadline: zero leaves no time for a request.
    #[must_use]
    pub fn is_transient(self) -> bool {
        use ErrorKind::{BadAnswer, Connect, ServerError, Starting, Timeout};
        matches!(self, Connect | Timeout | Starting | BadAnswer | ServerError)
    }
}

/// Cuts the middle out of a text that quotes a long input. The beginning says what failed, and the end has the remedy.
fn cut_middle(text: String) -> String {
    const MAX_LENGTH: usize = 8_192;
    const TAIL_LENGTH: usize = 1_024;
    const HEAD_LENGTH: usize = MAX_LENGTH - 2 * TAIL_LENGTH;
    if text.len() <= MAX_LENGTH {
        return text;
    }
    let tail_start = (text.len() - TAIL_LENGTH..text.len())
        .find(|offset| text.is_char_boundary(*offset))
        .unwrap_or(text.len());
    let head_end = (0..HEAD_LENGTH)
        .rev()
        .find(|offset| text.is_char_boundary(*offset))
        .unwrap_or(0);
    format!(
        "{}… (of {} bytes) …{}",
        &text[..head_end],
        text.len(),
        &text[tail_start..]
    )
}

/// Returns an error that rejects an argument, with this text for the user.
///
/// # Errors
/// [`Status::InvalidArgument`], always.
pub fn refuse<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::new(Status::InvalidArgument, text))
}

/// Rejects an argument whose `length` exceeds `limit`, before a copy of it exhausts the memory and aborts the host.
/// `argument` is the argument's name for the error text.
///
/// # Errors
/// [`Status::InvalidArgument`].
pub fn check_length(argument: &str, length: usize, limit: usize) -> Result<()> {
    if length <= limit {
        return Ok(());
    }
    refuse(format!("{argument} is {length} bytes long: give at most {limit} bytes"))
}

/// Formats an argument for an error message. Shows only the beginning of a long argument.
#[must_use]
pub fn abridged(value: &[u8]) -> Cow<'_, str> {
    /// The longest value that is shown in full.
    const MAX_LENGTH: usize = 256;
    /// Number of bytes shown of a longer value.
    const HEAD_LENGTH: usize = 32;
    if value.len() <= MAX_LENGTH {
        return String::from_utf8_lossy(value);
    }
    let mut end = HEAD_LENGTH;
    // Avoids cutting a UTF-8 character, which ends with up to three bytes of the form 10xxxxxx.
    while end > HEAD_LENGTH - 3 && value[end] & 0xC0 == 0x80 {
        end -= 1;
    }
    Cow::Owned(format!("{}…", String::from_utf8_lossy(&value[..end])))
}

/// Allocates an empty list for the caller's elements. Fails without enough memory, where `Vec::with_capacity` would
/// abort the host. `elements` names them in the error.
///
/// # Errors
/// [`Status::InvalidArgument`].
pub fn room<T>(count: usize, elements: &str) -> Result<Vec<T>> {
    let mut list = Vec::new();
    list.try_reserve_exact(count).map_err(|_| no_room(count, elements))?;
    Ok(list)
}

/// Returns the error for a call with more elements than fit in memory. `elements` names them in the error.
#[must_use]
pub fn no_room(count: usize, elements: &str) -> Error {
    Error::new(
        Status::InvalidArgument,
        format!("not enough memory for {count} {elements}: give fewer at once, or raise the memory limit (ulimit -v)"),
    )
}
