//! Unpacks the stores and databases that the tests read, with Python: no crate of this repository reads xz.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The archives, and the folders of `OUT_DIR` for their files.
const ARCHIVES: [(&str, &str); 2] = [
    ("release/stores.tar.xz", "stores"),
    ("sources/database/recorded/libraries.tar.xz", "recorded"),
];

fn main() {
    let python = env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    for (archive, name) in ARCHIVES {
        println!("cargo::rerun-if-changed={archive}");
        let folder = Path::new(&env::var_os("OUT_DIR").expect("cargo sets it")).join(name);
        let _ = fs::remove_dir_all(&folder);
        let unpacked = Command::new(&python)
            .args(["-m", "tarfile", "-e", archive])
            .arg(&folder)
            .status();
        assert!(
            unpacked.is_ok_and(|status| status.success()),
            "{} cannot unpack tests/{archive}: name another Python with PYTHON=…",
            python.display()
        );
    }
}
