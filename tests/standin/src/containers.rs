//! The fields of each kind of `MediaContainer` around its rows (Plex API notes §1, §2).

use serde_json::Value;

use crate::config::{Identity, Token};
use crate::library::Library;
use crate::model::{ItemType, LibraryKind};
use crate::state::State;
use crate::writer::Writer;

const IDENTIFIER: &str = "com.plexapp.plugins.library";
const TAG_PREFIX: &str = "/system/bundle/media/flags/";
const TAG_VERSION: u32 = 1_760_000_000;

/// `GET /identity`.
pub(crate) fn identity(w: &mut Writer, identity: &Identity) {
    w.container();
    w.int("size", 0);
    w.str("apiVersion", "1.2.3");
    w.bool("claimed", true);
    w.str("machineIdentifier", &identity.machine_identifier);
    w.str("version", &identity.version);
    w.end_container();
}

fn server_fields(w: &mut Writer, state: &State, size: u64) {
    w.int("size", size);
    w.bool("allowSync", true);
    w.bool("eventStream", true);
    w.str("friendlyName", &state.identity.friendly_name);
    w.str("machineIdentifier", &state.identity.machine_identifier);
    w.bool("multiuser", true);
    w.bool("myPlex", true);
    w.str("myPlexMappingState", "mapped");
    w.str("myPlexSigninState", "ok");
    w.bool("myPlexSubscription", true);
    w.str("myPlexUsername", "owner@example.invalid");
    w.str("platform", "Linux");
    w.str("platformVersion", "6.1");
    w.int("transcoderActiveVideoSessions", 0);
    w.int("updatedAt", state.now());
    w.str("version", &state.identity.version);
}

/// `GET /`.
pub(crate) fn root(w: &mut Writer, state: &State) {
    const PATHS: [&str; 8] = [
        "activities",
        "butler",
        "hubs",
        "identity",
        "library",
        "media",
        "status",
        "system",
    ];
    w.container();
    server_fields(w, state, PATHS.len() as u64);
    if w.list("Directory") {
        for path in PATHS {
            w.open("Directory");
            w.int("count", 1);
            w.str("key", path);
            w.str("title", path);
            w.close("Directory");
        }
        w.end_list();
    }
    w.end_container();
}

/// `GET /library`.
pub(crate) fn library_root(w: &mut Writer) {
    w.container();
    w.int("size", 2);
    w.bool("allowSync", false);
    w.str("identifier", IDENTIFIER);
    w.str("mediaTagPrefix", TAG_PREFIX);
    w.int("mediaTagVersion", TAG_VERSION);
    w.str("title1", "Plex Library");
    w.str("title2", "");
    directories(w, &[("sections", "Library Sections"), ("onDeck", "On Deck Content")]);
    w.end_container();
}

fn directories(w: &mut Writer, rows: &[(&str, &str)]) {
    if w.list("Directory") {
        for (key, title) in rows {
            w.open("Directory");
            w.str("key", key);
            w.str("title", title);
            w.close("Directory");
        }
        w.end_list();
    }
}

/// `GET /library/sections`: every library that the token's user sees, newest section id last of its kind
/// only by chance: they come in the order in which they were added.
pub(crate) fn sections(w: &mut Writer, state: &State, token: &Token) {
    let seen: Vec<&Library> = state.libraries.iter().filter(|l| token.sees(l.key)).collect();
    w.container();
    w.int("size", seen.len() as u64);
    w.bool("allowSync", false);
    w.str("title1", "Plex Library");
    if !seen.is_empty() && w.list("Directory") {
        for library in seen {
            section(w, library);
        }
        w.end_list();
    }
    w.end_container();
}

fn section(w: &mut Writer, library: &Library) {
    let kind = library.kind.type_name();
    w.open("Directory");
    w.bool("allowSync", true);
    w.str("art", &format!("/:/resources/{kind}-fanart.jpg"));
    w.str(
        "composite",
        &format!("/library/sections/{}/composite/{}", library.key, library.scanned_at),
    );
    w.bool("filters", true);
    w.bool("refreshing", library.refreshing);
    w.str("thumb", &format!("/:/resources/{kind}.png"));
    w.str("key", &library.key.to_string());
    w.str("type", kind);
    w.str("title", &library.title);
    w.str("agent", &library.agent);
    w.str("scanner", &library.scanner);
    w.str("language", "en-US");
    w.str("uuid", &library.uuid);
    w.int("updatedAt", library.updated_at);
    w.int("createdAt", library.created_at);
    w.int("scannedAt", library.scanned_at);
    w.bool("content", true);
    w.bool("directory", true);
    w.int("contentChangedAt", library.content);
    w.int("hidden", library.hidden);
    if !library.locations.is_empty() && w.list("Location") {
        for location in &library.locations {
            w.open("Location");
            w.int("id", location.id);
            w.str("path", &location.path);
            w.close("Location");
        }
        w.end_list();
    }
    w.close("Directory");
}

/// `GET /library/sections/{id}`: the ways to browse it.
pub(crate) fn section_views(w: &mut Writer, library: &Library) {
    w.container();
    w.int("size", 4);
    w.bool("allowSync", false);
    w.str("identifier", IDENTIFIER);
    w.str("librarySectionID", &library.key.to_string());
    w.str("title1", &library.title);
    w.str("viewGroup", "secondary");
    directories(
        w,
        &[
            ("all", "All"),
            ("recentlyAdded", "Recently Added"),
            ("folder", "By Folder"),
            ("collection", "By Collection"),
        ],
    );
    w.end_container();
}

/// The window of a paged reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub offset: u64,
    /// `None`: omitted.
    pub total: Option<u64>,
}

/// The fields of a listing's container.
pub(crate) fn listing_head(
    w: &mut Writer,
    library: &Library,
    kind: Option<ItemType>,
    size: u64,
    window: Option<Window>,
) {
    let type_name = library.kind.type_name();
    w.int("size", size);
    if let Some(window) = window {
        if let Some(total) = window.total {
            w.int("totalSize", total);
        }
        w.int("offset", window.offset);
    }
    w.bool("allowSync", true);
    w.str("art", &format!("/:/resources/{type_name}-fanart.jpg"));
    w.str("identifier", IDENTIFIER);
    w.int("librarySectionID", library.key);
    w.str("librarySectionTitle", &library.title);
    w.str("librarySectionUUID", &library.uuid);
    w.str("mediaTagPrefix", TAG_PREFIX);
    w.int("mediaTagVersion", TAG_VERSION);
    if library.kind == LibraryKind::Show {
        w.bool("nocache", true);
    }
    w.str("thumb", &format!("/:/resources/{type_name}.png"));
    w.str("title1", &library.title);
    let kind = kind.unwrap_or(library.kind.default_type());
    w.str("title2", &format!("All {}", plural(kind)));
    w.str("viewGroup", kind.name());
    w.int("viewMode", 65_592);
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
pub(crate) fn detail_head(w: &mut Writer, library: Option<&Library>, size: u64, window: Option<Window>) {
    w.int("size", size);
    if let Some(window) = window {
        if let Some(total) = window.total {
            w.int("totalSize", total);
        }
        w.int("offset", window.offset);
    }
    w.bool("allowSync", true);
    w.str("identifier", IDENTIFIER);
    if let Some(library) = library {
        w.int("librarySectionID", library.key);
        w.str("librarySectionTitle", &library.title);
        w.str("librarySectionUUID", &library.uuid);
    }
    w.str("mediaTagPrefix", TAG_PREFIX);
    w.int("mediaTagVersion", TAG_VERSION);
}

/// `GET /activities`. An idle server shows a permanent `butler` row (Plex API notes §8).
pub(crate) fn activities(w: &mut Writer, state: &State) {
    let butler = serde_json::json!({
        "uuid": "butler", "type": "butler", "cancellable": false, "userID": 1,
        "title": "Scheduled tasks", "subtitle": "", "progress": -1,
    });
    w.container();
    w.int("size", state.activities.len() as u64 + 1);
    if w.list("Activity") {
        for row in std::iter::once(&butler).chain(&state.activities) {
            if let Value::Object(row) = row {
                w.open("Activity");
                w.members(row, &[]);
                w.close("Activity");
            }
        }
        w.end_list();
    }
    w.end_container();
}

/// `GET /media/providers`: as `/`, and the libraries in short (Plex API notes §1).
pub(crate) fn providers(w: &mut Writer, state: &State, token: &Token) {
    w.container();
    server_fields(w, state, 1);
    if w.list("MediaProvider") {
        w.open("MediaProvider");
        w.str("identifier", IDENTIFIER);
        w.str("title", "Library");
        w.str("types", "video,audio,photo");
        if w.list("Feature") {
            w.open("Feature");
            w.str("key", "/library/sections");
            w.str("type", "content");
            if w.list("Directory") {
                for library in state.libraries.iter().filter(|l| token.sees(l.key)) {
                    w.open("Directory");
                    w.str("agent", &library.agent);
                    w.bool("refreshing", library.refreshing);
                    w.str("scanner", &library.scanner);
                    w.str("type", library.kind.type_name());
                    w.str("uuid", &library.uuid);
                    w.str("id", &library.key.to_string());
                    w.str("key", &format!("/library/sections/{}", library.key));
                    w.str("title", &library.title);
                    w.int("updatedAt", library.updated_at);
                    w.int("scannedAt", library.scanned_at);
                    w.close("Directory");
                }
                w.end_list();
            }
            w.close("Feature");
            w.end_list();
        }
        w.close("MediaProvider");
        w.end_list();
    }
    w.end_container();
}

/// A container with nothing in it.
pub(crate) fn nothing(w: &mut Writer) {
    w.container();
    w.int("size", 0);
    w.end_container();
}
