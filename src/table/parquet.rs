//! Columns as a Parquet file: one row group, every column optional, text as UTF-8.

use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use super::export::{ExportCells, ExportColumn};

/// The file's bytes. What is not known is null.
pub(super) fn bytes(columns: &[ExportColumn]) -> Result<Vec<u8>, ParquetError> {
    let fields = columns.iter().map(field).collect::<Result<Vec<_>, _>>()?;
    let schema = Arc::new(Type::group_type_builder("cohort").with_fields(fields).build()?);
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(WriterProperties::builder().build()))?;
    let mut group = writer.next_row_group()?;
    for column in columns {
        let Some(mut writer) = group.next_column()? else { break };
        match &column.values {
            ExportCells::Number(values) => {
                let levels: Vec<i16> = values.iter().map(|value| i16::from(!value.is_nan())).collect();
                let known: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
                writer.typed::<DoubleType>().write_batch(&known, Some(&levels), None)?;
            }
            ExportCells::Text(values) => {
                let levels: Vec<i16> = values.iter().map(|value| i16::from(!value.is_empty())).collect();
                let known: Vec<ByteArray> =
                    values.iter().filter(|value| !value.is_empty()).map(|value| value.as_str().into()).collect();
                writer.typed::<ByteArrayType>().write_batch(&known, Some(&levels), None)?;
            }
        }
        writer.close()?;
    }
    group.close()?;
    writer.into_inner()
}

fn field(column: &ExportColumn) -> Result<Arc<Type>, ParquetError> {
    let builder = match &column.values {
        ExportCells::Number(_) => Type::primitive_type_builder(&column.name, Physical::DOUBLE),
        ExportCells::Text(_) => Type::primitive_type_builder(&column.name, Physical::BYTE_ARRAY)
            .with_logical_type(Some(LogicalType::String)),
    };
    Ok(Arc::new(builder.with_repetition(Repetition::OPTIONAL).build()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;

    #[test]
    fn what_was_written_is_read_and_what_is_not_known_is_null() {
        let columns = [
            ExportColumn { name: "patient".to_owned(), values: ExportCells::Text(vec!["p1".into(), String::new()]) },
            ExportColumn { name: "native.none.stat_mean".to_owned(), values: ExportCells::Number(vec![f64::NAN, 0.1]) },
        ];
        let reader = SerializedFileReader::new(bytes::Bytes::from(bytes(&columns).unwrap())).unwrap();
        let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].get_string(0).unwrap(), "p1");
        assert!(rows[0].get_double(1).is_err() && rows[1].get_string(0).is_err());
        assert!((rows[1].get_double(1).unwrap() - 0.1).abs() <= 0.0);
    }
}
