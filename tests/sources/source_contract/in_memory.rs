//! An index over the source in memory, with a source between that may lie.

use std::ops::Deref;
use std::sync::Arc;

use plexindex::options::Options;

use crate::support::hooked::{Hooked, Lies};
use crate::support::index::{Index, Library, Match};
use crate::support::memory::{Films, Token};

/// Films in memory, and an index over them.
pub struct Place {
    films: Films,
    pub lies: Arc<Lies>,
    pub index: Index,
    pub library: Library,
}

impl Deref for Place {
    type Target = Films;

    fn deref(&self) -> &Films {
        &self.films
    }
}

impl Place {
    /// Nothing asked yet.
    pub fn new(token: Token, films: u32, lies: Lies, set: impl FnOnce(&mut Options)) -> Self {
        let mut films = Films::new(token, films);
        set(&mut films.options);
        let lies = Arc::new(lies);
        let index = films.open_over(|real| {
            Arc::new(Hooked {
                lies: Arc::clone(&lies),
                ..Hooked::new(real)
            })
        });
        let library = index.library("Movies").expect("a handle");
        Self {
            films,
            lies,
            index,
            library,
        }
    }

    pub fn ask(&self, path: &str) -> Match {
        self.library.ask(path.as_bytes())
    }
}
