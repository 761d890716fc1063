//! An index over a source in memory, which may be late, dishonest and busy as no server of a test can be.

mod in_memory;
mod knobs;
mod liars;
