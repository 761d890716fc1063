//! An index over the source in memory, with the library of the tests.

use std::sync::Arc;

use plexindex::options::Options;
use plexindex::source::Source;
use tempfile::TempDir;

use crate::source_contract::rig::{FOLDER, NOW_MS, TITLE};
use crate::support::hooked::{Hooked, Lies};
use crate::support::index::{Index, Library, ManualClock, Match};
use crate::support::memory::{Memory, Token};

/// A server in memory with the rig's library, and an index over it.
pub struct Place {
    pub memory: Memory,
    pub section: String,
    pub clock: Arc<ManualClock>,
    pub lies: Arc<Lies>,
    pub index: Index,
    pub library: Library,
    _folder: TempDir,
}

impl Place {
    /// Nothing asked yet.
    pub fn new(token: Token, films: u32, lies: Lies, set: impl FnOnce(&mut Options)) -> Self {
        let memory = Memory::new(token);
        let section = memory.add_library(TITLE, FOLDER);
        for number in 0..films {
            let title = format!("Film {number}");
            memory.add(&section, &title, &path(&title));
        }
        memory.catch_up();
        let (clock, lies) = (Arc::new(ManualClock::new(NOW_MS)), Arc::new(lies));
        let folder = tempfile::tempdir().expect("a folder");
        let mut options = Options {
            cache_dir: folder.path().to_owned(),
            server_url: Some("http://127.0.0.1:9".to_owned()),
            ..Options::default()
        };
        set(&mut options);
        let (server, told) = (memory.clone(), Arc::clone(&lies));
        let index = Index::open_with(options, Arc::clone(&clock) as _, |_, _, counters| {
            Ok(Arc::new(Hooked {
                real: server.source(counters),
                hook: Arc::new(|_, _| ()),
                lies: told,
            }) as Arc<dyn Source>)
        });
        let index = index.expect("opens");
        let library = index.library(TITLE).expect("a handle");
        Self {
            memory,
            section,
            clock,
            lies,
            index,
            library,
            _folder: folder,
        }
    }

    pub fn ask(&self, path: &str) -> Match {
        self.library.ask(path.as_bytes())
    }
}

pub fn path(name: &str) -> String {
    format!("{FOLDER}/{name}.mkv")
}
