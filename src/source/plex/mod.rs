//! The Plex HTTP API as a `Source`.
//!
//! The client sends requests one by one, and requests JSON with only the fields that plexindex stores. `plex_http`
//! contains the state of a server, and `base_url` its URL. `readers` is the source: it requests libraries, rows and items.
//! `send` builds requests and sends them, with retries; `transport` connects, with `tls`. `replies` reads and parses replies,
//! whose JSON `json` reads. `events` receives and parses events, and `errors` explains failures.
//!
//! The client starts no thread: the calling thread resolves names, connects and reads replies.

mod base_url;
mod errors;
mod events;
mod json;
mod plex_http;
mod readers;
mod replies;
mod send;
#[cfg(feature = "tls")]
mod tls;
mod transport;

#[cfg(feature = "testing")]
pub use self::events::parse_event_stream;
pub use self::plex_http::{CheckedServer, PlexHttp, check_token};
#[cfg(feature = "testing")]
pub use self::replies::reply_from_memory;
pub use self::replies::{Reply, ReplyKind};
pub(in crate::source) use self::replies::{make_uuids_unique, push_file, push_unique};
use self::send::KEY_PREFIX;
pub(in crate::source) use self::send::item_types_with_files;
pub use self::send::{Rows, RowsRequest};
#[cfg(feature = "tls")]
pub use self::tls::{NamedCertificates, Verifier};
use super::contract::SourceKind;

/// The constants of this kind of source.
pub static KIND: SourceKind = SourceKind {
    name: "Plex",
    noun: "the server",
    empty_hint: "check the server's URL, and whether the token's user is allowed to see any library",
    key_prefix: KEY_PREFIX,
    is_rating_key: replies::is_rating_key,
    parse_notification: events::parse_notification,
    enabling_option_advice: None,
};
