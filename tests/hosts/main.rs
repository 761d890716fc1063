//! Several hosts, one index: the log that they share, in `PostgreSQL` and in memory.

mod alike;
mod cluster;
mod contract;
mod cuts;
mod day;
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
mod shared_faults;
#[cfg(unix)]
mod shared_fork;
mod shared_histories;
mod shared_index;
mod sizes;
mod tls;

use plexindex_tests as support;
