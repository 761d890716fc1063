//! The build script of `bindings/c/library`, the C library; the crate in this folder has no build script. With the feature
//! `header`, it generates the C header from `bindings/c/src`.

use std::env;
use std::process::ExitCode;

#[cfg(feature = "header")]
#[path = "bindings/c/library/header.rs"]
mod header;

/// C source that is linked between the shared object and the system's unwinder.
const UNWINDER: &str = "../../../src/platform/unwind.c";

/// Runs the build script. `bindings/c/build.rs` calls this function.
pub fn main() -> ExitCode {
    name_library();
    link_unwinder();
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

/// Compiles [`UNWINDER`], and links it only into the shared object, on Linux with glibc. ARM's unwinder has different
/// functions, which the linker adds itself.
fn link_unwinder() {
    println!("cargo::rerun-if-changed={UNWINDER}");
    let target = |what| env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    if (target("OS").as_str(), target("ENV").as_str()) != ("linux", "gnu") || target("ARCH") == "arm" {
        return;
    }
    let mut compiler = cc::Build::new();
    compiler.file(UNWINDER).flag("-fexceptions").cargo_metadata(false);
    for object in compiler.compile_intermediates() {
        println!("cargo::rustc-cdylib-link-arg={}", object.display());
    }
    // Older glibc versions have `dlopen` in a separate library.
    println!("cargo::rustc-cdylib-link-arg=-ldl");
}
