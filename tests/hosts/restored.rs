//! Databases and folders that are restored from backups, and copied folders: the later record counts.

use plexindex_sharing::SharedIndex;

use crate::support::worker::until;
use crate::world::{Host, World, pair};

const ODD: &str = "/mnt/odd.mkv";

impl World {
    /// Takes a backup of the shared database.
    fn backup(&self) -> String {
        let name = &self.database.name;
        // Otherwise hosts connect again at once, and a database in use is not copied.
        for statement in [
            format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"),
            format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"),
            format!("CREATE DATABASE {name}_backup TEMPLATE {name}"),
            format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"),
        ] {
            self.database.cluster.sql("postgres", &statement);
        }
        format!("{name}_backup")
    }

    /// Puts a backup in place of the shared database.
    fn restore(&self, backup: &str) {
        let name = &self.database.name;
        for statement in [
            format!("DROP DATABASE {name} WITH (FORCE)"),
            format!("ALTER DATABASE {backup} RENAME TO {name}"),
        ] {
            self.database.cluster.sql("postgres", &statement);
        }
    }
}

/// Waits until all these hosts have this match.
fn wait_for(hosts: &[&Host], path: &str, key: Option<&String>) {
    for host in hosts {
        until("the hosts agree", || host.recorded(path).as_ref() == key);
    }
}

/// A host that was away has a mistake, which others corrected and took back before the restore, and recorded past it since.
#[test]
fn a_correction_outlives_an_older_backup_that_others_have_written_past() {
    let Some((world, one, two)) = pair() else { return };
    let [mistake, right] = [world.key(5), world.key(6)];
    one.record(ODD, &mistake);
    two.record("/mnt/own.mkv", &mistake);
    world.exchange(&[&one, &two]);
    let backup = world.backup();
    let two = two.end();
    one.movies.record_through(ODD.as_bytes(), &right).expect("delivered");
    one.movies.invalidate_path(b"/mnt/own.mkv").expect("invalidated");
    one.record("/mnt/lost.mkv", &mistake);
    one.deliver();
    let one = one.end();
    world.restore(&backup);
    let three = world.host();
    let new = |number: usize| format!("/mnt/new/{number}.mkv");
    for number in 0..9 {
        three.record(&new(number), &right);
        three.deliver();
    }
    // First the one that corrected, then the one that has the mistake.
    let one = world.open(one.0, one.1);
    wait_for(&[&one], ODD, Some(&right));
    one.deliver();
    let two = world.open(two.0, two.1);
    let hosts = [&one, &two, &three];
    wait_for(&hosts, ODD, Some(&right));
    wait_for(&hosts, "/mnt/own.mkv", None);
    wait_for(&hosts, "/mnt/lost.mkv", Some(&mistake));
    (0..9).for_each(|number| wait_for(&hosts, &new(number), Some(&right)));
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
