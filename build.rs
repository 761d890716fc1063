//! Makes the C header out of `src/capi` and puts it into the build folder: the committed copy is `include/plexindex.h`,
//! `tests/abi.rs` compares the two, and `make header` renews the copy. (A build script that writes into its own package
//! would make `cargo package` refuse it.)

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What the header is made of, in its order.
const SOURCES: [&str; 16] = [
    "src/error.rs",
    "src/capi/constants.rs",
    "src/capi/types.rs",
    "src/capi/functions/open.rs",
    "src/capi/functions/library.rs",
    "src/capi/functions/lookup.rs",
    "src/capi/functions/matching.rs",
    "src/capi/functions/blocks.rs",
    "src/capi/functions/paths.rs",
    "src/capi/functions/record.rs",
    "src/capi/functions/refresh.rs",
    "src/capi/functions/feed.rs",
    "src/capi/functions/edit.rs",
    "src/capi/functions/tables.rs",
    "src/capi/functions/facts.rs",
    "src/capi/functions/log.rs",
];

/// How it is made.
const CONFIG: &str = "cbindgen.toml";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("plexindex: the C header could not be generated: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for file in SOURCES.iter().chain(&["build.rs", CONFIG]) {
        println!("cargo::rerun-if-changed={file}");
    }
    let header = out.join("plexindex.h");
    match generate(&root, &out) {
        Ok(text) => fs::write(header, finish(&text)?)?,
        // The compiler is about to say where and why, which the parser cannot: let it come to that.
        Err(error) if error.is::<cbindgen::Error>() => {
            println!("cargo::warning=the C header was not generated, since src/capi does not parse");
            if header.exists() {
                fs::remove_file(header)?;
            }
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// What cbindgen makes of the sources.
fn generate(root: &Path, out: &Path) -> Result<String, Box<dyn Error>> {
    let config = cbindgen::Config::from_file(root.join(CONFIG))?;
    let mut builder = cbindgen::Builder::new().with_config(config);
    let copies = out.join("header");
    for source in SOURCES {
        let text = fs::read_to_string(root.join(source))
            .map_err(|error| format!("{source}, which build.rs lists, cannot be read: {error}"))?;
        let copy = copies.join(source);
        fs::create_dir_all(copy.parent().unwrap_or(out))?;
        fs::write(&copy, prepare(&text))?;
        builder = builder.with_src(copy);
    }
    let mut bindings = builder.generate()?;
    // Constants that belong to a type (Status::ALL) are for Rust.
    bindings.constants.retain(|constant| constant.associated_to.is_none());
    let mut text = Vec::new();
    bindings.write(&mut text);
    Ok(String::from_utf8(text)?)
}

/// Says for C what Rust says for itself, in the copy of a source that cbindgen reads.
fn prepare(source: &str) -> String {
    let source = source
        // Any C function pointer may be NULL; of an `Option` of a type's name cbindgen makes a struct.
        .replace("Option<ProgressFn>", "ProgressFn")
        .replace("Option<LogFn>", "LogFn")
        // No function takes or returns the enum, so its width is no part of the ABI: no need to spell it for each
        // version of C and C++.
        .replace("#[repr(i32)]", "#[repr(C)]");
    // The heading that Rust wants above what the caller must see to.
    let mut parts = source.split("/// # Safety\n/// ");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str("/// Precondition: ");
        let mut letters = part.chars();
        text.extend(letters.next().map(|first| first.to_ascii_lowercase()));
        text.push_str(letters.as_str());
    }
    text
}

/// Says for C what cbindgen has no words for.
fn finish(header: &str) -> Result<String, String> {
    // The constants of an enum get its name before theirs, or nothing: here they shall have the library's.
    let header = header.replace("PLEXINDEX_STATUS_", "PLEXINDEX_");
    let lines = header.lines().map(|line| match line.split_once(" -") {
        // In parentheses: `x PLEXINDEX_TTL_NEVER` must not be a subtraction.
        Some((name, number)) if name.starts_with("#define ") => format!("{name} (-{number})\n"),
        _ => format!("{line}\n"),
    });
    let text: String = lines.collect();
    for left in ["Option_", "# Safety", "STATUS_"] {
        if text.contains(left) {
            return Err(format!(
                "`{left}` is left in the header: src/capi says something in a shape that build.rs does not know"
            ));
        }
    }
    Ok(text)
}
