//! Builds requests: URLs, arguments, and descriptions for messages.

use std::fmt::{self, Write as _};

use crate::model::{ItemType, LibraryKind};

use super::super::contract::RequestKind;
use super::replies::Reply;
use super::url::{encode, encode_bytes};

/// Prefix of an item's path in Plex's API, and of the keys that hosts see.
pub(super) const KEY_PREFIX: &str = "/library/metadata/";
/// Maximum number of rows per request. Servers may reject a higher number.
pub(super) const MAX_ROWS: u32 = 1_000;
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

/// A query argument.
struct QueryParameter {
    /// The least omission that omits the argument; `None` if the reply would be wrong without the argument.
    omitted_by: Option<Omitted>,
    /// `name=value`, encoded.
    text: String,
}

impl QueryParameter {
    /// Creates an argument without which the reply would be wrong.
    fn required(text: impl Into<String>) -> Self {
        Self {
            omitted_by: None,
            text: text.into(),
        }
    }

    /// Creates the argument that requests external IDs.
    fn guids() -> Self {
        Self {
            omitted_by: Some(Omitted::Guids),
            text: "includeGuids=1".into(),
        }
    }

    /// Creates an argument that requests omit for a server that rejects some arguments.
    fn optional(text: impl Into<String>) -> Self {
        Self {
            omitted_by: Some(Omitted::Optional),
            text: text.into(),
        }
    }
}

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
            arguments: Vec::new(),
            row_range: None,
            // This request has no token, so that plexindex can identify the server before it sends the token.
            with_token: false,
            max_reply_bytes: MAX_IDENTITY_BYTES,
            purpose: RequestPurpose::Identity,
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
                encode_bytes(folder)
            ),
            purpose: RequestPurpose::Scan(section),
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
            row_range: Some((request.start, request.size.clamp(1, MAX_ROWS))),
            with_token: true,
            max_reply_bytes: MAX_PAGE_BYTES,
            purpose: RequestPurpose::Rows(request),
        }
    }

    /// Returns whether the request filters by file name, a filter that some servers reject.
    pub fn filters_by_file(&self) -> bool {
        matches!(self.purpose, RequestPurpose::Rows(rows) if matches!(rows.rows, Rows::FileName(_)))
    }

    /// Returns whether the request has arguments that it can omit.
    pub fn has_optional_arguments(&self) -> bool {
        self.arguments.iter().any(|argument| argument.omitted_by.is_some())
    }

    /// Returns the path below the base URL, for messages: the query may name files.
    pub fn path_without_query(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }

    /// Returns the path and query below the base URL, without the omitted arguments.
    pub fn address(&self, omitted: Omitted) -> String {
        let mut address = self.path.clone();
        let is_sent = |argument: &&QueryParameter| argument.omitted_by.is_none_or(|least| omitted < least);
        let sent = self.arguments.iter().filter(is_sent);
        for (index, argument) in sent.enumerate() {
            let separator = if index == 0 { '?' } else { '&' };
            let _ = write!(address, "{separator}{}", argument.text);
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
                QueryParameter::guids(),
                // Without this argument, the server may start to refresh the item.
                QueryParameter::optional("skipRefresh=1"),
                QueryParameter::optional(format!("excludeElements={EXCLUDED_ELEMENTS},Stream")),
                QueryParameter::optional(format!("excludeFields={EXCLUDED_FIELDS}")),
            ],
            row_range: None,
            with_token: true,
            max_reply_bytes: MAX_PAGE_BYTES,
            purpose: RequestPurpose::Items(keys.len()),
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
            Self::Events => f.write_str("receive the server's events"),
        }
    }
}

/// Returns the query arguments of a request for rows.
fn row_arguments(request: &RowsRequest<'_>) -> Vec<QueryParameter> {
    let mut arguments = Vec::new();
    if request.kind != ItemType::Other {
        arguments.push(QueryParameter::required(format!("type={}", request.kind.number())));
    }
    // The order by id is optional: without it, rows may shift between pages, which plexindex detects.
    let (sort, sort_field) = match request.rows {
        Rows::All | Rows::Trash | Rows::Title(_) | Rows::FileName(_) => (QueryParameter::optional("sort=id"), "id"),
        Rows::NewestUpdated => (QueryParameter::required("sort=updatedAt:desc"), "updatedAt"),
    };
    arguments.push(QueryParameter::guids());
    arguments.push(QueryParameter::optional("includeCollections=0"));
    arguments.push(sort);
    if matches!(request.kind, ItemType::Photo | ItemType::Clip) {
        // Without this argument, servers list neither photos nor clips, and report no error.
        arguments.push(QueryParameter::required("clusterZoomLevel=1"));
    }
    match request.rows {
        Rows::Title(title) => arguments.push(QueryParameter::required(format!("title={}", encode(title)))),
        Rows::FileName(name) => arguments.push(QueryParameter::required(format!("file={}", encode(name)))),
        Rows::Trash => arguments.push(QueryParameter::required("trash=1")),
        Rows::All | Rows::NewestUpdated => {}
    }
    arguments.push(QueryParameter::optional(format!("excludeElements={EXCLUDED_ELEMENTS}")));
    // Some servers do not even read excluded fields, and so cannot sort by them.
    let fields: Vec<&str> = EXCLUDED_FIELDS
        .split(',')
        .filter(|field| *field != sort_field)
        .collect();
    arguments.push(QueryParameter::optional(format!("excludeFields={}", fields.join(","))));
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
