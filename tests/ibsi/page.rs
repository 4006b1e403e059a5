//! The page on features says what the program does: its tables are those of the program, its counts those of these tests.

use std::path::{Path, PathBuf};

const BEGIN: &str = "<!-- the program's table begins -->\n";
const END: &str = "<!-- the program's table ends -->\n";

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/features.md")
}

/// Fails unless the page's table of conformance has these rows. With `RADIOMICSD_WRITE_DOCS` set they are printed instead.
pub fn documented(title: &str, rows: &[(String, usize, usize)]) {
    let text = std::fs::read_to_string(path()).unwrap();
    for (name, matched, all) in rows {
        let row = format!("| {title} | {name} | {matched} of {all} |");
        if std::env::var_os("RADIOMICSD_WRITE_DOCS").is_some() {
            eprintln!("{row}");
        } else {
            assert!(text.contains(&row), "docs/features.md has no row {row}");
        }
    }
}

#[test]
fn the_page_on_features_has_the_table_of_the_program() {
    let text = std::fs::read_to_string(path()).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (table, after) = rest.split_once(END).unwrap();
    let page = radiomicsd::features::page();
    if std::env::var_os("RADIOMICSD_WRITE_DOCS").is_some() {
        std::fs::write(path(), format!("{before}{BEGIN}{page}{END}{after}")).unwrap();
    } else {
        assert!(table == page, "run this test with RADIOMICSD_WRITE_DOCS=1 to write docs/features.md anew");
    }
}
