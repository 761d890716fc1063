//! Several hosts, one index: the log that they share, in `PostgreSQL` and in memory.

mod cluster;
mod contract;
mod indexes;
mod postgres;
#[path = "../support/mod.rs"]
mod support;
