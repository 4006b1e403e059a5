//! A result in the few numbers and sentences that a person reads first: on the pages of numbers and in the PDF.
//!
//! Nothing here says who the patient is: lesions go by their numbers and codes, findings by sentences of numbers and
//! attribute names.

use super::{CaseResult, Code, Lesion, Measured, MeasurementGroup, ModelOutput, Space};
use crate::dicom::product;
use crate::finding::Finding;

/// The numbers of one lesion: a column for each role.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Table {
    /// Role, and the space where that is not the role's own.
    pub columns: Vec<String>,
    /// What was measured, and its value on each role, where there is one.
    pub rows: Vec<(&'static str, Vec<String>)>,
}

/// What stands in a row.
enum Row {
    /// The feature of that IBSI id, of the image itself.
    Feature(&'static str),
    /// The mesh volume in ml.
    Volume,
    /// The same, of a PET in SUV.
    MetabolicVolume,
    /// Mean SUV times volume.
    Glycolysis,
}

/// What is told first, in this order.
const ROWS: [(&str, Row); 15] = [
    ("Volume", Row::Volume),
    ("Maximum diameter", Row::Feature("L0JK")),
    ("Sphericity", Row::Feature("QCFX")),
    ("Mean", Row::Feature("Q4LE")),
    ("Median", Row::Feature("Y12H")),
    ("Maximum", Row::Feature("84IY")),
    ("Metabolic tumour volume (region)", Row::MetabolicVolume),
    ("Total lesion glycolysis (region)", Row::Glycolysis),
    ("Global intensity peak", Row::Feature("0F91")),
    ("Histogram entropy", Row::Feature("TLU2")),
    ("GLCM joint entropy", Row::Feature("TU9B")),
    ("GLCM contrast", Row::Feature("ACUI")),
    ("GLRLM run entropy", Row::Feature("HJ9O")),
    ("GLSZM large zone emphasis", Row::Feature("48P8")),
    ("NGTDM coarseness", Row::Feature("QCDE")),
];

/// The numbers of a lesion; rows without any value are left out.
pub(super) fn table(case: &CaseResult, lesion: &Lesion) -> Table {
    let groups: Vec<&MeasurementGroup> =
        case.images.iter().filter_map(|image| group(case, lesion.number, &image.role)).collect();
    let column = |group: &&MeasurementGroup| match group.space {
        Space::Native => group.role.clone(),
        Space::Aligned => format!("{} aligned", group.role),
    };
    let rows = ROWS.iter().filter_map(|(label, row)| {
        let values: Vec<Option<String>> = groups.iter().map(|group| value(case, group, row)).collect();
        let any = values.iter().any(Option::is_some);
        any.then(|| (*label, values.into_iter().map(Option::unwrap_or_default).collect()))
    });
    Table { rows: rows.collect(), columns: groups.iter().map(column).collect() }
}

/// The group that a role is told by: measured on the role's own grid, else on the common one.
pub(super) fn group<'a>(case: &'a CaseResult, lesion: usize, role: &str) -> Option<&'a MeasurementGroup> {
    let of = |space| {
        case.groups.iter().find(move |group| group.lesion == lesion && group.role == role && group.space == space)
    };
    of(Space::Native).or_else(|| of(Space::Aligned))
}

/// Whether a unit is one of the standardised uptake values.
pub(super) fn is_suv(unit: &str) -> bool {
    unit.contains("{SUV")
}

/// The unit of the role's intensities, as its mean has it.
pub(super) fn intensity_unit(group: &MeasurementGroup) -> &str {
    feature(group, "Q4LE").map_or("", |mean| mean.unit.as_str())
}

fn feature<'a>(group: &'a MeasurementGroup, ibsi_id: &str) -> Option<&'a Measured> {
    group.values.iter().find(|value| value.ibsi_id == ibsi_id && matches!(value.filter.as_str(), "" | "none"))
}

fn value(case: &CaseResult, group: &MeasurementGroup, row: &Row) -> Option<String> {
    let volume_ml = || feature(group, "RNU0").map(|volume| volume.value / 1000.0);
    let is_pet_in_suv = || {
        let pet = case.images.iter().any(|image| image.role == group.role && image.modality == "PT");
        pet && is_suv(intensity_unit(group))
    };
    match row {
        Row::Feature(id) => {
            let measured = feature(group, id)?;
            let error = measured.misregistration_error.map(|error| format!(" \u{b1}{}", rounded(error)));
            let unit = unit_in_words(&measured.unit);
            Some(format!("{}{} {unit}", rounded(measured.value), error.unwrap_or_default()).trim_end().to_owned())
        }
        Row::Volume => volume_ml().map(|volume| format!("{} ml", rounded(volume))),
        Row::MetabolicVolume => volume_ml().filter(|_| is_pet_in_suv()).map(|volume| format!("{} ml", rounded(volume))),
        Row::Glycolysis => {
            let (volume, mean) = (volume_ml().filter(|_| is_pet_in_suv())?, feature(group, "Q4LE")?);
            Some(format!("{} {} ml", rounded(volume * mean.value), unit_in_words(&mean.unit)))
        }
    }
}

/// A unit as people write it; nothing for pure numbers.
fn unit_in_words(ucum: &str) -> String {
    match ucum {
        "1" => String::new(),
        "[hnsf'U]" => "HU".to_owned(),
        "[arb'U]" => "a.u.".to_owned(),
        other => {
            let suv = other.split_once("{SUV").and_then(|(_, rest)| rest.split_once('}'));
            suv.map_or_else(|| other.to_owned(), |(kind, _)| format!("SUV{kind}"))
        }
    }
}

/// Four significant digits.
pub(super) fn rounded(value: f64) -> String {
    if value.abs() < f64::MIN_POSITIVE {
        return "0".to_owned();
    }
    let scientific = format!("{value:.3e}");
    let magnitude = scientific.split_once('e').and_then(|(_, exponent)| exponent.parse::<i32>().ok()).unwrap_or(0);
    match magnitude {
        -3..=3 => format!("{value:.*}", usize::try_from(3 - magnitude).unwrap_or(0)),
        4..=6 => format!("{value:.0}"),
        _ => scientific,
    }
}

/// "Lesion 1: Neoplasm, left thigh".
pub(super) fn title(lesion: &Lesion) -> String {
    let words = |code: &Option<Code>| code.as_ref().map(|code| code.meaning.clone());
    let side = words(&lesion.laterality).map(|side| side.to_lowercase());
    let place = match (side, words(&lesion.site)) {
        (Some(side), Some(site)) => Some(format!("{side} {}", site.to_lowercase())),
        (None, site) => site,
        (side, None) => side,
    };
    let what: Vec<String> = words(&lesion.finding).into_iter().chain(place).collect();
    if what.is_empty() {
        return format!("Lesion {}", lesion.number);
    }
    format!("Lesion {}: {}", lesion.number, what.join(", "))
}

/// What was done, sentence by sentence.
pub(super) fn done(case: &CaseResult) -> Vec<String> {
    let mut sentences = vec![format!(
        "Protocol {}, revision {} of the result, reference {}; {} {}.",
        case.protocol,
        case.revision,
        case.reference_role,
        product::MODEL,
        product::VERSION
    )];
    sentences.extend(case.images.iter().map(|image| {
        let [x, y, z] = image.geometry.spacing_mm;
        let n_slices = image.geometry.size[2];
        format!(
            "{}: {} series of {n_slices} slices, voxels of {x:.2} x {y:.2} x {z:.2} mm.",
            image.role, image.modality
        )
    }));
    sentences.extend(case.registrations.iter().map(|registration| {
        let how =
            if registration.trusted { "registered" } else { "registration not trusted, aligned features withheld" };
        let note = registration.note.trim_end_matches('.');
        format!("{} to {}: {how} ({note}).", registration.role, case.reference_role)
    }));
    let n_values: usize = case.groups.iter().map(|group| group.values.len()).sum();
    let several = |n: usize, what: &str| if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") };
    let (groups, lesions) = (several(case.groups.len(), "group"), several(case.lesions.len(), "lesion"));
    sentences.push(format!("{n_values} features in {groups} on {lesions}."));
    sentences.extend(case.notes.iter().filter(|note| !note.is_empty()).map(|note| {
        let mut letters = note.trim_end_matches('.').chars();
        let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
        format!("{first}{}.", letters.as_str())
    }));
    let start = |hash: &str| hash.chars().take(16).collect::<String>();
    sentences.push(format!("Settings {}, inputs {}.", start(&case.settings_hash), start(&case.inputs_digest)));
    sentences
}

/// Findings in words: kind and subject, then the detail. The names of drawings are free text of a person: their lesion's
/// number stands in their place.
pub(super) fn warnings(case: &CaseResult) -> Vec<String> {
    let words = |finding: &Finding| {
        let drawn = case.lesions.iter().find(|lesion| lesion.names.contains(&finding.subject));
        let subject = drawn.map_or_else(|| finding.subject.clone(), |lesion| format!("lesion {}", lesion.number));
        let kind = finding.kind.name().replace('_', " ");
        let about = if subject.is_empty() { String::new() } else { format!(" ({subject})") };
        if finding.detail.is_empty() { format!("{kind}{about}") } else { format!("{kind}{about}: {}", finding.detail) }
    };
    let mut warnings: Vec<String> = super::json::all_findings(case).iter().map(words).collect();
    let mut seen = std::collections::HashSet::new();
    warnings.retain(|warning| seen.insert(warning.clone()));
    warnings
}

/// What models said of a lesion, with what a reader must know of it.
pub(super) fn predictions(case: &CaseResult, lesion: usize) -> Vec<String> {
    case.models.iter().filter(|output| output.lesion == lesion).flat_map(prediction).collect()
}

fn prediction(output: &ModelOutput) -> Vec<String> {
    let interval = output.interval.map(|(low, high)| format!(" (95 % interval {low:.2} to {high:.2})"));
    let mut sentences = vec![format!(
        "Model {} {}: probability of {} {:.2}{}, from {}.",
        output.model,
        output.version,
        output.endpoint,
        output.probability,
        interval.unwrap_or_default(),
        output.blocks.join(", ")
    )];
    sentences.extend(output.relative_hazard.map(|hazard| {
        let group = if hazard > 1.0 { "high" } else { "low" };
        format!("Its hazard is {hazard:.2} times the median of the training patients: {group} risk.")
    }));
    sentences.extend(output.warnings.iter().map(|warning| format!("Note: {}.", warning.trim_end_matches('.'))));
    sentences
}

/// The cards of the models that said something, each once.
pub(super) fn cards(case: &CaseResult) -> Vec<String> {
    let mut cards: Vec<String> = Vec::new();
    for output in case.models.iter().filter(|output| !output.card.is_empty()) {
        let card = format!("{} {}: {}", output.model, output.version, output.card);
        if !cards.contains(&card) {
            cards.push(card);
        }
    }
    cards
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_four_digits_whatever_their_size() {
        for (value, text) in [
            (0.0, "0"),
            (7.531_99, "7.532"),
            (-123.456, "-123.5"),
            (0.012_345_6, "0.01235"),
            (365_432.1, "365432"),
            (9_999.6, "10000"),
            (1.5e9, "1.500e9"),
            (1.234e-6, "1.234e-6"),
        ] {
            assert_eq!(rounded(value), text);
        }
    }

    #[test]
    fn units_are_told_as_people_write_them() {
        assert_eq!(unit_in_words("g/ml{SUVbw}"), "SUVbw");
        assert_eq!(unit_in_words("g/ml{SUVlbm(Janma)}"), "SUVlbm(Janma)");
        assert_eq!(unit_in_words("[hnsf'U]"), "HU");
        assert_eq!(unit_in_words("1"), "");
        assert_eq!(unit_in_words("mm"), "mm");
    }

    #[test]
    fn a_lesion_is_told_by_its_codes_and_never_by_its_drawn_name() {
        let code = |meaning: &str| Some(Code { value: "1".into(), scheme: "SCT".into(), meaning: meaning.into() });
        let mut lesion = Lesion {
            number: 2,
            names: vec!["Smith".into()],
            finding: code("Neoplasm"),
            site: code("Thigh"),
            laterality: code("Left"),
            tracking: Vec::new(),
        };
        assert_eq!(title(&lesion), "Lesion 2: Neoplasm, left thigh");
        lesion.laterality = None;
        assert_eq!(title(&lesion), "Lesion 2: Neoplasm, Thigh");
        (lesion.site, lesion.finding) = (None, None);
        assert_eq!(title(&lesion), "Lesion 2");
    }
}
