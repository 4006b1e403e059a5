//! A measurements report for people, with the truth of the synthetic patient beside it.

use std::path::Path;

use crate::cli::CliError;
use crate::cli::table::table;
use crate::dicom::codes::{Coded, concepts as c};
use crate::dicom::part10::{Keep, Part10};
use crate::dicom::sr::{Content, Item, read_content};
use crate::phantom::{Scan, Truth};

/// Measurements of a group that are shown without `--full`.
const SHOWN: usize = 6;

/// The report as a tree, then the comparison.
pub(super) fn report(path: &Path, truth: &Truth, full: bool) -> Result<String, CliError> {
    let unreadable = |error: &dyn std::fmt::Display| CliError::failed("the report cannot be read", error);
    let part10 = Part10::open(path, Keep::All).map_err(|error| unreadable(&error))?;
    let root = read_content(&part10.object).map_err(|error| unreadable(&error))?;
    let mut text = String::new();
    tree(&root, 0, full, &mut text);
    text.push('\n');
    text.push_str(&comparison(&root, truth));
    Ok(text)
}

fn tree(item: &Item, depth: usize, full: bool, text: &mut String) {
    *text += &format!("{:indent$}{}\n", "", line(item), indent = depth * 2);
    let is_group = item.concept.is(&c::MEASUREMENT_GROUP);
    let mut n_numbers = 0;
    for child in &item.children {
        let is_number = matches!(child.content, Content::Num(_));
        n_numbers += usize::from(is_number);
        if full {
            tree(child, depth + 1, full, text);
        } else if is_group && is_number {
            // What qualifies a measurement is left out, and so is the long tail.
            if n_numbers <= SHOWN {
                *text += &format!("{:indent$}{}\n", "", line(child), indent = depth * 2 + 2);
            }
        } else if !is_detail(child) {
            tree(child, depth + 1, full, text);
        }
    }
    if is_group && n_numbers > SHOWN && !full {
        *text += &format!("{:indent$}… {} more (--full)\n", "", n_numbers - SHOWN, indent = depth * 2 + 2);
    }
}

/// What only machines look at.
fn is_detail(item: &Item) -> bool {
    matches!(item.content, Content::UidRef(_) | Content::Image(_))
        || item.concept.is(&c::ALGORITHM_PARAMETERS)
        || item.concept.is(&c::IMAGE_LIBRARY)
}

fn line(item: &Item) -> String {
    let name = &item.concept.meaning;
    match &item.content {
        Content::Container { .. } => name.to_string(),
        Content::Num(number) => {
            let derivation = derivation(item).map(|code| format!(" ({})", code.meaning.to_lowercase()));
            let unit = if number.unit.value == "1" { "" } else { &number.unit.value };
            let value = rounded(number.value);
            format!("{name}{} = {value} {unit}", derivation.unwrap_or_default()).trim_end().to_owned()
        }
        Content::Code(code) => format!("{name}: {}", code.meaning),
        Content::Text(value) => format!("{name}: {value}"),
        Content::UidRef(uid) => format!("{name}: {uid}"),
        Content::Date(value) | Content::Time(value) => format!("{name}: {value}"),
        Content::Image(reference) | Content::Composite(reference) => format!("{name}: {}", reference.sop_instance),
    }
}

/// How a number was derived, where its concept alone does not say it.
fn derivation(item: &Item) -> Option<&Coded> {
    match &item.child(&c::DERIVATION)?.content {
        Content::Code(code) => Some(code),
        _ => None,
    }
}

/// Six significant digits: for people.
fn rounded(value: f64) -> String {
    let magnitude = if value == 0.0 { 0.0 } else { value.abs().log10().floor() };
    if !(-4.0..9.0).contains(&magnitude) {
        return format!("{value:.5e}");
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let decimals = (5.0 - magnitude).max(0.0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// What was prescribed, and what the report says of it.
fn comparison(root: &Item, truth: &Truth) -> String {
    let mut rows = Vec::new();
    let Some(lesion) = truth.lesions.first() else { return String::new() };
    for scan in Scan::ALL {
        let Some(group) = native_group(root, scan) else { continue };
        let sampled = lesion.in_scan(scan);
        for (what, expected, found) in [
            ("volume, mm3", lesion.volume_mm3, value(group, &["RNU0"], None)),
            ("mean, as prescribed", lesion.mean.of(scan), mean(group)),
            ("mean, as the scanner saw it", sampled.mean, mean(group)),
        ] {
            // The MR is normalised: its numbers are no signal any more.
            if scan == Scan::Mr && what.starts_with("mean") {
                continue;
            }
            if let Some(found) = found {
                rows.push(vec![scan.modality().to_owned(), what.to_owned(), rounded(expected), rounded(found)]);
            }
        }
    }
    table(&["IMAGE", "QUANTITY", "TRUTH", "REPORT"], &rows)
}

/// The mean intensity: by its IBSI code, or as the mean of a quantity that has a code of its own.
fn mean(group: &Item) -> Option<f64> {
    let quantities = [c::ATTENUATION_COEFFICIENT, c::SUV_BW, c::MR_SIGNAL_INTENSITY].map(|code| code.value);
    let quantities: Vec<&str> = quantities.iter().map(|value| &**value).collect();
    value(group, &["Q4LE"], None).or_else(|| value(group, &quantities, Some(&c::MEAN)))
}

/// The first number of a group under one of these codes, derived so.
fn value(group: &Item, codes: &[&str], derived: Option<&Coded>) -> Option<f64> {
    group.children.iter().find_map(|item| match &item.content {
        Content::Num(number) if codes.contains(&&*item.concept.value) => {
            derived.is_none_or(|code| derivation(item).is_some_and(|found| found.is(code))).then_some(number.value)
        }
        _ => None,
    })
}

/// The raw group of a role in its own space.
fn native_group(root: &Item, scan: Scan) -> Option<&Item> {
    let names_role = |item: &Item| {
        item.child(&c::TRACKING_IDENTIFIER).is_some_and(|child| match &child.content {
            Content::Text(text) => text.contains(scan.modality()) && !text.contains("aligned"),
            _ => false,
        })
    };
    root.walk().find(|item| item.concept.is(&c::MEASUREMENT_GROUP) && names_role(item))
}
