//! Several hosts, one index: the log that they share, in `PostgreSQL` and in memory.

mod cluster;
mod contract;
mod postgres;
