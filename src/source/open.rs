//! Creates the source that the options name. A new kind of source has to be added here, and nowhere else.

use std::sync::Arc;

use crate::error::Result;
use crate::options::Options;
use crate::platform::clock::Clock;

use super::contract::{Kind, Meter, Source, View, Viewer};
use super::database::{self, PlexDatabase};
use super::database_and_server::DatabaseAndServer;
use super::plex;

/// Returns the kind of source that the options name, even if the index is offline.
#[must_use]
pub fn kind(options: &Options) -> &'static Kind {
    if options.database.is_some() && options.server_url.is_none() {
        &database::KIND
    } else {
        &plex::KIND
    }
}

/// Returns the view that the options name: the location of the source and its user. Returns `None` if the options name
/// no source. The view identifies the stored data, even if the index is offline.
#[must_use]
pub fn view(options: &Options) -> Option<View> {
    if let Some(database) = &options.database {
        let file = database.to_string_lossy();
        return Some(View {
            // A database with a server URL is a different location than the database alone: plexindex uses its data
            // only after a check that both belong to one server.
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

/// Creates the source that the options name. Returns `None` if the options name no source or the index is offline.
/// Sends no request.
///
/// `installation_id` returns the identifier of this installation; `open` calls it only if the options name a server.
/// `meter` records every request. `clock` times the pause after a failed read of a database.
///
/// # Errors
/// Those of `installation_id`.
pub fn open(
    options: &Options,
    valid_options: ValidOptions,
    installation_id: impl FnOnce() -> Result<String>,
    meter: Arc<dyn Meter>,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Arc<dyn Source>>> {
    if options.offline {
        return Ok(None);
    }
    let server: Option<(Arc<dyn Source>, &str)> = match (options.server_url.as_deref(), valid_options.server) {
        (Some(url), Some(server)) => {
            let server = plex::PlexHttp::from_checked(server, options, &installation_id()?, meter)?;
            Some((Arc::new(server), url))
        }
        _ => None,
    };
    let database = options.database.as_deref();
    let database = database.map(|path| Arc::new(PlexDatabase::with_clock(path, Arc::clone(clock))));
    Ok(match (database, server) {
        (Some(database), Some((server, url))) => Some(Arc::new(DatabaseAndServer::new(
            database,
            server,
            url.trim_end_matches('/'),
        ))),
        (Some(database), None) => Some(database),
        (None, server) => server.map(|(server, _)| server),
    })
}
