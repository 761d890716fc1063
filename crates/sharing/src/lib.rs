//! One index for several hosts, through a log in `PostgreSQL`: [`open`] opens an index with [`Options::shared`].
//!
//! ```no_run
//! use plexindex::{Options, Token};
//!
//! # let folder = tempfile::tempdir()?;
//! let index = plexindex_sharing::open(Options {
//!     server_url: Some("http://127.0.0.1:32400".into()),
//!     token: Token::new("YOUR-TOKEN"),
//!     shared: Some("postgresql://plexindex@db.example/plexindex".into()),
//!     ..Options::new(folder.path())
//! })?;
//! # drop(index);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![deny(missing_docs)]

#[doc(hidden)]
pub mod postgres;
mod secret_file;
mod system;
mod wake;

use std::sync::Arc;

use plexindex::error::Result;
use plexindex::inside::{Clock, SystemClock};
use plexindex::shared::SharedLog;
use plexindex::{Index, Options};

/// Opens an index, with the log that [`Options::shared`] names. Connects to nothing: the first query that needs the
/// server or the log does.
///
/// # Errors
/// As [`Index::open`]; [`ErrorKind::InvalidArgument`](plexindex::ErrorKind::InvalidArgument) for an address that cannot
/// be one.
pub fn open(options: Options) -> Result<Index> {
    open_with_clock(options, Arc::new(SystemClock))
}

/// [`open`] with another clock: for tests.
///
/// # Errors
/// As [`open`].
#[doc(hidden)]
#[allow(clippy::needless_pass_by_value)] // as Index::open
pub fn open_with_clock(options: Options, clock: Arc<dyn Clock>) -> Result<Index> {
    options.check_shared()?;
    let log = (options.shared.as_deref().filter(|_| !options.offline))
        .map(log_at)
        .transpose()?;
    Index::open_with_log(&options, clock, log.map(|log| (log, true)))
}

/// The log at an address such as `postgresql://user@host/database`. Connects at its first call.
fn log_at(address: &str) -> Result<Arc<dyn SharedLog>> {
    let address = postgres::parse(address, |name| std::env::var(name).ok())?;
    Ok(Arc::new(postgres::Postgres::new(address)))
}
