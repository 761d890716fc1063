//! A pooler in transaction mode between hosts and `PostgreSQL`: each transaction may have another session, and
//! notifications are dropped.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::cluster::{Cluster, as_nobody, shared};
use crate::support::worker::until;
use crate::world::World;

/// A running pgbouncer, before all databases of a cluster.
struct Pooler(Child);

impl Pooler {
    fn start(cluster: &Cluster) -> Option<Self> {
        let places = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"];
        let Some(program) = places.into_iter().find(|file| Path::new(file).is_file()) else {
            assert!(
                std::env::var_os("CI").is_none(),
                "pgbouncer is not installed: apt-get install pgbouncer"
            );
            eprintln!("the tests of a pooler are skipped: pgbouncer is not installed");
            return None;
        };
        let (folder, port) = (cluster.folder().display(), cluster.port);
        let settings = format!(
            "[databases]\n* = host={folder} port={port} user=postgres\n[pgbouncer]\npool_mode = transaction\n\
             auth_type = any\nlisten_port = 6432\nunix_socket_dir = {folder}\ndefault_pool_size = 2\n"
        );
        let settings = cluster.file("pgbouncer.ini", &settings);
        let mut command = as_nobody(program);
        command.arg("--quiet").arg(settings).stdin(Stdio::null());
        let pooler = Self(command.spawn().expect("started"));
        let socket = cluster.folder().join(".s.PGSQL.6432");
        until("pgbouncer starts", || UnixStream::connect(&socket).is_ok());
        Some(pooler)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.0.kill().expect("ended");
        self.0.wait().expect("ended");
    }
}

#[test]
fn hosts_behind_a_pooler_agree() {
    let Some(cluster) = shared() else { return };
    let Some(_pooler) = Pooler::start(cluster) else { return };
    let world = World::over(cluster.database());
    let address = format!(
        "postgresql://postgres@:6432/{}?host={}",
        world.database.name,
        cluster.folder().display()
    );
    let hosts = [(); 3].map(|()| world.host_with(|options| options.shared = Some(address.clone())));
    for round in 0..6 {
        let path = format!("/mnt/odd/{round}.mkv");
        hosts[round % 3].record(&path, &world.key(round));
        let begun = Instant::now();
        until("all have it", || {
            hosts.iter().all(|host| host.recorded(&path).is_some())
        });
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
}
