//! Compiles C and C++ against the header and the shared object under test. `CC` and `CXX` choose the compilers,
//! `CFLAGS` and `CXXFLAGS` what else they are told: `make sanitize` needs it. With `PLEXINDEX_TEST_RUNNER` MinGW
//! compiles, and that starts the programs: `make test-windows`.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, thread};

/// What every program of `tests/c` must pass.
const STRICT: [&str; 4] = ["-Wall", "-Wextra", "-Werror", "-pedantic"];

/// A file of this repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../..")).join(path)
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

/// The variable that names a tool, and its usual name.
pub type Tool = (&'static str, &'static str);
pub const C: Tool = ("CC", "cc");
pub const CPP: Tool = ("CXX", "c++");

/// Compiles (and links, unless `more` says otherwise) strictly. `standard` begins with `c++` for C++.
pub fn compile(standard: &str, source: &Path, target: &Path, more: &[&str]) {
    let compiler = if standard.starts_with("c++") { CPP } else { C };
    compile_with(compiler, standard, source, target, more);
}

/// The same, with this compiler.
pub fn compile_with(tool: Tool, standard: &str, source: &Path, target: &Path, more: &[&str]) {
    let flags = if standard.starts_with("c++") {
        "CXXFLAGS"
    } else {
        "CFLAGS"
    };
    let flags = env::var(flags).unwrap_or_default();
    let compiler = match runner() {
        Some(_) if standard.starts_with("c++") => "x86_64-w64-mingw32-g++".to_owned(),
        Some(_) => "x86_64-w64-mingw32-gcc".to_owned(),
        None => named(tool),
    };
    let mut command = Command::new(&compiler);
    command
        .arg(format!("-std={standard}"))
        .args(STRICT)
        // The lines for valgrind and sanitizers; more would cost a fifth of the time.
        .arg("-g1")
        .args(flags.split_whitespace())
        .arg("-I")
        .arg(repository("include"))
        .arg("-I")
        .arg(repository("bindings/cpp"))
        .arg(source)
        .arg("-o")
        .arg(target)
        .args(more);
    let output = run(&mut command, tool.0);
    assert!(
        output.status.success(),
        "{command:?}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The tool's name.
pub fn named((variable, usual): Tool) -> String {
    env::var(variable).unwrap_or_else(|_| usual.to_owned())
}

/// Whether a tool is not installed. Then the running test skips what needs it, which CI does not allow.
pub fn lacks(tool: Tool) -> bool {
    let tool = named(tool);
    let missing = runner().is_none() && Command::new(&tool).arg("--version").output().is_err();
    if missing {
        skipped(&format!("{tool} is not installed"));
    }
    missing
}

/// Whether a library that an example reads JSON with is not installed; there is none for MinGW. Else as [`lacks`].
pub fn lacks_package(name: &str) -> bool {
    if runner().is_some() {
        return true;
    }
    let found = Command::new("pkg-config").args(["--exists", name]).status();
    let missing = !found.is_ok_and(|status| status.success());
    if missing {
        skipped(&format!("pkg-config finds no {name}"));
    }
    missing
}

/// Says why the running test skips something: past the harness, which hides what a test prints that passes.
pub fn skipped(why: &str) {
    assert!(env::var_os("CI").is_none(), "{why}");
    let test = thread::current();
    let _ = writeln!(io::stderr(), "skipped: {}: {why}", test.name().unwrap_or_default());
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
