//! Rendered pages, so that a second fetch costs no work.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::containers::Window;

/// gzip at the level that servers use for speed.
pub(crate) fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 6 + 64), Compression::fast());
    // Writing to a vector does not fail.
    let _ = encoder.write_all(body);
    encoder.finish().unwrap_or_default()
}

/// A rendered page.
#[derive(Clone)]
pub(crate) struct Page {
    pub body: Arc<Vec<u8>>,
    pub gzip: bool,
    pub window: Option<Window>,
}

/// Most bytes that are kept.
const LIMIT: usize = 4 << 30;

/// Pages by request.
#[derive(Default)]
pub(crate) struct Cache {
    pages: HashMap<String, Page>,
    bytes: usize,
}

impl Cache {
    pub fn get(&self, key: &str) -> Option<Page> {
        self.pages.get(key).cloned()
    }

    pub fn put(&mut self, key: String, page: Page) {
        if self.bytes > LIMIT {
            *self = Self::default();
        }
        self.bytes += page.body.len() + key.len();
        self.pages.insert(key, page);
    }
}
