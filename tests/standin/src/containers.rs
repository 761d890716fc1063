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

/// `GET /`.
pub(crate) fn root(state: &State) -> Row {
    row! {
        "size": 0_u32, "allowSync": true, "eventStream": true, "friendlyName": &state.identity.friendly_name,
        "machineIdentifier": &state.identity.machine_identifier, "myPlex": true, "platform": "Linux",
        "updatedAt": state.now(), "version": &state.identity.version,
    }
}

/// `GET /library`.
pub(crate) fn library_root() -> Row {
    row! {
        "size": 0_u32, "allowSync": false, "identifier": IDENTIFIER, "mediaTagPrefix": TAG_PREFIX,
        "mediaTagVersion": TAG_VERSION, "title1": "Plex Library", "title2": "",
    }
}

/// `GET /library/sections`: every library that the token's user sees, in the order in which they were added.
pub(crate) fn sections(state: &State, token: &Token) -> Row {
    let seen = state.libraries.iter().filter(|l| token.sees(l.key));
    let seen: Vec<Row> = seen.map(section).collect();
    row! {"size": seen.len(), "allowSync": false, "title1": "Plex Library", "Directory": seen}
}

fn section(library: &Library) -> Row {
    let facts = library.kind.facts();
    let kind = facts.type_name;
    let locations = library.locations.iter();
    row! {
        "allowSync": true, "art": format!("/:/resources/{kind}-fanart.jpg"),
        "composite": format!("/library/sections/{}/composite/{}", library.key, library.scanned_at),
        "filters": true, "refreshing": library.refreshing, "thumb": format!("/:/resources/{kind}.png"),
        "key": library.key.to_string(), "type": kind, "title": &library.title, "agent": facts.agent,
        "scanner": facts.scanner, "language": "en-US", "uuid": &library.uuid,
        "updatedAt": library.created_at, "createdAt": library.created_at, "scannedAt": library.scanned_at,
        "content": true, "directory": true, "contentChangedAt": library.content, "hidden": 0_u32,
        "Location": locations.map(|l| row! {"id": l.id, "path": &l.path}).collect::<Vec<Row>>(),
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
    let type_name = library.kind.facts().type_name;
    let kind = kind.unwrap_or(library.kind.types()[0]);
    let mut head = detail_head(Some(library), size, window);
    head.0.extend(
        row! {
            "art": format!("/:/resources/{type_name}-fanart.jpg"),
            "nocache": (library.kind == LibraryKind::Show).then_some(true),
            "thumb": format!("/:/resources/{type_name}.png"), "title1": &library.title,
            "viewGroup": kind.name(), "viewMode": 65_592_u32,
        }
        .0,
    );
    head
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
