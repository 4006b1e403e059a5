//! The shape of the source tree: who may use whom, and how large a file may be.
#![allow(clippy::unwrap_used, clippy::panic)] // Helpers of tests are tests.

use std::path::{Path, PathBuf};

/// Folders that compute and know nothing else.
const PURE: [&str; 8] = ["math", "image", "register", "align", "normalise", "features", "harmonise", "fuse"];
/// What they may not name.
const OUTSIDE: [&str; 7] = ["dicom", "tokio", "sled", "std::fs", "std::net", "axum", "tracing"];
/// Modules of this crate above them.
const ABOVE: [&str; 12] =
    ["dicom", "volume", "report", "table", "store", "case", "pipeline", "net", "http", "daemon", "cli", "config"];
/// One noun per file.
const LINES_MAX: usize = 800;

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn uses(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let uses = text.lines().map(str::trim).filter(|line| line.starts_with("use ") || line.starts_with("pub use "));
    uses.map(|line| line.trim_start_matches("pub ").trim_start_matches("use ").to_owned()).collect()
}

#[test]
fn numerical_stages_know_neither_dicom_nor_files_nor_sockets_nor_what_stands_above_them() {
    let mut n_files = 0;
    for folder in PURE {
        for path in sources(&src().join(folder)) {
            n_files += 1;
            for line in uses(&path) {
                let outside = OUTSIDE.iter().find(|name| line.starts_with(*name));
                assert!(outside.is_none(), "{}: use {line}", path.display());
                let above = ABOVE.iter().find(|name| {
                    let rest = line.strip_prefix("crate::").and_then(|rest| rest.strip_prefix(*name));
                    rest.is_some_and(|rest| rest.starts_with("::") || rest.starts_with(';'))
                });
                assert!(above.is_none(), "{}: use {line}", path.display());
            }
        }
    }
    assert!(n_files > 50, "only {n_files} files were looked at");
}

#[test]
fn the_standard_s_own_module_knows_no_network_and_no_storage() {
    for path in sources(&src().join("dicom")) {
        for line in uses(&path) {
            for name in ["tokio", "sled", "crate::net", "crate::store", "crate::http", "crate::image", "crate::report"]
            {
                assert!(!line.starts_with(name), "{}: use {line}", path.display());
            }
        }
    }
}

#[test]
fn no_file_is_longer_than_a_person_reads() {
    for path in sources(&src()) {
        let n_lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(n_lines <= LINES_MAX, "{} has {n_lines} lines, at most {LINES_MAX} are wanted", path.display());
    }
}
