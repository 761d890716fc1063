//! Databases and folders that are restored from backups, and copied folders: the later record counts.

use plexindex_sharing::SharedIndex;

use crate::support::worker::until;
use crate::world::{Host, World, pair};

const ODD: &str = "/mnt/odd.mkv";

impl World {
    /// Takes a backup of the shared database.
    fn backup(&self) -> String {
        let from = &self.database.name;
        let name = format!("{from}_backup");
        let cluster = &self.database.cluster;
        // Otherwise hosts connect again at once, and a database in use is not copied.
        cluster.sql("postgres", &format!("ALTER DATABASE {from} ALLOW_CONNECTIONS false"));
        until("the backup is made", || {
            self.try_sql(&format!("CREATE DATABASE {name} TEMPLATE {from}"))
        });
        cluster.sql("postgres", &format!("ALTER DATABASE {from} ALLOW_CONNECTIONS true"));
        name
    }

    /// Puts a backup in place of the shared database.
    fn restore(&self, backup: &str) {
        let name = &self.database.name;
        until("the database is dropped", || {
            self.try_sql(&format!("DROP DATABASE {name} WITH (FORCE)"))
        });
        self.database
            .cluster
            .sql("postgres", &format!("ALTER DATABASE {backup} RENAME TO {name}"));
    }

    fn end_sessions(&self) {
        let statement = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'",
            self.database.name
        );
        self.database.cluster.sql("postgres", &statement);
    }

    fn try_sql(&self, statement: &str) -> bool {
        self.end_sessions();
        let done = self.database.cluster.psql("postgres").args(["-c", statement]).output();
        done.expect("started").status.success()
    }
}

/// Waits until all these hosts have this match.
fn wait_for(hosts: &[&Host], path: &str, key: Option<&String>) {
    for host in hosts {
        until("the hosts agree", || host.recorded(path).as_ref() == key);
    }
}

#[test]
fn a_correction_outlives_an_older_backup_of_the_database() {
    let Some((world, one, two)) = pair() else { return };
    let [mistake, right] = [world.key(5), world.key(6)];
    one.record(ODD, &mistake);
    two.record("/mnt/own.mkv", &mistake);
    world.exchange(&[&one, &two]);
    let backup = world.backup();
    let closed = two.end();
    one.movies.record_through(ODD.as_bytes(), &right).expect("delivered");
    one.movies.invalidate_path(b"/mnt/own.mkv").expect("invalidated");
    one.deliver();
    world.restore(&backup);
    // First the one that corrected, then the one that has the mistake.
    wait_for(&[&one], ODD, Some(&right));
    one.deliver();
    let two = world.open(closed.0, closed.1);
    wait_for(&[&one, &two], ODD, Some(&right));
    wait_for(&[&one, &two], "/mnt/own.mkv", None);
    let three = world.host();
    world.exchange(&[&one, &two, &three]);
    wait_for(&[&three], ODD, Some(&right));
}

#[test]
fn a_restored_database_that_others_have_written_past_is_noticed() {
    let Some((world, one, two)) = pair() else { return };
    let [first, second] = [world.key(5), world.key(6)];
    one.record(ODD, &first);
    world.exchange(&[&one, &two]);
    let backup = world.backup();
    for number in 0..3 {
        one.record(&format!("/mnt/lost/{number}.mkv"), &first);
    }
    world.exchange(&[&one, &two]);
    let closed = one.end();
    world.restore(&backup);
    let three = world.host();
    for number in 0..9 {
        three.record(&format!("/mnt/new/{number}.mkv"), &second);
        three.deliver();
    }
    let one = world.open(closed.0, closed.1);
    for number in 0..3 {
        wait_for(&[&one, &two, &three], &format!("/mnt/lost/{number}.mkv"), Some(&first));
    }
    for number in 0..9 {
        wait_for(&[&one, &two, &three], &format!("/mnt/new/{number}.mkv"), Some(&second));
    }
}

#[test]
fn hosts_that_record_during_a_restore_agree_on_the_later() {
    let Some((world, one, two)) = pair() else { return };
    let three = world.host();
    let hosts = [&one, &two, &three];
    let keys: Vec<String> = (0..9).map(|nth| world.key(nth)).collect();
    let path = |number: usize| format!("/mnt/odd/{}.mkv", number % 40);
    let mut last: Vec<Option<&String>> = vec![None; 40];
    for number in 0..120 {
        let key = &keys[number % keys.len()];
        hosts[number % 3].record(&path(number), key);
        last[number % 40] = Some(key);
    }
    world.exchange(&hosts);
    let backup = world.backup();
    std::thread::scope(|scope| {
        scope.spawn(|| world.restore(&backup));
        for number in 0..120 {
            let key = &keys[(number + 1) % keys.len()];
            hosts[number % 3].record(&path(number), key);
            last[number % 40] = Some(key);
        }
    });
    for (number, key) in last.iter().enumerate() {
        wait_for(&hosts, &path(number), *key);
    }
}

#[test]
fn a_copied_folder_is_another_host() {
    let Some((world, one, two)) = pair() else { return };
    world.exchange(&[&one, &two]);
    one.record(ODD, &world.key(5));
    let (options, folder) = one.end();
    let copied = crate::support::copy_of(&options.cache_dir);
    let mut copied_options = options.clone();
    copied.path().clone_into(&mut copied_options.cache_dir);
    let one = world.open(options, folder);
    let copy = world.open(copied_options, Some(copied));
    one.record("/mnt/one.mkv", &world.key(6));
    copy.record("/mnt/copy.mkv", &world.key(7));
    copy.record(ODD, &world.key(8));
    world.exchange(&[&one, &copy, &two]);
    for host in [&one, &copy, &two] {
        wait_for(&[host], "/mnt/one.mkv", Some(&world.key(6)));
        wait_for(&[host], "/mnt/copy.mkv", Some(&world.key(7)));
        wait_for(&[host], ODD, Some(&world.key(8)));
    }
}

#[test]
fn a_database_that_is_moved_or_new_gets_everything() {
    let Some((world, one, two)) = pair() else { return };
    one.record(ODD, &world.key(5));
    two.record("/mnt/two.mkv", &world.key(6));
    world.exchange(&[&one, &two]);
    two.movies.invalidate_path(b"/mnt/two.mkv").expect("invalidated");
    world.exchange(&[&one, &two]);
    let new = world.database.cluster.database().address("postgres");
    let hosts = [one, two].map(|host| world.reopened(host, |options| options.shared = Some(new.clone())));
    let three = world.host_with(|options| options.shared = Some(new));
    wait_for(&[&hosts[0], &hosts[1], &three], ODD, Some(&world.key(5)));
    for host in hosts.iter().chain([&three]) {
        host.index.shared_deliver().expect("delivered");
        wait_for(&[host], "/mnt/two.mkv", None);
    }
}

/// A new host reads more than a page, although only the last delivery still has its mark.
#[test]
fn many_rows_of_long_ago_are_read() {
    let Some((world, one, two)) = pair() else { return };
    let paths: Vec<String> = (0..5_000).map(|number| format!("/mnt/odd/{number}.mkv")).collect();
    one.movies.record_all(&paths, &world.key(5));
    world.exchange(&[&one, &two]);
    let old = "DELETE FROM plexindex_shared.marks m USING plexindex_shared.views v WHERE m.seq < v.seq";
    world.database.sql(old);
    let three = world.host();
    world.exchange(&[&three]);
    for path in paths.iter().step_by(499) {
        assert_eq!(three.recorded(path), Some(world.key(5)));
    }
}
