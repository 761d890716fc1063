//! The source in memory, at three places of its knobs.

use std::sync::Arc;
use std::time::Duration;

use plexindex::source::{Meter, Source};

use crate::source_contract::rig::{FOLDER, Failure, Rig, TITLE};
use crate::support::memory::{Fault, Knobs, Memory};

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
            memory.add(
                &section,
                &format!("Film {number}"),
                &format!("{FOLDER}/Film {number}.mkv"),
            );
        }
        memory.catch_up();
        Self { memory, section }
    }
}

macro_rules! rig {
    ($name:ident, $knobs:expr) => {
        pub struct $name(StandInSegments);

        impl Rig for $name {
            fn new(films: u32) -> Self {
                Self(StandInSegments::with($knobs, films))
            }

            fn source(&self, meter: Arc<dyn Meter>) -> Arc<dyn Source> {
                self.0.memory.source(meter)
            }

            fn paths(&self) -> Vec<(String, String)> {
                crate::source_contract::rig::sorted(&self.0.memory.items(&self.0.section))
            }

            fn add(&self, title: &str, path: &str) -> String {
                self.0.memory.add(&self.0.section, title, path)
            }

            fn remove(&self, keys: &[String]) {
                for key in keys {
                    self.0.memory.remove(&self.0.section, key);
                }
            }

            fn rename(&self, key: &str, path: &str) {
                self.0.memory.rename(&self.0.section, key, path);
            }

            fn fail(&self, failure: Failure) -> bool {
                self.0.memory.fail(Some(match failure {
                    Failure::Down => Fault::Down,
                    Failure::Starting => Fault::Starting,
                    Failure::Unauthorized => Fault::Unauthorized,
                    Failure::Forbidden => Fault::Forbidden,
                    Failure::CutOff => Fault::CutAfter(3),
                    Failure::DownAfterTwoPages => {
                        self.0.memory.take_requests();
                        Fault::DownAfterPages(2)
                    }
                    Failure::Slow => Fault::Slow(Duration::from_secs(60)),
                }));
                true
            }

            fn heal(&self) {
                self.0.memory.fail(None);
            }

            fn section_that_is_not_there(&self) -> String {
                "00000000000000000000000000000000".to_owned()
            }

            fn notification(&self, section: &str, key: &str) -> String {
                format!("{{\"section\":\"{section}\",\"changed\":\"{key}\"}}")
            }
        }
    };
}

rig!(Best, Knobs::BEST);
rig!(Usual, Knobs::USUAL);
rig!(Bare, Knobs::BARE);
