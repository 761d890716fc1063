//! Sources of items: the trait [`Source`] and its implementations for the Plex HTTP API and Plex's own database.
//!
//! Apart from the shared database, only this folder accesses the network and reads the files of other programs. A source
//! does not know the store, the index or freshness: it performs one operation and reports exactly how the operation
//! failed. `contract` hides the formats of keys and versions, paging, and change detection. To add a kind of source,
//! change [`kind`], [`view`], [`check`] and [`open`] here.

mod contract;
pub mod database;
pub mod plex;

use std::sync::Arc;

use self::database::PlexDatabase;
use crate::error::Result;
use crate::options::Options;
use crate::platform::clock::Clock;

pub use crate::platform::clock::Deadline;
pub use contract::{
    Abilities, Bounds, Counters, DeltaCursor, Event, IndexedItems, LocatedItem, MAX_PAGE_ROWS, Notification, PageEnd,
    PageRequest, RequestKind, Session, Source, SourceChanges, SourceKind, TokenOwner, Tokens, TokensState, View,
    Viewer, WantedPath,
};
pub use plex::check_token;

/// Returns the kind of source that the options specify. An offline index needs the kind too, for example to parse keys.
#[must_use]
pub fn kind(options: &Options) -> &'static SourceKind {
    if options.database.is_some() && options.server_url.is_none() {
        &database::KIND
    } else {
        &plex::KIND
    }
}

/// Returns the view that the options specify: the source's location and its user. Returns `None` if the options specify
/// no source. The view identifies the stored data, even if the index is offline.
#[must_use]
pub fn view(options: &Options) -> Option<View> {
    if let Some(database) = &options.database {
        let file = database.to_string_lossy();
        return Some(View {
            // A database alone and a database with a server URL are different locations. With a URL, plexindex uses the
            // database only after checking that the database belongs to the server.
            location: match &options.server_url {
                Some(url) => format!("{file} of {}", url.trim_end_matches('/')),
                None => file.into_owned(),
            },
            viewer: Viewer::DatabaseReader,
        });
    }
    options.server_url.as_deref().map(|url| View {
        location: url.trim_end_matches('/').to_owned(),
        viewer: options.user.clone().map_or(Viewer::TokenHolder, Viewer::Named),
    })
}

/// The server's validated options, from [`check`] to [`open`]; `None` without a server.
pub type ValidOptions = Option<plex::CheckedServer>;

/// Validates the source's options for [`open`]. Creates no files, so an invalid option leaves nothing behind.
///
/// # Errors
/// [`crate::error::Status::InvalidArgument`].
pub fn check(options: &Options) -> Result<ValidOptions> {
    let has_server = options.server_url.is_some() && !options.offline;
    has_server.then(|| plex::CheckedServer::new(options)).transpose()
}

/// Creates the source that the options specify. Sends no request. Returns `None` if the options specify no source, or
/// if the index is offline.
///
/// `installation_id` returns this installation's identifier; `open` calls it only if the options specify a server.
/// `counters` count every request. `clock` measures the pause after a failed read of a database.
///
/// # Errors
/// Those of `installation_id`.
pub fn open(
    options: &Options,
    valid_options: ValidOptions,
    installation_id: impl FnOnce() -> Result<String>,
    counters: Arc<Counters>,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Arc<dyn Source>>> {
    if options.offline {
        return Ok(None);
    }
    let server: Option<Arc<dyn Source>> = match valid_options {
        Some(server) => Some(Arc::new(plex::PlexHttp::from_checked(
            server,
            options,
            &installation_id()?,
            counters,
        )?)),
        None => None,
    };
    let Some(path) = &options.database else {
        return Ok(server);
    };
    let mut database = PlexDatabase::with_clock(path, Arc::clone(clock));
    if let (Some(server), Some(url)) = (server, &options.server_url) {
        database = database.with_server(server, url.trim_end_matches('/'));
    }
    Ok(Some(Arc::new(database)))
}
