//! What is asked: addresses and their arguments, and what each question is called in texts.

use std::fmt::{self, Write as _};

use crate::error::{Error, Result, Status};
use crate::model::ItemType;

use super::super::contract::RequestKind;
use super::refused::Refused;
use super::rows::{Rows, RowsRequest};
use super::url::encode;
use super::wire::ReplyHead;

/// Where items are: their public keys are their addresses.
pub(super) const KEY_PREFIX: &str = "/library/metadata/";

/// Most rows of one request: servers may refuse more.
pub(super) const MOST_ROWS: u32 = 1_000;

/// An answer ends at so many times the rows that may be asked for, whatever the server sends: one that ignores paging shows
/// libraries of up to 16,000 items.
pub(super) const PAGES: u64 = 16;

/// Elements of a row that nothing here stores. `Media` and `Guid` must never stand here.
const EXCLUDED_ELEMENTS: &str = "Genre,Country,Director,Writer,Role,Producer,Collection,Rating,Similar,Style,Mood,\
    Label,Field,Image,UltraBlurColors,Chapter,Marker,Extras,Related,Review,Location,Preferences";

/// Fields of a row that nothing here stores. Advisory, like the elements: a server may send them all the same.
const EXCLUDED_FIELDS: &str = "summary,tagline,thumb,art,banner,theme,parentThumb,parentTheme,grandparentThumb,\
    grandparentArt,grandparentTheme,studio,contentRating,rating,audienceRating,userRating,ratingImage,\
    audienceRatingImage,primaryExtraKey,originallyAvailableAt,chapterSource,parentStudio,slug,\
    grandparentSlug,parentSlug,attribution,duration,addedAt,updatedAt,lastViewedAt,lastRatedAt,viewCount,viewOffset,\
    skipCount,bitrate,width,height,aspectRatio,audioChannels,audioCodec,audioProfile,videoCodec,videoProfile,\
    videoResolution,videoFrameRate,optimizedForStreaming,has64bitOffsets,hasThumbnail,deepAnalysisVersion,indexes";

/// The most that `/identity` may take, decompressed.
const TINY: u64 = 1 << 20;

/// The most that the list of libraries may take: one has some 1 kB.
const SMALL: u64 = 8 << 20;

/// The most that a page may take, decompressed: a server that ignores paging and exclusions sends some 3 kB a row.
const LARGE: u64 = 64 << 20;

/// One question to the server.
pub(super) struct ServerRequest<'a> {
    /// How it counts.
    pub kind: RequestKind,
    /// The path below the base, encoded.
    path: String,
    /// The arguments in their order, encoded, each with what it is called where a server may refuse it.
    arguments: Vec<(Refused, String)>,
    /// The container headers: first row, and how many.
    pub window: Option<(u64, u32)>,
    /// Whether the token goes with it.
    pub with_token: bool,
    /// The most that its answer may take, decompressed.
    pub limit: u64,
    /// The request, for error texts.
    pub what: What<'a>,
}

impl<'a> ServerRequest<'a> {
    /// Which server is this.
    pub fn identity() -> Self {
        Self {
            kind: RequestKind::Identity,
            path: "/identity".into(),
            arguments: Vec::new(),
            window: None,
            // It needs none, so who answers is known before the token is sent anywhere.
            with_token: false,
            limit: TINY,
            what: What::Identity,
        }
    }

    /// Which libraries are there, and their clocks.
    pub fn libraries() -> Self {
        Self {
            kind: RequestKind::Probe,
            path: "/library/sections".into(),
            arguments: Vec::new(),
            window: None,
            with_token: true,
            limit: SMALL,
            what: What::Libraries,
        }
    }

    /// One page of a library.
    pub fn page(request: &'a RowsRequest<'a>) -> Self {
        Self {
            kind: match request.rows {
                Rows::All => RequestKind::Page,
                Rows::NewestUpdated => RequestKind::Delta,
                Rows::Title(_) | Rows::FileName(_) => RequestKind::FindPath,
            },
            path: format!("/library/sections/{}/all", encode(request.section)),
            arguments: page_arguments(request),
            // Always both: with one of them alone the whole library comes.
            window: Some((request.start, request.size.clamp(1, MOST_ROWS))),
            with_token: true,
            limit: LARGE,
            what: What::Page(request),
        }
    }

    /// Whether it asks for items by a file's name.
    pub fn asks_for_a_file(&self) -> bool {
        self.can_do_without().has(Refused::FILE)
    }

    /// The arguments that a server may refuse, and that can be left out.
    pub fn can_do_without(&self) -> Refused {
        let refusable = self.arguments.iter().map(|(argument, _)| *argument);
        refusable.fold(Refused::NONE, Refused::and)
    }

    /// Path and query below the base, without the arguments that are refused.
    pub fn address(&self, refused: Refused) -> String {
        let mut address = self.path.clone();
        let taken = self.arguments.iter().filter(|(argument, _)| !refused.has(*argument));
        for (place, (_, text)) in taken.enumerate() {
            let mark = if place == 0 { '?' } else { '&' };
            let _ = write!(address, "{mark}{text}");
        }
        address
    }

    /// The answer of a server that refuses these arguments, where it is known without asking; `None`: ask without them.
    pub fn known_answer(&self, refused: Refused) -> Option<Result<ReplyHead>> {
        let What::Page(page) = self.what else { return None };
        let of_type = match page.kind {
            ItemType::Clip => Refused::CLIPS,
            ItemType::Photo => Refused::PHOTOS,
            _ => Refused::NONE,
        };
        let has_no_rows = match page.rows {
            _ if refused.has(of_type) => true,
            Rows::FileName(_) => refused.has(Refused::FILE),
            Rows::NewestUpdated if refused.has(Refused::SORT_UPDATED) => {
                let text = format!(
                    "{}: the server refuses the order that this needs: list the library instead",
                    self.what
                );
                return Some(Err(Error::new(Status::ServerError, text)));
            }
            _ => false,
        };
        has_no_rows.then(|| {
            Ok(ReplyHead {
                total: Some(0),
                offset: Some(page.start),
                ..ReplyHead::default()
            })
        })
    }

    /// The same question with another window.
    pub fn with_window(&self, start: u64, size: u32) -> Self {
        Self {
            path: self.path.clone(),
            arguments: self.arguments.clone(),
            window: self.window.map(|_| (start, size)),
            ..*self
        }
    }

    /// Items by their rating keys.
    pub fn items(keys: &[&str]) -> Self {
        Self {
            kind: RequestKind::Confirm,
            path: items_path(keys),
            arguments: vec![
                (Refused::GUIDS, "includeGuids=1".into()),
                // Without it the server may start to refresh the item.
                (Refused::SKIP_REFRESH, "skipRefresh=1".into()),
                (Refused::ELEMENTS, format!("excludeElements={EXCLUDED_ELEMENTS},Stream")),
                (Refused::FIELDS, format!("excludeFields={EXCLUDED_FIELDS}")),
            ],
            window: None,
            with_token: true,
            limit: LARGE,
            what: What::Items(keys.len()),
        }
    }
}

/// The request in words, for errors.
#[derive(Clone, Copy)]
pub(super) enum What<'a> {
    /// `/identity`.
    Identity,
    /// `/library/sections`.
    Libraries,
    /// A page of a library.
    Page(&'a RowsRequest<'a>),
    /// So many items by their rating keys.
    Items(usize),
    /// An edit of so many items of a library.
    Edit(usize, &'a str),
    /// The event stream.
    Events,
}

impl fmt::Display for What<'_> {
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

/// The arguments of a page.
fn page_arguments(request: &RowsRequest<'_>) -> Vec<(Refused, String)> {
    let mut arguments = Vec::new();
    if request.kind != ItemType::Other {
        arguments.push((Refused::NONE, format!("type={}", request.kind.number())));
    }
    let (sort, order, sorted_by) = match request.rows {
        Rows::All | Rows::Title(_) | Rows::FileName(_) => (Refused::SORT_ID, "id", "id"),
        Rows::NewestUpdated => (Refused::SORT_UPDATED, "updatedAt:desc", "updatedAt"),
    };
    arguments.push((Refused::GUIDS, "includeGuids=1".into()));
    arguments.push((Refused::COLLECTIONS, "includeCollections=0".into()));
    arguments.push((sort, format!("sort={order}")));
    if matches!(request.kind, ItemType::Photo | ItemType::Clip) {
        // Without it a server lists neither photos nor clips, and says nothing.
        arguments.push((Refused::CLUSTER, "clusterZoomLevel=1".into()));
    }
    match request.rows {
        Rows::Title(title) => arguments.push((Refused::NONE, format!("title={}", encode(title)))),
        Rows::FileName(name) => arguments.push((Refused::FILE, format!("file={}", encode(name)))),
        Rows::All | Rows::NewestUpdated => {}
    }
    arguments.push((Refused::ELEMENTS, format!("excludeElements={EXCLUDED_ELEMENTS}")));
    // What is excluded may not even be read: then nothing can be sorted by it.
    let fields: Vec<&str> = EXCLUDED_FIELDS.split(',').filter(|field| *field != sorted_by).collect();
    arguments.push((Refused::FIELDS, format!("excludeFields={}", fields.join(","))));
    arguments
}

/// The path of several items.
fn items_path(keys: &[&str]) -> String {
    let mut path = String::from(KEY_PREFIX);
    for (index, key) in keys.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        let _ = write!(path, "{comma}{}", encode(key));
    }
    path
}
