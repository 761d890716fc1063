//! Roles, passwords and versions: what a host may do, and what it says if it may not.

use plexindex::error::Status;
use plexindex_sharing::SharedIndex;

use crate::cluster::alone;
use crate::support::worker::until;
use crate::world::{Host, World};

/// What preparing the tables fails with.
fn refused(host: &Host) -> (Status, String) {
    let error = host.index.shared_init().expect_err("refused");
    (error.status, error.message)
}

#[test]
fn one_of_many_hosts_makes_the_tables_and_a_newer_version_is_refused() {
    let Some(world) = World::new() else { return };
    let hosts: Vec<Host> = (0..8).map(|_| world.new_host(|_| {})).collect();
    std::thread::scope(|scope| {
        for host in &hosts {
            scope.spawn(|| host.index.shared_init().expect("prepared"));
        }
    });
    assert_eq!(world.database.sql("SELECT count(*) FROM plexindex_shared.meta"), "1");
    world.database.sql("UPDATE plexindex_shared.meta SET version = 2");
    let (status, message) = refused(&hosts[0]);
    assert_eq!(status, Status::ServerError);
    assert!(message.contains("upgrade plexindex on this host"), "{message}");
}

#[test]
fn a_role_needs_rights() {
    let Some(world) = World::new() else { return };
    let role = format!("poor_{}", world.database.name);
    world.database.sql(&format!("CREATE ROLE {role} LOGIN"));
    let poor = world.host_at(world.database.address(&role));
    poor.refresh();
    let (status, message) = refused(&poor);
    assert_eq!(status, Status::Forbidden);
    assert!(message.contains("plexindex shared init"), "{message}");
    let owner = world.host();
    owner.record("/mnt/odd.mkv", &world.key(5));
    owner.deliver();
    let (status, message) = refused(&poor);
    assert_eq!(status, Status::Forbidden);
    assert!(message.contains("GRANT USAGE ON SCHEMA plexindex_shared"), "{message}");
    // A role that may only read reads.
    world.database.sql(&format!(
        "GRANT USAGE ON SCHEMA plexindex_shared TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA plexindex_shared TO {role}"
    ));
    until("it is read", || poor.recorded("/mnt/odd.mkv").is_some());
    poor.record("/mnt/own.mkv", &world.key(6));
    until("the status says why", || {
        let status = poor.status();
        status
            .error
            .is_some_and(|error| error.contains("GRANT USAGE ON SCHEMA"))
            && status.undelivered == Some(1)
    });
    world.database.sql(&format!(
        "GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA plexindex_shared TO {role}"
    ));
    until("it is delivered", || owner.recorded("/mnt/own.mkv").is_some());
    drop(poor);
    world.database.sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[test]
fn failures_say_what_to_do() {
    let Some(world) = World::new() else { return };
    let nowhere = world
        .database
        .address("postgres")
        .replace(&world.database.name, "nowhere");
    for (address, status, part) in [
        (nowhere, Status::ServerError, "CREATE DATABASE \"nowhere\""),
        (
            world.database.address("stranger"),
            Status::Unauthorized,
            "role \"stranger\" exists",
        ),
        (
            "postgresql://u@127.0.0.1:1/d?sslmode=disable".into(),
            Status::Connect,
            "check that PostgreSQL is running",
        ),
        (
            "postgresql://u@no-such-host.invalid/d".into(),
            Status::Connect,
            "the host name is unknown",
        ),
    ] {
        let (found, message) = refused(&world.host_at(address));
        assert_eq!(found, status, "{message}");
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn passwords_come_from_a_passfile() {
    let Some(cluster) = alone() else { return };
    cluster.sql("postgres", "CREATE ROLE secret SUPERUSER LOGIN PASSWORD 's3cret:too'");
    cluster.allow("host all secret all scram-sha-256\nlocal all secret scram-sha-256");
    let world = World::over(cluster.database());
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pass");
    let address = format!("{}&passfile={}", world.database.address("secret"), file.display());
    let host = world.host_at(address);
    let set = |line: &str, mode: u32| {
        std::fs::write(&file, line).expect("written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(&file, mode).expect("set");
    };
    let (status, message) = refused(&host);
    assert_eq!(status, Status::Unauthorized);
    assert!(message.contains("add a line to"), "{message}");
    set("*:*:*:secret:wrong\n", 0o600);
    let (status, message) = refused(&host);
    assert_eq!(status, Status::Unauthorized);
    assert!(message.contains("check PGPASSWORD or the passfile"), "{message}");
    set("*:*:*:secret:s3cret\\:too\n", 0o644);
    assert_eq!(refused(&host).0, Status::Unauthorized, "others can read it");
    set("*:*:*:secret:s3cret\\:too\n", 0o600);
    host.index.shared_init().expect("connected");
}

/// What no host of any version writes.
#[test]
fn garbage_in_the_database_stops_no_host() {
    let Some(world) = World::new() else { return };
    let (one, two) = (world.host(), world.host());
    one.record("/mnt/odd.mkv", &world.key(5));
    world.exchange(&[&one, &two]);
    let library = world
        .server
        .change(|state| state.library(1).expect("there").uuid.clone());
    world.database.sql(&format!(
        "SELECT plexindex_shared.deliver(v.view, ARRAY[uuid], ARRAY[path::bytea], ARRAY[key], \
         ARRAY[row_number() OVER ()]::bigint[]) FROM plexindex_shared.views v, unnest(ARRAY['', '{library}', 'elsewhere']) uuid, \
         unnest(ARRAY['\\x00', '\\x6100', '\\xfffe', '\\x2f', '\\x2f2f', '\\x2f6d656469612f002e6d6b76']) path, \
         unnest(ARRAY[NULL, '', E'\\x01', '1', repeat('x', 1000)]) key"
    ));
    // The database takes no row that is larger than any host writes, or so late that nothing is later.
    for row in ["repeat('x', 2000), 1", "'1', 9223372036854775807"] {
        let statement = format!(
            "INSERT INTO plexindex_shared.matches (view, library, path, key, at, seq) SELECT view, '', 'x', {row}, 9999 \
             FROM plexindex_shared.views"
        );
        let mut psql = world.database.cluster.psql(&world.database.name);
        let done = psql.args(["-c", &statement]).output();
        assert!(!done.expect("started").status.success(), "{row}");
    }
    let three = world.host();
    two.record("/mnt/new.mkv", &world.key(6));
    world.exchange(&[&two, &one, &three]);
    for host in [&one, &two, &three] {
        assert_eq!(host.recorded("/mnt/odd.mkv"), Some(world.key(5)));
        assert_eq!(host.recorded("/mnt/new.mkv"), Some(world.key(6)));
    }
}
