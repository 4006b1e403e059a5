//! The tables of the page on features (`docs/features.md`), from the table of features itself.

use std::fmt::Write as _;

use super::Family;
use super::formulas::FORMULAS;
use super::table::{Feature, Unit, rows};

/// The formula of a feature in plain text, by its tag without aggregation.
#[must_use]
pub fn formula(tag: &str) -> Option<&'static str> {
    FORMULAS.iter().find(|(of, _)| *of == tag).map(|(_, formula)| *formula)
}

/// One table per family: id, tag, name, formula, unit, and when there is no value. Markdown.
#[must_use]
pub fn page() -> String {
    let mut page = String::new();
    for family in Family::ALL {
        let _ = writeln!(page, "### `{}`\n", family.name());
        page.push_str("| id | tag | name | formula | unit | no value where |\n|---|---|---|---|---|---|\n");
        for (Feature { id, tag, name, unit, .. }, undefined) in rows().filter(|(row, _)| row.family == *family) {
            let id = if id.is_empty() { "own" } else { *id };
            let (formula, unit) = (formula(tag).unwrap_or(""), words(*unit));
            let _ = writeln!(page, "| {id} | `{tag}` | {name} | {formula} | {unit} | {undefined} |");
        }
        page.push('\n');
    }
    page
}

const fn words(unit: Unit) -> &'static str {
    match unit {
        Unit::One => "1",
        Unit::Same => "intensity",
        Unit::Squared => "intensity^2",
        Unit::SameTimesMm3 => "intensity mm3",
        Unit::Mm => "mm",
        Unit::Mm2 => "mm2",
        Unit::Mm3 => "mm3",
        Unit::PerMm => "1/mm",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_has_one_formula_and_every_formula_a_feature() {
        for (feature, _) in rows() {
            assert!(formula(feature.tag).is_some(), "{}", feature.tag);
        }
        for (tag, formula) in FORMULAS {
            assert!(super::super::table::find(tag).is_some(), "{tag}");
            assert!(!formula.contains('|'), "{tag}: a table's column ends there");
            assert_eq!(FORMULAS.iter().filter(|(other, _)| *other == tag).count(), 1, "{tag}");
        }
    }
}
