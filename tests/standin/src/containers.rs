//! The fields of each kind of `MediaContainer` around its rows (Plex API notes §1, §2).

use crate::config::{Identity, Token};
use crate::library::Library;
use crate::model::{ItemType, LibraryKind};
use crate::state::State;
use crate::tree::{Row, row};

const IDENTIFIER: &str = "com.plexapp.plugins.library";
const TAG_PREFIX: &str = "/system/bundle/media/flags/";
const TAG_VERSION: u32 = 1_760_000_000;

/// `GET /identity`.
pub(crate) fn identity(identity: &Identity) -> Row {
    row! {
        "size": 0_u32, "apiVersion": "1.2.3", "claimed": true, "machineIdentifier": &identity.machine_identifier,
        "version": &identity.version,
    }
}

fn server_fields(state: &State, size: usize) -> Row {
    row! {
        "size": size, "allowSync": true, "eventStream": true, "friendlyName": &state.identity.friendly_name,
        "machineIdentifier": &state.identity.machine_identifier, "multiuser": true, "myPlex": true,
        "myPlexMappingState": "mapped", "myPlexSigninState": "ok", "myPlexSubscription": true,
        "myPlexUsername": "owner@example.invalid", "platform": "Linux", "platformVersion": "6.1",
        "transcoderActiveVideoSessions": 0_u32, "updatedAt": state.now(), "version": &state.identity.version,
    }
}

/// `GET /`.
pub(crate) fn root(state: &State) -> Row {
    let paths = [
        "activities",
        "butler",
        "hubs",
        "identity",
        "library",
        "media",
        "status",
        "system",
    ];
    let mut root = server_fields(state, paths.len());
    let directory = |path: &str| row! {"count": 1_u32, "key": path, "title": path};
    root.set("Directory", paths.map(directory).to_vec());
    root
}

/// `GET /library`.
pub(crate) fn library_root() -> Row {
    row! {
        "size": 2_u32, "allowSync": false, "identifier": IDENTIFIER, "mediaTagPrefix": TAG_PREFIX,
        "mediaTagVersion": TAG_VERSION, "title1": "Plex Library", "title2": "",
        "Directory": directories(&[("sections", "Library Sections"), ("onDeck", "On Deck Content")]),
    }
}

fn directories(rows: &[(&str, &str)]) -> Vec<Row> {
    rows.iter()
        .map(|(key, title)| row! {"key": *key, "title": *title})
        .collect()
}

/// `GET /library/sections`: every library that the token's user sees, in the order in which they were added.
pub(crate) fn sections(state: &State, token: &Token) -> Row {
    let seen: Vec<Row> = state
        .libraries
        .iter()
        .filter(|l| token.sees(l.key))
        .map(section)
        .collect();
    row! {"size": seen.len(), "allowSync": false, "title1": "Plex Library", "Directory": seen}
}

fn section(library: &Library) -> Row {
    let kind = library.kind.type_name();
    let locations = library.locations.iter();
    row! {
        "allowSync": true, "art": format!("/:/resources/{kind}-fanart.jpg"),
        "composite": format!("/library/sections/{}/composite/{}", library.key, library.scanned_at),
        "filters": true, "refreshing": library.refreshing, "thumb": format!("/:/resources/{kind}.png"),
        "key": library.key.to_string(), "type": kind, "title": &library.title, "agent": library.kind.agent(),
        "scanner": library.kind.scanner(), "language": "en-US", "uuid": &library.uuid,
        "updatedAt": library.created_at, "createdAt": library.created_at, "scannedAt": library.scanned_at,
        "content": true, "directory": true, "contentChangedAt": library.content, "hidden": 0_u32,
        "Location": locations.map(|l| row! {"id": l.id, "path": &l.path}).collect::<Vec<Row>>(),
    }
}

/// `GET /library/sections/{id}`: the ways to browse it.
pub(crate) fn section_views(library: &Library) -> Row {
    row! {
        "size": 4_u32, "allowSync": false, "identifier": IDENTIFIER, "librarySectionID": library.key.to_string(),
        "title1": &library.title, "viewGroup": "secondary",
        "Directory": directories(&[
            ("all", "All"), ("recentlyAdded", "Recently Added"), ("folder", "By Folder"), ("collection", "By Collection"),
        ]),
    }
}

/// The window of a paged reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub offset: u64,
    /// `None`: omitted.
    pub total: Option<u64>,
}

/// The fields of a listing's container.
pub(crate) fn listing_head(library: &Library, kind: Option<ItemType>, size: usize, window: Option<Window>) -> Row {
    let type_name = library.kind.type_name();
    let kind = kind.unwrap_or(library.kind.default_type());
    let mut head = detail_head(Some(library), size, window);
    head.0.extend(
        row! {
            "art": format!("/:/resources/{type_name}-fanart.jpg"),
            "nocache": (library.kind == LibraryKind::Show).then_some(true),
            "thumb": format!("/:/resources/{type_name}.png"), "title1": &library.title,
            "title2": format!("All {}", plural(kind)), "viewGroup": kind.name(), "viewMode": 65_592_u32,
        }
        .0,
    );
    head
}

/// A heading for a type.
pub(crate) fn plural(kind: ItemType) -> &'static str {
    match kind {
        ItemType::Movie => "Movies",
        ItemType::Show => "Shows",
        ItemType::Season => "Seasons",
        ItemType::Episode => "Episodes",
        ItemType::Artist => "Artists",
        ItemType::Album => "Albums",
        ItemType::Track => "Tracks",
        ItemType::Clip => "Clips",
        ItemType::Photo => "Photos",
        ItemType::Photoalbum => "Photo Albums",
    }
}

/// The fields of a detail's container; `library` when all rows are of one.
pub(crate) fn detail_head(library: Option<&Library>, size: usize, window: Option<Window>) -> Row {
    row! {
        "size": size, "totalSize": window.and_then(|window| window.total), "offset": window.map(|window| window.offset),
        "allowSync": true, "identifier": IDENTIFIER, "librarySectionID": library.map(|library| library.key),
        "librarySectionTitle": library.map(|library| &library.title),
        "librarySectionUUID": library.map(|library| &library.uuid),
        "mediaTagPrefix": TAG_PREFIX, "mediaTagVersion": TAG_VERSION,
    }
}

/// `GET /activities`. An idle server shows a permanent `butler` row (Plex API notes §8).
pub(crate) fn activities(state: &State) -> Row {
    let butler = row! {
        "uuid": "butler", "type": "butler", "cancellable": false, "userID": 1_u32, "title": "Scheduled tasks",
        "subtitle": "", "progress": -1_i32,
    };
    let rows: Vec<Row> = std::iter::once(butler)
        .chain(state.activities.iter().map(Row::from))
        .collect();
    row! {"size": rows.len(), "Activity": rows}
}

/// `GET /media/providers`: as `/`, and the libraries in short (Plex API notes §1).
pub(crate) fn providers(state: &State, token: &Token) -> Row {
    let short = |library: &Library| {
        row! {
            "agent": library.kind.agent(), "refreshing": library.refreshing, "scanner": library.kind.scanner(),
            "type": library.kind.type_name(), "uuid": &library.uuid, "id": library.key.to_string(),
            "key": format!("/library/sections/{}", library.key), "title": &library.title,
            "updatedAt": library.created_at, "scannedAt": library.scanned_at,
        }
    };
    let seen = state.libraries.iter().filter(|l| token.sees(l.key)).map(short);
    let feature = row! {"key": "/library/sections", "type": "content", "Directory": seen.collect::<Vec<Row>>()};
    let provider = row! {
        "identifier": IDENTIFIER, "title": "Library", "types": "video,audio,photo", "Feature": vec![feature],
    };
    let mut providers = server_fields(state, 1);
    providers.set("MediaProvider", vec![provider]);
    providers
}
