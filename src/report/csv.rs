//! `features.csv`: one row per feature value.

use super::{CaseResult, ReportError, Space};

/// The columns, fixed by the documentation.
pub const COLUMNS: [&str; 15] = [
    "case",
    "lesion",
    "role",
    "space",
    "family",
    "tag",
    "name",
    "ibsi_id",
    "filter",
    "aggregation",
    "discretisation",
    "value",
    "unit",
    "misregistration_error",
    "harmonised_value",
];

/// The feature values of a result as a table. Numbers are written so that reading them gives back the same `f64`; a value
/// that does not exist is an empty field.
///
/// # Errors
/// When the table cannot be encoded.
pub fn features_csv(case: &CaseResult) -> Result<String, ReportError> {
    let table = |error: &dyn std::error::Error| ReportError::Table(error.to_string());
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS).map_err(|error| table(&error))?;
    for group in &case.groups {
        let lesion = group.lesion.to_string();
        for measured in &group.values {
            let value = number(Some(measured.value));
            let error = number(measured.misregistration_error);
            let harmonised = number(measured.harmonised_value);
            let row = [
                case.case_id.as_str(),
                &lesion,
                &group.role,
                space_name(group.space),
                &measured.family,
                &measured.tag,
                &measured.name,
                &measured.ibsi_id,
                &measured.filter,
                &measured.aggregation,
                &measured.discretisation,
                &value,
                &measured.unit,
                &error,
                &harmonised,
            ];
            writer.write_record(row).map_err(|error| table(&error))?;
        }
    }
    let bytes = writer.into_inner().map_err(|error| table(&error))?;
    String::from_utf8(bytes).map_err(|error| table(&error))
}

/// The name of a space in tables.
pub(super) fn space_name(space: Space) -> &'static str {
    match space {
        Space::Native => "native",
        Space::Aligned => "aligned",
    }
}

/// The shortest decimal that reads back as the same number.
fn number(value: Option<f64>) -> String {
    value.map(|value| format!("{value:?}")).unwrap_or_default()
}
