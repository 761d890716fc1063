//! The source in memory, with the library of the tests.

use crate::source_contract::rig::{FOLDER, TITLE};
use crate::support::memory::{Knobs, Memory};

/// A server in memory with the rig's library.
pub struct StandInSegments {
    pub memory: Memory,
    pub section: String,
}

impl StandInSegments {
    pub fn with(knobs: Knobs, films: u32) -> Self {
        let memory = Memory::new(knobs);
        let section = memory.add_library(TITLE, FOLDER);
        for number in 0..films {
            let title = format!("Film {number}");
            memory.add(&section, &title, &format!("{FOLDER}/{title}.mkv"));
        }
        memory.catch_up();
        Self { memory, section }
    }
}
