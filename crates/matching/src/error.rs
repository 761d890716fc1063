//! The outcomes of calls, and the error that carries one with a text for users.

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
    /// The deadline passed first. The same call, repeated, continues where this one stopped.
    NotYet = 3,
    /// The deadline is too short for the server. Fetch the library once (`plexindex warm`).
    NeedsWarm = 4,

    /// An argument has an invalid value.
    InvalidArgument = 100,
    /// A pointer is NULL that must not be NULL.
    NullPointer = 101,
    /// Unknown fields or flags. A known flag in the wrong call is an invalid argument, 100.
    Unsupported = 102,
    /// The buffer is too small. Its `length` is the size needed.
    BufferTooSmall = 103,
    /// The host's progress callback ended the call. What was fetched is kept.
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
    /// The server was silent for too long: try again later. Or the deadline passed in a call that has no other outcome
    /// for that, such as an edit: give a longer one.
    Timeout = 309,
    /// The server redirects to another host. The token is not sent there.
    Redirected = 310,
    /// A request is needed, but the call or the index is offline, or there is no server URL.
    Offline = 311,

    /// The server has no library with this title, section id or uuid.
    LibraryNotFound = 400,
    /// Two libraries have this title.
    LibraryAmbiguous = 401,
    /// The changes since the cursor are not known any more: list again in full.
    ListAgain = 402,
    /// The index does not hold the library: it was never fetched, or was removed for the limit on the folder. Or the
    /// server has not accepted a new token yet. Ask the server first (refresh).
    NotFetched = 403,
}

/// Names each status once: for the list of all, and for C.
macro_rules! named {
    ($($status:ident $name:literal)*) => {
        /// Every status, in ascending order of its number.
        pub const ALL: [Self; [$($name),*].len()] = [$(Self::$status),*];

        /// The constant's name in the C header without its prefix, such as `NOT_FOUND`.
        #[must_use]
        pub fn c_name(self) -> &'static CStr {
            match self {
                $(Self::$status => $name,)*
            }
        }
    };
}

impl Status {
    named! {
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

    /// Returns whether the caller is at fault, or has ended the call: neither the store nor the server failed.
    #[must_use]
    pub fn is_of_caller(self) -> bool {
        (self as i32) < Self::Store as i32
    }

    /// Returns whether the server failed, or does not have what was asked for.
    #[must_use]
    pub fn is_of_server(self) -> bool {
        self as i32 >= Self::Connect as i32
    }

    /// [`Status::c_name`] as text.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.c_name().to_str().unwrap_or_default()
    }

    /// The status with this number, if there is one.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|status| *status as i32 == number)
    }
}

/// Whether another attempt may succeed after a failure of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// No: it does not exist.
    NothingThere,
    /// Later, without anyone doing anything; an immediate attempt fails too.
    NotNow,
    /// Perhaps at once: the source was reached, and failed this time.
    Failed,
    /// Not before a person changes something.
    Never,
}

impl Status {
    /// Returns whether another attempt may succeed after this failure. The statuses mean the same for all sources.
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
    fn from((): ()) -> Self {
        Self::Ok
    }
}

/// An error: a kind for programs, and a text for users.
///
/// Its text says what failed, with which input, and how to solve it. It never contains a token, and contains a media
/// path only if that was passed to this very call. Programs decide by its [`kind`](Error::kind).
/// ```
/// # mod plexindex { pub use plexindex_matching::{error::ErrorKind, model::Confidence}; }
/// use plexindex::{Confidence, ErrorKind};
///
/// let error = "medium".parse::<Confidence>().unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidArgument);
/// assert_eq!(error.to_string(), "'medium' names no Confidence");
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
    fn eq(&self, other: &Self) -> bool {
        (self.status, &self.message) == (other.status, &other.message)
    }
}

impl Eq for Error {}

/// The result of every fallible function of the crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The kind of failure, for programs.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// An error of a `Source` of your own. The status decides what the index does; the text says what people can do
    /// about it. A source returns statuses of the 300 block, [`Status::Unsupported`] and [`Status::Aborted`].
    #[cfg_attr(not(feature = "unstable-source"), doc(hidden))]
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Self {
            status,
            kind: ErrorKind::of(status),
            message: shortened(message.into()),
            source: None,
        }
    }

    /// Sets the error's [`source`](std::error::Error::source). The text must name it too: users see the text only.
    #[cfg_attr(not(feature = "unstable-source"), doc(hidden))]
    #[must_use]
    pub fn because(mut self, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(cause));
        self
    }

    /// Adds an error of the system as the cause. It is rebuilt, as it cannot be cloned.
    #[doc(hidden)]
    #[must_use]
    pub fn because_io(self, cause: &io::Error) -> Self {
        self.because(match cause.raw_os_error() {
            Some(number) => io::Error::from_raw_os_error(number),
            None => io::Error::new(cause.kind(), cause.to_string()),
        })
    }

    /// Adds the operation in progress before the error's text.
    #[doc(hidden)]
    #[must_use]
    pub fn while_doing(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
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
    /// The host's progress callback ended the call. What was fetched is kept.
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
    /// The server was silent for too long: try again later. Or the deadline passed in a call that has no other outcome
    /// for that, such as an edit: give a longer one.
    Timeout,
    /// The server redirects to another host. The token is not sent there.
    Redirected,
    /// A request is needed, but the call or the index is offline, or there is no server URL.
    Offline,
    /// The server has no library with this title, section id or uuid.
    LibraryNotFound,
    /// The index does not hold the library: it was never fetched, or was removed for the limit on the folder. Or the
    /// server has not accepted a new token yet. Ask the server first (refresh).
    NotFetched,
    /// Two libraries have this title.
    LibraryAmbiguous,
    /// The changes since the cursor are not known any more: list again in full.
    ListAgain,
    /// A defect in plexindex. Please report it.
    Defect,
}

/// Names each kind once. A kind has the name of its status.
macro_rules! kinds {
    ($($kind:ident $text:literal),*) => {
        enum_names! { ErrorKind: $($kind $text,)* Defect "defect" }

        impl ErrorKind {
            /// The kind for a status. Answers are no errors, and some errors can only happen in C: here these are defects.
            fn of(status: Status) -> Self {
                match status {
                    $(Status::$kind => Self::$kind,)*
                    _ => Self::Defect,
                }
            }
        }
    };
}

kinds! {
    InvalidArgument "invalid_argument", Unsupported "unsupported", Aborted "aborted", Store "store",
    StoreFull "store_full", Connect "connect", Tls "tls", Unauthorized "unauthorized", Forbidden "forbidden",
    NotOnServer "not_on_server", NotPlex "not_plex", Starting "starting", BadAnswer "bad_answer",
    ServerError "server_error", Timeout "timeout", Redirected "redirected", Offline "offline",
    LibraryNotFound "library_not_found", NotFetched "not_fetched", LibraryAmbiguous "library_ambiguous",
    ListAgain "list_again"
}

impl ErrorKind {
    /// Returns whether the same call may succeed later without any change: the server could not be reached, was too slow
    /// or is starting, or its answer failed. After a deadline give a longer one: zero leaves no time for a request.
    #[must_use]
    pub fn is_transient(self) -> bool {
        use ErrorKind::{BadAnswer, Connect, ServerError, Starting, Timeout};
        matches!(self, Connect | Timeout | Starting | BadAnswer | ServerError)
    }
}

/// A text without its middle, where it quotes an input of any length. The beginning says what failed, the end the remedy.
fn shortened(text: String) -> String {
    const LONGEST: usize = 8_192;
    const END: usize = 1_024;
    if text.len() <= LONGEST {
        return text;
    }
    let end = (text.len() - END..text.len())
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(text.len());
    let begin = (0..LONGEST - 2 * END)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    format!("{}… (of {} bytes) …{}", &text[..begin], text.len(), &text[end..])
}

/// Refuses what a caller gave.
///
/// # Errors
/// [`Status::InvalidArgument`], always.
pub fn refuse<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::new(Status::InvalidArgument, text))
}

/// Refuses what is longer than it can be, before anything copies it: where there is no memory a copy ends the host.
///
/// # Errors
/// [`Status::InvalidArgument`].
pub fn check_length(what: &str, length: usize, most: usize) -> Result<()> {
    if length <= most {
        return Ok(());
    }
    refuse(format!("{what} has {length} bytes: give at most {most}"))
}

/// Returns a value of the caller as errors show it: only the beginning if it is long.
#[must_use]
pub fn abridged(value: &[u8]) -> Cow<'_, str> {
    /// The longest value that is shown in full.
    const LONG: usize = 256;
    const SHOWN: usize = 32;
    if value.len() <= LONG {
        return String::from_utf8_lossy(value);
    }
    let mut end = SHOWN;
    // Do not cut a character in two.
    while end > SHOWN - 3 && value[end] & 0xC0 == 0x80 {
        end -= 1;
    }
    Cow::Owned(format!("{}…", String::from_utf8_lossy(&value[..end])))
}

/// An empty list with room for so many of what a caller gave: where there is no memory that is an error, and not the
/// end of the host.
///
/// # Errors
/// [`Status::InvalidArgument`].
pub fn room<T>(count: usize, of: &str) -> Result<Vec<T>> {
    let mut list = Vec::new();
    list.try_reserve_exact(count).map_err(|_| no_room(count, of))?;
    Ok(list)
}

/// The error where there is no memory for so many of what a caller gave.
#[must_use]
pub fn no_room(count: usize, of: &str) -> Error {
    Error::new(
        Status::InvalidArgument,
        format!("not enough memory for {count} {of}: give fewer at once, or raise the memory limit (ulimit -v)"),
    )
}
