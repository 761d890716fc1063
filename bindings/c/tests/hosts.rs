//! A host of several as a C program: it loads the library, exchanges through `PostgreSQL`, forks, and lets the library
//! go.
#![cfg(all(feature = "shared", target_os = "linux", target_env = "gnu"))]

#[path = "../../../tests/hosts/cluster.rs"]
mod cluster;

use std::process::Command;

use crate::compile::{compile, library, repository, run};
use plexindex_standin::{LibrarySpec, Standin};

#[test]
fn the_library_goes_after_an_exchange_and_a_fork() {
    let Some(cluster) = cluster::shared() else {
        return;
    };
    let database = cluster.database();
    let movies = LibrarySpec::movies(200).plain().title("Movies");
    let server = Standin::builder().library(movies).serve();
    let (key, path) = server.paths(1).swap_remove(5);
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("reload");
    let flags = ["-rdynamic", "-ldl", "-lpthread"];
    compile("c11", &repository("tests/hosts/reload.c"), &program, &flags);
    let mut command = Command::new(&program);
    command.args([server.url(), server.token()]).arg(folder.path());
    command.arg(library()).arg(database.address("postgres"));
    command.arg(path.expect("it has a file")).arg(key.to_string());
    let done = run(&mut command, "the program");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    // All that it recorded is there: twice in each of 12 rounds, and by the child in 8.
    assert_eq!(database.sql("SELECT count(key) FROM plexindex_shared.matches"), "32");
}
