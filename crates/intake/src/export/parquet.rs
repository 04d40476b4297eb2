//! Items as an Apache Parquet file: one optional column for each column of the export, in row groups of bounded size.

use std::{
    io::{BufRead, Write},
    sync::Arc,
};

use kehu_kernel::{Date, Error, Instant, Result};
use parquet::{
    basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical},
    data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type},
    errors::ParquetError,
    file::{
        properties::WriterProperties,
        writer::{SerializedColumnWriter, SerializedFileWriter},
    },
    schema::types::Type,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Column, Kind};

/// The most rows of a row group.
const ROWS: usize = 10_000;
/// About how many bytes of JSON make a row group, should it have fewer rows.
const BYTES: usize = 16 * 1024 * 1024;

/// Turns lines of JSON into a file.
pub(super) fn write(columns: &[Column], lines: impl BufRead, into: impl Write + Send) -> Result<()> {
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).set_created_by("Kehu".to_owned()).build();
    let mut file = SerializedFileWriter::new(into, Arc::new(schema(columns)?), Arc::new(properties)).map_err(broken)?;
    let (mut rows, mut bytes) = (Vec::new(), 0);
    for line in lines.lines() {
        let line = line.map_err(super::file::unwritable)?;
        bytes += line.len();
        rows.push(serde_json::from_str(&line).map_err(Error::internal)?);
        if rows.len() == ROWS || bytes >= BYTES {
            write_group(&mut file, columns, &rows)?;
            rows.clear();
            bytes = 0;
        }
    }
    if !rows.is_empty() {
        write_group(&mut file, columns, &rows)?;
    }
    file.close().map_err(broken)?;
    Ok(())
}

fn broken(error: ParquetError) -> Error {
    match error {
        // Those of the file below it.
        ParquetError::External(cause) => Error::Unavailable(format!("the file of an export cannot be written: {cause}")),
        other => Error::internal(other),
    }
}

fn schema(columns: &[Column]) -> Result<Type> {
    let field = |column: &Column| -> Result<_, ParquetError> {
        let (physical, logical) = match column.kind {
            Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Kind::Json => (Physical::BYTE_ARRAY, Some(LogicalType::Json)),
            Kind::Integer => (Physical::INT64, None),
            Kind::Number => (Physical::DOUBLE, None),
            Kind::Boolean => (Physical::BOOLEAN, None),
            Kind::Timestamp => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
            Kind::Date => (Physical::INT32, Some(LogicalType::Date)),
        };
        let builder = Type::primitive_type_builder(&column.name(), physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical)
            .build()?;
        Ok(Arc::new(builder))
    };
    let fields = columns.iter().map(field).collect::<Result<_, _>>().map_err(broken)?;
    Type::group_type_builder("item").with_fields(fields).build().map_err(broken)
}

fn write_group<W: Write + Send>(file: &mut SerializedFileWriter<W>, columns: &[Column], rows: &[Value]) -> Result<()> {
    let mut group = file.next_row_group().map_err(broken)?;
    for column in columns {
        let mut writer = group.next_column().map_err(broken)?.ok_or_else(|| Error::internal("a column is missing"))?;
        let values = rows.iter().map(|row| column.of(row));
        match column.kind {
            Kind::Text => put::<ByteArrayType>(&mut writer, values, |value| Ok(ByteArray::from(text(value).into_bytes()))),
            Kind::Json => put::<ByteArrayType>(&mut writer, values, |value| Ok(ByteArray::from(value.to_string().into_bytes()))),
            Kind::Integer => put::<Int64Type>(&mut writer, values, read),
            Kind::Number => put::<DoubleType>(&mut writer, values, read),
            Kind::Boolean => put::<BoolType>(&mut writer, values, read),
            Kind::Timestamp => put::<Int64Type>(&mut writer, values, |value| read::<Instant>(value).map(Instant::micros)),
            Kind::Date => put::<Int32Type>(&mut writer, values, day),
        }
        .map_err(|error| Error::internal(format!("column {}: {error}", column.name())))?;
        writer.close().map_err(broken)?;
    }
    group.close().map_err(broken)?;
    Ok(())
}

/// Writes the values that there are, and where there are none.
fn put<'a, T: DataType>(
    writer: &mut SerializedColumnWriter<'_>,
    values: impl Iterator<Item = &'a Value>,
    turn: impl Fn(&Value) -> Result<T::T>,
) -> Result<()> {
    let (mut present, mut levels) = (Vec::new(), Vec::new());
    for value in values {
        if value.is_null() {
            levels.push(0);
        } else {
            present.push(turn(value)?);
            levels.push(1);
        }
    }
    writer.typed::<T>().write_batch(&present, Some(&levels), None).map_err(broken)?;
    Ok(())
}

fn read<T: DeserializeOwned>(value: &Value) -> Result<T> {
    serde_json::from_value(value.clone()).map_err(Error::internal)
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

/// Days since 1970-01-01.
fn day(value: &Value) -> Result<i32> {
    let micros = read::<Date>(value)?.start().micros();
    i32::try_from(micros.div_euclid(86_400_000_000)).map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use parquet::{
        basic::ConvertedType,
        file::reader::{FileReader, SerializedFileReader},
        record::Field,
    };
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_comes_back() {
        let column = |name: &str, kind| Column { path: name.split('.').map(ToOwned::to_owned).collect(), kind };
        let columns = [
            column("id", Kind::Text),
            column("branch.label", Kind::Text),
            column("tags", Kind::Json),
            column("count", Kind::Integer),
            column("ratio", Kind::Number),
            column("open", Kind::Boolean),
            column("at", Kind::Timestamp),
            column("born", Kind::Date),
        ];
        let full = json!({ "id": "x", "branch": { "label": "上海\n\"浦东\"" }, "tags": [1, { "a": null }], "count": -9_007_199_254_740_991_i64,
            "ratio": 0.5, "open": false, "at": "1969-12-31T23:59:59.999999Z", "born": "1969-12-31" });
        let mut lines = String::new();
        for n in 0..ROWS + 3 {
            let row = if n % 2 == 0 { full.clone() } else { json!({ "id": n.to_string(), "branch": null }) };
            lines.push_str(&format!("{row}\n"));
        }
        let mut file = tempfile::tempfile().unwrap();
        write(&columns, lines.as_bytes(), &mut file).unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        assert_eq!(reader.metadata().num_row_groups(), 2);
        let schema = reader.metadata().file_metadata().schema_descr();
        assert_eq!(schema.column(1).name(), "branch.label");
        assert_eq!(schema.column(6).converted_type(), ConvertedType::TIMESTAMP_MICROS);
        let rows: Vec<Vec<Field>> = reader
            .get_row_iter(None)
            .unwrap()
            .map(|row| row.unwrap().into_columns().into_iter().map(|(_, field)| field).collect())
            .collect();
        assert_eq!(rows.len(), ROWS + 3);
        let expected = [
            Field::Str("x".into()),
            Field::Str("上海\n\"浦东\"".into()),
            Field::Str("[1,{\"a\":null}]".into()),
            Field::Long(-9_007_199_254_740_991),
            Field::Double(0.5),
            Field::Bool(false),
            Field::TimestampMicros(-1),
            Field::Date(-1),
        ];
        assert_eq!(rows[0], expected);
        assert_eq!(rows[1][0], Field::Str("1".into()));
        assert!(rows[1][1..].iter().all(|field| *field == Field::Null));
        let mut empty = tempfile::tempfile().unwrap();
        write(&columns, "".as_bytes(), &mut empty).unwrap();
        assert_eq!(SerializedFileReader::new(empty).unwrap().metadata().file_metadata().num_rows(), 0);
    }
}
