//! Rendered pages, so that a second fetch costs no work.

use std::collections::{HashMap, VecDeque};
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

/// Pages by request; the oldest is evicted first.
#[derive(Default)]
pub(crate) struct Cache {
    pages: HashMap<String, Page>,
    order: VecDeque<String>,
    bytes: usize,
}

impl Cache {
    pub fn get(&self, key: &str) -> Option<Page> {
        self.pages.get(key).cloned()
    }

    pub fn put(&mut self, key: String, page: Page, limit: usize) {
        let size = page.body.len() + key.len() * 2;
        if size > limit {
            return;
        }
        while self.bytes + size > limit {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            if let Some(page) = self.pages.remove(&oldest) {
                self.bytes -= page.body.len() + oldest.len() * 2;
            }
        }
        if self.pages.insert(key.clone(), page).is_none() {
            self.order.push_back(key);
            self.bytes += size;
        }
    }
}
