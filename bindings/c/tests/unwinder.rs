//! Panics in a shared object of ours: it is not linked with the system's unwinder, and loads it with the first panic
//! (`src/platform/unwind.c`).
#![cfg(all(target_os = "linux", target_env = "gnu"))]

use std::env;
use std::process::Command;

use crate::compile::{compile, library, repository, run};

#[test]
fn a_panic_loads_the_unwinder_and_is_caught() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = folder.path().join("host");
    compile("c11", &repository("tests/unwinder/host.c"), &host, &["-ldl"]);
    // With a frame of its own between the caller and the unwinder, and without.
    for optimised in ["-O0", "-O2"] {
        let [object, planted] = ["o", "so"].map(|end| folder.path().join(format!("libplanted{optimised}.{end}")));
        let flags = ["-c", optimised, "-fPIC", "-fexceptions"];
        compile("c11", &repository("src/platform/unwind.c"), &object, &flags);
        let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
        let mut command = Command::new(rustc);
        command
            .args([
                "--edition=2024",
                "--crate-type=cdylib",
                "--crate-name=planted",
                "-Copt-level=1",
            ])
            .arg(format!("-Clink-arg={}", object.display()))
            .args(["-Clink-arg=-ldl", "-o"])
            .arg(&planted)
            .arg(repository("tests/unwinder/planted.rs"));
        let built = run(&mut command, "RUSTC");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let done = run(Command::new(&host).arg(&planted), "the host");
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(
            done.status.success(),
            "{optimised}: {said}{}",
            String::from_utf8_lossy(&done.stderr)
        );
    }
}

// Linkers that take libraries in the order of their names find this one first: it is loaded with the library there.
#[cfg(target_arch = "x86_64")]
#[test]
fn the_library_is_not_linked_with_it() {
    let done = run(Command::new("readelf").arg("-dW").arg(library()), "readelf");
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(said.contains("Shared library: [libc.so.6]"), "{said}");
    assert!(!said.contains("libgcc_s"), "{said}");
}
