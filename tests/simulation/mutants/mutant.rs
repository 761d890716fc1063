//! In a copy of the tree only, where all patches are applied: which of the defects is back.

use std::sync::LazyLock;

/// Whether it is this one.
pub fn is(name: &str) -> bool {
    static NAME: LazyLock<String> = LazyLock::new(|| std::env::var("PLEXINDEX_MUTANT").unwrap_or_default());
    *NAME == name
}
