//! Several hosts, one index: the log that they share, in `PostgreSQL` and in memory.
#![cfg(feature = "shared")]

mod alike;
mod cluster;
mod contract;
mod cuts;
mod day;
mod deliveries;
mod disk;
mod first;
mod fixture;
mod full;
mod host;
mod indexes;
mod killed;
mod link;
mod memory;
mod names;
mod outages;
mod partition;
mod pooler;
mod postgres;
mod sizes;
#[path = "../support/mod.rs"]
mod support;
mod tls;
