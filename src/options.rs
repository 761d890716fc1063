//! The options of an index, and their validation.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Result, check_length, refuse};
pub use crate::matching::{Mapping, MappingKind, Pattern};
use crate::model::Token;

/// The longest name, title, GUID, address or user, in bytes.
pub const LONGEST_TEXT: usize = 4_096;

/// The time for which a library's listing is fresh, or a table keeps a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ttl {
    /// This long after the server last confirmed it.
    For(Duration),
    /// Not at all: each call asks the server, unless it is offline. A table's value expires when it is written.
    Zero,
    /// Until an invalidation or an event makes the listing stale. A table's value never expires.
    Forever,
}

impl From<Duration> for Ttl {
    fn from(time: Duration) -> Self {
        Self::For(time)
    }
}

/// The host's callback that returns a new token, or `None` if it has none.
///
/// The index calls it when the server refuses its token: on the thread of the refused call, one thread at a time, never
/// on a thread of the library. Other refused calls wait for the new token until their deadline, and at most for
/// [`Options::read_timeout`]. A call without a new token fails with
/// [`ErrorKind::Unauthorized`](crate::ErrorKind::Unauthorized). After a call that returned `None` it is not called for
/// 15 s.
///
/// The token must be of the same user. The callback may use the index: calls that it makes there use the refused token,
/// and fail without another renewal. [`Index::set_token`](crate::Index::set_token) on this thread is the same as
/// returning the token. A panic in it unwinds through the refused call; the index stays usable, and the next refused
/// call calls it again.
///
/// No deadline ends the callback: give it a limit of its own. If it returns after the deadline of the refused call, the
/// token is set, and the call ends as [`Query::deadline`](crate::Query::deadline) says.
///
/// ```
/// use plexindex::{Options, Renewal, Token};
///
/// # fn sign_in() -> Result<String, std::io::Error> { Ok("NEW-TOKEN".into()) }
/// let options = Options {
///     token: Token::new("YOUR-TOKEN"),
///     renewal: Some(Renewal::new(|| Token::new(&sign_in().ok()?))),
///     ..Options::new("/var/cache/plexindex")
/// };
/// # let _ = options;
/// ```
///
/// The index owns the callback. One that uses the index holds a [`WeakIndex`](crate::WeakIndex), since an
/// [`Index`](crate::Index) in it would never close:
///
/// ```
/// use std::path::Path;
/// use std::sync::{Arc, OnceLock};
/// use plexindex::{Index, Options, Renewal, Token, WeakIndex};
///
/// # fn sign_in(_: &Path) -> Result<String, std::io::Error> { Ok("NEW-TOKEN".into()) }
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// let opened = Arc::new(OnceLock::<WeakIndex>::new());
/// let itself = Arc::clone(&opened);
/// let index = Index::open(Options {
///     renewal: Some(Renewal::new(move || {
///         let index = itself.get()?.upgrade()?;
///         Token::new(&sign_in(index.folder()).ok()?)
///     })),
///     ..Options::new(folder)
/// })?;
/// opened.get_or_init(|| index.downgrade());
/// // … calls …
/// assert!(index.close()?); // it was the last handle
/// # assert!(opened.get().and_then(WeakIndex::upgrade).is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Renewal(Arc<dyn Fn() -> Option<Token> + Send + Sync>);

impl Renewal {
    /// Wraps the callback.
    pub fn new(renew: impl Fn() -> Option<Token> + Send + Sync + 'static) -> Self {
        Self(Arc::new(renew))
    }

    /// Calls the callback.
    pub(crate) fn call(&self) -> Option<Token> {
        (self.0)()
    }
}

impl fmt::Debug for Renewal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Renewal")
    }
}

/// Everything that a host may choose.
///
/// A plain struct: set the fields that you choose, and end with `..Options::new(folder)`. A later version may have more
/// fields, which is no breaking change: do not list all fields, and match with `..`.
///
/// ```
/// use plexindex::{Mapping, Options, Token};
///
/// let options = Options {
///     server_url: Some("http://127.0.0.1:32400".into()),
///     token: Token::new("YOUR-TOKEN"),
///     mappings: vec![Mapping::host_to_server("/mnt/media", "/data/media")],
///     ..Options::new("/var/cache/plexindex")
/// };
/// assert!(!format!("{options:?}").contains("YOUR-TOKEN"));
/// ```
#[derive(Clone)]
#[allow(clippy::struct_excessive_bools)] // each is a choice of the host
pub struct Options {
    /// The folder for the store, created with mode 0700 if it is missing. Required: `Options::default()` has none.
    pub cache_dir: PathBuf,
    /// Base URL of the server, such as `http://127.0.0.1:32400`. Without it the index answers from its store only.
    pub server_url: Option<String>,
    /// Plex's own database, read while the server runs: the file `com.plexapp.plugins.library.db`, its folder, or the
    /// folder 'Plex Media Server' above. It can be used without URL and token. The index then shows all of the server's
    /// libraries to everyone who can read the file. None by default; it is not searched for.
    pub database: Option<PathBuf>,
    /// The token, sent in a header to this server only.
    pub token: Option<Token>,
    /// Called for a new token when the server refuses this one (401) or it has expired (498); the call is then
    /// repeated. None by default; see also [`Index::set_token`](crate::Index::set_token).
    pub renewal: Option<Renewal>,
    /// The user of the token. Set it if tokens of the same user change often, and the token itself does not name the
    /// user.
    pub user: Option<String>,
    /// Time for which a listing is fresh. 1 h by default.
    pub library_ttl: Ttl,
    /// Age at which a full listing is due even without a change. 24 h by default.
    pub max_age: Duration,
    /// Deadline of calls without one of their own ([`Query::deadline`](crate::Query::deadline)). `None`, the default:
    /// only the time-outs apply. Zero: no request is sent.
    pub deadline: Option<Duration>,
    /// Time limit for connecting. 5 s by default.
    pub connect_timeout: Duration,
    /// Time limit for the server's silence while a reply is pending. 60 s by default. A request that lists nothing
    /// waits at most 15 s.
    pub read_timeout: Duration,
    /// Time for retrying transient failures. 30 s by default.
    pub retry_for: Duration,
    /// A PEM file with certificate authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Accept any certificate. Off by default; causes a warning.
    pub accept_invalid_certs: bool,
    /// Never send a request.
    pub offline: bool,
    /// Rows per page of a full listing, 1 to 1,000. 1,000 by default.
    pub page_size: u32,
    /// Bytes that recorded matches may take on disk: 50 MiB by default, room for some 300,000 of usual length. Beyond it
    /// those recorded longest ago are removed.
    pub matches_limit: u64,
    /// Limit for the size of the folder in bytes. Beyond it the libraries refreshed longest ago are evicted, and
    /// fetched again when they are used. None by default.
    pub size_limit: Option<u64>,
    /// Read files into memory instead of mapping them, for file systems where mapping is unreliable.
    pub no_mmap: bool,
    /// Rules between the host's paths and the server's, in order. None by default.
    pub mappings: Vec<Mapping>,
    /// Calls that take longer are logged with their parts; `None` for no such log lines. 1 s by default.
    pub slow: Option<Duration>,
    /// Show media paths as short hashes in log lines and errors. Off by default.
    pub obfuscate_paths: bool,
    /// The address of a database in `PostgreSQL` that several hosts of one server share, such as
    /// `postgresql://user@host/database?sslmode=verify-full`; the password is taken from `PGPASSWORD` or a passfile. One host
    /// fetches for all, and what one confirms or invalidates the others know; each answers from its own folder. None by
    /// default. Needs the crate `plexindex-sharing`, and cannot be given with `database`. Without `server_url` nothing is
    /// exchanged: the database can be looked at, prepared and emptied.
    pub shared: Option<String>,
    /// How long the host waits for the shared log to come back before it asks the server itself for listings. 60 s by
    /// default; zero: at once.
    pub shared_retry: Duration,
    /// Force each confirmed match and invalidation for other hosts to the disk before the call returns, so that a power cut
    /// takes none that was acknowledged. Such a call waits for the disk. Off by default; no effect without `shared`.
    pub shared_durable: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cache_dir: PathBuf::new(),
            server_url: None,
            database: None,
            token: None,
            renewal: None,
            user: None,
            library_ttl: Ttl::For(Duration::from_secs(3600)),
            max_age: Duration::from_secs(24 * 3600),
            deadline: None,
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(60),
            retry_for: Duration::from_secs(30),
            ca_file: None,
            accept_invalid_certs: false,
            offline: false,
            page_size: 1000,
            matches_limit: 50 << 20,
            size_limit: None,
            no_mmap: false,
            mappings: Vec::new(),
            slow: Some(Duration::from_secs(1)),
            obfuscate_paths: false,
            shared: None,
            shared_retry: Duration::from_secs(60),
            shared_durable: false,
        }
    }
}

impl Options {
    /// The defaults, with the store in this folder.
    #[must_use]
    pub fn new(cache_dir: impl Into<PathBuf>) -> Self {
        Self {
            cache_dir: cache_dir.into(),
            ..Self::default()
        }
    }

    /// Validates the options: an error names the option and the remedy; a risky value causes a warning.
    ///
    /// # Errors
    /// [`crate::error::Status::InvalidArgument`].
    #[doc(hidden)]
    pub fn check(&self) -> Result<()> {
        for (what, text) in [
            ("server_url", &self.server_url),
            ("user", &self.user),
            ("shared", &self.shared),
        ] {
            check_length(what, text.as_ref().map_or(0, String::len), LONGEST_TEXT)?;
        }
        if self.user.as_ref().is_some_and(String::is_empty) {
            return refuse("user is empty: give the user whose view this is, or omit it");
        }
        for (what, time) in [
            ("connect_timeout", self.connect_timeout),
            ("read_timeout", self.read_timeout),
        ] {
            if time.is_zero() {
                return refuse(format!("{what} is 0: it must be greater than zero"));
            }
        }
        if self.cache_dir.as_os_str().is_empty() {
            return refuse("cache_dir is empty: give the folder for the store");
        }
        if self.cache_dir.as_os_str().as_encoded_bytes().contains(&0) {
            return refuse(format!(
                "cache_dir {:?} contains a NUL byte, which no folder name has",
                self.cache_dir.to_string_lossy()
            ));
        }
        if self.database.as_ref().is_some_and(|named| named.as_os_str().is_empty()) {
            return refuse("database is empty: give Plex's database or the folder 'Plex Media Server', or omit it");
        }
        self.check_shared()?;
        if self.page_size == 0 || self.page_size > 1000 {
            return refuse(format!(
                "page_size is {}: Plex serves 1 to 1000 rows a page",
                self.page_size
            ));
        }
        if self.size_limit == Some(0) {
            return refuse("size_limit is 0: give the size in bytes, or omit it");
        }
        if let Ttl::For(ttl) = self.library_ttl
            && ttl < Duration::from_secs(300)
        {
            log::warn!(
                "library_ttl is {} s: values under 300 s cause many requests for little gain; the default is 3600 s",
                ttl.as_secs_f64()
            );
        }
        if self.accept_invalid_certs {
            log::warn!(
                "accept_invalid_certs is on: every machine between this host and the server can read the token; use \
                 ca_file instead"
            );
        }
        Ok(())
    }

    /// Checks the option `shared` beside the others; who opens the log checks the address.
    #[doc(hidden)]
    pub fn check_shared(&self) -> Result<()> {
        let Some(address) = &self.shared else {
            return Ok(());
        };
        if address.is_empty() {
            return refuse("shared is empty: give an address such as postgresql://user@host/database, or leave it out");
        }
        if self.database.is_some() {
            return refuse(
                "shared and database are both given: a host that reads Plex's own database fetches no listings; leave \
                 one of them out",
            );
        }
        Ok(())
    }
}

/// An address for people: what may be a password is left out. A valid address has none.
#[must_use]
pub fn without_password(address: &str) -> String {
    let start = address.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = address.split_at(start);
    // A password may have any sign, so all between the first colon and the last `@` may be one.
    let colon = rest.find(':');
    let rest = match (colon, rest.rfind('@')) {
        (Some(colon), Some(at)) if colon < at => format!("{}:…{}", &rest[..colon], &rest[at..]),
        _ => rest.to_owned(),
    };
    let parameter = rest.to_ascii_lowercase().find("password=");
    match parameter.map(|at| at + "password=".len()) {
        Some(value) => {
            let end = rest[value..].find(['&', ' ']).map_or(rest.len(), |end| value + end);
            format!("{scheme}{}…{}", &rest[..value], &rest[end..])
        }
        None => format!("{scheme}{rest}"),
    }
}

/// Shows the options, each named once. They are taken apart, so that a new one that is missing here does not compile.
macro_rules! show {
    ($options:ident, $f:ident: $($option:ident)*; $hidden:ident => $shown:expr) => {{
        let Self { $($option,)* $hidden } = $options;
        $f.debug_struct("Options")
            $(.field(stringify!($option), $option))*
            .field(stringify!($hidden), &$shown)
            .finish()
    }};
}

impl fmt::Debug for Options {
    /// Without a password, which an address that is refused may have.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show! { self, f:
            cache_dir server_url database token renewal user library_ttl max_age deadline connect_timeout read_timeout
            retry_for ca_file accept_invalid_certs offline page_size matches_limit size_limit no_mmap mappings slow
            obfuscate_paths shared_retry shared_durable;
            shared => shared.as_deref().map(without_password)
        }
    }
}

#[cfg(test)]
#[path = "options_tests.rs"]
mod tests;
