//! Which source the options name. A new source is named here and nowhere else outside of its folder.

use std::sync::Arc;

use crate::error::Result;
use crate::options::Options;

use super::contract::Source;
use super::kind::Kind;
use super::meter::Meter;
use super::plex;

/// The kind of source that the options name, also where it is not to be asked.
#[must_use]
pub fn kind(_options: &Options) -> &'static Kind {
    &plex::KIND
}

/// The source that the options name; `None` where there is none to ask. Connects nowhere yet.
///
/// `installation` names this installation, and is only asked for where there is a source. `meter` is told of every request.
///
/// # Errors
/// [`crate::error::Status::InvalidArgument`] for options that the source refuses; those of `installation`.
pub fn open(
    options: &Options,
    installation: impl FnOnce() -> Result<String>,
    meter: Arc<dyn Meter>,
) -> Result<Option<Arc<dyn Source>>> {
    if options.server_url.is_none() || options.offline {
        return Ok(None);
    }
    let plex = plex::PlexHttp::new(options, &installation()?, meter)?;
    Ok(Some(Arc::new(plex)))
}
