//! Validates the options and mappings from C, and tracks the host's callbacks on each thread, since a callback must not
//! close its own index.

use std::cell::Cell;
use std::ffi::c_void;
use std::mem::offset_of;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::Duration;

use plexindex::error::{Error, Result, Status, check_length, invalid_argument_error};
use plexindex::inside::{call_host, path_from_bytes};
use plexindex::model::Token;
use plexindex::options::MappingKind::{HostToServer, ServerToHost};
use plexindex::options::{self, Renewal, Ttl};
use zeroize::Zeroize;

use super::constants as c;
use super::strings::{LONGEST_TOKEN, check_flags, check_reserved, copy_struct, decode_utf8, null_error};
use super::types::{self, Buffer, Handle, OptionsRecord, RenewTokenFn};

/// Validated options.
pub struct CheckedOptions {
    pub options: options::Options,
    pub log_level: i32,
    pub handle_after_open: Arc<AtomicPtr<Handle>>, // which plexindex_open() sets, so that callbacks know their index
}

/// Converts milliseconds, and fails if they are negative. `what` is the option's name and `alternatives` lists other
/// allowed values, both for the error message.
pub fn non_negative_millis(ms: i64, what: &str, alternatives: &str) -> Result<Duration> {
    match u64::try_from(ms) {
        Ok(ms) => Ok(Duration::from_millis(ms)),
        Err(_) => invalid_argument_error(format!(
            "{what} is {ms}, but must be a positive number of milliseconds, {alternatives}"
        )),
    }
}

/// Converts milliseconds; 0 means `default`. `what` is the option's name for the error message. `alternative` mentions a
/// constant that the option allows, which the caller has handled.
fn or_default(ms: i64, default: Duration, what: &str, alternative: &str) -> Result<Duration> {
    let duration = non_negative_millis(ms, what, &format!("or 0 for {} s{alternative}", default.as_secs()))?;
    Ok(if duration.is_zero() { default } else { duration })
}

/// Converts a time to live; 0 means the default of one hour. `what` is the option's name for the error message.
pub fn ttl(ms: i64, what: &str) -> Result<Ttl> {
    match ms {
        0 => Ok(options::Options::default().library_ttl),
        c::PLEXINDEX_TTL_AT_ONCE => Ok(Ttl::Zero),
        c::PLEXINDEX_TTL_NEVER => Ok(Ttl::Forever),
        ms => {
            non_negative_millis(ms, what, "0 for one hour, PLEXINDEX_TTL_AT_ONCE or PLEXINDEX_TTL_NEVER").map(Ttl::For)
        }
    }
}

/// Returns a token as a string without copying it, since plexindex would have to erase a copy. Fails if it is not
/// UTF-8; the error contains the argument's name `what`, but not the token.
pub fn token_text<'t>(token: &'t [u8], what: &str) -> Result<&'t str> {
    std::str::from_utf8(token).map_err(|_| {
        Error::new(
            Status::InvalidArgument,
            format!("{what} is not UTF-8; copy the token again"),
        )
    })
}

/// Validates and converts the options from C, which can be of any version of the header.
///
/// # Safety
/// `given` must be NULL or valid.
#[allow(clippy::too_many_lines)] // converts one field after another
pub unsafe fn options(given: *const OptionsRecord) -> Result<CheckedOptions> {
    // The pattern has no `..`, so a new field that this function does not handle is a compile error. The smallest valid
    // struct ends before `server_url`. SAFETY: guaranteed by the caller.
    let OptionsRecord {
        size: _,
        cache_dir,
        server_url,
        token,
        user,
        ca_file,
        library_ttl_ms,
        max_age_ms,
        timeout_ms,
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
        size_limit,
        database,
        renew_token,
        renew_token_user,
        shared,
        stale_answer_timeout_ms,
    } = unsafe { copy_struct(given, offset_of!(OptionsRecord, server_url), "options") }?;
    let known = c::PLEXINDEX_OPEN_OFFLINE
        | c::PLEXINDEX_OPEN_ACCEPT_INVALID_CERTS
        | c::PLEXINDEX_OPEN_NO_MMAP
        | c::PLEXINDEX_OPEN_OBFUSCATE_PATHS
        | c::PLEXINDEX_OPEN_SHARED_DURABLE;
    check_flags(flags, reserved, known, "options")?;
    let default = options::Options::default();
    check_length("options.token", token.length, LONGEST_TOKEN)?;
    // SAFETY: guaranteed by the caller.
    let (cache_dir, server_url, token, user, ca_file, database, shared) = unsafe {
        (
            cache_dir.path("options.cache_dir")?,
            server_url.text("options.server_url")?,
            token_text(token.get("options.token")?, "options.token")?,
            user.text("options.user")?,
            ca_file.path("options.ca_file")?,
            database.path("options.database")?,
            shared.text("options.shared")?,
        )
    };
    let files = [("cache_dir", cache_dir), ("ca_file", ca_file), ("database", database)];
    if let Some((name, _)) = files.iter().find(|(_, file)| file.contains(&0)) {
        return invalid_argument_error(format!("{name} contains a NUL byte, which file names cannot contain"));
    }
    // SAFETY: guaranteed by the caller.
    let mappings = unsafe { self::mappings(mappings, mappings_count) }?;
    let handle_after_open = Arc::<AtomicPtr<Handle>>::default();
    let library_ttl = ttl(library_ttl_ms, "library_ttl_ms")?;
    let timeout = match timeout_ms {
        0 | c::PLEXINDEX_NO_TIMEOUT => None,
        ms => Some(non_negative_millis(
            ms,
            "options.timeout_ms",
            "or PLEXINDEX_NO_TIMEOUT",
        )?),
    };
    Ok(CheckedOptions {
        options: options::Options {
            cache_dir: path_from_bytes(cache_dir),
            server_url,
            database: (!database.is_empty()).then(|| path_from_bytes(database)),
            token: Token::new(token),
            renewal: renew_token.map(|call| renewal(call, renew_token_user, Arc::clone(&handle_after_open))),
            user,
            library_ttl,
            max_age: or_default(max_age_ms, default.max_age, "max_age_ms", "")?,
            timeout,
            connect_timeout: or_default(connect_timeout_ms, default.connect_timeout, "connect_timeout_ms", "")?,
            read_timeout: or_default(read_timeout_ms, default.read_timeout, "read_timeout_ms", "")?,
            stale_answer_timeout: or_default(
                stale_answer_timeout_ms,
                default.stale_answer_timeout,
                "stale_answer_timeout_ms",
                "",
            )?,
            retry_for: match retry_ms {
                c::PLEXINDEX_NO_RETRY => Duration::ZERO,
                ms => or_default(ms, default.retry_for, "retry_ms", ", or PLEXINDEX_NO_RETRY")?,
            },
            ca_file: (!ca_file.is_empty()).then(|| path_from_bytes(ca_file)),
            accept_invalid_certs: flags & c::PLEXINDEX_OPEN_ACCEPT_INVALID_CERTS != 0,
            offline: flags & c::PLEXINDEX_OPEN_OFFLINE != 0,
            page_size: if page_size == 0 { default.page_size } else { page_size },
            matches_limit: (matches_limit > 0).then_some(matches_limit),
            size_limit: (size_limit > 0).then_some(size_limit),
            no_mmap: flags & c::PLEXINDEX_OPEN_NO_MMAP != 0,
            mappings,
            slow: match slow_ms {
                c::PLEXINDEX_NEVER_SLOW => None,
                ms => Some(or_default(
                    ms,
                    Duration::from_secs(1),
                    "slow_ms",
                    ", or PLEXINDEX_NEVER_SLOW",
                )?),
            },
            obfuscate_paths: flags & c::PLEXINDEX_OPEN_OBFUSCATE_PATHS != 0,
            shared,
            shared_durable: flags & c::PLEXINDEX_OPEN_SHARED_DURABLE != 0,
        },
        log_level,
        handle_after_open,
    })
}

/// Wraps the host's callback `call`, which writes a new token to a buffer. `user` is the host's pointer for it, and
/// `opened` contains the handle once the index is open, so that the callback cannot close its own index.
fn renewal(call: RenewTokenFn, user: *mut c_void, opened: Arc<AtomicPtr<Handle>>) -> Renewal {
    struct User(*mut c_void);
    // SAFETY: the header says that the function runs on the threads that make calls.
    unsafe impl Send for User {}
    // SAFETY: the header says that the function runs on the threads that make calls.
    unsafe impl Sync for User {}
    let user = User(user);
    // SAFETY: the types differ only in "unwind": the host may end its thread in the callback, see `call_host`.
    let call: unsafe extern "C-unwind" fn(*mut c_void, *mut Buffer) -> i32 = unsafe { std::mem::transmute(call) };
    Renewal::new(move || {
        let user = &user;
        let mut bytes = vec![0; LONGEST_TOKEN];
        let mut buffer = Buffer {
            data: bytes.as_mut_ptr().cast(),
            capacity: bytes.len(),
            length: 0,
        };
        let output = &raw mut buffer;
        // SAFETY: the host supplied this function as its callback; the buffer outlives the call.
        let status = call_host_for(opened.load(Ordering::Relaxed), || unsafe { call(user.0, output) });
        // A failed callback, or a length beyond the buffer, means that there is no new token.
        let given = bytes.get(..buffer.length).filter(|_| status == 0);
        let token = given.and_then(|given| Token::new(std::str::from_utf8(given).ok()?));
        if status == 0 && token.is_none() {
            log::warn!("renew_token returned 0 without a token; write the token and its length, or return 1");
        }
        // Leave no copy of the token in freed memory.
        bytes.zeroize();
        token
    })
}

/// Validates and converts the mappings from C, in order.
///
/// # Safety
/// `given` must be NULL or point to `count` mappings.
unsafe fn mappings(given: *const types::MappingRecord, count: usize) -> Result<Vec<options::Mapping>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    if given.is_null() {
        return Err(null_error("options.mappings"));
    }
    if count > 10_000 {
        return invalid_argument_error(format!("options.mappings_count must be at most 10000, not {count}"));
    }
    (0..count)
        .map(|index| {
            // SAFETY: guaranteed by the caller; a pointer from another language may be misaligned.
            let rule = unsafe { given.add(index).read_unaligned() };
            let name = format!("options.mappings[{index}]");
            check_reserved(rule.reserved, &name)?;
            // SAFETY: guaranteed by the caller.
            let (from, to) = unsafe { (rule.from.path(&name)?, rule.to.path(&name)?) };
            let pattern =
                || decode_utf8(from, &format!("{name}.from")).map(|text| options::Pattern::Regex(text.to_owned()));
            let prefix = || options::Pattern::Prefix(from.to_vec());
            let (kind, from) = match rule.kind {
                c::PLEXINDEX_MAPPING_HOST_PREFIX => (HostToServer, prefix()),
                c::PLEXINDEX_MAPPING_HOST_PATTERN => (HostToServer, pattern()?),
                c::PLEXINDEX_MAPPING_SERVER_PREFIX => (ServerToHost, prefix()),
                c::PLEXINDEX_MAPPING_SERVER_PATTERN => (ServerToHost, pattern()?),
                other => {
                    return invalid_argument_error(format!(
                        "{name}.kind must be one of PLEXINDEX_MAPPING_*, not {other}"
                    ));
                }
            };
            // `Mapping::pattern` accepts only a regular expression, so replace `from` afterwards.
            let mut mapping = options::Mapping::pattern(kind, "", to);
            mapping.from = from;
            Ok(mapping)
        })
        .collect()
}

/// A running callback, in a linked list from the innermost callback to the outermost.
struct RunningCallback {
    handle: *const Handle,
    outer: *const RunningCallback,
}

// The thread-local has no destructor; `guard` explains why.
thread_local! {
    static INNERMOST: Cell<*const RunningCallback> = const { Cell::new(std::ptr::null()) };
}

/// Calls a function of the host, in a callback for the index `handle`, and returns its result. During the call,
/// [`is_in_callback`] returns `true` for `handle` on this thread, so that plexindex_close() fails. `call` must not
/// unwind, since the list of running callbacks refers to this stack frame.
pub fn call_host_for<R>(handle: *const Handle, call: impl FnOnce() -> R) -> R {
    let this_callback = RunningCallback {
        handle,
        outer: INNERMOST.get(),
    };
    INNERMOST.set(&raw const this_callback);
    let result = call_host(call);
    INNERMOST.set(this_callback.outer);
    result
}

/// Returns whether this thread is in a callback of the index `handle`, possibly within another index's callback.
pub fn is_in_callback(handle: *const Handle) -> bool {
    let mut next = INNERMOST.get();
    // SAFETY: each `RunningCallback` is in a stack frame of this thread that has not returned.
    while let Some(running) = unsafe { next.as_ref() } {
        if running.handle == handle {
            return true;
        }
        next = running.outer;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values that the header names.
    #[test]
    fn zeros_mean_the_defaults() {
        // SAFETY: numbers and pointers, for which zero is a value.
        let zeros = unsafe { std::mem::zeroed::<OptionsRecord>() };
        let record = OptionsRecord {
            size: size_of::<OptionsRecord>(),
            ..zeros
        };
        // SAFETY: all of it is there.
        let Ok(CheckedOptions { options, .. }) = (unsafe { options(&raw const record) }) else {
            panic!("zeros are options");
        };
        let seconds = Duration::from_secs;
        assert_eq!(options.library_ttl, Ttl::For(seconds(3600)));
        assert_eq!(options.max_age, seconds(24 * 3600));
        assert_eq!(options.timeout, None);
        assert_eq!(options.connect_timeout, seconds(5));
        assert_eq!(options.read_timeout, seconds(60));
        assert_eq!(options.stale_answer_timeout, seconds(2));
        assert_eq!(options.retry_for, seconds(30));
        assert_eq!(options.page_size, 1000);
        assert_eq!(options.matches_limit, None);
        assert_eq!(options.size_limit, None);
        assert_eq!(options.slow, Some(seconds(1)));
        assert_eq!(options.user, None);
    }
}
