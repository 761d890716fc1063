//! Error messages: each names the server, the reason and a remedy.
//!
//! Texts contain the URL without its query, which may name files, and never a part of a token.

use std::fmt::{self, Display};
use std::io;
use std::time::Duration;

use ureq::Timeout;

use crate::error::{Error, Status};
use crate::platform::open_files;

use super::body::BodyError;
use super::retry::{AttemptError, aborted};
use super::transport::NameNotFound;
use super::url::Target;

/// The request that failed.
pub(super) struct RequestContext<'a> {
    /// The requested content, such as 'rows from 2000 of library 1'.
    pub what: &'a dyn Display,
    /// Its target, after redirects.
    pub target: &'a Target,
    /// A token was sent with it.
    pub with_token: bool,
    /// The index has a token.
    pub has_token: bool,
    /// Limit for connecting.
    pub connect_timeout: Duration,
    /// Limit for the server's silence, from the options.
    pub read_timeout: Duration,
    /// The limit of the server's silence for this request.
    pub silence: Duration,
}

/// Formats seconds: `5 s`, `0.25 s`.
struct Seconds(Duration);

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0.as_secs_f64())
    }
}

impl RequestContext<'_> {
    fn error<E: From<Error>>(&self, status: Status, problem: impl Display) -> E {
        Error::new(
            status,
            format!("{} ({}): {problem}", self.what, self.target.without_query()),
        )
        .into()
    }

    /// The error for a request without a reply. Also returns whether the request may have been sent.
    pub fn no_reply(&self, error: ureq::Error) -> (AttemptError, bool) {
        let (failure, sent) = match error {
            ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve) => {
                let limit = Seconds(self.connect_timeout);
                (self.connect(&format!("no connection within {limit}")), false)
            }
            ureq::Error::Timeout(timeout) => (self.silence_error(timeout), true),
            ureq::Error::HostNotFound => (self.unknown_name(""), false),
            ureq::Error::BadUri(reason) => (self.connect(&reason), false),
            ureq::Error::TlsRequired => return (self.no_tls(), false),
            ureq::Error::Tls(reason) => (self.connect(reason), false),
            #[cfg(feature = "tls")]
            ureq::Error::Rustls(error) => return (self.tls_or_connect(&error), false),
            ureq::Error::Other(other) => match other.downcast_ref::<NameNotFound>() {
                Some(NameNotFound(reason)) => {
                    let failure = self.unknown_name(&format!(" ({reason})")).because_io(reason);
                    (failure, false)
                }
                None => return (self.tls_or_connect(&*other), false),
            },
            ureq::Error::Io(error) => return self.io(&error),
            ureq::Error::Protocol(reason) => (
                self.error(
                    Status::NotPlex,
                    format!(
                        "the service at this address is not HTTP ({reason}): check the port, and whether it needs \
                         https"
                    ),
                ),
                true,
            ),
            ureq::Error::LargeResponseHeader(..) => (
                self.error(
                    Status::NotPlex,
                    "the response headers are larger than any that Plex sends",
                ),
                true,
            ),
            other => (self.connect(&other.to_string()), true),
        };
        (failure.into(), sent)
    }

    fn io(&self, error: &io::Error) -> (AttemptError, bool) {
        use io::ErrorKind as Kind;
        if let Some(inner) = error.get_ref()
            && is_tls(inner)
        {
            return (self.tls_or_connect(inner), false);
        }
        match error.kind() {
            Kind::ConnectionRefused => {
                let failure = self.connect("connection refused").because_io(error);
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
                        "the connection was closed before an answer came ({error}): is the server up, and does it \
                         need https?"
                    ),
                );
                let failure = failure.because_io(error);
                (AttemptError::transient(failure, None), true)
            }
            _ => (
                self.connect(&open_files::text_of(error)).because_io(error).into(),
                false,
            ),
        }
    }

    fn connect(&self, reason: &str) -> Error {
        let hint = if self.target.origin.has_default_port() {
            "; server_url names no port, and Plex itself listens on 32400"
        } else {
            ""
        };
        Error::new(
            Status::Connect,
            format!(
                "cannot connect to {}: {reason}; is the server running, and reachable from this machine or container?{hint}",
                self.target.origin
            ),
        )
    }

    fn unknown_name(&self, reason: &str) -> Error {
        Error::new(
            Status::Connect,
            format!(
                "cannot resolve the name {}{reason}: check server_url, or use the server's IP address",
                self.target.origin.host
            ),
        )
    }

    /// The error for HTTPS in a build without TLS.
    pub fn no_tls(&self) -> AttemptError {
        let text = format!(
            "{} needs TLS, and this build of plexindex has none: build it with the feature `tls`, or use http",
            self.target.origin
        );
        Error::new(Status::Tls, text).into()
    }

    #[cfg(feature = "tls")]
    fn tls_or_connect(&self, error: &(dyn std::error::Error + Send + Sync + 'static)) -> AttemptError {
        use rustls::{CertificateError as Bad, Error as Tls};
        let Some(error) = error.downcast_ref::<Tls>() else {
            return self.connect(&error.to_string()).into();
        };
        let host = &self.target.origin.host;
        let trust = "give its authority in ca_file, or set accept_invalid_certs, but only on a network you control";
        let problem = match error {
            Tls::InvalidCertificate(Bad::UnknownIssuer) => {
                format!("the certificate is from an unknown authority: {trust}")
            }
            Tls::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. }) => format!(
                "the certificate is not valid for {host}: use a name that it contains (for Plex's own certificates \
                 the server's long plex.direct name), or {trust}"
            ),
            Tls::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. }) => {
                "the certificate has expired: renew it, and check this machine's clock".to_owned()
            }
            Tls::InvalidCertificate(reason) if reason.to_string().contains("CaUsedAsEndEntity") => {
                "the server uses a certificate authority's own certificate: give the server a certificate with \
                 CA:FALSE"
                    .to_owned()
            }
            Tls::InvalidCertificate(reason) => format!("the certificate was refused ({reason}): {trust}"),
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
    fn tls_or_connect(&self, error: &(dyn std::error::Error + Send + Sync + 'static)) -> AttemptError {
        self.connect(&error.to_string()).into()
    }

    fn silence_error(&self, timeout: Timeout) -> Error {
        if timeout == Timeout::Global {
            return self.timeout();
        }
        let more = if self.silence == self.read_timeout {
            ", or allow a longer read_timeout"
        } else {
            ""
        };
        self.error(
            Status::Timeout,
            format!(
                "the server was silent for {}; it may be busy with a scan: try again later{more}",
                Seconds(self.silence)
            ),
        )
    }

    /// The error for a passed deadline.
    pub fn timeout(&self) -> Error {
        self.error(
            Status::Timeout,
            "the deadline passed before the answer was complete: allow more time",
        )
    }

    /// The error for a reply with a failure status. `page`: beginning of its body.
    pub fn refused(&self, status: u16, retry_after: Option<Duration>, page: &[u8]) -> AttemptError {
        let page = String::from_utf8_lossy(page);
        let failed = |status, problem: &str| self.error::<AttemptError>(status, problem);
        match status {
            401 => self.unauthorized(),
            498 => failed(
                Status::Unauthorized,
                "the token expired (498): renew it, and set the new one",
            ),
            403 => failed(
                Status::Forbidden,
                "the token's user may not see this (403): use the token of the server's owner, or have it shared",
            ),
            404 => failed(
                Status::NotOnServer,
                "not found (404): the library may be gone, or the path in server_url is wrong",
            ),
            400 | 503 if is_starting(&page) => AttemptError::transient(
                self.error(
                    Status::Starting,
                    "the server is starting, or busy with its own database: try again in a minute",
                ),
                retry_after,
            ),
            429 => AttemptError::transient(
                self.error(Status::ServerError, "too many requests (429): ask less often"),
                retry_after,
            ),
            500 | 502 | 503 | 504 => {
                let title = title(&page);
                let problem = format!("the server, or a proxy in front of it, failed ({status}{title}): see its log");
                let failure = AttemptError::transient(self.error(Status::ServerError, problem), retry_after);
                if status == 500 { failure.into_refusal() } else { failure }
            }
            _ => {
                let problem = format!("unexpected response ({status}{})", title(&page));
                let failure = failed(Status::ServerError, &problem);
                if status == 400 { failure.into_refusal() } else { failure }
            }
        }
    }

    /// The error for a refused edit. `page`: beginning of the reply's body.
    pub fn refused_edit(&self, status: u16, retry_after: Option<Duration>, page: &[u8]) -> AttemptError {
        let text = String::from_utf8_lossy(page);
        let said = title(&text);
        let (status, problem) = match status {
            400 if !is_starting(&text) => (
                Status::ServerError,
                format!(
                    "the server refused the edit (400{said}): a field or value may not exist for this type of item, or \
                     the request is too long"
                ),
            ),
            403 => (
                Status::Forbidden,
                format!("the token's user may not edit (403{said}): use the token of the server's owner"),
            ),
            404 => (
                Status::NotOnServer,
                format!("the server lacks some of these items, or this library (404{said}): refresh and try again"),
            ),
            409 => (
                Status::ServerError,
                format!("the edit conflicts with the server's data (409{said}): a name may be taken"),
            ),
            _ => return self.refused(status, retry_after, page),
        };
        self.error(status, problem)
    }

    /// The error for a successful reply that is not an event stream.
    pub fn no_stream(&self) -> AttemptError {
        self.error(
            Status::NotPlex,
            "the answer is not an event stream: a proxy in front of the server may hold it back, or the server is too \
             old",
        )
    }

    fn unauthorized(&self) -> AttemptError {
        let problem = if self.with_token {
            "the server rejected the token (401): it may have expired or belong to another server; a shared server \
             needs its own access token"
        } else if self.has_token {
            "the request was rejected (401), although it needs no token: a proxy in front of the server asks for a \
             login"
        } else {
            "the server needs a token (401), and none was given: set the option `token`. A server that needs none \
             from its own network may need one for requests by host name: then use its IP address"
        };
        self.error(Status::Unauthorized, problem)
    }

    /// The error for a redirect to another server, which is not followed.
    pub fn redirected_elsewhere(&self, place: &str) -> AttemptError {
        let text =
            format!("redirected to {place}, where the token is never sent: if it is yours, set server_url to it");
        self.error(Status::Redirected, text)
    }

    /// The error for redirects without a valid target.
    pub fn bad_redirect(&self, problem: &str) -> AttemptError {
        self.error(
            Status::Redirected,
            format!("{problem}: check server_url and the proxy in front of the server"),
        )
    }

    /// The error for an unusable body. `rows`: number of rows passed on before it broke.
    pub fn unusable_body(&self, broken: BodyError, rows: u64) -> AttemptError {
        let place = if rows > 0 {
            format!(" after {rows} rows")
        } else {
            String::new()
        };
        let problem = match broken {
            BodyError::Aborted => return aborted(self.what).into(),
            BodyError::Timeout => return self.timeout().into(),
            BodyError::Wire(ureq::Error::Timeout(timeout)) => return self.silence_error(timeout).into(),
            BodyError::NoJson(page) => return self.no_json(&String::from_utf8_lossy(&page)),
            BodyError::Wire(error) => {
                let text = format!("the answer was cut off{place} ({error}): try again");
                let failure: Error = self.error(Status::BadAnswer, text);
                return match error {
                    ureq::Error::Io(error) => failure.because_io(&error).into(),
                    _ => failure.into(),
                };
            }
            BodyError::Compression(reason) => format!("the compressed answer is damaged{place} ({reason})"),
            BodyError::TooLarge(limit) => format!("the answer exceeds the limit of {limit} bytes{place}"),
            BodyError::TooManyRows(most) => format!(
                "the answer exceeds {most} rows or the size of a page: a proxy in front of the server may drop the \
                 headers X-Plex-Container-Start and X-Plex-Container-Size; let them pass"
            ),
            BodyError::Empty => "the answer was empty (200): a proxy in front of the server may be at fault".to_owned(),
            BodyError::Malformed(reason) => format!("the answer is malformed{place} ({reason}): try again"),
        };
        self.error(Status::BadAnswer, problem)
    }

    fn no_json(&self, page: &str) -> AttemptError {
        let start = page.trim_start();
        let lower = start.to_ascii_lowercase();
        let problem = if let Some(element) = xml_element(start) {
            let name = element
                .split([' ', '/', '>', '\n', '\r', '\t'])
                .next()
                .unwrap_or_default();
            match name {
                "MediaContainer" => "a Plex server answered in XML instead of JSON: if a proxy in front of it drops \
                                     the header 'Accept: application/json', let the header pass; if the server is too \
                                     old to know it, update the server"
                    .to_owned(),
                "Response" => {
                    format!("a Plex server answered only with a message (<{element}>): see its log, and try again")
                }
                _ => format!("a service that is not Plex answered in XML (<{name}>): check server_url"),
            }
        } else if lower.starts_with('<') {
            let login = ["login", "log in", "sign in", "password"]
                .iter()
                .any(|word| lower.contains(word));
            let looks = if login {
                "looks like a login page"
            } else {
                "is a web page"
            };
            format!(
                "the answer{} {looks} and is not from Plex: check that server_url is your server, and not a portal in \
                 front of it",
                title(page)
            )
        } else {
            "the answer is not from Plex: check server_url".to_owned()
        };
        self.error(Status::NotPlex, problem)
    }

    /// The error for foreign JSON, or with `ancient` for Plex's JSON of 2015.
    pub fn not_plex(&self, ancient: bool) -> AttemptError {
        let problem = if ancient {
            "the server answers with JSON of 2015 (`_children`): update it"
        } else {
            "the answer is JSON, but not from Plex: check server_url"
        };
        self.error(Status::NotPlex, problem)
    }

    /// The error for a reply to `/identity` without an identity.
    pub fn no_identity(&self) -> AttemptError {
        self.error(
            Status::NotPlex,
            "the answer has no machineIdentifier, so this is not a Plex Media Server: check server_url",
        )
    }
}

#[cfg(feature = "tls")]
fn is_tls(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    error.is::<rustls::Error>()
}

#[cfg(not(feature = "tls"))]
fn is_tls(_: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    false
}

/// Returns whether the page says that Plex is starting: 'Maintenance' during a migration, otherwise a sentence.
fn is_starting(page: &str) -> bool {
    let lower = page.to_ascii_lowercase();
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

/// Returns the first XML element without brackets, at most 200 characters; `None` for other texts, including web pages.
fn xml_element(text: &str) -> Option<String> {
    let mut rest = text;
    let mut is_xml = false;
    loop {
        rest = rest.trim_start();
        // Skips declarations and comments.
        let end = match rest {
            _ if rest.starts_with("<?") => "?>",
            _ if rest.starts_with("<!--") => "-->",
            _ => break,
        };
        is_xml |= rest.starts_with("<?xml");
        rest = rest.split_once(end)?.1;
    }
    let element = rest.strip_prefix('<')?.split('>').next()?;
    let is_known = element.starts_with("MediaContainer") || element.starts_with("Response");
    let is_page = element.to_ascii_lowercase().starts_with("html") || element.starts_with('!');
    let shown = element.trim_end_matches('/').chars().take(200);
    (is_known || is_xml && !is_page).then(|| shown.map(|c| if c.is_control() { ' ' } else { c }).collect())
}

/// Returns the title of a web page as a suffix: `, "502 Bad Gateway"`; empty without one.
fn title(page: &str) -> String {
    let lower = page.to_ascii_lowercase();
    let text = lower.find("<title>").and_then(|start| {
        let start = start + "<title>".len();
        let end = lower.get(start..)?.find("</title>")?;
        page.get(start..start + end)
    });
    let text: String = text.unwrap_or_default().trim().chars().take(60).collect();
    if text.is_empty() { text } else { format!(", {text:?}") }
}
