//! Error messages. A message contains the request's purpose, the URL, the reason and a remedy, but never the URL's
//! query, which may name files, or any part of a token.

use std::fmt::{self, Display};
use std::io::ErrorKind;
use std::time::{Duration, UNIX_EPOCH};

use ureq::Timeout;

use super::base_url::BaseUrl;
use super::transport::NameNotFound;
use crate::error::{Error, Status};
use crate::platform::files;

/// Problems of successful replies that are not from Plex.
pub(super) const NOT_EVENT_STREAM: &str = "the reply is not an event stream: make the proxy in front of the server \
    forward event streams, or update the server";
pub(super) const FOREIGN_JSON: &str = "the reply is JSON, but not from Plex: check server_url";
pub(super) const LEGACY_JSON: &str = "the server sends Plex's JSON format of 2015 (`_children`): update the server";
pub(super) const NO_IDENTITY: &str = "the reply contains no machineIdentifier, so it is not from a Plex Media Server: \
    check server_url";

/// The reason why a body is unusable.
#[derive(Debug)]
pub(super) enum BodyError {
    Aborted,
    /// The deadline passed during decompression or parsing.
    Timeout,
    /// The connection failed.
    Connection(ureq::Error),
    /// The compression is unknown or damaged.
    Compression(String),
    /// The body is larger than this number of bytes.
    TooLarge(u64),
    /// The body has more than this number of rows, or its rows need too much memory.
    TooManyRows(u64),
    Empty,
    /// The body is not a JSON object. Contains the body's beginning.
    NotJsonObject(Vec<u8>),
    /// The JSON is malformed or truncated.
    Malformed(String),
}

/// The facts about a failed request that its error message contains.
pub(super) struct ErrorContext<'a> {
    /// The words that follow 'cannot'.
    pub purpose: &'a dyn Display,
    /// The request's path below the base URL, without the query.
    pub path: &'a str,
    /// Whether the request tells the server to refresh an item, or to analyze its files.
    pub refreshes_item: bool,
    /// Whether the request has the token.
    pub with_token: bool,
    pub base_url: &'a BaseUrl,
    /// Whether the index has a token.
    pub has_token: bool,
    pub connect_timeout: Duration,
    /// Maximum time without any data from the server, set by an option.
    pub read_timeout: Duration,
    /// Maximum time without any data from the server in this request.
    pub max_silence: Duration,
}

/// Formats a duration in seconds: `5 s`, `0.25 s`.
struct Seconds(Duration);

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0.as_secs_f64())
    }
}

/// Returns whether the server may have received a request that failed in this way.
pub(super) fn may_be_sent(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Timeout(timeout) => !matches!(timeout, Timeout::Connect | Timeout::Resolve),
        ureq::Error::Io(error) => is_disconnect(error.kind()),
        ureq::Error::Protocol(_) | ureq::Error::LargeResponseHeader(..) => true,
        _ => false,
    }
}

/// Returns whether the server closed the connection.
fn is_disconnect(kind: ErrorKind) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof, WriteZero};
    matches!(
        kind,
        ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof | NotConnected | WriteZero
    )
}

impl ErrorContext<'_> {
    /// Creates an error whose message contains the request's purpose and URL.
    pub fn error<E: From<Error>>(&self, status: Status, problem: impl Display) -> E {
        let (purpose, url) = (self.purpose, self.base_url.url(self.path));
        Error::new(status, format!("cannot {purpose} ({url}): {problem}")).into()
    }

    /// Returns the error for a request without a reply.
    pub fn no_reply_error(&self, error: &ureq::Error) -> AttemptError {
        let origin = &self.base_url.origin;
        #[cfg(feature = "tls")]
        if let Some(problem) = super::tls::problem(error, &origin.host) {
            return Error::new(Status::Tls, format!("cannot connect securely to {origin}: {problem}")).into();
        }
        let connect_error = |reason: &dyn Display| {
            let hint = if origin.has_default_port() {
                "; server_url has no port, but Plex listens on port 32400"
            } else {
                ""
            };
            let remedy = "check that the server is running, and that this machine or container can reach it";
            Error::new(
                Status::Connect,
                format!("cannot connect to {origin}: {reason}; {remedy}{hint}"),
            )
        };
        let name_error = |reason: &str| {
            let remedy = "check server_url, or use the server's IP address";
            let host = &origin.host;
            Error::new(
                Status::Connect,
                format!("cannot resolve the host name {host}{reason}: {remedy}"),
            )
        };
        let failure = match error {
            ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve) => {
                connect_error(&format_args!("no connection within {}", Seconds(self.connect_timeout)))
            }
            ureq::Error::Timeout(timeout) => self.silence_error(*timeout),
            ureq::Error::HostNotFound => name_error(""),
            ureq::Error::Other(other) => match other.downcast_ref::<NameNotFound>() {
                Some(NameNotFound(reason)) => name_error(&format!(" ({reason})")).with_io_source(reason),
                None => connect_error(other),
            },
            ureq::Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused => {
                let failure = connect_error(&"connection refused").with_io_source(error);
                return AttemptError::transient(failure, None);
            }
            ureq::Error::Io(error) if is_disconnect(error.kind()) => {
                let problem = "the server closed the connection without a reply";
                let remedy = "check that it is running, and whether it needs https";
                let failure: Error = self.error(Status::Connect, format!("{problem} ({error}): {remedy}"));
                return AttemptError::transient(failure.with_io_source(error), None);
            }
            ureq::Error::Io(error) => connect_error(&files::text_of(error)).with_io_source(error),
            ureq::Error::Protocol(reason) => {
                let remedy = "check the port, and whether the service needs https";
                let problem = format!("the service at this address is not HTTP ({reason}): {remedy}");
                self.error(Status::NotPlex, problem)
            }
            ureq::Error::LargeResponseHeader(..) => {
                let problem = "the response headers are larger than any that Plex sends: check server_url";
                self.error(Status::NotPlex, problem)
            }
            other => connect_error(other),
        };
        failure.into()
    }

    /// Returns the error for a passed deadline, or for a server that sent no data for too long.
    fn silence_error(&self, timeout: Timeout) -> Error {
        if timeout == Timeout::Global {
            return self.deadline_error();
        }
        let silence = Seconds(self.max_silence);
        let remedy = if self.max_silence == self.read_timeout {
            "try again later, or set a longer read_timeout"
        } else {
            "try again later"
        };
        let problem = format!("the server was silent for {silence} and may be busy with a scan: {remedy}");
        self.error(Status::Timeout, problem)
    }

    pub fn deadline_error(&self) -> Error {
        let problem = "the timeout passed before the reply was complete: allow more time";
        self.error(Status::Timeout, problem)
    }

    /// Returns the error for a reply with a failure status. `retry_after` is the delay that the server requested, and
    /// `body_start` the beginning of the body. For some statuses, an argument may be the cause (`refusal`). A 404 says only
    /// that something is gone if it is from Plex: a proxy sends it, too, while it does not reach Plex.
    pub fn status_error(
        &self,
        (code, is_from_plex): (u16, bool),
        retry_after: Option<Duration>,
        body_start: &[u8],
    ) -> AttemptError {
        let page = String::from_utf8_lossy(body_start);
        let is_starting = matches!(code, 400 | 503) && is_starting(&page);
        let status = match code {
            _ if is_starting => Status::Starting,
            401 | 498 => Status::Unauthorized,
            403 => Status::Forbidden,
            404 if is_from_plex => Status::NotOnServer,
            _ => Status::ServerError,
        };
        let problem = match code {
            _ if is_starting => "the server is starting, or is busy with its database: try again in a minute",
            401 if self.with_token && self.has_token => {
                "the server rejected the token (401): it may have expired or belong to another server; a shared server \
                 needs its own access token"
            }
            401 if self.has_token => {
                "a request that needs no token was rejected (401): the proxy in front of the server may require a login"
            }
            401 => {
                "the server requires a token (401), but none was given: set the option `token`; if the server requires \
                 no token in its own network, use its IP address instead of its host name"
            }
            403 => "the token's user has no access ({}): use the server owner's token, or share the library with them",
            404 if is_from_plex && self.refreshes_item => "not found ({}): the server has no such item",
            404 if is_from_plex => "not found ({}): the library was removed, or the path in server_url is wrong",
            404 => {
                "not found ({}), but the reply is not from Plex: check server_url and the proxy in front of the server"
            }
            429 => "too many requests ({}): send fewer requests",
            498 => "the token expired ({}): renew it, and set the new token",
            500 | 502 | 503 | 504 => "the server or its proxy failed ({}): see the server's log",
            _ => "unexpected response ({}): see the server's log",
        };
        AttemptError {
            error: self.error(status, problem.replace("{}", &format!("{code}{}", title_suffix(&page)))),
            is_transient: is_starting || matches!(code, 429 | 500 | 502 | 503 | 504),
            retry_after,
            refusal: match code {
                _ if is_starting => None,
                403 | 404 => Some(Refusal::Access),
                400 | 414 | 500 => Some(Refusal::Arguments),
                _ => None,
            },
        }
    }

    /// Returns the error for a redirect. `location` is the reply's `Location` header.
    pub fn redirect_error(&self, location: Option<&str>) -> AttemptError {
        let problem = match location.map(|location| self.base_url.redirect_target(location)) {
            None => "the redirect has no target: check server_url and the proxy in front of the server".to_owned(),
            Some(target) => {
                let server_url = target
                    .trim_end_matches('…')
                    .strip_suffix(self.path)
                    .unwrap_or("the server's own URL");
                format!(
                    "redirected to {target}, which plexindex does not follow: if you own that server, set server_url to {server_url}"
                )
            }
        };
        self.error(Status::Redirected, problem)
    }

    /// Returns the error for an unusable body. `rows` complete rows preceded the failure.
    pub fn body_error(&self, failure: BodyError, rows: u64) -> AttemptError {
        let position = if rows > 0 {
            format!(" after {rows} rows")
        } else {
            String::new()
        };
        let problem = match failure {
            BodyError::Aborted => return aborted_error(self.purpose).into(),
            BodyError::Timeout => return self.deadline_error().into(),
            BodyError::Connection(ureq::Error::Timeout(timeout)) => return self.silence_error(timeout).into(),
            BodyError::NotJsonObject(body_start) => {
                return self.error(Status::NotPlex, not_json_problem(&String::from_utf8_lossy(&body_start)));
            }
            BodyError::Connection(error) => {
                let text = format!("the reply was cut off{position} ({error}): try again");
                let failure: Error = self.error(Status::BadAnswer, text);
                return match error {
                    ureq::Error::Io(error) => failure.with_io_source(&error).into(),
                    _ => failure.into(),
                };
            }
            BodyError::Compression(reason) => {
                format!("the compressed reply is damaged{position} ({reason}): check the proxy in front of the server")
            }
            BodyError::TooLarge(limit) => {
                format!("the reply exceeds the limit of {limit} bytes{position}: check server_url")
            }
            BodyError::TooManyRows(max_rows) => format!(
                "the reply exceeds {max_rows} rows or the maximum size of a page: make the proxy in front of the \
                 server forward the headers X-Plex-Container-Start and X-Plex-Container-Size"
            ),
            BodyError::Empty => "the reply is empty (200): check the proxy in front of the server".to_owned(),
            BodyError::Malformed(reason) => format!("the reply is malformed{position} ({reason}): try again"),
        };
        self.error(Status::BadAnswer, problem)
    }
}

/// Describes a successful reply that is not JSON.
fn not_json_problem(body_start: &str) -> String {
    let lower = body_start.to_ascii_lowercase();
    let element = xml_element(body_start);
    let name = element
        .as_deref()
        .and_then(|element| element.split([' ', '/', '>', '\n', '\r', '\t']).next());
    match (name, element.as_deref()) {
        (Some("MediaContainer"), _) => {
            "the Plex server replied in XML instead of JSON: make the proxy in front of the \
            server forward the header 'Accept: application/json', or update the server"
                .to_owned()
        }
        (Some("Response"), Some(element)) => {
            format!("the Plex server replied only with a message (<{element}>): see the server's log")
        }
        (Some(name), _) => format!("the reply is XML, but not from Plex (<{name}>): check server_url"),
        (None, _) if lower.trim_start().starts_with('<') => {
            let is_login = ["login", "log in", "sign in", "password"]
                .iter()
                .any(|word| lower.contains(word));
            let kind = if is_login { "a login page" } else { "a web page" };
            format!(
                "the reply is {kind}, not from Plex{}: check that server_url is the address of your server, and not of \
                 a portal in front of it",
                title_suffix(body_start)
            )
        }
        _ => "the reply is not from Plex: check server_url".to_owned(),
    }
}

/// Returns whether a response body says that Plex is starting.
fn is_starting(body: &str) -> bool {
    let lower = body.to_ascii_lowercase();
    [
        "maintenance",
        "still starting",
        "starting up",
        "is starting",
        "not ready",
    ]
    .iter()
    .any(|word| lower.contains(word))
}

/// Returns the first XML element without brackets, at most 200 characters, to show it in an error message; `None` for
/// web pages and other texts.
fn xml_element(text: &str) -> Option<String> {
    let mut unparsed = text;
    let mut is_xml = false;
    loop {
        unparsed = unparsed.trim_start();
        // Skips declarations and comments.
        let end = match unparsed {
            _ if unparsed.starts_with("<?") => "?>",
            _ if unparsed.starts_with("<!--") => "-->",
            _ => break,
        };
        is_xml |= unparsed.starts_with("<?xml");
        unparsed = unparsed.split_once(end)?.1;
    }
    let element = unparsed.strip_prefix('<')?.split('>').next()?;
    let is_plex = element.starts_with("MediaContainer") || element.starts_with("Response");
    let is_web_page = element.to_ascii_lowercase().starts_with("html") || element.starts_with('!');
    let shown = element.trim_end_matches('/').chars().take(200);
    (is_plex || is_xml && !is_web_page).then(|| shown.map(|c| if c.is_control() { ' ' } else { c }).collect())
}

/// Returns the title of a web page as a suffix such as `, "502 Bad Gateway"`; empty if there is no title.
fn title_suffix(page: &str) -> String {
    let lower = page.to_ascii_lowercase();
    let text = lower.find("<title>").and_then(|start| {
        let start = start + "<title>".len();
        let end = lower.get(start..)?.find("</title>")?;
        page.get(start..start + end)
    });
    let text: String = text.unwrap_or_default().trim().chars().take(60).collect();
    if text.is_empty() { text } else { format!(", {text:?}") }
}

/// The failure of one attempt.
#[derive(Debug)]
pub(super) struct AttemptError {
    pub error: Error,
    /// Whether a retry may succeed.
    pub is_transient: bool,
    /// Delay that the server requested before a retry.
    pub retry_after: Option<Duration>,
    /// What the server may have rejected; `None` if the failure has a different cause.
    pub refusal: Option<Refusal>,
}

/// What a server may have rejected, according to the status of its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// An argument, or the length of the URL (400, 414, 500).
    Arguments,
    /// The access to the library (403, 404). Some proxies use these statuses to reject an argument.
    Access,
}

impl AttemptError {
    /// Creates a failure after which a retry may succeed.
    pub fn transient(error: Error, retry_after: Option<Duration>) -> Self {
        Self {
            error,
            is_transient: true,
            retry_after,
            refusal: None,
        }
    }

    /// Records that an argument may have caused the failure, so that the caller retries with fewer arguments.
    pub fn into_refusal(self, refusal: Refusal) -> Self {
        Self {
            refusal: Some(refusal),
            ..self
        }
    }

    /// Marks the failure as permanent: a retry would fail in the same way.
    pub fn into_permanent(self) -> Self {
        Self {
            is_transient: false,
            ..self
        }
    }
}

impl From<Error> for AttemptError {
    /// Creates a failure after which a retry would fail in the same way.
    fn from(error: Error) -> Self {
        Self::transient(error, None).into_permanent()
    }
}

/// Creates the error for a call that the host has aborted. `label` is the request's purpose.
pub(super) fn aborted_error(label: &dyn std::fmt::Display) -> Error {
    Error::new(Status::Aborted, format!("cannot {label}: the host stopped the call"))
}

/// Parses the header `Retry-After`, seconds or a date. Returns the time to wait; `None` if the header is invalid.
pub(super) fn parse_retry_after(text: &str, now_ms: i64) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let now = UNIX_EPOCH + Duration::from_millis(u64::try_from(now_ms).unwrap_or_default());
    Some(date.duration_since(now).unwrap_or_default())
}
