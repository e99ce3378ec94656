//! Parquet, through the format's reference implementation: each value as the text that reads back as it.

use std::fs::File;
use std::path::Path;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;

use super::{Column, Table};
use crate::error::shown;
use crate::{Error, Result};

pub(super) fn read(path: &Path) -> Result<Table> {
    let file = File::open(path).map_err(|e| Error::unread(path, &e))?;
    let name = path.display().to_string();
    // A damaged file can make the reader panic; that is an error of the file.
    std::panic::catch_unwind(|| rows(&name, file))
        .unwrap_or_else(|_| Err(Error::new(&name, "not a valid Parquet file: its reader gave up on it")))
}

fn rows(name: &str, file: File) -> Result<Table> {
    let malformed = |e: parquet::errors::ParquetError| Error::new(name, format!("not a valid Parquet file: {e}"));
    let reader = SerializedFileReader::new(file).map_err(malformed)?;
    let fields = reader.metadata().file_metadata().schema_descr().root_schema().get_fields().to_vec();
    let mut columns: Vec<Column> = fields.iter().map(|f| Column::named(f.name())).collect();
    let mut lines = Vec::new();
    for row in reader.get_row_iter(None).map_err(malformed)? {
        let row = row.map_err(malformed)?;
        lines.push(lines.len() as u64 + 1);
        for (column, (_, field)) in columns.iter_mut().zip(row.get_column_iter()) {
            let cell = cell(field).ok_or_else(|| {
                let problem = format!("its cells are no numbers or texts, but {}", shown(&field.to_string()));
                Error::new(name, problem).column(&column.name).hint("leave the column out, or write it as text")
            })?;
            column.push(&cell);
        }
    }
    Table::checked(name, columns, lines, true)
}

/// A value as text; none for lists, maps and bytes.
fn cell(field: &Field) -> Option<String> {
    Some(match field {
        Field::Null => String::new(),
        Field::Bool(x) => x.to_string(),
        Field::Byte(x) => x.to_string(),
        Field::Short(x) => x.to_string(),
        Field::Int(x) => x.to_string(),
        Field::Long(x) => x.to_string(),
        Field::UByte(x) => x.to_string(),
        Field::UShort(x) => x.to_string(),
        Field::UInt(x) => x.to_string(),
        Field::ULong(x) => x.to_string(),
        Field::Float16(x) => x.to_string(),
        Field::Float(x) => x.to_string(),
        Field::Double(x) => x.to_string(),
        Field::Str(x) => x.clone(),
        Field::Decimal(_) | Field::Date(_) | Field::TimestampMillis(_) | Field::TimestampMicros(_) => field.to_string(),
        _ => return None,
    })
}
