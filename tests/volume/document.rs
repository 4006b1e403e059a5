//! The table of findings in the documentation is the catalogue of the program.

use radiomicsd::finding::{FindingKind, Policy};

#[test]
fn every_finding_is_documented_once_with_its_default_policy() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/quantities.md");
    let text = std::fs::read_to_string(path).unwrap();
    let table = text.split("## Findings").nth(1).unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    for kind in FindingKind::ALL {
        let name = format!("`{}`", kind.name());
        let found: Vec<_> = rows.iter().filter(|row| row[0] == name).collect();
        assert_eq!(found.len(), 1, "{name} in docs/quantities.md");
        let row = found[0];
        assert_eq!(row.len(), 4, "{name}");
        assert!(!row[1].is_empty() && !row[3].is_empty(), "{name}: how it is detected, and the source");
        let policy = match kind.default_policy() {
            Policy::Reject => "reject",
            Policy::Regularise => "regularise",
            Policy::Accept => "accept",
        };
        assert_eq!(row[2], policy, "{name}");
    }
    assert_eq!(rows.len(), FindingKind::ALL.len(), "a row without a finding");
}
