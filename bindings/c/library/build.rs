//! Calls the build script of the repository: cargo-c finds none outside of the package's folder.

#[path = "../../../build.rs"]
mod headers;

fn main() -> std::process::ExitCode {
    headers::main()
}
