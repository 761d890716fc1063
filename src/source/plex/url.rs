//! Where the server is: the base URL that the host gave, the addresses below it, and whether a redirect stays there.

use std::fmt;
use std::fmt::Write as _;
use std::net::IpAddr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::{Error, Result, Status};

/// Everything but RFC 3986's unreserved characters: right in a path segment and in a query argument alike.
pub(super) const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A text as one query argument or one path segment.
pub(super) fn encode(text: &str) -> impl fmt::Display + '_ {
    utf8_percent_encode(text, ENCODED)
}

/// Scheme, host and port: what a token may be sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// HTTPS.
    pub secure: bool,
    /// Host name in lower case, or an address; one of version 6 in brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl Origin {
    fn default_port(secure: bool) -> u16 {
        if secure { 443 } else { 80 }
    }

    /// Whether the port is the one that the scheme implies: for Plex itself most often a forgotten `:32400`.
    pub fn has_default_port(&self) -> bool {
        self.port == Self::default_port(self.secure)
    }

    /// Whether it is this machine by name: an answer is copied, and passes no wire.
    pub fn is_here(&self) -> bool {
        let address = self
            .host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>();
        address.map_or(self.host == "localhost", |address| address.is_loopback())
    }

    /// Whether a token for `self` may also be sent to `other`: the same place, or the same host with TLS added.
    fn extends_to(&self, other: &Self) -> bool {
        self == other || (self.host == other.host && !self.secure && other.secure)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.host)?;
        if !self.has_default_port() {
            write!(f, ":{}", self.port)?;
        }
        Ok(())
    }
}

/// The base URL of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BaseUrl {
    /// Where it is.
    pub origin: Origin,
    /// The path before Plex's own, of a reverse proxy; empty, or with a slash before and none behind.
    pub prefix: String,
}

impl BaseUrl {
    /// Reads the host's `server_url`.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] with the input and the remedy; what may hold a secret is cut from the input.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let refuse = |problem: &str| {
            Err(Error::new(
                Status::InvalidArgument,
                format!("server_url {:?} {problem}", without_secrets(text)),
            ))
        };
        let Some((scheme, rest)) = text.split_once("://") else {
            return refuse("has no scheme: write it as http://host:32400 or https://host:32400");
        };
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return refuse("has a scheme that is not spoken here: use http:// or https://"),
        };
        if rest.contains('?') || text.to_ascii_lowercase().contains("x-plex-token") {
            return refuse(
                "has a query: give only scheme, host, port and path, and pass the token as the option `token`",
            );
        }
        if rest.contains('#') {
            return refuse("has a fragment, like the address of Plex's web page: give only scheme, host and port");
        }
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        if matches!(path.trim_end_matches('/'), "/web" | "/web/index.html") {
            return refuse("is the address of Plex's web page: give only scheme, host and port");
        }
        if authority.contains('@') {
            return refuse("names a user: Plex knows only tokens, pass one as the option `token`");
        }
        let Some(origin) = parse_authority(secure, authority) else {
            return refuse("names no host, or a port that is none: write it as http://host:32400");
        };
        let base = Self {
            origin,
            prefix: path.trim_end_matches('/').to_owned(),
        };
        if base.url("/identity").parse::<ureq::http::Uri>().is_err() || !base.prefix.is_ascii() {
            return refuse("holds characters that no URL can have: percent-encode its path");
        }
        Ok(base)
    }

    /// The full URL of an address of Plex's, which begins with a slash.
    pub fn url(&self, address: &str) -> String {
        format!("{}{}{address}", self.origin, self.prefix)
    }
}

/// Reads `host`, `host:port`, `[v6]` or `[v6]:port`.
fn parse_authority(secure: bool, authority: &str) -> Option<Origin> {
    let (host, port) = if authority.starts_with('[') {
        let end = authority.find(']')? + 1;
        let (host, rest) = authority.split_at(end);
        host.get(1..end - 1)?.parse::<std::net::Ipv6Addr>().ok()?;
        (host, rest)
    } else {
        authority.split_at(authority.find(':').unwrap_or(authority.len()))
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => Origin::default_port(secure),
        Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
            digits.parse().ok().filter(|&port| port != 0)?
        }
        _ => return None,
    };
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'[' | b']' | b':');
    if host.is_empty() || !host.bytes().all(legal) {
        return None;
    }
    Some(Origin {
        secure,
        host: host.to_ascii_lowercase(),
        port,
    })
}

/// A URL that may have come with a secret, cut to what can be shown: no user, no query, no fragment.
fn without_secrets(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let end = [text.find('?'), text.find('#'), lower.find("x-plex-token")]
        .into_iter()
        .flatten()
        .min();
    let (shown, cut) = match end {
        Some(end) => (text.get(..end).unwrap_or_default(), true),
        None => (text, false),
    };
    let (scheme, rest) = match shown.find("://") {
        Some(at) => shown.split_at(at + 3),
        None => ("", shown),
    };
    // The last '@' before the path ends the user's name and password.
    let authority = rest.find('/').unwrap_or(rest.len());
    let rest = match rest.get(..authority).and_then(|text| text.rfind('@')) {
        Some(at) => format!("***{}", rest.get(at..).unwrap_or_default()),
        None => rest.to_owned(),
    };
    let mut shown: String = scheme.chars().chain(rest.chars()).take(200).collect();
    if cut {
        let _ = write!(shown, "…");
    }
    shown
}

/// Where one request goes: it starts below the base, and a redirect may move it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Where the token goes with it.
    pub origin: Origin,
    /// Path and query.
    pub address: String,
}

/// What a redirect asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Redirect {
    /// To go on there, token included.
    Follow(Target),
    /// To leave for another place, named as far as it can be.
    Elsewhere(String),
}

impl Target {
    /// The full URL.
    pub fn url(&self) -> String {
        format!("{}{}", self.origin, self.address)
    }

    /// The URL for texts: without its query, which may name files.
    pub fn shown(&self) -> String {
        let path = self.address.split('?').next().unwrap_or_default();
        format!("{}{path}", self.origin)
    }

    /// Judges a `Location` header that answered this target.
    pub fn redirect(&self, location: &str) -> Redirect {
        let location = location.trim().split('#').next().unwrap_or_default();
        let (secure, rest) = match location.split_once("://") {
            // A scheme is letters; a path may hold '://' further on.
            Some((scheme, rest)) if !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
                match scheme.to_ascii_lowercase().as_str() {
                    "http" => (false, rest),
                    "https" => (true, rest),
                    _ => return Redirect::Elsewhere(without_secrets(location)),
                }
            }
            _ => match location.strip_prefix("//") {
                Some(rest) => (self.origin.secure, rest),
                None => return Redirect::Follow(self.relative(location)),
            },
        };
        let end = rest.find(['/', '?', '\\']).unwrap_or(rest.len());
        let (authority, address) = rest.split_at(end);
        let Some(origin) = parse_authority(secure, authority) else {
            // A name with a user in it, among others: 'http://plex:32400@elsewhere' is elsewhere.
            return Redirect::Elsewhere(without_secrets(
                location.get(..location.len() - address.len()).unwrap_or_default(),
            ));
        };
        if !self.origin.extends_to(&origin) {
            return Redirect::Elsewhere(origin.to_string());
        }
        let address = if address.starts_with('/') {
            address.to_owned()
        } else {
            format!("/{address}")
        };
        Redirect::Follow(Self { origin, address })
    }

    fn relative(&self, location: &str) -> Self {
        let path = self.address.split('?').next().unwrap_or_default();
        let address = if location.starts_with('/') {
            location.to_owned()
        } else if location.starts_with('?') || location.is_empty() {
            format!("{path}{location}")
        } else {
            let folder = path.rfind('/').map_or("/", |at| path.get(..=at).unwrap_or("/"));
            format!("{folder}{location}")
        };
        Self {
            origin: self.origin.clone(),
            address,
        }
    }
}

#[cfg(test)]
#[path = "url_tests.rs"]
mod tests;
