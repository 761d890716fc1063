//! A database that is away, silent, read-only or full: hosts go on as if alone, say why, and lose nothing.

use std::time::{Duration, Instant};

use plexindex::error::{ErrorKind, Status};
use plexindex_sharing::SharedIndex;

use crate::cluster::alone;
use crate::link::Link;
use crate::support::worker::{database, until};
use crate::support::{HOUR_MS, path_of, requests};
use crate::world::{World, pair};

const ODD: &str = "/mnt/odd.mkv";
/// Far more than a call may lose, and far less than the timeout of a statement.
const SHORT: Duration = Duration::from_secs(2);

fn timed<R>(what: &str, call: impl FnOnce() -> R) -> R {
    let begun = Instant::now();
    let result = call();
    assert!(begun.elapsed() < SHORT, "{what}: {:?}", begun.elapsed());
    result
}

#[test]
fn a_silent_database_holds_up_nothing() {
    let Some(world) = World::new() else { return };
    let link = Link::to(&world.database);
    link.set_cut(true);
    let host = timed("opening", || world.host_at(link.address(&world.database.name)));
    timed("the first listing", || host.refresh());
    let key = world.key(5);
    timed("recording", || host.record(ODD, &key));
    world.clock.advance_ms(2 * HOUR_MS);
    let (path, _) = path_of(&world.server, 1, 5);
    assert!(timed("a lookup that is due", || host.movies.ask(&path)).item.is_some());
    timed("a path that is missing", || host.movies.ask("/mnt/missing.mkv"));
    timed("invalidating", || {
        host.movies.invalidate_item(&key).expect("invalidated");
    });
    timed("closing", || host.index.close().expect("closed"));
}

#[test]
fn a_host_says_that_the_database_is_away() {
    let Some(cluster) = alone() else { return };
    let world = World::over(cluster.database());
    let host = world.host();
    host.deliver();
    cluster.stop("fast");
    host.record(ODD, &world.key(5));
    let late = host.movies.query().through().record_match("/mnt/2.mkv", &world.key(6));
    let late = late.expect_err("it is not delivered");
    assert_eq!(late.status, Status::Timeout);
    assert!(late.message.contains("stored in this folder"), "{late}");
    until("the status says why", || {
        host.status().error_kind == Some(ErrorKind::Connect)
    });
    let status = host.status();
    assert_eq!((status.reachable, status.undelivered), (false, Some(2)));
    assert!(status.failing_since_ms.is_some());
    // An answer does not depend on the database.
    world.server.reset();
    world.clock.advance_ms(2 * HOUR_MS);
    host.refresh();
    assert!(requests(&world.server)[5] > 0);
    cluster.restart();
    host.deliver();
    assert_eq!(world.rows(), "2|0");
}

#[test]
fn a_link_that_goes_silent_within_a_delivery_holds_up_no_closing() {
    let Some(world) = World::new() else { return };
    let link = Link::to(&world.database);
    let host = world.host_at(link.address(&world.database.name));
    host.refresh();
    host.deliver();
    link.cut_after(0);
    host.record(ODD, &world.key(5));
    until("the link is cut", || link.is_cut());
    timed("closing", || host.index.close().expect("closed"));
}

#[test]
fn a_replica_is_read_and_then_promoted() {
    let Some(cluster) = alone() else { return };
    let world = World::over(cluster.database());
    let (one, two) = (world.host(), world.host());
    one.record(ODD, &world.key(5));
    world.exchange(&[&one, &two]);
    cluster.stop("fast");
    cluster.file("data/standby.signal", "");
    cluster.restart();
    one.record("/mnt/new.mkv", &world.key(6));
    until("the status says why", || {
        one.status().error.is_some_and(|error| error.contains("read-only"))
    });
    // A host that begins now reads what is there.
    let three = world.host();
    until("it is read", || three.recorded(ODD).is_some());
    cluster.pg_ctl(&["promote", "-w"]);
    until("it is delivered", || two.recorded("/mnt/new.mkv").is_some());
}

#[test]
fn a_full_disk_at_the_database_stops_no_reading() {
    let Some(world) = World::new() else { return };
    let (one, two) = (world.host(), world.host());
    world.exchange(&[&one, &two]);
    // What a full disk does to a write: of the role of the second host only.
    world.database.sql(
        "CREATE ROLE full_disk SUPERUSER LOGIN; CREATE FUNCTION public.full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ \
         BEGIN IF current_user = 'full_disk' THEN RAISE 'no space left on device' USING ERRCODE = '53100'; END IF; \
         RETURN NEW; END $$; \
         CREATE TRIGGER full_disk BEFORE INSERT ON plexindex_shared.matches FOR EACH ROW EXECUTE FUNCTION public.full_disk()",
    );
    let address = world.database.address("full_disk");
    let two = world.reopened(two, |options| options.shared = Some(address));
    two.record("/mnt/own.mkv", &world.key(5));
    one.record(ODD, &world.key(6));
    until("it is read", || two.recorded(ODD).is_some());
    let status = two.status();
    assert!(status.reachable && status.undelivered >= Some(1));
    assert!(status.error.is_some_and(|error| error.contains("free some space")));
    let waits = two.index.shared_deliver().expect_err("refused");
    assert!(waits.message.contains("no space left"), "{waits}");
    world.database.sql("DROP TRIGGER full_disk ON plexindex_shared.matches");
    until("it is delivered", || one.recorded("/mnt/own.mkv").is_some());
    until("nothing waits", || two.status().undelivered == Some(0));
    drop((one, two));
    world.database.sql("DROP OWNED BY full_disk; DROP ROLE full_disk");
}

/// A command that records and ends at once has delivered.
#[test]
fn closing_delivers() {
    let Some(world) = World::new() else { return };
    let (mut options, mut folder) = world.host().end();
    // Only if it connects within the time that closing may take.
    until("a closed host has delivered", || {
        let host = world.open(options.clone(), folder.take());
        host.record(ODD, &world.key(5));
        (options, folder) = host.end();
        world.rows() == "1|0"
    });
}

/// Others record and take back a lot meanwhile, and the database forgets what was taken back long ago.
#[test]
fn a_host_that_was_away_brings_nothing_back() {
    let Some((world, one, two)) = pair() else { return };
    let paths = |name: &str, count: usize| -> Vec<String> {
        (0..count).map(|number| format!("/mnt/{name}/{number}.mkv")).collect()
    };
    let (long_ago, kept, gone) = (paths("long ago", 40), paths("kept", 500), paths("gone", 500));
    one.movies.record_all(&long_ago, &world.key(5));
    one.movies.record_all(&gone, &world.key(6));
    world.exchange(&[&one, &two]);
    two.movies.invalidate_item(&world.key(5)).expect("invalidated");
    world.exchange(&[&two, &one]);
    let two_years = (730_i64 * 86_400 * 1_000_000) << 11;
    let earlier = format!("SET at = at - {two_years}");
    world
        .database
        .sql(&format!("UPDATE plexindex_shared.matches {earlier} WHERE key IS NULL"));
    let (options, folder) = two.end();
    let store = database(&options.cache_dir);
    assert_eq!(store.execute(&format!("UPDATE taken_back {earlier}"), []), Ok(41));
    drop(store);
    one.movies.record_all(&kept, &world.key(7));
    one.movies.invalidate_item(&world.key(6)).expect("invalidated");
    one.deliver();
    let old = "UPDATE plexindex_shared.marks SET made = made - interval '70 days'";
    world.database.sql(old);
    // A host that connects tidies.
    let three = world.host();
    until("it is tidied", || world.rows() == "500|501");
    let two = world.open(options, folder);
    let hosts = [&two, &one, &three];
    world.exchange(&hosts);
    for host in hosts {
        assert!(kept.iter().all(|path| host.recorded(path) == Some(world.key(7))));
        assert!(gone.iter().chain(&long_ago).all(|path| host.recorded(path).is_none()));
    }
    assert_eq!(world.rows(), "500|501");
}

#[test]
fn a_removal_is_forgotten_only_long_before_a_later_row() {
    let Some((world, one, two)) = pair() else { return };
    one.movies.invalidate_path(ODD).expect("invalidated");
    world.exchange(&[&one]);
    let two_years = (730_i64 * 86_400 * 1_000_000) << 11;
    let earlier = format!("UPDATE plexindex_shared.matches SET at = at - {two_years}");
    world.database.sql(&earlier);
    let three = world.host();
    world.exchange(&[&three]);
    assert_eq!(world.rows(), "0|1", "only clocks say that it was long ago");
    two.record("/mnt/new.mkv", &world.key(5));
    world.exchange(&[&two]);
    let _four = world.host();
    until("it is forgotten", || world.rows() == "1|0");
}

#[test]
fn a_row_that_the_database_refuses_holds_back_no_other() {
    let Some((world, one, two)) = pair() else { return };
    world.exchange(&[&one, &two]);
    let refuse = "ALTER TABLE plexindex_shared.matches ADD CHECK (path <> '/media/1.mkv')";
    until("there are tables", || one.status().reachable);
    world.database.sql(refuse);
    let paths: Vec<String> = (0..3).map(|number| format!("/mnt/{number}.mkv")).collect();
    one.movies.record_all(&paths, &world.key(5));
    one.record("/mnt/3.mkv", &world.key(5));
    world.exchange(&[&one, &two]);
    let expected = [0, 2, 3].map(|number| format!("/mnt/{number}.mkv"));
    assert!(expected.iter().all(|path| two.recorded(path) == Some(world.key(5))));
    assert_eq!(one.recorded(&paths[1]), Some(world.key(5)));
    assert_eq!(two.recorded(&paths[1]), None);
}

/// A host that was away has a mistake. Another one corrected it, before the database was lost, and a backup was restored on
/// another machine, where others have recorded since.
#[test]
fn a_correction_outlives_an_older_backup_that_others_have_written_past() {
    let Some((mut world, one, two)) = pair() else { return };
    let [mistake, right] = [world.key(5), world.key(6)];
    one.record(ODD, &mistake);
    two.record("/mnt/own.mkv", &mistake);
    world.exchange(&[&one, &two]);
    let backup = world.backup();
    let two = two.end();
    one.movies
        .query()
        .through()
        .record_match(ODD, &right)
        .expect("delivered");
    one.movies.invalidate_path("/mnt/own.mkv").expect("invalidated");
    one.record("/mnt/lost.mkv", &mistake);
    one.deliver();
    world.database.name = backup;
    let three = world.host();
    for number in 0..9 {
        three.record(&format!("/mnt/new/{number}.mkv"), &right);
        three.deliver();
    }
    // First the one that corrected, then the one that has the mistake.
    let [one, two] = [one.end(), two].map(|(mut options, folder)| {
        options.shared.clone_from(&three.options.shared);
        let host = world.open(options, folder);
        host.deliver();
        host
    });
    let hosts = [&one, &two, &three];
    world.exchange(&hosts);
    for host in hosts {
        let recorded = [ODD, "/mnt/lost.mkv", "/mnt/new/8.mkv", "/mnt/own.mkv"].map(|path| host.recorded(path));
        assert_eq!(
            recorded,
            [Some(&right), Some(&mistake), Some(&right), None].map(Option::<&String>::cloned)
        );
    }
}
