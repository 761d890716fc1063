//! What comes from the caller: every pointer checked for NULL, every size and flag for sense.

use std::ffi::{CStr, c_char, c_void};
use std::mem::size_of;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::constants as c;
use super::guard::keep_key;
use super::tables::TableHandles;
use super::types::{
    Buffer, Bytes, Handle, LibraryHandle, Options, Progress as ProgressRecord, ProgressFn, Query, Stats,
};
use super::{guard, log_ring, types};
use crate::error::{Error, Result, Status, room};
use crate::index::{Deadline, Index, Library, Progress, QueryOptions, Selector};
use crate::model::{KEY_PREFIX, Token};
use crate::options::MappingKind::{HostToServer, ServerToHost};
use crate::options::{self, Ttl};
use crate::platform::fork::{self, Forks, Release, Side};
use crate::platform::thread::lent;

pub fn refuse<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::new(Status::InvalidArgument, text))
}

pub fn null(what: &str) -> Error {
    Error::new(Status::NullPointer, format!("{what} is NULL"))
}

/// Handles given out for names that no known library has.
const MOST_UNKNOWN: usize = 1_024;

/// What a handle points to.
pub struct Opened {
    index: Index,
    libraries: Arc<Libraries>,
    tables: Arc<TableHandles>,
}

/// The libraries that handles were given out for.
#[derive(Default)]
struct Libraries {
    /// Boxed, so that handles stay where they are. A library is added once for each selector.
    #[allow(clippy::vec_box)]
    known: Mutex<Vec<Box<Library>>>,
}

impl Forks for Libraries {
    fn before(self: Arc<Self>) -> Vec<Box<dyn Release>> {
        vec![Box::new(fork::hold(&self, |all| &all.known))]
    }

    fn after(&self, _side: &Side) {}
}

impl Opened {
    pub fn open(chosen: Chosen) -> Result<Self> {
        guard::quiet_panics();
        log_ring::install(log_ring::level(chosen.log_level)?);
        Ok(Self::over(Index::open(chosen.options)?))
    }

    fn over(index: Index) -> Self {
        let (libraries, tables) = (Arc::default(), Arc::default());
        fork::watch(&libraries);
        fork::watch(&tables);
        Self {
            index,
            libraries,
            tables,
        }
    }

    pub fn into_handle(self) -> *mut Handle {
        Box::into_raw(Box::new(self)).cast()
    }

    /// # Safety
    /// `handle` must come from [`Opened::into_handle`] and not be used any more.
    pub unsafe fn from_handle(handle: *mut Handle) -> Self {
        // SAFETY: the caller's promise.
        *unsafe { Box::from_raw(handle.cast::<Self>()) }
    }

    pub fn close(self) -> Result<()> {
        let closed = self.close_all();
        fork::forget_dead();
        closed
    }

    fn close_all(self) -> Result<()> {
        drop((self.libraries, self.tables));
        self.index.close()
    }

    pub fn index(&self) -> &Index {
        &self.index
    }

    pub fn tables(&self) -> &TableHandles {
        &self.tables
    }

    pub fn library(&self, selector: Selector) -> Result<*const LibraryHandle> {
        let mut libraries = self
            .libraries
            .known
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(known) = libraries.iter().find(|one| *one.selector() == selector) {
            return Ok(std::ptr::from_ref::<Library>(known).cast());
        }
        let made = Box::new(self.index.select(selector)?);
        // Handles last as long as the index, and names may come from anywhere.
        let unknown = || libraries.iter().filter(|one| !one.is_known()).count();
        if libraries.len() >= MOST_UNKNOWN && !made.is_known() && unknown() >= MOST_UNKNOWN {
            return refuse(format!(
                "no library called '{}' is known, and {MOST_UNKNOWN} handles were given out for such names: give names \
                 of libraries",
                made.selector().name()
            ));
        }
        let handle = std::ptr::from_ref::<Library>(&made).cast();
        libraries.push(made);
        Ok(handle)
    }
}

/// # Safety
/// `handle` must be NULL or open, and stay open during the call.
pub unsafe fn opened<'h>(handle: *const Handle) -> Result<&'h Opened> {
    // SAFETY: the caller's promise.
    unsafe { handle.cast::<Opened>().as_ref() }.ok_or_else(|| null("handle"))
}

/// # Safety
/// `library` must be NULL or a library of an open index.
pub unsafe fn library<'h>(library: *const LibraryHandle) -> Result<&'h Library> {
    // SAFETY: the caller's promise.
    unsafe { library.cast::<Library>().as_ref() }.ok_or_else(|| null("library"))
}

/// # Safety
/// `place` must be NULL or point to a value that may be written.
pub unsafe fn out<'h, T>(place: *mut T, what: &str) -> Result<&'h mut T> {
    // SAFETY: the caller's promise.
    unsafe { place.as_mut() }.ok_or_else(|| null(what))
}

/// # Safety
/// `data` must be NULL or point to `length` bytes.
pub unsafe fn bytes<'h>(data: *const c_char, length: usize, what: &str) -> Result<&'h [u8]> {
    if data.is_null() {
        return if length == 0 { Ok(&[]) } else { Err(null(what)) };
    }
    if length > isize::MAX.unsigned_abs() {
        return refuse(format!("the length of {what} is {length}: no memory is so large"));
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(data.cast(), length) })
}

/// # Safety
/// As [`bytes`].
pub unsafe fn utf8<'h>(data: *const c_char, length: usize, what: &str) -> Result<&'h str> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { bytes(data, length, what) }?;
    std::str::from_utf8(bytes).map_err(|_| {
        Error::new(
            Status::InvalidArgument,
            format!("{what} is not UTF-8: '{}'", String::from_utf8_lossy(bytes)),
        )
    })
}

/// A struct of the caller's that begins with its size, as this version knows it: what is missing is zero, and what is
/// too much must be.
///
/// # Safety
/// `given` must be NULL or point to a `T` whose first field says how many bytes are there.
pub unsafe fn sized<T: Copy>(given: *const T, what: &str) -> Result<T> {
    if given.is_null() {
        return Err(null(what));
    }
    let known = size_of::<T>();
    // SAFETY: the first field is there in every version.
    let size = unsafe { given.cast::<usize>().read_unaligned() };
    if size < size_of::<usize>() || size > 1 << 20 {
        return refuse(format!("{what}.size is {size}: set it to sizeof the struct"));
    }
    // SAFETY: the caller says that `size` bytes are there; only structs of integers, pointers and nullable functions come
    // here, for which all bytes zero is a value.
    unsafe {
        let beyond = std::slice::from_raw_parts(given.cast::<u8>(), size);
        if beyond.iter().skip(known).any(|byte| *byte != 0) {
            return Err(Error::new(
                Status::Unsupported,
                format!(
                    "{what} has {size} bytes, this version knows {known}, and one of the others is set: use a newer \
                     library, or leave the new fields zero"
                ),
            ));
        }
        let mut copy = std::mem::MaybeUninit::<T>::zeroed();
        std::ptr::copy_nonoverlapping(given.cast::<u8>(), copy.as_mut_ptr().cast(), size.min(known));
        Ok(copy.assume_init())
    }
}

impl Bytes {
    /// # Safety
    /// As [`bytes`].
    pub(super) unsafe fn get<'h>(self, what: &str) -> Result<&'h [u8]> {
        // SAFETY: the caller's promise.
        unsafe { bytes(self.data, self.length, what) }
    }

    /// The text, `None` when it is not given.
    ///
    /// # Safety
    /// As [`bytes`].
    unsafe fn text(self, what: &str) -> Result<Option<String>> {
        // SAFETY: the caller's promise.
        let text = unsafe { utf8(self.data, self.length, what) }?;
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }
}

/// Options as the caller chose them.
pub struct Chosen {
    options: options::Options,
    log_level: i32,
}

fn time(ms: i64, default: Duration, what: &str) -> Result<Duration> {
    match u64::try_from(ms) {
        Ok(0) => Ok(default),
        Ok(ms) => Ok(Duration::from_millis(ms)),
        Err(_) => refuse(format!(
            "{what} is {ms}: give milliseconds, or 0 for {} s",
            default.as_secs()
        )),
    }
}

/// For how long something is fresh.
pub fn ttl(ms: i64, what: &str) -> Result<Ttl> {
    match ms {
        0 => Ok(options::Options::default().library_ttl),
        c::PLEXINDEX_TTL_AT_ONCE => Ok(Ttl::AtOnce),
        c::PLEXINDEX_TTL_NEVER => Ok(Ttl::Never),
        ms => Ok(Ttl::For(Duration::from_millis(u64::try_from(ms).or_else(|_| {
            refuse(format!(
                "{what} is {ms}: give milliseconds, 0 for one hour, PLEXINDEX_TTL_AT_ONCE or PLEXINDEX_TTL_NEVER"
            ))
        })?))),
    }
}

fn path(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

/// # Safety
/// `given` must be NULL or valid.
pub unsafe fn options(given: *const Options) -> Result<Chosen> {
    // Taken apart field by field: a new one that nobody handles does not compile.
    // SAFETY: the caller's promise.
    let Options {
        size: _,
        cache_dir,
        server_url,
        token,
        user,
        ca_file,
        library_ttl_ms,
        max_age_ms,
        deadline_ms,
        connect_timeout_ms,
        read_timeout_ms,
        retry_ms,
        matches_limit,
        flags,
        page_size,
        log_level,
        reserved,
        mappings,
        mappings_count,
        slow_ms,
    } = unsafe { sized(given, "options") }?;
    let known = c::PLEXINDEX_OPEN_OFFLINE
        | c::PLEXINDEX_OPEN_ACCEPT_INVALID_CERTS
        | c::PLEXINDEX_OPEN_NO_MMAP
        | c::PLEXINDEX_OPEN_OBFUSCATE_PATHS;
    if flags & !known != 0 || reserved != 0 {
        return Err(Error::new(
            Status::Unsupported,
            format!("options.flags is {flags:#x} and reserved {reserved}: this version knows the flags {known:#x}"),
        ));
    }
    let default = options::Options::default();
    // SAFETY: the caller's promise, for all of these.
    let (cache_dir, server_url, token, user, ca_file) = unsafe {
        (
            cache_dir.get("options.cache_dir")?,
            server_url.text("options.server_url")?,
            token.text("options.token").map_err(|error| match error.status {
                // The usual text shows the value: a secret.
                Status::InvalidArgument => {
                    Error::new(Status::InvalidArgument, "options.token is not UTF-8: copy it again")
                }
                _ => error,
            })?,
            user.text("options.user")?,
            ca_file.get("options.ca_file")?,
        )
    };
    if cache_dir.contains(&0) || ca_file.contains(&0) {
        return refuse("cache_dir or ca_file holds a NUL byte: no file has such a name");
    }
    // SAFETY: the caller's promise.
    let mappings = unsafe { self::mappings(mappings, mappings_count) }?;
    let library_ttl = ttl(library_ttl_ms, "library_ttl_ms")?;
    let deadline = match deadline_ms {
        0 => None,
        ms => Some(time(ms, Duration::ZERO, "deadline_ms")?),
    };
    Ok(Chosen {
        options: options::Options {
            cache_dir: path(cache_dir),
            server_url,
            token: token.as_deref().and_then(Token::new),
            user,
            library_ttl,
            max_age: time(max_age_ms, default.max_age, "max_age_ms")?,
            deadline,
            connect_timeout: time(connect_timeout_ms, default.connect_timeout, "connect_timeout_ms")?,
            read_timeout: time(read_timeout_ms, default.read_timeout, "read_timeout_ms")?,
            retry_for: match retry_ms {
                c::PLEXINDEX_NO_RETRY => Duration::ZERO,
                ms => time(ms, default.retry_for, "retry_ms")?,
            },
            ca_file: (!ca_file.is_empty()).then(|| path(ca_file)),
            accept_invalid_certs: flags & c::PLEXINDEX_OPEN_ACCEPT_INVALID_CERTS != 0,
            offline: flags & c::PLEXINDEX_OPEN_OFFLINE != 0,
            page_size: if page_size == 0 { default.page_size } else { page_size },
            matches_limit: if matches_limit == 0 {
                default.matches_limit
            } else {
                matches_limit
            },
            no_mmap: flags & c::PLEXINDEX_OPEN_NO_MMAP != 0,
            mappings,
            slow: match slow_ms {
                c::PLEXINDEX_NEVER_SLOW => None,
                ms => Some(time(ms, Duration::from_secs(1), "slow_ms")?),
            },
            obfuscate_paths: flags & c::PLEXINDEX_OPEN_OBFUSCATE_PATHS != 0,
        },
        log_level,
    })
}

/// # Safety
/// `given` must be NULL or point to `count` mappings.
unsafe fn mappings(given: *const types::Mapping, count: usize) -> Result<Vec<options::Mapping>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    if given.is_null() {
        return Err(null("options.mappings"));
    }
    if count > 10_000 {
        return refuse(format!("options.mappings_count is {count}: give at most 10000 rules"));
    }
    (0..count)
        .map(|place| {
            // SAFETY: the caller's promise; a pointer from another language may be misaligned.
            let rule = unsafe { given.add(place).read_unaligned() };
            let name = format!("options.mappings[{place}]");
            if rule.reserved != 0 {
                return Err(Error::new(
                    Status::Unsupported,
                    format!(
                        "{name}.reserved is {}: this version knows no meaning of it",
                        rule.reserved
                    ),
                ));
            }
            // SAFETY: the caller's promise.
            let (from, to) = unsafe { (rule.from.get(&name)?, rule.to.get(&name)?) };
            let pattern = || -> Result<options::Pattern> {
                let text = std::str::from_utf8(from)
                    .map_err(|_| Error::new(Status::InvalidArgument, format!("{name}.from is not UTF-8")))?;
                Ok(options::Pattern::Regex(text.to_owned()))
            };
            let prefix = || options::Pattern::Prefix(from.to_vec());
            let (kind, from) = match rule.kind {
                c::PLEXINDEX_MAPPING_HOST_PREFIX => (HostToServer, prefix()),
                c::PLEXINDEX_MAPPING_HOST_PATTERN => (HostToServer, pattern()?),
                c::PLEXINDEX_MAPPING_SERVER_PREFIX => (ServerToHost, prefix()),
                c::PLEXINDEX_MAPPING_SERVER_PATTERN => (ServerToHost, pattern()?),
                other => return refuse(format!("{name}.kind is {other}: give one of PLEXINDEX_MAPPING_*")),
            };
            Ok(options::Mapping {
                kind,
                from,
                to: to.to_vec(),
            })
        })
        .collect()
}

/// Tells the host how far a fetch has come; `false` when it wants to stop.
type Teller<'h> = dyn Fn(&Progress<'_>) -> bool + 'h;

/// A query, checked.
pub struct Asked<'h> {
    library: Option<&'h Library>,
    /// `text`, as it is.
    pub text: &'h [u8],
    deadline: Deadline,
    flags: u32,
    progress: Option<Box<Teller<'h>>>,
}

/// # Safety
/// `given` must be NULL or valid, and its library one of an open index.
pub unsafe fn query<'h>(given: *const Query) -> Result<Asked<'h>> {
    // SAFETY: the caller's promise.
    let Query {
        size: _,
        library,
        text,
        deadline_ms,
        flags,
        reserved,
        progress,
        progress_user,
    } = unsafe { sized(given, "query") }?;
    let known = c::PLEXINDEX_QUERY_OFFLINE | c::PLEXINDEX_QUERY_FULL;
    if flags & !known != 0 || reserved != 0 {
        return Err(Error::new(
            Status::Unsupported,
            format!("query.flags is {flags:#x} and reserved {reserved}: this version knows the flags {known:#x}"),
        ));
    }
    let deadline = deadline(deadline_ms, "query.deadline_ms")?;
    // SAFETY: the caller's promise.
    let (library, text) = unsafe { (library.cast::<Library>().as_ref(), text.get("query.text")?) };
    Ok(Asked {
        library,
        text,
        deadline,
        flags,
        progress: progress.map(|call| teller(call, progress_user)),
    })
}

pub fn deadline(ms: i64, what: &str) -> Result<Deadline> {
    match ms {
        0 => Ok(Deadline::Default),
        c::PLEXINDEX_NO_DEADLINE => Ok(Deadline::None),
        ms => Ok(Deadline::In(Duration::from_millis(u64::try_from(ms).or_else(
            |_| {
                refuse(format!(
                    "{what} is {ms}: give milliseconds, 0 for the options' default, or PLEXINDEX_NO_DEADLINE"
                ))
            },
        )?))),
    }
}

fn teller<'h>(call: ProgressFn, user: *mut c_void) -> Box<Teller<'h>> {
    Box::new(move |progress| {
        let record = ProgressRecord {
            size: size_of::<ProgressRecord>(),
            library: Bytes {
                data: progress.library.as_ptr().cast(),
                length: progress.library.len(),
            },
            items: progress.items,
            total: progress.total,
            elapsed_ms: u64::try_from(progress.elapsed.as_millis()).unwrap_or(u64::MAX),
        };
        // SAFETY: the same but for its frame, which the host may unwind when it ends its thread: see `lent`.
        let call: unsafe extern "C-unwind" fn(*mut c_void, *const ProgressRecord) -> i32 =
            unsafe { std::mem::transmute(call) };
        // SAFETY: the caller gave this function for this purpose; the record outlives the call.
        lent(|| unsafe { call(user, &raw const record) }) == 0
    })
}

impl<'h> Asked<'h> {
    pub fn options(&self) -> QueryOptions<'_> {
        QueryOptions {
            library: self.library,
            deadline: self.deadline,
            offline: self.flags & c::PLEXINDEX_QUERY_OFFLINE != 0,
            progress: self.progress.as_deref(),
        }
    }

    pub fn full(&self) -> bool {
        self.flags & c::PLEXINDEX_QUERY_FULL != 0
    }

    pub fn utf8(&self, what: &str) -> Result<&'h str> {
        std::str::from_utf8(self.text).map_err(|_| {
            Error::new(
                Status::InvalidArgument,
                format!("the {what} is not UTF-8: '{}'", String::from_utf8_lossy(self.text)),
            )
        })
    }
}

/// # Safety
/// As [`bytes`].
pub unsafe fn selector(kind: i32, data: *const c_char, length: usize) -> Result<Selector> {
    // SAFETY: the caller's promise.
    let name = unsafe { utf8(data, length, "selector") }?.to_owned();
    match kind {
        c::PLEXINDEX_SELECT_ANY => Ok(Selector::Any(name)),
        c::PLEXINDEX_SELECT_TITLE => Ok(Selector::Title(name)),
        c::PLEXINDEX_SELECT_SECTION => Ok(Selector::Section(name)),
        c::PLEXINDEX_SELECT_UUID => Ok(Selector::Uuid(name)),
        c::PLEXINDEX_SELECT_ALL if name.is_empty() => Ok(Selector::All),
        c::PLEXINDEX_SELECT_ALL => refuse(format!(
            "PLEXINDEX_SELECT_ALL takes no selector, but '{name}' was given"
        )),
        other => refuse(format!(
            "{other} is no kind of selector: give one of PLEXINDEX_SELECT_*"
        )),
    }
}

/// `count` strings, each followed by a NUL.
pub fn split<'h>(block: &'h [u8], count: usize, what: &str) -> Result<Vec<&'h [u8]>> {
    let given = block.split(|byte| *byte == 0).count();
    let mut strings: Vec<&[u8]> = room(given, what)?;
    match block {
        [] => {}
        [rest @ .., 0] => strings.extend(rest.split(|byte| *byte == 0)),
        _ => return refuse(format!("{what}: the last one is not followed by a NUL")),
    }
    if strings.len() != count {
        return refuse(format!(
            "{what}: {} are given, but the count says {count}",
            strings.len()
        ));
    }
    Ok(strings)
}

pub fn split_pairs<'h>(paths: &'h [u8], keys: &'h str, count: usize) -> Result<Vec<(&'h [u8], &'h str)>> {
    let paths = split(paths, count, "paths")?;
    let keys = split(keys.as_bytes(), count, "keys")?;
    let mut pairs = room(count, "matches")?;
    for (path, key) in paths.into_iter().zip(keys) {
        let key = std::str::from_utf8(key).map_err(|_| Error::new(Status::InvalidArgument, "a key is not UTF-8"))?;
        pairs.push((path, key));
    }
    Ok(pairs)
}

/// # Safety
/// As `plexindex_lookup_key()`.
#[inline]
pub unsafe fn lookup_key(handle: *const LibraryHandle, path: *const c_char) -> *const c_char {
    // SAFETY: the caller's promise.
    let library = unsafe { handle.cast::<Library>().as_ref() };
    let (Some(library), false) = (library, path.is_null()) else {
        return std::ptr::null();
    };
    // SAFETY: the caller's promise.
    let path = unsafe { CStr::from_ptr(path) }.to_bytes();
    library
        .lookup_key(path, |rating_key| keep_key([KEY_PREFIX, rating_key]))
        .unwrap_or(std::ptr::null())
}

pub fn lookup_keys(library: &Library, paths: &[u8], count: usize, keys: &mut Buffer) -> Result<Status> {
    if keys.data.is_null() && keys.capacity > 0 {
        return Err(null("keys.data"));
    }
    let room: &mut [u8] = if keys.data.is_null() {
        &mut []
    } else {
        // SAFETY: the caller says that so many bytes are there, and lends them for the call.
        unsafe { std::slice::from_raw_parts_mut(keys.data.cast(), keys.capacity.min(isize::MAX.unsigned_abs())) }
    };
    let mut used = 0;
    let mut answered = 0;
    let mut put = |piece: &[u8]| {
        if let Some(place) = room.get_mut(used..used + piece.len()) {
            place.copy_from_slice(piece);
        }
        used += piece.len();
    };
    let mut rest = paths;
    let mut seen = 0;
    let pieces = std::iter::from_fn(|| {
        let end = memchr(rest)?;
        let path = &rest[..end];
        rest = &rest[end + 1..];
        seen += 1;
        Some(path)
    });
    library.lookup_keys(pieces, |rating_key| {
        // A NUL within a key would shift all that follow. None is let in any more; an older store may hold one.
        if let Some(rating_key) = rating_key.filter(|key| !key.as_bytes().contains(&0)) {
            put(KEY_PREFIX.as_bytes());
            put(rating_key.as_bytes());
        }
        put(&[0]);
        answered += 1;
    });
    if seen != count || !rest.is_empty() {
        return refuse(format!(
            "paths: {seen} are followed by a NUL, but the count says {count}"
        ));
    }
    if answered != count {
        return Err(Error::new(
            Status::Panic,
            format!(
                "{answered} keys for {count} paths, which is a defect in plexindex: report it, and ask path by path"
            ),
        ));
    }
    keys.length = used;
    if used > keys.capacity {
        return Err(Error::new(
            Status::BufferTooSmall,
            format!(
                "the buffer has {} bytes, {used} are needed: enlarge it and call again",
                keys.capacity
            ),
        ));
    }
    Ok(Status::Ok)
}

fn memchr(bytes: &[u8]) -> Option<usize> {
    // CStr's search is the C library's, which is vectorised.
    CStr::from_bytes_until_nul(bytes).ok().map(CStr::count_bytes)
}

/// # Safety
/// `place` must be NULL or point to statistics whose size is set.
pub unsafe fn write_stats(opened: &Opened, place: *mut Stats) -> Result<()> {
    if place.is_null() {
        return Err(null("stats"));
    }
    // SAFETY: the first field is there in every version.
    let size = unsafe { place.cast::<usize>().read_unaligned() };
    if size < size_of::<usize>() || size > 1 << 20 {
        return refuse(format!("stats.size is {size}: set it to sizeof(plexindex_statistics)"));
    }
    let counted = opened.index().stats()?;
    let stats = Stats {
        size,
        answers: counted.answers,
        lookup_misses: counted.lookup_misses,
        stale_answers: counted.stale_answers,
        requests: counted.requests,
        bytes_received: counted.bytes_received,
        store_requests: counted.store_requests,
        store_answers: counted.store_answers,
        listings: counted.listings,
        network_us: counted.network_us,
        store_us: counted.store_us,
        image_us: counted.image_us,
        items: counted.items,
        matches: counted.matches,
        libraries: counted.libraries,
        disk_bytes: counted.disk_bytes,
        sequence: counted.sequence,
        events: counted.events,
        hints: counted.hints,
        parse_us: counted.parse_us,
        wait_us: counted.wait_us,
        match_us: counted.match_us,
        calls: counted.calls,
        calls_us: counted.calls_us,
        slow_calls: counted.slow_calls,
        failures: counted.failures,
    };
    // SAFETY: both sides know so many bytes; a larger struct of a newer caller keeps the rest as it was.
    unsafe {
        std::ptr::copy_nonoverlapping(
            std::ptr::from_ref(&stats).cast::<u8>(),
            place.cast::<u8>(),
            size.min(size_of::<Stats>()),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::SystemClock;
    use crate::model::{self, Item, Server};
    use crate::source::{Bounds, PageEnd, PageRequest, Source};

    /// A source that names an item by a key that none can have, between two good ones.
    struct Hostile;

    impl Source for Hostile {
        fn server(&self, _: Bounds<'_>) -> Result<Server> {
            Ok(Server {
                machine_identifier: "m".into(),
                version: "1".into(),
            })
        }

        fn libraries(&self, _: Bounds<'_>) -> Result<Vec<model::Library>> {
            Ok(vec![model::Library {
                section: "1".into(),
                uuid: "u".into(),
                title: "Movies".into(),
                kind: model::LibraryKind::Movie,
                ..model::Library::default()
            }])
        }

        fn page(&self, _: &PageRequest<'_>, _: Bounds<'_>, sink: &mut dyn FnMut(Item)) -> Result<PageEnd> {
            for (rating_key, part) in [("1", "/a"), ("2\0/library/metadata/3", "/b"), ("4", "/c")] {
                sink(Item {
                    rating_key: rating_key.into(),
                    parts: vec![part.into()],
                    ..Item::default()
                });
            }
            Ok(PageEnd {
                rows: 3,
                total: Some(3),
                offset: Some(0),
                ..PageEnd::default()
            })
        }

        fn items(&self, _: &[&str], _: Bounds<'_>) -> Result<Vec<Item>> {
            Ok(Vec::new())
        }

        fn after_fork(&self) {}
    }

    /// Without the quiet that a host gets: it would hide what other tests say.
    fn opened_in(folder: &std::path::Path) -> Opened {
        let options = options::Options {
            cache_dir: folder.to_owned(),
            ..options::Options::default()
        };
        Opened::over(Index::open(options).expect("opens"))
    }

    /// An index of that server.
    fn hostile(folder: &std::path::Path) -> Index {
        let options = options::Options {
            cache_dir: folder.to_owned(),
            server_url: Some("http://127.0.0.1:9".into()),
            ..options::Options::default()
        };
        Index::open_with(options, Arc::new(SystemClock), |_, _, _| Ok(Arc::new(Hostile) as _)).expect("opens")
    }

    #[test]
    fn handles_of_libraries_that_nobody_has_are_so_many_and_no_more() {
        let folder = tempfile::tempdir().expect("a folder");
        let opened = Opened::over(hostile(folder.path()));
        let ask = |number: usize| opened.library(Selector::Any(format!("Name {number}")));
        for number in 0..MOST_UNKNOWN {
            ask(number).expect("a handle");
        }
        let error = ask(MOST_UNKNOWN).expect_err("one too many");
        assert_eq!(error.status, Status::InvalidArgument);
        assert!(error.message.contains("Name 1024"), "{error}");
        // Those that were given out stay; libraries that are known always have one.
        assert_eq!(ask(0).expect("the same"), ask(0).expect("the same"));
        let movies = opened.index().library("Movies").expect("a handle");
        movies.match_path(b"/a").expect("listed");
        opened.library(Selector::Any("Movies".to_owned())).expect("a handle");
        opened.library(Selector::All).expect("a handle");
        opened.close().expect("closes");
    }

    #[test]
    fn a_child_gets_handles_though_a_thread_got_its_first_at_the_fork() {
        let folder = tempfile::tempdir().expect("a folder");
        let opened = opened_in(folder.path());
        let (say, said) = std::sync::mpsc::channel();
        let libraries = Arc::clone(&opened.libraries);
        let busy = std::thread::spawn(move || {
            let _known = libraries.known.lock();
            say.send(()).expect("heard");
            std::thread::sleep(Duration::from_millis(100));
        });
        said.recv().expect("it is held");
        // SAFETY: the child asks for a handle and ends at once; one that hangs is ended by its alarm.
        let state = unsafe {
            let child = libc::fork();
            assert!(child >= 0, "forked");
            if child == 0 {
                libc::alarm(10);
                libc::_exit(i32::from(opened.library(Selector::All).is_err()));
            }
            let mut state = 0;
            assert_eq!(libc::waitpid(child, &raw mut state, 0), child);
            state
        };
        assert_eq!(state, 0);
        busy.join().expect("no panic");
        opened.close().expect("closes");
    }

    #[test]
    fn a_key_with_a_nul_shifts_no_other_answer() {
        let folder = tempfile::tempdir().unwrap();
        let index = hostile(folder.path());
        let library = index.library("Movies").unwrap();
        let asked = |path: &[u8]| library.match_path(path).unwrap().candidates[0].item.rating_key.clone();
        assert_eq!((asked(b"/a"), asked(b"/c")), ("1".into(), "4".into()));

        let mut room = [0_u8; 256];
        let mut keys = Buffer {
            data: room.as_mut_ptr().cast(),
            capacity: room.len(),
            length: 0,
        };
        assert_eq!(lookup_keys(&library, b"/a\0/b\0/c\0", 3, &mut keys), Ok(Status::Ok));
        let length = keys.length;
        assert_eq!(&room[..length], b"/library/metadata/1\0\0/library/metadata/4\0");
    }
}
