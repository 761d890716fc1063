//! Builds requests: addresses, arguments, and descriptions for error texts.

use std::fmt::{self, Write as _};

use crate::model::ItemType;

use super::super::contract::{EditRequest, RequestKind};
use super::rows::{Rows, RowsRequest};
use super::url::encode;
use super::wire::ReplyHead;

/// Path of items, and prefix of their public keys.
pub(super) const KEY_PREFIX: &str = "/library/metadata/";

/// Maximum number of rows per request: servers may refuse more.
pub(super) const MOST_ROWS: u32 = 1_000;

/// A reply may have this many times the requested rows: a server that ignores paging can list libraries of up to 16,000
/// items.
pub(super) const OVERSIZE_FACTOR: u64 = 16;

/// Elements of a row that are not stored. `Media` and `Guid` must not be in this list.
const EXCLUDED_ELEMENTS: &str = "Genre,Country,Director,Writer,Role,Producer,Collection,Rating,Similar,Style,Mood,\
    Label,Field,Image,UltraBlurColors,Chapter,Marker,Extras,Related,Review,Location,Preferences";

/// Fields of a row that are not stored. Advisory, like the elements: a server may send them anyway.
const EXCLUDED_FIELDS: &str = "summary,tagline,thumb,art,banner,theme,parentThumb,parentTheme,grandparentThumb,\
    grandparentArt,grandparentTheme,studio,contentRating,rating,audienceRating,userRating,ratingImage,\
    audienceRatingImage,primaryExtraKey,originallyAvailableAt,chapterSource,parentStudio,slug,\
    grandparentSlug,parentSlug,attribution,duration,addedAt,updatedAt,lastViewedAt,lastRatedAt,viewCount,viewOffset,\
    skipCount,bitrate,width,height,aspectRatio,audioChannels,audioCodec,audioProfile,videoCodec,videoProfile,\
    videoResolution,videoFrameRate,optimizedForStreaming,has64bitOffsets,hasThumbnail,deepAnalysisVersion,indexes";

/// Address of the event stream. Servers ignore unknown event names in the filter; those without filters send all
/// events.
const EVENTS: &str = "/:/eventsource/notifications?filters=timeline,activity,status";

/// Maximum size of `/identity`, decompressed, in bytes.
const MAX_IDENTITY_BYTES: u64 = 1 << 20;

/// Maximum size of the list of libraries in bytes; one library takes some 1 kB.
const MAX_LIBRARIES_BYTES: u64 = 8 << 20;

/// Maximum size of a page, decompressed, in bytes: a server that ignores paging and exclusions sends some 3 kB per row.
const MAX_PAGE_BYTES: u64 = 64 << 20;

/// A request to the server.
pub(super) struct ServerRequest<'a> {
    /// Kind in the statistics.
    pub kind: RequestKind,
    /// Path below the base URL, encoded.
    path: String,
    /// Encoded arguments in order. Optional ones only make an answer smaller or steadier.
    arguments: Vec<(bool, String)>,
    /// Container headers: first row and number of rows.
    pub window: Option<(u64, u32)>,
    /// Whether to send the token.
    pub with_token: bool,
    /// Maximum size of its reply, decompressed, in bytes.
    pub limit: u64,
    /// The request, for error texts.
    pub label: RequestLabel<'a>,
}

impl<'a> ServerRequest<'a> {
    /// Requests the server's identity.
    pub fn identity() -> Self {
        Self {
            kind: RequestKind::Identity,
            path: "/identity".into(),
            arguments: Vec::new(),
            window: None,
            // Needs none, so the server is identified before a token is sent.
            with_token: false,
            limit: MAX_IDENTITY_BYTES,
            label: RequestLabel::Identity,
        }
    }

    /// Requests the libraries and their clocks.
    pub fn libraries() -> Self {
        Self {
            kind: RequestKind::Probe,
            path: "/library/sections".into(),
            arguments: Vec::new(),
            window: None,
            with_token: true,
            limit: MAX_LIBRARIES_BYTES,
            label: RequestLabel::Libraries,
        }
    }

    /// Opens the event stream, which has no limit.
    pub fn events() -> Self {
        Self {
            kind: RequestKind::Events,
            path: EVENTS.into(),
            limit: u64::MAX,
            label: RequestLabel::Events,
            ..Self::libraries()
        }
    }

    /// Sends an edit. `address`: its path and its arguments.
    pub fn edit(address: String, request: &EditRequest<'a>) -> Self {
        Self {
            kind: RequestKind::Edit,
            path: address,
            label: RequestLabel::Edit(request.ids.len(), request.section),
            ..Self::libraries()
        }
    }

    /// Requests a page of a library.
    pub fn page(request: &'a RowsRequest<'a>) -> Self {
        Self {
            kind: match request.rows {
                Rows::All => RequestKind::Page,
                Rows::NewestUpdated => RequestKind::Delta,
                Rows::Title(_) | Rows::FileName(_) => RequestKind::FindPath,
            },
            path: format!("/library/sections/{}/all", encode(request.section)),
            arguments: page_arguments(request),
            // Always both: with only one of them, servers send the whole library.
            window: Some((request.start, request.size.clamp(1, MOST_ROWS))),
            with_token: true,
            limit: MAX_PAGE_BYTES,
            label: RequestLabel::Page(request),
        }
    }

    /// Returns whether the request filters by file name.
    pub fn filters_by_file(&self) -> bool {
        matches!(self.label, RequestLabel::Page(page) if matches!(page.rows, Rows::FileName(_)))
    }

    /// Returns whether arguments can be left out.
    pub fn has_optional(&self) -> bool {
        self.arguments.iter().any(|(is_optional, _)| *is_optional)
    }

    /// Returns path and query below the base URL; `is_minimal`: without optional arguments.
    pub fn address(&self, is_minimal: bool) -> String {
        let mut address = self.path.clone();
        let sent = self
            .arguments
            .iter()
            .filter(|(is_optional, _)| !(is_minimal && *is_optional));
        for (index, (_, text)) in sent.enumerate() {
            let mark = if index == 0 { '?' } else { '&' };
            let _ = write!(address, "{mark}{text}");
        }
        address
    }

    /// Returns the reply without rows.
    pub fn no_rows(&self) -> ReplyHead {
        ReplyHead {
            total: Some(0),
            offset: self.window.map(|(start, _)| start),
            ..ReplyHead::default()
        }
    }

    /// Requests items by their rating keys.
    pub fn items(keys: &[&str]) -> Self {
        Self {
            kind: RequestKind::Confirm,
            path: items_path(keys),
            arguments: vec![
                (false, "includeGuids=1".into()),
                // Otherwise the server may start to refresh the item.
                (true, "skipRefresh=1".into()),
                (true, format!("excludeElements={EXCLUDED_ELEMENTS},Stream")),
                (true, format!("excludeFields={EXCLUDED_FIELDS}")),
            ],
            window: None,
            with_token: true,
            limit: MAX_PAGE_BYTES,
            label: RequestLabel::Items(keys.len()),
        }
    }
}

/// The description of a request for error texts.
#[derive(Clone, Copy)]
pub(super) enum RequestLabel<'a> {
    /// `/identity`.
    Identity,
    /// `/library/sections`.
    Libraries,
    /// A page of a library.
    Page(&'a RowsRequest<'a>),
    /// Items by their rating keys: their number.
    Items(usize),
    /// An edit: the number of items, and the section of the library.
    Edit(usize, &'a str),
    /// The event stream.
    Events,
}

impl fmt::Display for RequestLabel<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity => f.write_str("the server's identity"),
            Self::Libraries => f.write_str("the list of libraries"),
            Self::Page(page) => {
                let (start, section) = (page.start, page.section);
                match page.rows {
                    Rows::All => write!(f, "the rows from {start} on of library {section}"),
                    Rows::NewestUpdated => write!(f, "the rows of library {section} that changed last"),
                    Rows::Title(_) => write!(f, "the rows of library {section} with a title"),
                    Rows::FileName(_) => write!(f, "the rows of library {section} with a file name"),
                }
            }
            Self::Items(1) => f.write_str("one item"),
            Self::Items(count) => write!(f, "{count} items"),
            Self::Edit(count, section) => write!(f, "the edit of {count} items of library {section}"),
            Self::Events => f.write_str("the server's events"),
        }
    }
}

/// Returns the arguments of a page.
fn page_arguments(request: &RowsRequest<'_>) -> Vec<(bool, String)> {
    let mut arguments = Vec::new();
    if request.kind != ItemType::Other {
        arguments.push((false, format!("type={}", request.kind.number())));
    }
    // Rows by id are steadier; the newest rows are what the other order asks for.
    let (is_steady, order, sorted_by) = match request.rows {
        Rows::All | Rows::Title(_) | Rows::FileName(_) => (true, "id", "id"),
        Rows::NewestUpdated => (false, "updatedAt:desc", "updatedAt"),
    };
    arguments.push((false, "includeGuids=1".into()));
    arguments.push((true, "includeCollections=0".into()));
    arguments.push((is_steady, format!("sort={order}")));
    if matches!(request.kind, ItemType::Photo | ItemType::Clip) {
        // Otherwise servers list neither photos nor clips, without an error.
        arguments.push((false, "clusterZoomLevel=1".into()));
    }
    match request.rows {
        Rows::Title(title) => arguments.push((false, format!("title={}", encode(title)))),
        Rows::FileName(name) => arguments.push((false, format!("file={}", encode(name)))),
        Rows::All | Rows::NewestUpdated => {}
    }
    arguments.push((true, format!("excludeElements={EXCLUDED_ELEMENTS}")));
    // A server may not even read excluded fields, and then cannot sort by them.
    let fields: Vec<&str> = EXCLUDED_FIELDS.split(',').filter(|field| *field != sorted_by).collect();
    arguments.push((true, format!("excludeFields={}", fields.join(","))));
    arguments
}

/// Returns the path of several items.
fn items_path(keys: &[&str]) -> String {
    let mut path = String::from(KEY_PREFIX);
    for (index, key) in keys.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        let _ = write!(path, "{comma}{}", encode(key));
    }
    path
}
