//! A module of Python's leaves Python's own functions to be found when it is loaded. Linkers elsewhere allow that by themselves.
//! With glibc it loads the unwinder as the library does: when there is a panic.

/// The library's.
const UNWINDER: &str = "../../../src/platform/unwind.c";

fn main() {
    println!("cargo::rerun-if-changed={UNWINDER}");
    let target = |what| std::env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    match (target("OS").as_str(), target("ENV").as_str()) {
        ("macos", _) => {
            println!("cargo::rustc-cdylib-link-arg=-undefined");
            println!("cargo::rustc-cdylib-link-arg=dynamic_lookup");
            // Its own name would be its path at the builder's.
            println!("cargo::rustc-cdylib-link-arg=-install_name");
            println!("cargo::rustc-cdylib-link-arg=@rpath/_fast.abi3.so");
        }
        ("linux", "gnu") if target("ARCH") != "arm" => {
            let mut compiler = cc::Build::new();
            compiler.file(UNWINDER).flag("-fexceptions").cargo_metadata(false);
            for object in compiler.compile_intermediates() {
                println!("cargo::rustc-cdylib-link-arg={}", object.display());
            }
            println!("cargo::rustc-cdylib-link-arg=-ldl");
        }
        _ => {}
    }
}
