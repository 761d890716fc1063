//! Creates the source that the options name. Outside of its folder, a new source is named only here.

use std::sync::Arc;

use crate::error::Result;
use crate::options::Options;
use crate::platform::clock::Clock;

use super::beside::DatabaseBesideServer;
use super::contract::{Kind, Meter, Source, View, Viewer};
use super::database::{self, PlexDatabase};
use super::plex;

/// Returns the kind of source that the options name, also while offline.
#[must_use]
pub fn kind(options: &Options) -> &'static Kind {
    if options.database.is_some() && options.server_url.is_none() {
        &database::KIND
    } else {
        &plex::KIND
    }
}

/// Returns the view of the source that the options name: its place and its user; `None` if they name no source. It also
/// identifies the stored data while the index is offline.
#[must_use]
pub fn view(options: &Options) -> Option<View> {
    if let Some(database) = &options.database {
        let file = database.to_string_lossy();
        return Some(View {
            // The database with a server URL is a place of its own. Its data is used only once both are known to be one
            // server.
            place: match &options.server_url {
                Some(url) => format!("{file} of {}", url.trim_end_matches('/')),
                None => file.into_owned(),
            },
            viewer: Viewer::Reader,
        });
    }
    options.server_url.as_deref().map(|url| View {
        place: url.trim_end_matches('/').to_owned(),
        viewer: options.user.clone().map_or(Viewer::Holder, Viewer::Named),
    })
}

/// Validated options of the source, before it is created.
pub struct ValidOptions {
    server: Option<plex::CheckedServer>,
}

/// Validates the options of the source. Creates no files, so an invalid option leaves nothing behind.
///
/// # Errors
/// [`crate::error::Status::InvalidArgument`].
pub fn check(options: &Options) -> Result<ValidOptions> {
    let has_server = options.server_url.is_some() && !options.offline;
    let server = has_server.then(|| plex::CheckedServer::new(options)).transpose()?;
    Ok(ValidOptions { server })
}

/// Creates the source that the options name; `None` if there is none or the index is offline. Connects nowhere yet.
///
/// `installation` returns the identifier of this installation; called only if there is a server. `meter` records every
/// request. `clock` times the pause after a database could not be read.
///
/// # Errors
/// Those of `installation`.
pub fn open(
    options: &Options,
    checked: ValidOptions,
    installation: impl FnOnce() -> Result<String>,
    meter: Arc<dyn Meter>,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Arc<dyn Source>>> {
    if options.offline {
        return Ok(None);
    }
    let server: Option<(Arc<dyn Source>, &str)> = match (options.server_url.as_deref(), checked.server) {
        (Some(url), Some(server)) => {
            let server = plex::PlexHttp::of(server, options, &installation()?, meter)?;
            Some((Arc::new(server), url))
        }
        _ => None,
    };
    let database = options.database.as_deref();
    let database = database.map(|named| Arc::new(PlexDatabase::with_clock(named, Arc::clone(clock))));
    Ok(match (database, server) {
        (Some(database), Some((server, url))) => Some(Arc::new(DatabaseBesideServer::new(
            database,
            server,
            url.trim_end_matches('/'),
        ))),
        (Some(database), None) => Some(database),
        (None, server) => server.map(|(server, _)| server),
    })
}
