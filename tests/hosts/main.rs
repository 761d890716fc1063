//! Several hosts, one index: the log that they share, in `PostgreSQL` and in memory.

mod cluster;
mod contract;
mod cuts;
mod day;
mod fixture;
mod host;
mod link;
mod names;
mod outages;
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
