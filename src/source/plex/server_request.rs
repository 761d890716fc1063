//! Builds requests: URLs, arguments, and descriptions for messages. A server has a base URL, which the others extend.

use std::fmt::{self, Write as _};
use std::net::IpAddr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode, utf8_percent_encode};

use super::super::contract::{MAX_PAGE_ROWS, RequestKind};
use super::replies::Reply;
use crate::error::{Error, Result, Status};
use crate::model::{ItemType, LibraryKind};

/// Prefix of an item's path in Plex's API, and of the keys that hosts see.
pub(super) const KEY_PREFIX: &str = "/library/metadata/";
/// Maximum size of a reply, as a multiple of a full page. This factor allows a server that ignores paging to send a
/// library of up to 16,000 items in one reply.
pub(super) const OVERSIZE_FACTOR: u64 = 16;
/// Elements of a row that plexindex does not store. `Media` and `Guid`, which contain the files and external ids, must
/// not be in this list.
const EXCLUDED_ELEMENTS: &str = "Genre,Country,Director,Writer,Role,Producer,Collection,Rating,Similar,Style,Mood,\
    Label,Field,Image,UltraBlurColors,Chapter,Marker,Extras,Related,Review,Location,Preferences";
/// Fields of a row that plexindex does not store. A server may still send excluded fields and elements.
const EXCLUDED_FIELDS: &str = "summary,tagline,thumb,art,banner,theme,parentThumb,parentTheme,grandparentThumb,\
    grandparentArt,grandparentTheme,studio,contentRating,rating,audienceRating,userRating,ratingImage,\
    audienceRatingImage,primaryExtraKey,originallyAvailableAt,chapterSource,parentStudio,slug,\
    grandparentSlug,parentSlug,attribution,updatedAt,lastViewedAt,lastRatedAt,viewCount,viewOffset,\
    skipCount,bitrate,width,height,aspectRatio,audioChannels,audioCodec,audioProfile,videoCodec,videoProfile,\
    videoFrameRate,optimizedForStreaming,has64bitOffsets,hasThumbnail,deepAnalysisVersion,indexes";
/// Path and query of the event stream. Servers ignore unknown event names in the filter; servers that do not support
/// filters send all events.
const EVENTS: &str = "/:/eventsource/notifications?filters=timeline,activity,status";
/// Maximum size of the reply to `/identity` in bytes, after decompression.
const MAX_IDENTITY_BYTES: u64 = 1 << 20;
/// Maximum size of the library list in bytes, after decompression. One library takes about 1 kB.
const MAX_LIBRARIES_BYTES: u64 = 8 << 20;
/// Maximum size of a page in bytes, after decompression. Without exclusions, servers send about 3 kB per row.
const MAX_PAGE_BYTES: u64 = 64 << 20;

/// The arguments that requests omit, because a server rejects some arguments. Each value omits more than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Omitted {
    Nothing,
    /// Arguments that affect only the reply's size or order.
    Optional,
    /// External IDs too. Items then have only Plex's own GUID.
    Guids,
}

impl Omitted {
    /// Returns the value with this number, which must come from a cast.
    pub fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Nothing,
            1 => Self::Optional,
            _ => Self::Guids,
        }
    }
}

/// A query argument, `name=value`, encoded, with the least omission that omits it: [`Omitted::Guids`] for the one that
/// requests external IDs; `None` if the reply would be wrong without the argument.
type QueryParameter = (Option<Omitted>, String);

const REQUIRED: Option<Omitted> = None;
const OPTIONAL: Option<Omitted> = Some(Omitted::Optional);
const GUIDS: Option<Omitted> = Some(Omitted::Guids);

/// A request to the server.
pub(super) struct ServerRequest<'a> {
    /// Request kind in the statistics.
    pub kind: RequestKind,
    /// Path below the base URL, encoded.
    path: String,
    arguments: Vec<QueryParameter>,
    /// Index of the first row and number of rows, for the headers `X-Plex-Container-Start` and
    /// `X-Plex-Container-Size`.
    pub row_range: Option<(u64, u32)>,
    /// Whether to send the token.
    pub with_token: bool,
    /// Maximum size of the reply in bytes, after decompression.
    pub max_reply_bytes: u64,
    /// Purpose of the request, for messages.
    pub purpose: RequestPurpose<'a>,
}

impl<'a> ServerRequest<'a> {
    /// Creates the request for the server's identity.
    pub fn identity() -> Self {
        Self {
            kind: RequestKind::Identity,
            path: "/identity".into(),
            // This request has no token, so that plexindex can identify the server before it sends the token.
            with_token: false,
            max_reply_bytes: MAX_IDENTITY_BYTES,
            purpose: RequestPurpose::Identity,
            ..Self::libraries()
        }
    }

    /// Creates the probe: the request for the libraries and their change times.
    pub fn libraries() -> Self {
        Self {
            kind: RequestKind::Probe,
            path: "/library/sections".into(),
            arguments: Vec::new(),
            row_range: None,
            with_token: true,
            max_reply_bytes: MAX_LIBRARIES_BYTES,
            purpose: RequestPurpose::Libraries,
        }
    }

    /// Creates the request for the event stream, whose length is unlimited.
    pub fn events() -> Self {
        Self {
            kind: RequestKind::Events,
            path: EVENTS.into(),
            max_reply_bytes: u64::MAX,
            purpose: RequestPurpose::Events,
            ..Self::libraries()
        }
    }

    /// Creates the request that tells the server to scan a folder.
    pub fn scan(section: &'a str, folder: &[u8]) -> Self {
        Self {
            kind: RequestKind::Scan,
            path: format!(
                "/library/sections/{}/refresh?path={}",
                encode(section),
                percent_encode(folder, ENCODED)
            ),
            purpose: RequestPurpose::Scan(section),
            ..Self::libraries()
        }
    }

    /// Creates the request that tells the server to refresh an item, or to analyze its files.
    pub fn refresh_item(rating_key: &'a str, analyzes: bool) -> Self {
        let action = if analyzes { "analyze" } else { "refresh" };
        Self {
            kind: RequestKind::Scan,
            path: format!("/library/metadata/{}/{action}", encode(rating_key)),
            purpose: RequestPurpose::RefreshItem(rating_key),
            ..Self::libraries()
        }
    }

    /// Creates the request for a page of rows.
    pub fn rows(request: &'a RowsRequest<'a>) -> Self {
        Self {
            kind: match request.rows {
                Rows::All => RequestKind::Page,
                Rows::NewestUpdated | Rows::Trash => RequestKind::Delta,
                Rows::Title(_) | Rows::FileName(_) => RequestKind::FindPath,
            },
            path: format!("/library/sections/{}/all", encode(request.section)),
            arguments: row_arguments(request),
            // Always sends both numbers: if a request contains only one number, servers send the whole library.
            row_range: Some((request.start, request.size.clamp(1, MAX_PAGE_ROWS))),
            max_reply_bytes: MAX_PAGE_BYTES,
            purpose: RequestPurpose::Rows(request),
            ..Self::libraries()
        }
    }

    /// Returns whether the request filters by file name, a filter that some servers reject.
    pub fn filters_by_file(&self) -> bool {
        matches!(self.purpose, RequestPurpose::Rows(rows) if matches!(rows.rows, Rows::FileName(_)))
    }

    /// Returns whether the request has arguments that it can omit.
    pub fn has_optional_arguments(&self) -> bool {
        self.arguments.iter().any(|(omitted_by, _)| omitted_by.is_some())
    }

    /// Returns the path below the base URL, for messages: the query may name files.
    pub fn path_without_query(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }

    /// Returns the path and query below the base URL, without the omitted arguments.
    pub fn address(&self, omitted: Omitted) -> String {
        let mut address = self.path.clone();
        let is_sent = |(omitted_by, _): &&QueryParameter| omitted_by.is_none_or(|least| omitted < least);
        let sent = self.arguments.iter().filter(is_sent);
        for (index, (_, text)) in sent.enumerate() {
            let separator = if index == 0 { '?' } else { '&' };
            let _ = write!(address, "{separator}{text}");
        }
        address
    }

    /// Sets `reply` to one without rows, which replaces the reply if the server rejects the filter by file name.
    pub fn set_empty(&self, reply: &mut Reply) {
        *reply = Reply {
            total: Some(0),
            offset: self.row_range.map(|(start, _)| start),
            ..Reply::new(reply.kind)
        };
    }

    /// Creates the request for items by their rating keys.
    pub fn items(keys: &[&str]) -> Self {
        Self {
            kind: RequestKind::Confirm,
            path: items_path(keys),
            arguments: vec![
                (GUIDS, "includeGuids=1".to_owned()),
                // Without this argument, the server may start to refresh the item.
                (OPTIONAL, "skipRefresh=1".to_owned()),
                (OPTIONAL, format!("excludeElements={EXCLUDED_ELEMENTS},Stream")),
                (OPTIONAL, format!("excludeFields={EXCLUDED_FIELDS}")),
            ],
            max_reply_bytes: MAX_PAGE_BYTES,
            purpose: RequestPurpose::Items(keys.len()),
            ..Self::libraries()
        }
    }
}

/// The purpose of a request, which follows 'cannot' in messages.
#[derive(Clone, Copy)]
pub(super) enum RequestPurpose<'a> {
    Identity,
    Libraries,
    Rows(&'a RowsRequest<'a>),
    /// Number of items.
    Items(usize),
    /// Section id of the library.
    Scan(&'a str),
    /// Rating key of the item.
    RefreshItem(&'a str),
    Events,
}

impl fmt::Display for RequestPurpose<'_> {
    /// Writes the words that follow 'cannot' in an error message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity => f.write_str("identify the server"),
            Self::Libraries => f.write_str("list the libraries"),
            Self::Rows(request) => {
                let (start, section) = (request.start, request.section);
                match request.rows {
                    Rows::All => write!(f, "list library section {section} from row {start}"),
                    Rows::NewestUpdated => write!(f, "read the latest changes in library section {section}"),
                    Rows::Trash => write!(f, "read the trash of library section {section}"),
                    Rows::Title(_) => write!(f, "search library section {section} by title"),
                    Rows::FileName(_) => write!(f, "search library section {section} by file name"),
                }
            }
            Self::Items(1) => f.write_str("fetch one item"),
            Self::Items(count) => write!(f, "fetch {count} items"),
            Self::Scan(section) => write!(f, "scan a folder of library section {section}"),
            Self::RefreshItem(rating_key) => write!(f, "refresh item {rating_key}"),
            Self::Events => f.write_str("receive the server's events"),
        }
    }
}

/// Returns the query arguments of a request for rows.
fn row_arguments(request: &RowsRequest<'_>) -> Vec<QueryParameter> {
    let mut arguments = Vec::new();
    if request.kind != ItemType::Other {
        arguments.push((REQUIRED, format!("type={}", request.kind.number())));
    }
    // The order by id is optional: without it, rows may shift between pages, which plexindex detects.
    let (sort, sort_field) = match request.rows {
        Rows::All | Rows::Trash | Rows::Title(_) | Rows::FileName(_) => ((OPTIONAL, "sort=id".to_owned()), "id"),
        Rows::NewestUpdated => ((REQUIRED, "sort=updatedAt:desc".to_owned()), "updatedAt"),
    };
    arguments.push((GUIDS, "includeGuids=1".to_owned()));
    arguments.push((OPTIONAL, "includeCollections=0".to_owned()));
    arguments.push(sort);
    if matches!(request.kind, ItemType::Photo | ItemType::Clip) {
        // Without this argument, servers list neither photos nor clips, and report no error.
        arguments.push((REQUIRED, "clusterZoomLevel=1".to_owned()));
    }
    match request.rows {
        Rows::Title(title) => arguments.push((REQUIRED, format!("title={}", encode(title)))),
        Rows::FileName(name) => arguments.push((REQUIRED, format!("file={}", encode(name)))),
        Rows::Trash => arguments.push((REQUIRED, "trash=1".to_owned())),
        Rows::All | Rows::NewestUpdated => {}
    }
    arguments.push((OPTIONAL, format!("excludeElements={EXCLUDED_ELEMENTS}")));
    // Some servers do not even read excluded fields, and so cannot sort by them.
    let fields: Vec<&str> = EXCLUDED_FIELDS
        .split(',')
        .filter(|field| *field != sort_field)
        .collect();
    arguments.push((OPTIONAL, format!("excludeFields={}", fields.join(","))));
    arguments
}

/// Returns the path below the base URL that addresses all these items.
fn items_path(keys: &[&str]) -> String {
    let mut path = String::from(KEY_PREFIX);
    for (index, key) in keys.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        let _ = write!(path, "{comma}{}", encode(key));
    }
    path
}

/// A request for rows of a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowsRequest<'a> {
    /// Section id of the library.
    pub section: &'a str,
    /// Item type of the rows; [`ItemType::Other`] disables the type filter.
    pub kind: ItemType,
    /// Sort order and filter.
    pub rows: Rows<'a>,
    /// Index of the first row.
    pub start: u64,
    /// Maximum number of rows, from 1 to 1,000.
    pub size: u32,
}

/// The sort order and filter of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows<'a> {
    /// All rows, sorted by id, so that rows do not shift between pages.
    All,
    /// All rows, most recently updated first.
    NewestUpdated,
    /// Rows whose files are missing on the server's disk. plexindex uses those that are in the trash.
    Trash,
    /// Rows whose title contains this string. The server may return rows that do not match, and omit rows that match.
    Title(&'a str),
    /// Rows with a file whose name contains this string. Plex does not document this filter. The server may return rows
    /// that do not match, and omit rows that match.
    FileName(&'a str),
}

/// Returns the item types that have files in this kind of library. Each of these types is a partition of the listing.
pub(in crate::source) fn item_types_with_files(kind: LibraryKind) -> &'static [ItemType] {
    match kind {
        LibraryKind::Movie => &[ItemType::Movie],
        LibraryKind::Show => &[ItemType::Episode],
        LibraryKind::Artist => &[ItemType::Track],
        LibraryKind::Photo => &[ItemType::Photo, ItemType::Clip],
        _ => &[ItemType::Other],
    }
}

/// Characters to encode in path segments and query arguments: all except RFC 3986's unreserved characters.
pub(super) const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Encodes a string as a query argument or path segment.
pub(super) fn encode(text: &str) -> impl fmt::Display + '_ {
    utf8_percent_encode(text, ENCODED)
}

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
