//! What is asked: addresses and their arguments, and what each question is called in texts.

use std::fmt::{self, Write as _};

use crate::model::ItemType;

use super::super::{PageRequest, RequestKind, Rows};
use super::url::encode;

/// Elements of a row that nothing here stores. `Media` and `Guid` must never stand here.
const EXCLUDED_ELEMENTS: &str = "Genre,Country,Director,Writer,Role,Producer,Collection,Rating,Similar,Style,Mood,\
    Label,Field,Image,UltraBlurColors,Chapter,Marker,Extras,Related,Review,Location,Preferences";

/// Fields of a row that nothing here stores. Advisory, like the elements: a server may send them all the same.
const EXCLUDED_FIELDS: &str = "summary,tagline,thumb,art,banner,theme,parentThumb,parentTheme,grandparentThumb,\
    grandparentArt,grandparentTheme,studio,contentRating,rating,audienceRating,userRating,ratingImage,\
    audienceRatingImage,primaryExtraKey,originallyAvailableAt,chapterSource,parentTitle,parentStudio,slug,\
    grandparentSlug,parentSlug,attribution,duration,addedAt,updatedAt,lastViewedAt,lastRatedAt,viewCount,viewOffset,\
    skipCount,bitrate,width,height,aspectRatio,audioChannels,audioCodec,audioProfile,videoCodec,videoProfile,\
    videoResolution,videoFrameRate,optimizedForStreaming,has64bitOffsets,hasThumbnail,deepAnalysisVersion,indexes";

/// The most that `/identity` may take, decompressed.
const TINY: u64 = 1 << 20;

/// The most that other answers without pages may take.
const SMALL: u64 = 64 << 20;

/// The most that a page may take, decompressed: a server that ignores paging and exclusions sends some 3 kB a row.
const LARGE: u64 = 4 << 30;

/// One question to the server.
pub(super) struct Question<'a> {
    /// How it counts.
    pub kind: RequestKind,
    /// Path and query below the base, encoded.
    pub address: String,
    /// The container headers: first row, and how many.
    pub window: Option<(u64, u32)>,
    /// Whether the token goes with it.
    pub with_token: bool,
    /// The most that its answer may take, decompressed.
    pub limit: u64,
    /// What is asked for, for texts.
    pub what: What<'a>,
}

impl<'a> Question<'a> {
    /// Which server is this.
    pub fn identity() -> Self {
        Self {
            kind: RequestKind::Identity,
            address: "/identity".into(),
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
            address: "/library/sections".into(),
            window: None,
            with_token: true,
            limit: SMALL,
            what: What::Libraries,
        }
    }

    /// One page of a library.
    pub fn page(request: &'a PageRequest<'a>) -> Self {
        Self {
            kind: match request.rows {
                Rows::All => RequestKind::Page,
                Rows::NewestAdded | Rows::NewestUpdated => RequestKind::Delta,
                Rows::Title(_) | Rows::FileName(_) => RequestKind::Question,
            },
            address: page_address(request),
            // Always both: with one of them alone the whole library comes. More than 1,000 may be refused.
            window: Some((request.start, request.size.clamp(1, 1000))),
            with_token: true,
            limit: LARGE,
            what: What::Page(request),
        }
    }

    /// Whether it asks for items by a file's name.
    pub fn asks_for_a_file(&self) -> bool {
        matches!(self.what, What::Page(page) if matches!(page.rows, Rows::FileName(_)))
    }

    /// Items by their rating keys.
    pub fn items(keys: &[&str]) -> Self {
        Self {
            kind: RequestKind::Confirm,
            address: items_address(keys),
            window: None,
            with_token: true,
            limit: SMALL,
            what: What::Items(keys.len()),
        }
    }
}

/// What is asked for, in words.
#[derive(Clone, Copy)]
pub(super) enum What<'a> {
    /// `/identity`.
    Identity,
    /// `/library/sections`.
    Libraries,
    /// A page of a library.
    Page(&'a PageRequest<'a>),
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
                    Rows::NewestAdded => write!(f, "the newest rows of library {section}"),
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

/// Path and query of a page.
fn page_address(request: &PageRequest<'_>) -> String {
    let mut address = format!("/library/sections/{}/all?", encode(request.section));
    if request.kind != ItemType::Other {
        let _ = write!(address, "type={}&", request.kind.number());
    }
    let sort = match request.rows {
        Rows::All | Rows::Title(_) | Rows::FileName(_) => "id",
        Rows::NewestAdded => "addedAt:desc",
        Rows::NewestUpdated => "updatedAt:desc",
    };
    let _ = write!(address, "includeGuids=1&includeCollections=0&sort={sort}");
    match request.rows {
        Rows::Title(title) => {
            let _ = write!(address, "&title={}", encode(title));
        }
        Rows::FileName(name) => {
            let _ = write!(address, "&file={}", encode(name));
        }
        Rows::All | Rows::NewestAdded | Rows::NewestUpdated => {}
    }
    let _ = write!(
        address,
        "&excludeElements={EXCLUDED_ELEMENTS}&excludeFields={EXCLUDED_FIELDS}"
    );
    address
}

/// Path and query of several items.
fn items_address(keys: &[&str]) -> String {
    let mut address = String::from("/library/metadata/");
    for (index, key) in keys.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        let _ = write!(address, "{comma}{}", encode(key));
    }
    // Without skipRefresh the server may start to refresh what it is asked for.
    let _ = write!(
        address,
        "?includeGuids=1&skipRefresh=1&excludeElements={EXCLUDED_ELEMENTS},Stream&excludeFields={EXCLUDED_FIELDS}"
    );
    address
}
