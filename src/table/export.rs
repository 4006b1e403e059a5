//! The cohort as one table for other programs: CSV, or Parquet where that is built in.

use std::collections::BTreeSet;
use std::path::Path;

use super::cohort::{CohortBlock, CohortRow, CohortTable};
use super::error::TableError;
use super::wide::{features_text, number_text};
use crate::store::write_whole;

/// Which values are exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportValues {
    /// As they were measured.
    Raw,
    /// As they were reported after harmonisation; empty where a value stayed raw.
    Harmonised,
}

/// A named column.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportColumn {
    /// Its name.
    pub name: String,
    /// Its values.
    pub values: ExportCells,
}

/// The values of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum ExportCells {
    /// Text; empty where not known.
    Text(Vec<String>),
    /// Numbers; NaN where not known.
    Number(Vec<f64>),
}

/// Every block of every row as one line: what is known of it, then its features. A feature that a block does not have is
/// not known.
#[must_use]
pub fn export_columns(rows: &[CohortRow], which: ExportValues) -> Vec<ExportColumn> {
    let lines: Vec<(&CohortRow, &CohortBlock)> =
        rows.iter().flat_map(|row| row.blocks.iter().map(move |block| (row, block))).collect();
    let values = |block: &'_ CohortBlock| match which {
        ExportValues::Raw => block.features.clone(),
        ExportValues::Harmonised => block.harmonised.clone(),
    };
    let text = |name: &str, of: &dyn Fn(&CohortRow, &CohortBlock) -> String| ExportColumn {
        name: name.to_owned(),
        values: ExportCells::Text(lines.iter().map(|(row, block)| of(row, block)).collect()),
    };
    let number = |name: &str, of: &dyn Fn(&CohortRow, &CohortBlock) -> f64| ExportColumn {
        name: name.to_owned(),
        values: ExportCells::Number(lines.iter().map(|(row, block)| of(row, block)).collect()),
    };
    #[allow(clippy::cast_precision_loss)]
    let mut columns = vec![
        text("patient", &|row, _| row.patient.clone()),
        text("case", &|row, _| row.case.clone()),
        number("revision", &|row, _| f64::from(row.revision)),
        text("study_date", &|row, _| row.study_date.clone()),
        text("protocol", &|row, _| row.protocol.clone()),
        text("settings_sha256", &|row, _| row.settings_sha256.clone()),
        number("age", &|row, _| row.age.unwrap_or(f64::NAN)),
        text("sex", &|row, _| row.sex.clone().unwrap_or_default()),
        text("role", &|_, block| block.role.clone()),
        number("lesion", &|_, block| block.lesion as f64),
        text("drawing", &|_, block| if block.automatic { "automatic" } else { "drawn" }.to_owned()),
        text("batch", &|_, block| block.batch.clone().unwrap_or_default()),
    ];
    let names: BTreeSet<String> = lines.iter().flat_map(|(_, block)| values(block).into_keys()).collect();
    columns.extend(names.iter().map(|name| {
        number(name, &|_, block| {
            let table = if which == ExportValues::Raw { &block.features } else { &block.harmonised };
            table.get(name).copied().unwrap_or(f64::NAN)
        })
    }));
    columns
}

/// Writes columns by the ending of the file's name: `.csv` or `.parquet`.
///
/// # Errors
/// When the ending is another one, Parquet is not built in, or the file system refuses.
pub fn write_columns(path: &Path, columns: &[ExportColumn]) -> Result<(), TableError> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
    let bytes = match ending.as_str() {
        "csv" => csv_text(columns)?,
        "parquet" => parquet_bytes(columns)?,
        _ => {
            let reason = format!("{}: ends in \".{ending}\", expected \".csv\" or \".parquet\"", path.display());
            return Err(TableError::Content(reason));
        }
    };
    write_whole(path, &bytes).map_err(TableError::write(path))
}

/// Writes one block as the two wide tables that `combat fit` reads: features, and where asked for batch and covariates.
///
/// # Errors
/// When a table cannot be encoded or the file system refuses.
pub fn write_block(
    table: &CohortTable,
    features: &Path,
    known: Option<&Path>,
    clinical: Option<&Path>,
) -> Result<(), TableError> {
    let text = features_text(super::PATIENT_COLUMN, &table.patients, &table.features)?;
    write_whole(features, &text).map_err(TableError::write(features))?;
    let Some(path) = known else { return Ok(()) };
    let known = table.known(clinical)?;
    let mut columns = vec![ExportColumn { name: known.id_name.clone(), values: ExportCells::Text(known.ids.clone()) }];
    for name in known.names() {
        columns.push(ExportColumn { name: name.clone(), values: ExportCells::Text(known.texts(name)?) });
    }
    write_whole(path, &csv_text(&columns)?).map_err(TableError::write(path))
}

fn csv_text(columns: &[ExportColumn]) -> Result<Vec<u8>, TableError> {
    let failed = |error: &dyn std::error::Error| TableError::Content(format!("the table cannot be encoded: {error}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(columns.iter().map(|column| &column.name)).map_err(|error| failed(&error))?;
    let n_rows = columns.first().map_or(0, |column| column.values.len());
    for row in 0..n_rows {
        let cells = columns.iter().map(|column| match &column.values {
            ExportCells::Text(values) => values[row].clone(),
            ExportCells::Number(values) => number_text(values[row]),
        });
        writer.write_record(cells).map_err(|error| failed(&error))?;
    }
    writer.into_inner().map_err(|error| failed(&error))
}

impl ExportCells {
    fn len(&self) -> usize {
        match self {
            Self::Text(values) => values.len(),
            Self::Number(values) => values.len(),
        }
    }
}

#[cfg(not(feature = "parquet"))]
fn parquet_bytes(_columns: &[ExportColumn]) -> Result<Vec<u8>, TableError> {
    Err(TableError::Content("this program was built without Parquet: export to a name that ends in .csv".to_owned()))
}

#[cfg(feature = "parquet")]
fn parquet_bytes(columns: &[ExportColumn]) -> Result<Vec<u8>, TableError> {
    super::parquet::bytes(columns)
        .map_err(|error| TableError::Content(format!("the table cannot be encoded as Parquet: {error}")))
}

#[cfg(test)]
mod tests {
    use super::super::testing::case;
    use super::*;
    use crate::harmonise::BatchRules;

    fn rows() -> Vec<CohortRow> {
        let mut first = case("c1", "p1", "GE", 1, 1.5);
        first.groups[0].values[0].harmonised_value = Some(1.25);
        let second = case("c2", "p,2", "Varian", 3, 2.5);
        [first, second].iter().map(|case| CohortRow::of(case, &BatchRules::built_in())).collect()
    }

    #[test]
    fn every_block_is_a_line_and_unknown_values_are_empty() {
        let text = |which| String::from_utf8(csv_text(&export_columns(&rows(), which)).unwrap()).unwrap();
        assert_eq!(
            text(ExportValues::Raw),
            "patient,case,revision,study_date,protocol,settings_sha256,age,sex,role,lesion,drawing,batch,\
             native.none.stat_max,native.none.stat_mean\n\
             p1,c1,1.0,20200101,ct,hash,59.0,M,CT,1.0,drawn,CT|GE|DISCOVERY ST|SOFT,3.0,1.5\n\
             \"p,2\",c2,3.0,20200101,ct,hash,59.0,M,CT,1.0,drawn,,5.0,2.5\n"
        );
        assert!(
            text(ExportValues::Harmonised)
                .ends_with("CT|GE|DISCOVERY ST|SOFT,1.25\n\"p,2\",c2,3.0,20200101,ct,hash,59.0,M,CT,1.0,drawn,,\n")
        );
    }

    #[test]
    fn the_ending_decides_and_others_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let columns = export_columns(&rows(), ExportValues::Raw);
        write_columns(&folder.path().join("a.CSV"), &columns).unwrap();
        let told = write_columns(&folder.path().join("a.xlsx"), &columns).unwrap_err().to_string();
        assert!(told.contains("expected \".csv\" or \".parquet\""), "{told}");
        let parquet = write_columns(&folder.path().join("a.parquet"), &columns);
        assert_eq!(parquet.is_ok(), cfg!(feature = "parquet"));
    }
}
