//! The base URL of a server, from the option `server_url`, which requests extend.

use std::fmt;
use std::net::IpAddr;

use crate::error::{Error, Result, Status};

/// Scheme, host and port. plexindex sends a token to one origin only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// Whether the scheme is https.
    pub is_https: bool,
    /// Host name in lower case, or an IP address; an IPv6 address is in brackets.
    pub host: String,
    pub port: u16,
}

impl Origin {
    /// Returns the default port: of https if `secure` is true, otherwise of http.
    fn default_port(secure: bool) -> u16 {
        if secure { 443 } else { 80 }
    }

    /// Returns whether the port is the scheme's default, usually because the user forgot Plex's port, `:32400`.
    pub fn has_default_port(&self) -> bool {
        self.port == Self::default_port(self.is_https)
    }

    /// Returns whether the host is a loopback name or address.
    pub fn is_loopback_host(&self) -> bool {
        let address = self
            .host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>();
        address.map_or(self.host == "localhost", |address| address.is_loopback())
    }
}

impl fmt::Display for Origin {
    /// Writes the origin as a URL without a path. Omits the scheme's default port.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_https { "https" } else { "http" };
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
    pub origin: Origin,
    /// Path prefix of a reverse proxy: empty, or a path that starts but does not end with a slash.
    pub prefix: String,
}

impl BaseUrl {
    /// Parses the option `server_url`.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`], with the input, without its secrets, and a remedy.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let invalid = |problem: &str| {
            Err(Error::new(
                Status::InvalidArgument,
                format!("server_url {:?} {problem}", without_secrets(text)),
            )
            .with_argument("server_url"))
        };
        let Some((scheme, after_scheme)) = text.split_once("://") else {
            return invalid("has no scheme: write it as http://host:32400 or https://host:32400");
        };
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return invalid("has an unsupported scheme: use http:// or https://"),
        };
        if after_scheme.contains('?') || text.to_ascii_lowercase().contains("x-plex-token") {
            return invalid(
                "has a query: specify only scheme, host, port and path, and pass the token in the option `token`",
            );
        }
        if after_scheme.contains('#') {
            return invalid("has a fragment, like the address of Plex's web page: specify only scheme, host and port");
        }
        let (authority, path) = match after_scheme.find('/') {
            Some(slash) => after_scheme.split_at(slash),
            None => (after_scheme, ""),
        };
        if matches!(path.trim_end_matches('/'), "/web" | "/web/index.html") {
            return invalid("is the address of Plex's web page: specify only scheme, host and port");
        }
        if authority.contains('@') {
            return invalid("contains a user name, but Plex accepts only tokens: pass a token in the option `token`");
        }
        let Some(origin) = parse_authority(secure, authority) else {
            return invalid("has no host or an invalid port: write it as http://host:32400");
        };
        let base = Self {
            origin,
            prefix: path.trim_end_matches('/').to_owned(),
        };
        if base.url("/identity").parse::<ureq::http::Uri>().is_err() || !base.prefix.is_ascii() {
            return invalid("contains characters that are invalid in a URL: percent-encode the path");
        }
        Ok(base)
    }

    /// Returns the full URL of an address, which starts with a slash.
    pub fn url(&self, address: &str) -> String {
        format!("{}{}{address}", self.origin, self.prefix)
    }

    /// Returns the target of a redirect for a message, without its secrets. `location` is the reply's `Location`
    /// header, a full URL or the part of one that differs from this URL.
    pub fn redirect_target(&self, location: &str) -> String {
        let location = location.trim();
        let scheme = if self.origin.is_https { "https:" } else { "http:" };
        match location {
            _ if location.starts_with("//") => without_secrets(&format!("{scheme}{location}")),
            _ if location.starts_with('/') => without_secrets(&format!("{}{location}", self.origin)),
            _ => without_secrets(location),
        }
    }
}

/// Parses `host`, `host:port`, `[v6]` or `[v6]:port`; `None` for other strings. `secure` means https.
fn parse_authority(secure: bool, authority: &str) -> Option<Origin> {
    let (host, port) = if authority.starts_with('[') {
        let end = authority.find(']')? + 1;
        let (host, port) = authority.split_at(end);
        host.get(1..end - 1)?.parse::<std::net::Ipv6Addr>().ok()?;
        (host, port)
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
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'[' | b']' | b':');
    if host.is_empty() || !host.bytes().all(is_legal) {
        return None;
    }
    Some(Origin {
        is_https: secure,
        host: host.to_ascii_lowercase(),
        port,
    })
}

/// Returns at most 200 characters of a URL without the user name, query and fragment, which may be secret.
fn without_secrets(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let end = [text.find('?'), text.find('#'), lower.find("x-plex-token")]
        .into_iter()
        .flatten()
        .min();
    let safe = text.get(..end.unwrap_or(text.len())).unwrap_or_default();
    let (scheme, after_scheme) = match safe.find("://") {
        Some(index) => safe.split_at(index + "://".len()),
        None => ("", safe),
    };
    // The last '@' before the path ends the user name and password.
    let authority_end = after_scheme.find('/').unwrap_or(after_scheme.len());
    let safe_end = match after_scheme
        .get(..authority_end)
        .and_then(|authority| authority.rfind('@'))
    {
        Some(at_sign) => format!("***{}", after_scheme.get(at_sign..).unwrap_or_default()),
        None => after_scheme.to_owned(),
    };
    let mut shown: String = scheme.chars().chain(safe_end.chars()).take(200).collect();
    if end.is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(text: &str) -> String {
        BaseUrl::parse(text).map_or_else(|error| panic!("{error}"), |base| base.url("/identity"))
    }

    fn refusal(text: &str) -> String {
        match BaseUrl::parse(text) {
            Ok(base) => panic!("{text} was taken as {base:?}"),
            Err(error) => {
                assert_eq!(error.status, Status::InvalidArgument);
                error.message
            }
        }
    }

    #[test]
    fn base_urls_are_normalised() {
        assert_eq!(base("http://plex:32400"), "http://plex:32400/identity");
        assert_eq!(base(" HTTP://Plex:32400/ "), "http://plex:32400/identity");
        assert_eq!(base("https://plex"), "https://plex/identity");
        assert_eq!(base("https://plex:443//"), "https://plex/identity");
        assert_eq!(base("http://[::1]:32400"), "http://[::1]:32400/identity");
        assert_eq!(base("https://home.example/plex/"), "https://home.example/plex/identity");
        assert_eq!(base("https://home.example/webs"), "https://home.example/webs/identity");
    }

    #[test]
    fn refusals_name_input_and_remedy_and_no_secret() {
        for (text, expected) in [
            ("192.168.1.5:32400", "has no scheme: write it as http://host:32400"),
            ("plex", "has no scheme"),
            ("ftp://plex", "use http:// or https://"),
            ("http://", "has no host"),
            ("http://:32400", "has no host"),
            ("http://plex:0", "an invalid port"),
            ("http://plex:99999", "an invalid port"),
            ("http://plex:32400x", "an invalid port"),
            ("http://[::1", "has no host"),
            ("http://me:SECRET@plex:32400", "contains a user name"),
            (
                "http://plex:32400/?X-Plex-Token=SECRET",
                "pass the token in the option `token`",
            ),
            (
                "http://plex:32400/&x-plex-token=SECRET",
                "pass the token in the option `token`",
            ),
            ("http://plex:32400/web/index.html#!/SECRET", "has a fragment"),
            ("http://plex:32400/web/", "Plex's web page"),
            ("http://plex:32400/web/index.html", "Plex's web page"),
            ("http://plex:32400/a b", "percent-encode"),
            ("http://pl ex:32400", "has no host"),
        ] {
            let message = refusal(text);
            assert!(message.contains(expected), "{text}: {message}");
            assert!(!message.contains("SECRET"), "{text}: {message}");
        }
        assert!(refusal("192.168.1.5:32400").contains("\"192.168.1.5:32400\""));
        assert!(!refusal("me:SECRET@plex").contains("SECRET"));
    }

    #[test]
    fn targets_of_redirects_are_complete_and_hold_no_secret() {
        let base = BaseUrl::parse("https://plex:32400/plex").unwrap();
        for (location, expected) in [
            ("/a?token=SECRET", "https://plex:32400/a…"),
            ("//elsewhere/a#SECRET", "https://elsewhere/a…"),
            ("http://me:SECRET@elsewhere:32400/a", "http://***@elsewhere:32400/a"),
            ("sections", "sections"),
        ] {
            assert_eq!(base.redirect_target(location), expected);
        }
    }
}
