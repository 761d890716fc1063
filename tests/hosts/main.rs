//! Several hosts, one database: what one of them records counts on all.

mod cluster;
mod connecting;
mod day;
mod histories;
mod link;
mod outages;
mod pooler;
mod recording;
mod tls;
mod upgrading;
mod world;

use plexindex_tests as support;

#[test]
#[ignore = "played by the other tests, as another process"]
fn worker() {
    support::worker::play(&[histories::ROLES]);
}
