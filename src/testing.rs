//! Internals for tests, fuzz targets and benchmarks, exported under the feature `testing`. Not part of the API.

pub use crate::platform::failpoints as failpoint;
pub use crate::platform::failpoints::freeze_coarse_clock;

/// Index files, their readers, and the version page.
pub mod engine {
    pub use crate::engine::testing::*;
    pub use crate::model::{Sequence, TableId};
    pub use crate::platform::map::MapMode;
    pub use crate::platform::swap::SwapCell;
}

/// Path resolution.
pub mod matching {
    pub use crate::matching::normal::normal_form;
    pub use crate::matching::{
        FoldBuffers, FolderResolver, FoundItem, HitDoubt, ItemRef, MAX_BATCH, MAX_CANDIDATES, Mappings, NormalPath,
        ProposedMapping, Relation, Resolution, Resolver, Samples, Scope, SizeEvidence, lies_under,
    };
}

/// Parsers for server replies.
pub mod plex {
    pub use crate::source::plex::{parse_event_stream, reply_from_memory as reply};
}

/// The hash function that index files use.
pub use xxhash_rust::xxh3::xxh3_64;
