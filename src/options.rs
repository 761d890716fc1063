//! The options of an index, and their validation.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Result, check_length, refuse};
pub use crate::matching::{Mapping, MappingKind, Pattern};
use crate::model::Token;

/// Maximum length of a name, title, GUID, URL or user, in bytes.
pub const LONGEST_TEXT: usize = 4_096;

/// How long a library's listing is fresh, or how long a table keeps a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ttl {
    /// For this time after the server last confirmed the listing, or after the value was written.
    For(Duration),
    /// Not at all: each call asks the server, unless the call is offline. A table's value expires at once.
    Zero,
    /// Until an invalidation or an event makes the listing stale. A table's value never expires.
    Forever,
}

impl From<Duration> for Ttl {
    /// Returns [`Ttl::For`] this time.
    fn from(time: Duration) -> Self {
        Self::For(time)
    }
}

/// The host's callback that returns a new token, or `None` if it has none.
///
/// The index runs the callback when the server refuses the token: on the thread of the refused call, one thread at a
/// time, never on a thread of plexindex. Other refused calls wait for the new token until their deadline, and at most
/// for [`Options::read_timeout`]. A call without a new token fails with
/// [`ErrorKind::Unauthorized`](crate::ErrorKind::Unauthorized). After the callback returned `None`, the index waits 15
/// s before it runs the callback again.
///
/// The token must belong to the same user. The callback may use the index: its calls use the refused token, and fail
/// without another renewal. Calling [`Index::set_token`](crate::Index::set_token) on this thread is the same as
/// returning the token. A panic of the callback unwinds through the refused call; the index stays usable, and the next
/// refused call runs the callback again.
///
/// No deadline ends the callback, so limit its time yourself. If it returns after the deadline of the refused call, the
/// index keeps the token, and the call ends as [`Query::deadline`](crate::Query::deadline) says.
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
/// The index owns the callback. A callback that uses the index must hold a [`WeakIndex`](crate::WeakIndex): with an
/// [`Index`](crate::Index), the index would never close.
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
    /// Wraps the host's callback.
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

/// The options of an index.
///
/// Set the fields that you need, and end with `..Options::new(folder)`. Later versions may add fields without a
/// breaking change: do not list all fields, and match with `..`.
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
    /// The folder for the store, created with mode 0700 if it is missing. Required; empty in `Options::default()`.
    pub cache_dir: PathBuf,
    /// Base URL of the server, such as `http://127.0.0.1:32400`. Without it the index answers only from its store.
    pub server_url: Option<String>,
    /// Plex's own database, which plexindex reads while the server runs: the file `com.plexapp.plugins.library.db`, its
    /// folder, or the folder 'Plex Media Server' above. It needs neither URL nor token, and shows all libraries to
    /// everyone who can read the file. None by default.
    pub database: Option<PathBuf>,
    /// The token, sent in a header to this server only.
    pub token: Option<Token>,
    /// Returns a new token when the server refuses the token (401) or it has expired (498); plexindex then repeats the
    /// call. None by default; see also [`Index::set_token`](crate::Index::set_token).
    pub renewal: Option<Renewal>,
    /// The user of the token. Set this if the token changes often and is not a JSON Web Token, which names its user.
    pub user: Option<String>,
    /// How long a listing is fresh. 1 h by default.
    pub library_ttl: Ttl,
    /// Age at which a full listing is due even without a change. 24 h by default.
    pub max_age: Duration,
    /// Deadline of calls without their own ([`Query::deadline`](crate::Query::deadline)). With `None`, the default,
    /// only the timeouts apply. With zero, plexindex sends no request.
    pub deadline: Option<Duration>,
    /// Time limit for connecting. 5 s by default.
    pub connect_timeout: Duration,
    /// Time limit for waiting until the server sends data. 60 s by default. A request that fetches no listing waits at
    /// most 15 s.
    pub read_timeout: Duration,
    /// Time for retrying transient failures. 30 s by default.
    pub retry_for: Duration,
    /// A PEM file with certificate authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Accept any certificate, with a warning. Off by default.
    pub accept_invalid_certs: bool,
    /// Never send a request.
    pub offline: bool,
    /// Rows per page of a full listing, 1 to 1,000. 1,000 by default.
    pub page_size: u32,
    /// Limit for the size of recorded matches on disk: 50 MiB by default, enough for about 300,000. Beyond the limit,
    /// plexindex removes the oldest matches.
    pub matches_limit: u64,
    /// Limit for the size of the folder in bytes. Beyond the limit, plexindex evicts the libraries that were refreshed
    /// longest ago, and fetches them again when they are used. None by default.
    pub size_limit: Option<u64>,
    /// Reads files into memory instead of mapping them, for file systems where mapping is unreliable.
    pub no_mmap: bool,
    /// Rules between the host's paths and the server's, in order. None by default.
    pub mappings: Vec<Mapping>,
    /// Log calls that take longer, with the time of each part. `None`: log no such calls. 1 s by default.
    pub slow: Option<Duration>,
    /// Show media paths as short hashes in log lines and errors. Off by default.
    pub obfuscate_paths: bool,
    /// The URL of a `PostgreSQL` database that several hosts of one server share, such as
    /// `postgresql://user@host/database?sslmode=verify-full`. The password comes from `PGPASSWORD` or a passfile. One
    /// host fetches for all, and all hosts learn of confirmed matches and invalidations; each answers from its own
    /// folder. None by default. This option needs the crate `plexindex-sharing`, and excludes `database`. Without
    /// `server_url` the hosts exchange nothing, but you can inspect, prepare and empty the database.
    pub shared: Option<String>,
    /// How long the host waits for an unavailable shared log before it fetches listings from the server itself. 60 s by
    /// default; zero: at once.
    pub shared_retry: Duration,
    /// Force confirmed matches and invalidations for other hosts to the disk before the call returns, so that they
    /// survive a power cut. Such a call waits for the disk. Off by default; no effect without `shared`.
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
    /// Returns the defaults, with the store in this folder.
    #[must_use]
    pub fn new(cache_dir: impl Into<PathBuf>) -> Self {
        Self {
            cache_dir: cache_dir.into(),
            ..Self::default()
        }
    }

    /// Validates the options. Logs a warning for a risky value.
    ///
    /// # Errors
    /// [`crate::error::Status::InvalidArgument`].
    #[doc(hidden)]
    pub fn check(&self) -> Result<()> {
        for (option, text) in [
            ("server_url", &self.server_url),
            ("user", &self.user),
            ("shared", &self.shared),
        ] {
            check_length(option, text.as_ref().map_or(0, String::len), LONGEST_TEXT)?;
        }
        if self.user.as_ref().is_some_and(String::is_empty) {
            return refuse("user is empty: give the name of the token's user, or omit the option");
        }
        for (option, time) in [
            ("connect_timeout", self.connect_timeout),
            ("read_timeout", self.read_timeout),
        ] {
            if time.is_zero() {
                return refuse(format!("{option} is 0: it must be greater than zero"));
            }
        }
        if self.cache_dir.as_os_str().is_empty() {
            return refuse("cache_dir is empty: give the folder for the store");
        }
        if self.cache_dir.as_os_str().as_encoded_bytes().contains(&0) {
            return refuse(format!(
                "cache_dir {:?} contains a NUL byte: folder names have none",
                self.cache_dir.to_string_lossy()
            ));
        }
        if self.database.as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
            return refuse(
                "database is empty: give Plex's database or the folder 'Plex Media Server', or omit the option",
            );
        }
        self.check_shared()?;
        if self.page_size == 0 || self.page_size > 1000 {
            return refuse(format!("page_size must be from 1 to 1000, not {}", self.page_size));
        }
        if self.size_limit == Some(0) {
            return refuse("size_limit is 0: give the size in bytes, or omit the option");
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
                "accept_invalid_certs is on: any machine between this host and the server can read the token; use ca_file \
                 instead"
            );
        }
        Ok(())
    }

    /// Checks that the option `shared` is compatible with the others. Opening the log validates the URL.
    #[doc(hidden)]
    pub fn check_shared(&self) -> Result<()> {
        let Some(address) = &self.shared else {
            return Ok(());
        };
        if address.is_empty() {
            return refuse("shared is empty: give a URL such as postgresql://user@host/database, or omit the option");
        }
        if self.database.is_some() {
            return refuse(
                "shared and database are both given: a host that reads Plex's database fetches no listings; omit one of them",
            );
        }
        Ok(())
    }
}

/// Returns the URL for messages, with `…` in place of text that may be a password. A valid URL has no password.
#[must_use]
pub fn without_password(url: &str) -> String {
    let scheme_length = url.find("://").map_or(0, |offset| offset + "://".len());
    let (scheme, rest) = url.split_at(scheme_length);
    // A password may have any character, so it may reach from the first colon to the last `@`.
    let colon = rest.find(':');
    let rest = match (colon, rest.rfind('@')) {
        (Some(colon), Some(at_sign)) if colon < at_sign => format!("{}:…{}", &rest[..colon], &rest[at_sign..]),
        _ => rest.to_owned(),
    };
    let parameter = rest.to_ascii_lowercase().find("password=");
    match parameter.map(|offset| offset + "password=".len()) {
        Some(value) => {
            let end = rest[value..].find(['&', ' ']).map_or(rest.len(), |end| value + end);
            format!("{scheme}{}…{}", &rest[..value], &rest[end..])
        }
        None => format!("{scheme}{rest}"),
    }
}

/// Shows the options from one list of names. The pattern is exhaustive, so that the compiler reports a new option.
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
    /// Shows all options, but hides a password in `shared`.
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
