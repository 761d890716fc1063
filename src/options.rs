//! Options for opening an index, and their validation.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Result, Status, check_length, invalid_argument_error};
pub use crate::matching::{Mapping, MappingKind, Pattern};
use crate::model::Token;

/// Maximum length of a name, title, GUID, URL or user, in bytes.
pub const LONGEST_TEXT: usize = 4_096;

/// How long a library's listing stays fresh, or how long a table keeps a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ttl {
    /// Fresh for this duration after the server last confirmed the listing, or after the host wrote the value.
    For(Duration),
    /// Never fresh: each call asks the server, unless the call is offline. A table's value expires at once.
    Zero,
    /// Fresh until an invalidation or an event makes the listing stale. A table's value never expires.
    Forever,
}

impl From<Duration> for Ttl {
    /// Converts a duration to [`Ttl::For`].
    fn from(time: Duration) -> Self {
        Self::For(time)
    }
}

/// The host's callback that returns a new token, or `None` if no new token is available.
///
/// The index runs the callback when the server refuses the token. The callback runs on the thread of the refused call,
/// on one thread at a time, and never on a thread that plexindex started. Other refused calls wait for the new token
/// until their timeouts, but no longer than [`Options::read_timeout`]. If no new token is available, the call returns
/// a cached answer or fails with [`ErrorKind::Unauthorized`](crate::ErrorKind::Unauthorized). After the callback has
/// returned `None`, the index waits 15 s before running it again.
///
/// The new token must belong to the same user. The callback may use the index; such calls use the refused token, and do
/// not run the callback again. Calling [`Index::set_token`](crate::Index::set_token) within the callback has the same
/// effect as returning the token. A panic in the callback unwinds through the refused call; the index stays usable, and
/// the next refused call runs the callback again.
///
/// A timeout does not interrupt the callback, so limit the callback's time yourself. If the callback returns after the
/// timeout of the refused call, the index keeps the new token, and the call ends as
/// [`Query::timeout`](crate::Query::timeout) describes.
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
/// The index owns the callback. A callback that uses the index must capture a [`WeakIndex`](crate::WeakIndex): if it
/// captured an [`Index`](crate::Index), the index would never close.
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

    /// Calls the host's callback on this thread. Returns the new token; `None` if no new token is available.
    pub(crate) fn call(&self) -> Option<Token> {
        (self.0)()
    }
}

impl fmt::Debug for Renewal {
    /// Formats only the type's name, since a function has no text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Renewal")
    }
}

/// Options for opening an index.
///
/// Set the fields that you need, and end the expression with `..Options::new(folder)`. Later versions may add fields
/// without a breaking change, so do not list all fields, and use `..` in patterns.
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
#[allow(clippy::struct_excessive_bools)] // the options are independent
pub struct Options {
    /// The store's folder, created with mode 0700 if it does not exist. Required; empty in `Options::default()`.
    pub cache_dir: PathBuf,
    /// Base URL of the server, such as `http://127.0.0.1:32400`. `None`, the default: only the store answers.
    pub server_url: Option<String>,
    /// Path of Plex's own database, which plexindex reads while the server runs: the file
    /// `com.plexapp.plugins.library.db`, its folder, or the folder 'Plex Media Server' above it. No URL or token is
    /// necessary, and anyone who can read the file sees all libraries. `None` by default.
    pub database: Option<PathBuf>,
    /// The token, which plexindex sends in a header, and only to this server.
    pub token: Option<Token>,
    /// Callback that returns a new token when the server refuses the token (401) or the token has expired (498).
    /// plexindex then repeats the call. `None` by default; see also [`Index::set_token`](crate::Index::set_token).
    pub renewal: Option<Renewal>,
    /// The token's user. Set this option if the token changes often, except for a JSON Web Token, which names its user.
    pub user: Option<String>,
    /// How long a listing stays fresh. 1 h by default.
    pub library_ttl: Ttl,
    /// Maximum age of a full listing, after which plexindex fetches a new listing even without a change. 24 h by
    /// default.
    pub max_age: Duration,
    /// Default timeout, for calls that set no timeout with [`Query::timeout`](crate::Query::timeout). With `None`,
    /// the default, only the timeouts apply. With zero, plexindex sends no request.
    pub timeout: Option<Duration>,
    /// Time limit for connecting. 5 s by default.
    pub connect_timeout: Duration,
    /// Maximum wait for data from the server. 60 s by default. Requests that do not fetch a listing wait at most 15 s.
    pub read_timeout: Duration,
    /// Maximum time that a query waits for the server if a stored listing can answer; the answer is then stale. 2 s by
    /// default. With zero, such a query waits for no request. Does not limit
    /// [`Query::always_ask`](crate::Query::always_ask) and refreshes.
    pub stale_answer_timeout: Duration,
    /// How long plexindex retries after a transient failure. 30 s by default.
    pub retry_for: Duration,
    /// A PEM file with certificate authorities to trust instead of the system's, or with the server's own certificate,
    /// whatever its name and dates.
    pub ca_file: Option<PathBuf>,
    /// Accept any server certificate, and log a warning. Off by default.
    pub accept_invalid_certs: bool,
    /// Never send a request. Off by default. The index can then be in a folder that this user cannot write to, such as in
    /// a container image, if it was closed there: queries work, and writes fail with
    /// [`ErrorKind::Store`](crate::ErrorKind::Store).
    pub offline: bool,
    /// Number of rows per page of a full listing, from 1 to 1,000. 1,000 by default.
    pub page_size: u32,
    /// Maximum size of confirmed matches on disk, in bytes. `None`, the default: 50 MiB, enough for about 300,000 matches;
    /// with [`Options::shared`], 500 MiB. Beyond the limit, plexindex removes the oldest matches.
    pub matches_limit: Option<u64>,
    /// Maximum size of the folder, in bytes. Beyond the limit, plexindex evicts the least recently refreshed libraries,
    /// and fetches them again when a query needs them. `None` by default.
    pub size_limit: Option<u64>,
    /// Read files into memory instead of mapping them, for file systems where mapping is unreliable. Off by default.
    pub no_mmap: bool,
    /// Rules that translate between the host's paths and the server's paths, in order. Empty by default.
    pub mappings: Vec<Mapping>,
    /// Duration from which plexindex logs a call as slow, with the time of each part. `None`: no log. 1 s by default.
    pub slow: Option<Duration>,
    /// Show media paths as short hashes in log lines and errors. Off by default.
    pub obfuscate_paths: bool,
    /// URL of a `PostgreSQL` database that several hosts of one server share, such as
    /// `postgresql://user@host/database?sslmode=verify-full`. The password comes from `PGPASSWORD` or a passfile. All
    /// hosts receive each other's confirmed matches and invalidations; each host fetches listings itself, and answers
    /// from its own folder. `None` by default. Requires the crate `plexindex-sharing`; excludes `database`. Without
    /// `server_url`, hosts exchange nothing, but you can inspect, prepare and empty the database.
    pub shared: Option<String>,
    /// Flush confirmed matches and invalidations for other hosts to disk before the call returns, so that they survive
    /// a power cut. Such a call waits for the disk. Off by default; no effect without `shared`.
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
            timeout: None,
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(60),
            stale_answer_timeout: Duration::from_secs(2),
            retry_for: Duration::from_secs(30),
            ca_file: None,
            accept_invalid_certs: false,
            offline: false,
            page_size: 1000,
            matches_limit: None,
            size_limit: None,
            no_mmap: false,
            mappings: Vec::new(),
            slow: Some(Duration::from_secs(1)),
            obfuscate_paths: false,
            shared: None,
            shared_durable: false,
        }
    }
}

impl Options {
    /// Returns the default options for a store in `cache_dir`.
    #[must_use]
    pub fn new(cache_dir: impl Into<PathBuf>) -> Self {
        Self {
            cache_dir: cache_dir.into(),
            ..Self::default()
        }
    }

    /// Returns the maximum size of confirmed matches in bytes. Other hosts add to those of a host that shares.
    pub(crate) fn matches_limit(&self) -> u64 {
        let default = if self.shared.is_some() { 500 << 20 } else { 50 << 20 };
        self.matches_limit.unwrap_or(default)
    }

    /// Validates the options, and logs a warning for each risky value.
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
            return invalid_argument_error("user is empty: give the name of the token's user, or omit the option");
        }
        for (option, time) in [
            ("connect_timeout", self.connect_timeout),
            ("read_timeout", self.read_timeout),
        ] {
            if time.is_zero() {
                return invalid_argument_error(format!("{option} must be greater than zero"));
            }
        }
        if self.cache_dir.as_os_str().is_empty() {
            return invalid_argument_error("cache_dir is empty: give the folder for the store");
        }
        if self.cache_dir.as_os_str().as_encoded_bytes().contains(&0) {
            return invalid_argument_error(format!(
                "cache_dir {:?} contains a NUL byte, which folder names cannot contain",
                self.cache_dir.to_string_lossy()
            ));
        }
        if self.database.as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
            return invalid_argument_error(
                "database is empty: give Plex's database or the folder 'Plex Media Server', or omit the option",
            );
        }
        self.check_shared()?;
        if self.page_size == 0 || self.page_size > 1000 {
            return invalid_argument_error(format!("page_size must be from 1 to 1000, not {}", self.page_size));
        }
        if self.size_limit == Some(0) {
            return invalid_argument_error("size_limit is 0: give the size in bytes, or omit the option");
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

    /// Fails if the option `shared` is empty or conflicts with another option. Opening the log later validates the URL.
    #[doc(hidden)]
    pub fn check_shared(&self) -> Result<()> {
        let Some(address) = &self.shared else {
            return Ok(());
        };
        let text = if address.is_empty() {
            "shared is empty: give a URL such as postgresql://user@host/database, or omit the option"
        } else if self.database.is_some() {
            "shared and database are both given: hosts share one user's matches, and Plex's database has no user; omit \
             one of them"
        } else {
            return Ok(());
        };
        Err(Error::new(Status::InvalidArgument, text).with_argument("shared"))
    }
}

/// Returns a database's URL for messages, with `…` in place of text that could be a password: after the user's name, or
/// in the parameter `password`. plexindex rejects such a URL, but its error messages must not show the password.
#[must_use]
pub fn without_password(url: &str) -> String {
    let scheme_length = url.find("://").map_or(0, |offset| offset + "://".len());
    let (scheme, text) = url.split_at(scheme_length);
    // A password can contain any character, so it can extend from the first colon to the last `@`.
    let colon = text.find(':');
    let text = match (colon, text.rfind('@')) {
        (Some(colon), Some(at_sign)) if colon < at_sign => format!("{}:…{}", &text[..colon], &text[at_sign..]),
        _ => text.to_owned(),
    };
    let parameter = text.to_ascii_lowercase().find("password=");
    match parameter.map(|offset| offset + "password=".len()) {
        Some(value) => {
            let end = text[value..].find(['&', ' ']).map_or(text.len(), |end| value + end);
            format!("{scheme}{}…{}", &text[..value], &text[end..])
        }
        None => format!("{scheme}{text}"),
    }
}

/// Formats the options from one list of names. The pattern is exhaustive, so an option that the list lacks is a compile
/// error.
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
    /// Formats all options, and hides a password in `shared`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show! { self, f:
            cache_dir server_url database token renewal user library_ttl max_age timeout connect_timeout read_timeout
            stale_answer_timeout retry_for ca_file accept_invalid_certs offline page_size matches_limit size_limit no_mmap mappings slow
            obfuscate_paths shared_durable;
            shared => shared.as_deref().map(without_password)
        }
    }
}

#[cfg(test)]
mod tests {
    //! The option `shared` beside the others.

    use super::*;
    use crate::error::Status;

    fn with(shared: &str) -> Options {
        Options {
            server_url: Some("http://127.0.0.1:32400".into()),
            shared: Some(shared.into()),
            ..Options::new("/nowhere")
        }
    }

    fn refusal(options: &Options) -> String {
        let error = options.check().expect_err("it is refused");
        assert_eq!(error.status, Status::InvalidArgument);
        error.to_string()
    }

    #[test]
    fn shared_needs_no_database() {
        const ADDRESS: &str = "postgresql://ann@db/plexindex";
        with(ADDRESS).check().expect("it is complete");
        let no_server = Options {
            server_url: None,
            ..with(ADDRESS)
        };
        no_server.check().expect("the log can be looked at");
        let offline = Options {
            offline: true,
            ..no_server
        };
        offline.check().expect("an offline index does not use it");
        let database = Options {
            database: Some("/plex".into()),
            ..with(ADDRESS)
        };
        assert!(refusal(&database).contains("shared and database"));
        assert!(refusal(&with("")).contains("shared is empty"));
        assert!(refusal(&with(&"a".repeat(LONGEST_TEXT + 1))).contains("shared"));
    }

    #[test]
    fn no_password_is_shown() {
        for (address, shown) in [
            (
                "postgresql://ann@db:5432/x?sslmode=require",
                "postgresql://ann@db:5432/x?sslmode=require",
            ),
            ("postgresql://db:5432/x", "postgresql://db:5432/x"),
            (
                "postgresql:///x?host=/run/postgresql",
                "postgresql:///x?host=/run/postgresql",
            ),
            ("postgresql://ann:secret@db/x", "postgresql://ann:…@db/x"),
            ("postgresql://ann:se:c/r@et@db/x", "postgresql://ann:…@db/x"),
            ("ann:secret@db", "ann:…@db"),
            (
                "postgresql://ann@db/x?password=secret&sslmode=require",
                "postgresql://ann@db/x?password=…&sslmode=require",
            ),
            ("host=db PASSWORD=secret user=ann", "host=db PASSWORD=… user=ann"),
        ] {
            assert_eq!(without_password(address), shown);
            let debug = format!("{:?}", with(address));
            assert!(debug.contains(shown) && !debug.contains("secret"), "{debug}");
        }
    }

    #[test]
    fn only_a_limit_of_matches_that_is_not_set_depends_on_sharing() {
        let limit = |shared: Option<&str>, matches_limit| {
            let options = Options {
                shared: shared.map(str::to_owned),
                matches_limit,
                ..Options::new("folder")
            };
            options.matches_limit()
        };
        let address = Some("postgresql://user@host/database");
        let limits = [(None, None), (address, None), (address, Some(50 << 20))].map(|(shared, set)| limit(shared, set));
        assert_eq!(limits, [50 << 20, 500 << 20, 50 << 20]);
    }
}
