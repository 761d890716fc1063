//! The build script of `bindings/c/library`, the C library; the crate in this folder has no build script. With the feature
//! `header`, it generates the C header from `bindings/c/src`.

use std::env;
use std::process::ExitCode;

#[cfg(feature = "header")]
#[path = "bindings/c/library/header.rs"]
mod header;

/// Runs the build script. `bindings/c/build.rs` calls this function.
pub fn main() -> ExitCode {
    name_library();
    #[cfg(feature = "header")]
    if let Err(error) = header::generate_files() {
        eprintln!("plexindex: the C header could not be generated: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Sets the install name of the library on macOS. By default, the install name is the library's path on the build
/// machine; with `@rpath`, each program decides where to look for the library.
fn name_library() {
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "macos") {
        // Both clang and its linker accept these arguments.
        println!("cargo::rustc-cdylib-link-arg=-install_name");
        println!("cargo::rustc-cdylib-link-arg=@rpath/libplexindex.dylib");
    }
}
