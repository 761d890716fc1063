//! Compiles C and C++ against the header and the shared object under test. `CC` and `CXX` choose the compilers, `CFLAGS`
//! and `CXXFLAGS` what else they are told: `make sanitize` needs it. With `PLEXINDEX_TEST_RUNNER` MinGW compiles, and that
//! starts the programs: `make test-windows`.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What every program of `tests/c` must pass.
const STRICT: [&str; 4] = ["-Wall", "-Wextra", "-Werror", "-pedantic"];

/// A file of this repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(path)
}

/// The folder of the shared object that was built for this test: the test's own. (`cargo test` does not renew the copy
/// one folder up.) `PLEXINDEX_TEST_LIBRARY` names another folder: that of an installed library.
pub fn library_folder() -> PathBuf {
    if let Some(folder) = env::var_os("PLEXINDEX_TEST_LIBRARY") {
        return folder.into();
    }
    let test = env::current_exe().expect("a running test has a path");
    test.parent().expect("a file lies in a folder").to_owned()
}

/// The shared object under test.
pub fn library() -> PathBuf {
    let name = format!("{}plexindex{}", env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX);
    let path = library_folder().join(name);
    assert!(path.is_file(), "{} was not built beside this test", path.display());
    path
}

/// Compiles (and links, unless `more` says otherwise) strictly. `standard` begins with `c++` for C++.
pub fn compile(standard: &str, source: &Path, target: &Path, more: &[&str]) {
    if standard.starts_with("c++") {
        compile_with(("CXX", "c++"), standard, source, target, more);
    } else {
        compile_with(("CC", "cc"), standard, source, target, more);
    }
}

/// The same, with the compiler that this variable names, or this one.
pub fn compile_with((variable, usual): (&str, &str), standard: &str, source: &Path, target: &Path, more: &[&str]) {
    let flags = if standard.starts_with("c++") {
        "CXXFLAGS"
    } else {
        "CFLAGS"
    };
    let flags = env::var(flags).unwrap_or_default();
    let compiler = match runner() {
        Some(_) if standard.starts_with("c++") => "x86_64-w64-mingw32-g++".to_owned(),
        Some(_) => "x86_64-w64-mingw32-gcc".to_owned(),
        None => env::var(variable).unwrap_or_else(|_| usual.to_owned()),
    };
    let mut command = Command::new(&compiler);
    command
        .arg(format!("-std={standard}"))
        .args(STRICT)
        .arg("-g")
        .args(flags.split_whitespace())
        .arg("-I")
        .arg(repository("include"))
        .arg("-I")
        .arg(repository("bindings/cpp"))
        .arg(source)
        .arg("-o")
        .arg(target)
        .args(more);
    let output = run(&mut command, variable);
    assert!(
        output.status.success(),
        "{command:?}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// What starts programs for Windows.
pub fn runner() -> Option<String> {
    env::var("PLEXINDEX_TEST_RUNNER").ok()
}

/// Links with the shared object under test.
pub fn link_arguments() -> Vec<String> {
    let folder = library_folder();
    let folder = folder.display();
    if runner().is_some() {
        return vec![format!("-L{folder}"), "-lplexindex".to_owned()];
    }
    vec![
        format!("-L{folder}"),
        "-lplexindex".to_owned(),
        // Old tags: cargo sets LD_LIBRARY_PATH to where an older copy of the library may lie, and new ones yield to it.
        format!("-Wl,--disable-new-dtags,-rpath,{folder}"),
    ]
}

/// Runs a tool to its end; says which variable names another one when it is missing.
pub fn run(command: &mut Command, variable: &str) -> Output {
    command.output().unwrap_or_else(|error| {
        panic!(
            "{} does not run ({error}): install it, or name another one with {variable}",
            command.get_program().display()
        )
    })
}
