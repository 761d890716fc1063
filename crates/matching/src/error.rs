//! The status of a call, the error type with a status and a message, and the macro that names an enum's variants.

use std::borrow::Cow;
use std::ffi::CStr;
use std::sync::Arc;
use std::{fmt, io};

/// Implements `name`, `Display`, `FromStr`, `Serialize` and, with the feature `schema`, `JsonSchema` for an enum.
#[doc(hidden)]
#[macro_export]
macro_rules! enum_names {
    ($enum_type:ident: $($variant:ident $text:literal),*) => {
        impl $enum_type {
            /// The variants, in the order of their names below.
            #[doc(hidden)]
            pub const NAMED: &'static [Self] = &[$(Self::$variant),*];

            /// Returns the variant's name, which `Display` and JSON use too. Names never change and are never reused.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl std::fmt::Display for $enum_type {
            /// Writes the variant's name, padded as the format string requests.
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        impl std::str::FromStr for $enum_type {
            type Err = $crate::error::Error;

            /// Parses a name that `name` returned; rejects any other text.
            fn from_str(name: &str) -> Result<Self, Self::Err> {
                match name {
                    // `none` is a value only in C; the Rust API uses `Option`.
                    $($text if $text != "none" => Ok(Self::$variant),)*
                    _ => $crate::error::invalid_argument_error(format!(
                        "'{}' is not a valid {}",
                        $crate::error::truncate_for_message(name.as_bytes()),
                        stringify!($enum_type)
                    )),
                }
            }
        }

        impl serde::Serialize for $enum_type {
            fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                out.serialize_str(self.name())
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $enum_type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($enum_type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "enum": [$($text),*] })
            }
        }
    };
}

/// The status of a call. The numbers are part of the ABI: they never change and are never reused. 0 is success, and 1
/// to 99 are answers. Caller errors start at 100, store errors at 200, server errors at 300, and library errors at 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
#[non_exhaustive]
pub enum Status {
    /// The call succeeded; a lookup found one item.
    Ok = 0,
    /// No item has this path, GUID or title; the answer contains the reason.
    NotFound = 1,
    /// Several items match equally well; the answer lists the items, best first.
    Ambiguous = 2,
    /// The timeout passed before an answer was available. Repeat the call: plexindex resumes the work.
    NotYet = 3,
    /// The timeout is too short for this server. Fetch the library once (`plexindex refresh`).
    NeedsWarm = 4,

    /// An argument has an invalid value.
    InvalidArgument = 100,
    /// A pointer that must not be NULL is NULL.
    NullPointer = 101,
    /// A field or flag is unknown. A known flag in the wrong call causes `INVALID_ARGUMENT` instead.
    Unsupported = 102,
    /// The buffer is too small; the buffer's `length` is the required size.
    BufferTooSmall = 103,
    /// The host's progress callback cancelled the call. plexindex keeps the items fetched so far.
    Aborted = 104,
    /// plexindex caught a bug in its own code. The handle remains valid.
    Panic = 105,

    /// plexindex cannot open, read or write the store, or cannot start a thread.
    Store = 200,
    /// The disk is full, or the user's disk quota is used up. The store is unchanged.
    StoreFull = 201,

    /// plexindex cannot connect to the server.
    Connect = 300,
    /// The server's certificate was rejected, or TLS failed for another reason.
    Tls = 301,
    /// The server rejected the token (401), or the token has expired (498). Set a new token.
    Unauthorized = 302,
    /// The token's user lacks the permission for this request (403).
    Forbidden = 303,
    /// The server has no item, library or resource with this address (404).
    NotOnServer = 304,
    /// The reply is not from a Plex Media Server, or the server's version is too old.
    NotPlex = 305,
    /// The server is starting or upgrading its database.
    Starting = 306,
    /// The server's reply is truncated or malformed.
    BadAnswer = 307,
    /// The server replied with status 5xx or another unexpected status.
    ServerError = 308,
    /// The server did not reply in time, or the call's timeout passed. Try again, or set a longer timeout.
    Timeout = 309,
    /// The server redirected the request. plexindex does not follow redirects.
    Redirected = 310,
    /// The call requires a request, but the call or the index is offline, or no server URL is set.
    Offline = 311,

    /// The server has no library with this title, section ID or UUID.
    LibraryNotFound = 400,
    /// Several libraries have this title.
    LibraryAmbiguous = 401,
    /// The index no longer has all changes since the cursor. Start a new full listing.
    ListAgain = 402,
    /// The index has no listing of the library, because the library was never fetched or was evicted, or because the
    /// server has not accepted a new token yet. Refresh the library first.
    NotFetched = 403,
}

/// Defines [`Status::ALL`] and [`Status::c_name`] from one list.
macro_rules! status_names {
    ($($status:ident $name:literal)*) => {
        /// Every status, in ascending order of its number.
        pub const ALL: [Self; [$($name),*].len()] = [$(Self::$status),*];

        /// Returns the name of the constant in the C header without the prefix, such as `NOT_FOUND`.
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

    /// Returns whether the status is success, an answer or the caller's error. After any other status, which is a store
    /// or server failure, a cached answer is better than no answer.
    #[must_use]
    pub fn is_answer_or_caller_error(self) -> bool {
        (self as i32) < Self::Store as i32
    }

    /// Returns whether the server failed, or the item or library does not exist.
    #[must_use]
    pub fn is_server_error(self) -> bool {
        self as i32 >= Self::Connect as i32
    }

    /// Returns [`Status::c_name`] as a Rust string.
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

/// Whether a retry can succeed after the source failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAdvice {
    /// A retry fails too: the item or library does not exist.
    NothingThere,
    /// A later retry can succeed; an immediate retry fails too.
    NotNow,
    /// An immediate retry can succeed: the source was reachable, but failed this time.
    Failed,
    /// A retry fails until a person changes something, such as the token.
    Never,
}

impl Status {
    /// Returns whether a retry can succeed after this failure. The same rules apply to all sources.
    #[must_use]
    pub fn retry_advice(self) -> RetryAdvice {
        match self {
            Self::NotOnServer | Self::LibraryNotFound | Self::NotFetched => RetryAdvice::NothingThere,
            Self::Connect | Self::Timeout | Self::Starting => RetryAdvice::NotNow,
            Self::BadAnswer | Self::ServerError | Self::Aborted => RetryAdvice::Failed,
            _ => RetryAdvice::Never,
        }
    }
}

impl From<()> for Status {
    /// Returns the status of a call that succeeded without a value.
    fn from((): ()) -> Self {
        Self::Ok
    }
}

/// An error: a kind for programs, and a message for users.
///
/// The message says what failed, for which input, and how to solve the problem. The message never contains a token, and
/// contains a media path only if the caller passed that path. Programs should check the [`kind`](Error::kind).
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
    /// The status, as in the C ABI.
    #[doc(hidden)]
    pub status: Status,
    #[doc(hidden)]
    pub message: String,
    /// See [`Error::argument`].
    argument: Option<&'static str>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl PartialEq for Error {
    /// Compares the statuses and the messages, since causes cannot be compared.
    fn eq(&self, other: &Self) -> bool {
        (self.status, &self.message) == (other.status, &other.message)
    }
}

impl Eq for Error {}

/// The result type of the crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Returns the kind of failure, so that programs need not parse the message.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::of(self.status)
    }

    /// Creates an error, for implementations of `Source`, and shortens a long message. The index acts on the status;
    /// the message is for people. A source returns only statuses from 300 to 399, [`Status::Unsupported`] and
    /// [`Status::Aborted`].
    #[cfg_attr(not(feature = "unstable-source"), doc(hidden))]
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Self {
            status,
            message: cut_middle(message.into()),
            argument: None,
            source: None,
        }
    }

    /// Returns the name of the option that is invalid, such as `token`, so that a program can say where its value is
    /// from.
    #[must_use]
    pub fn argument(&self) -> Option<&str> {
        self.argument
    }

    /// Sets the error's [`argument`](Error::argument).
    #[doc(hidden)]
    #[must_use]
    pub fn with_argument(mut self, name: &'static str) -> Self {
        self.argument = Some(name);
        self
    }

    /// Sets the error's [`source`](std::error::Error::source). Users see only the message, which must describe the
    /// cause too.
    #[cfg_attr(not(feature = "unstable-source"), doc(hidden))]
    #[must_use]
    pub fn with_source(mut self, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(cause));
        self
    }

    /// Sets a copy of an I/O error as the [`source`](std::error::Error::source). `io::Error` does not implement
    /// `Clone`.
    #[doc(hidden)]
    #[must_use]
    pub fn with_io_source(self, cause: &io::Error) -> Self {
        self.with_source(match cause.raw_os_error() {
            Some(number) => io::Error::from_raw_os_error(number),
            None => io::Error::new(cause.kind(), cause.to_string()),
        })
    }

    /// Prefixes the message with the operation that failed.
    #[doc(hidden)]
    #[must_use]
    pub fn with_operation(mut self, operation: &str) -> Self {
        self.message = format!("{operation}: {}", self.message);
        self
    }
}

impl fmt::Display for Error {
    /// Writes only the message, which also describes the cause.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    /// Shows the kind and the message: Rust prints the `Debug` output of an error that `main` returns.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind(), self.message)
    }
}

impl std::error::Error for Error {
    /// Returns the cause: a [`std::io::Error`] from the operating system, or an SQLite error. The error's message
    /// includes the cause's message.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// The kind of an [`Error`].
///
/// Later versions may add kinds, so a `match` needs a wildcard arm.
///
/// # Errors of the server
/// A call that sends a request may fail with [`Connect`](Self::Connect), [`Tls`](Self::Tls),
/// [`Unauthorized`](Self::Unauthorized), [`Forbidden`](Self::Forbidden), [`NotOnServer`](Self::NotOnServer),
/// [`NotPlex`](Self::NotPlex), [`Starting`](Self::Starting), [`BadAnswer`](Self::BadAnswer),
/// [`ServerError`](Self::ServerError), [`Timeout`](Self::Timeout), [`Redirected`](Self::Redirected) and
/// [`Offline`](Self::Offline). [`is_transient`](Self::is_transient) returns whether a retry can succeed.
///
/// # Errors of the store
/// Almost every call may fail with [`Store`](Self::Store). A call that writes may also fail with
/// [`StoreFull`](Self::StoreFull).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument has an invalid value.
    InvalidArgument,
    /// The source does not support events or edits.
    Unsupported,
    /// The host's progress callback cancelled the call. plexindex keeps the items fetched so far.
    Aborted,
    /// plexindex cannot open, read or write the store, or cannot start a thread.
    Store,
    /// The disk is full, or the user's disk quota is used up. The store is unchanged.
    StoreFull,
    /// plexindex cannot connect to the server.
    Connect,
    /// The server's certificate was rejected, or TLS failed for another reason.
    Tls,
    /// The server rejected the token (401), or the token has expired (498). Set a new token.
    Unauthorized,
    /// The token's user lacks the permission for this request (403).
    Forbidden,
    /// The server has no item, library or resource with this address (404).
    NotOnServer,
    /// The reply is not from a Plex Media Server, or the server's version is too old.
    NotPlex,
    /// The server is starting or upgrading its database.
    Starting,
    /// The server's reply is truncated or malformed.
    BadAnswer,
    /// The server replied with status 5xx or another unexpected status.
    ServerError,
    /// The server did not reply in time, or the call's timeout passed. Try again, or set a longer timeout.
    Timeout,
    /// The server redirected the request. plexindex does not follow redirects.
    Redirected,
    /// The call requires a request, but the call or the index is offline, or no server URL is set.
    Offline,
    /// The server has no library with this title, section ID or UUID.
    LibraryNotFound,
    /// The index has no listing of the library, because the library was never fetched or was evicted, or because the
    /// server has not accepted a new token yet. Refresh the library first.
    NotFetched,
    /// Several libraries have this title.
    LibraryAmbiguous,
    /// The index no longer has all changes since the cursor. Start a new full listing.
    ListAgain,
    /// A bug in plexindex. Please report the bug.
    Defect,
}

/// Defines the names of [`ErrorKind`] and [`ErrorKind::of`] from one list. A kind has the same name as the
/// status.
macro_rules! error_kinds {
    ($($kind:ident $text:literal),*) => {
        enum_names! { ErrorKind: $($kind $text,)* Defect "defect" }

        impl ErrorKind {
            /// Returns the kind for a status; [`ErrorKind::Defect`] for a status that is not a Rust error.
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
    /// Returns whether a later retry can succeed: the server was unreachable, too slow or starting, or sent a bad
    /// reply. After a timeout, set a longer one; a timeout of zero leaves no time for a request.
    #[must_use]
    pub fn is_transient(self) -> bool {
        use ErrorKind::{BadAnswer, Connect, ServerError, Starting, Timeout};
        matches!(self, Connect | Timeout | Starting | BadAnswer | ServerError)
    }
}

/// Removes the middle of a message that is too long because it quotes a long input. The beginning says what failed, and
/// the end suggests a fix.
fn cut_middle(text: String) -> String {
    const MAX_LENGTH: usize = 8_192;
    const TAIL_LENGTH: usize = 1_024;
    // Leaves room for the note about the removed middle.
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

/// Returns the error for an invalid argument as a [`Result`] of any type, so that callers can return it directly.
///
/// # Errors
/// Returns [`Status::InvalidArgument`].
pub fn invalid_argument_error<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::new(Status::InvalidArgument, text))
}

/// Rejects an argument whose `length` exceeds `limit`: copying a huge argument could exhaust memory and abort the host.
/// The error message contains the argument's name, `argument`.
///
/// # Errors
/// Returns [`Status::InvalidArgument`] if the argument is too long.
pub fn check_length(argument: &str, length: usize, limit: usize) -> Result<()> {
    if length <= limit {
        return Ok(());
    }
    invalid_argument_error(format!("{argument} is {length} bytes long; the limit is {limit} bytes"))
}

/// Formats an argument for an error message, and truncates a long argument.
#[must_use]
pub fn truncate_for_message(value: &[u8]) -> Cow<'_, str> {
    const MAX_LENGTH: usize = 256;
    const HEAD_LENGTH: usize = 32;
    if value.len() <= MAX_LENGTH {
        return String::from_utf8_lossy(value);
    }
    let mut end = HEAD_LENGTH;
    // The loop avoids splitting a UTF-8 character, whose last bytes (at most three) have the form 10xxxxxx.
    while end > HEAD_LENGTH - 3 && value[end] & 0xC0 == 0x80 {
        end -= 1;
    }
    Cow::Owned(format!("{}…", String::from_utf8_lossy(&value[..end])))
}

/// Allocates an empty list with capacity for `count` elements. Returns an error if memory is short, whereas
/// `Vec::with_capacity` would abort the host. `elements` is a plural noun for the error message.
///
/// # Errors
/// Returns [`Status::InvalidArgument`] if memory is short.
pub fn try_with_capacity<T>(count: usize, elements: &str) -> Result<Vec<T>> {
    let mut list = Vec::new();
    let problem = |_| {
        let remedy = "pass fewer at once, or raise the memory limit (ulimit -v)";
        let text = format!("not enough memory for {count} {elements}: {remedy}");
        Error::new(Status::InvalidArgument, text)
    };
    list.try_reserve_exact(count).map_err(problem)?;
    Ok(list)
}
