//! Error messages. A message contains the request's purpose, the URL, the reason and a remedy, but never the URL's
//! query, which may name files, or any part of a token.

use std::fmt::{self, Display};
use std::io;
use std::time::Duration;

use ureq::Timeout;

use crate::error::{Error, Status};
use crate::platform::open_files;

use super::reply_body::BodyError;
use super::retry::{AttemptError, Refusal, aborted_error};
use super::transport::NameNotFound;
use super::url::Target;

/// The facts about a failed request that its error message contains.
pub(super) struct ErrorContext<'a> {
    /// The purpose of the request, such as 'list the libraries'.
    pub label: &'a dyn Display,
    /// The target after redirects.
    pub target: &'a Target,
    /// Whether the request contained a token.
    pub with_token: bool,
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

impl ErrorContext<'_> {
    /// Creates an error whose message contains the request's purpose and URL.
    fn error<E: From<Error>>(&self, status: Status, problem: impl Display) -> E {
        Error::new(
            status,
            format!("cannot {} ({}): {problem}", self.label, self.target.without_query()),
        )
        .into()
    }

    /// Returns the error for a request without a reply, and whether the server may have received the request.
    pub fn no_reply_error(&self, error: ureq::Error) -> (AttemptError, bool) {
        let (failure, may_be_sent) = match error {
            ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve) => {
                let limit = Seconds(self.connect_timeout);
                (self.connect_error(&format!("no connection within {limit}")), false)
            }
            ureq::Error::Timeout(timeout) => (self.silence_error(timeout), true),
            ureq::Error::HostNotFound => (self.name_error(""), false),
            ureq::Error::BadUri(reason) => (self.connect_error(&reason), false),
            ureq::Error::TlsRequired => return (self.no_tls_error(), false),
            ureq::Error::Tls(reason) => (self.connect_error(reason), false),
            #[cfg(feature = "tls")]
            ureq::Error::Rustls(error) => return (self.tls_or_connect_error(&error), false),
            ureq::Error::Other(other) => match other.downcast_ref::<NameNotFound>() {
                Some(NameNotFound(reason)) => {
                    let failure = self.name_error(&format!(" ({reason})")).with_io_source(reason);
                    (failure, false)
                }
                None => return (self.tls_or_connect_error(&*other), false),
            },
            ureq::Error::Io(error) => return self.io_error(&error),
            ureq::Error::Protocol(reason) => (
                self.error(
                    Status::NotPlex,
                    format!(
                        "the service at this address is not HTTP ({reason}): check the port, and whether the service \
                         needs https"
                    ),
                ),
                true,
            ),
            ureq::Error::LargeResponseHeader(..) => (
                self.error(
                    Status::NotPlex,
                    "the response headers are larger than any that Plex sends: check server_url",
                ),
                true,
            ),
            other => (self.connect_error(&other.to_string()), true),
        };
        (failure.into(), may_be_sent)
    }

    /// Returns the error for a failed system call or for TLS, and whether the server may have received the request.
    fn io_error(&self, error: &io::Error) -> (AttemptError, bool) {
        use io::ErrorKind as Kind;
        if let Some(inner) = error.get_ref()
            && is_tls(inner)
        {
            return (self.tls_or_connect_error(inner), false);
        }
        match error.kind() {
            Kind::ConnectionRefused => {
                let failure = self.connect_error("connection refused").with_io_source(error);
                (AttemptError::transient(failure, None), false)
            }
            Kind::ConnectionReset
            | Kind::ConnectionAborted
            | Kind::BrokenPipe
            | Kind::UnexpectedEof
            | Kind::NotConnected
            | Kind::WriteZero => {
                let failure: Error = self.error(
                    Status::Connect,
                    format!(
                        "the server closed the connection without a reply ({error}): check that it is running, and \
                         whether it needs https"
                    ),
                );
                let failure = failure.with_io_source(error);
                (AttemptError::transient(failure, None), true)
            }
            _ => (
                self.connect_error(&open_files::text_of(error))
                    .with_io_source(error)
                    .into(),
                false,
            ),
        }
    }

    fn connect_error(&self, reason: &str) -> Error {
        let hint = if self.target.origin.has_default_port() {
            "; server_url has no port, but Plex listens on port 32400"
        } else {
            ""
        };
        Error::new(
            Status::Connect,
            format!(
                "cannot connect to {}: {reason}; check that the server is running, and that this machine or container \
                 can reach it{hint}",
                self.target.origin
            ),
        )
    }

    fn name_error(&self, reason: &str) -> Error {
        Error::new(
            Status::Connect,
            format!(
                "cannot resolve the host name {}{reason}: check server_url, or use the server's IP address",
                self.target.origin.host
            ),
        )
    }

    pub fn no_tls_error(&self) -> AttemptError {
        let text = format!(
            "{} needs TLS, which this build of plexindex lacks: build it with the feature `tls`, or use http",
            self.target.origin
        );
        Error::new(Status::Tls, text).into()
    }

    /// Returns the error for a failed TLS connection, or, if TLS is not the cause, for a failed connection.
    #[cfg(feature = "tls")]
    fn tls_or_connect_error(&self, error: &(dyn std::error::Error + Send + Sync + 'static)) -> AttemptError {
        use rustls::{CertificateError as Bad, Error as Tls};
        let Some(error) = error.downcast_ref::<Tls>() else {
            return self.connect_error(&error.to_string()).into();
        };
        let host = &self.target.origin.host;
        let trust = "specify its authority in ca_file, or, only on a network you control, set accept_invalid_certs";
        let problem = match error {
            Tls::InvalidCertificate(Bad::UnknownIssuer) => {
                format!("an unknown authority issued the certificate: {trust}")
            }
            Tls::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. }) => format!(
                "the certificate is not valid for {host}: use a name in the certificate (Plex's own certificates \
                 contain the server's long plex.direct name), or {trust}"
            ),
            Tls::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. }) => {
                "the certificate has expired: renew it, and check this machine's clock".to_owned()
            }
            Tls::InvalidCertificate(reason) if reason.to_string().contains("CaUsedAsEndEntity") => {
                "the server uses a certificate authority's own certificate: give the server a certificate with \
                 CA:FALSE"
                    .to_owned()
            }
            Tls::InvalidCertificate(reason) => format!("the certificate is invalid ({reason}): {trust}"),
            Tls::InvalidMessage(_) => {
                "the service at this address does not use TLS: use http in server_url, or the port that serves https"
                    .to_owned()
            }
            other => format!("TLS failed ({other})"),
        };
        let text = format!("cannot connect securely to {}: {problem}", self.target.origin);
        Error::new(Status::Tls, text).into()
    }

    #[cfg(not(feature = "tls"))]
    fn tls_or_connect_error(&self, error: &(dyn std::error::Error + Send + Sync + 'static)) -> AttemptError {
        self.connect_error(&error.to_string()).into()
    }

    /// Returns the error for a passed deadline, or for a server that sent no data for too long.
    fn silence_error(&self, timeout: Timeout) -> Error {
        if timeout == Timeout::Global {
            return self.deadline_error();
        }
        let longer_timeout = if self.max_silence == self.read_timeout {
            ", or set a longer read_timeout"
        } else {
            ""
        };
        self.error(
            Status::Timeout,
            format!(
                "the server was silent for {} and may be busy with a scan: try again later{longer_timeout}",
                Seconds(self.max_silence)
            ),
        )
    }

    pub fn deadline_error(&self) -> Error {
        self.error(
            Status::Timeout,
            "the timeout passed before the reply was complete: allow more time",
        )
    }

    /// Returns the error for a reply with a failure status. `retry_after` is the delay that the server requested, and
    /// `body_start` the beginning of the body. For some statuses, an argument may be the cause (`into_refusal`).
    pub fn status_error(&self, status: u16, retry_after: Option<Duration>, body_start: &[u8]) -> AttemptError {
        let text = String::from_utf8_lossy(body_start);
        let permanent = |status, problem: &str| self.error::<AttemptError>(status, problem);
        match status {
            401 => self.unauthorized_error(),
            498 => permanent(
                Status::Unauthorized,
                "the token expired (498): renew it, and set the new token",
            ),
            403 => permanent(
                Status::Forbidden,
                "the token's user has no access (403): use the server owner's token, or share the library with them",
            )
            .into_refusal(Refusal::Access),
            404 => permanent(
                Status::NotOnServer,
                "not found (404): the library was removed, or the path in server_url is wrong",
            )
            .into_refusal(Refusal::Access),
            400 | 503 if is_starting(&text) => AttemptError::transient(
                self.error(
                    Status::Starting,
                    "the server is starting, or is busy with its database: try again in a minute",
                ),
                retry_after,
            ),
            429 => AttemptError::transient(
                self.error(Status::ServerError, "too many requests (429): send fewer requests"),
                retry_after,
            ),
            500 | 502 | 503 | 504 => {
                let title = title_suffix(&text);
                let problem = format!("the server or its proxy failed ({status}{title}): see the server's log");
                let failure = AttemptError::transient(self.error(Status::ServerError, problem), retry_after);
                if status == 500 {
                    failure.into_refusal(Refusal::Arguments)
                } else {
                    failure
                }
            }
            _ => {
                let title = title_suffix(&text);
                let problem = format!("unexpected response ({status}{title}): see the server's log");
                let failure = permanent(Status::ServerError, &problem);
                if matches!(status, 400 | 414) {
                    failure.into_refusal(Refusal::Arguments)
                } else {
                    failure
                }
            }
        }
    }

    /// Returns the error for an edit that failed with this status. `body_start` is the beginning of the reply's body.
    pub fn edit_status_error(&self, status: u16, retry_after: Option<Duration>, body_start: &[u8]) -> AttemptError {
        let text = String::from_utf8_lossy(body_start);
        let title = title_suffix(&text);
        let (status, problem) = match status {
            400 if !is_starting(&text) => (
                Status::ServerError,
                format!(
                    "the server rejected the edit (400{title}): perhaps items of this type do not have this field or \
                     value, or the request is too long"
                ),
            ),
            403 => (
                Status::Forbidden,
                format!("the token's user is not allowed to edit (403{title}): use the server owner's token"),
            ),
            404 => (
                Status::NotOnServer,
                format!("the server lacks some of these items or this library (404{title}): refresh and try again"),
            ),
            409 => (
                Status::ServerError,
                format!("the edit conflicts with the server's data (409{title}): a name may already exist"),
            ),
            _ => return self.status_error(status, retry_after, body_start),
        };
        self.error(status, problem)
    }

    /// Returns the error for a successful reply that is not an event stream.
    pub fn not_event_stream_error(&self) -> AttemptError {
        self.error(
            Status::NotPlex,
            "the reply is not an event stream: make the proxy in front of the server forward event streams, or update \
             the server",
        )
    }

    /// Returns the error for status 401. The remedy depends on whether the request contained a token.
    fn unauthorized_error(&self) -> AttemptError {
        let problem = if self.with_token {
            "the server rejected the token (401): it may have expired or belong to another server; a shared server \
             needs its own access token"
        } else if self.has_token {
            "a request that needs no token was rejected (401): the proxy in front of the server may require a login"
        } else {
            "the server requires a token (401), but none was given: set the option `token`; if the server requires no \
             token in its own network, use its IP address instead of its host name"
        };
        self.error(Status::Unauthorized, problem)
    }

    /// Returns the error for a redirect to a different server, `other_server`, to which plexindex sends no token.
    pub fn other_server_error(&self, other_server: &str) -> AttemptError {
        let text = format!(
            "redirected to {other_server}, and plexindex sends no token to a different server: if you own that server, set \
             server_url to its URL"
        );
        self.error(Status::Redirected, text)
    }

    /// Returns the error for a redirect that plexindex cannot follow because of `problem`.
    pub fn redirect_error(&self, problem: &str) -> AttemptError {
        self.error(
            Status::Redirected,
            format!("{problem}: check server_url and the proxy in front of the server"),
        )
    }

    /// Returns the error for an unusable body. `rows` complete rows preceded the failure.
    pub fn body_error(&self, failure: BodyError, rows: u64) -> AttemptError {
        let position = if rows > 0 {
            format!(" after {rows} rows")
        } else {
            String::new()
        };
        let problem = match failure {
            BodyError::Aborted => return aborted_error(self.label).into(),
            BodyError::Timeout => return self.deadline_error().into(),
            BodyError::NoRows => return self.silence_error(Timeout::PerRead).into(),
            BodyError::Connection(ureq::Error::Timeout(timeout)) => return self.silence_error(timeout).into(),
            BodyError::NotJsonObject(body_start) => return self.not_json_error(&String::from_utf8_lossy(&body_start)),
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

    /// Returns the error for a successful reply that is not JSON.
    fn not_json_error(&self, body_start: &str) -> AttemptError {
        let text = body_start.trim_start();
        let lower = text.to_ascii_lowercase();
        let problem = if let Some(element) = xml_element(text) {
            let name = element
                .split([' ', '/', '>', '\n', '\r', '\t'])
                .next()
                .unwrap_or_default();
            match name {
                "MediaContainer" => {
                    "the Plex server replied in XML instead of JSON: make the proxy in front of the server \
                                     forward the header 'Accept: application/json', or update the server"
                        .to_owned()
                }
                "Response" => {
                    format!("the Plex server replied only with a message (<{element}>): see the server's log")
                }
                _ => format!("the reply is XML, but not from Plex (<{name}>): check server_url"),
            }
        } else if lower.starts_with('<') {
            let is_login = ["login", "log in", "sign in", "password"]
                .iter()
                .any(|word| lower.contains(word));
            let kind = if is_login { "a login page" } else { "a web page" };
            format!(
                "the reply is {kind}, not from Plex{}: check that server_url is the address of your server, and not of \
                 a portal in front of it",
                title_suffix(body_start)
            )
        } else {
            "the reply is not from Plex: check server_url".to_owned()
        };
        self.error(Status::NotPlex, problem)
    }

    /// Returns the error for JSON that is not from Plex, or that has Plex's format of 2015 (`is_ancient`).
    pub fn foreign_json_error(&self, is_ancient: bool) -> AttemptError {
        let problem = if is_ancient {
            "the server sends Plex's JSON format of 2015 (`_children`): update the server"
        } else {
            "the reply is JSON, but not from Plex: check server_url"
        };
        self.error(Status::NotPlex, problem)
    }

    /// Returns the error for a reply to `/identity` that contains no machine identifier.
    pub fn no_identity_error(&self) -> AttemptError {
        self.error(
            Status::NotPlex,
            "the reply contains no machineIdentifier, so it is not from a Plex Media Server: check server_url",
        )
    }
}

/// Returns whether TLS caused the error.
#[cfg(feature = "tls")]
fn is_tls(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    error.is::<rustls::Error>()
}

#[cfg(not(feature = "tls"))]
fn is_tls(_: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    false
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
