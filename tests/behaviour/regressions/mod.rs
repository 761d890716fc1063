//! Defects that were found once: each test reproduces one, and asserts what holds instead. A defect in what another file of
//! `tests/` is about has its test there.

mod answers;
mod freshness;
