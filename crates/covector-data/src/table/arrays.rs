//! Arrays as tables: npy and npz files.

use std::path::Path;

use covector::{Array, DType, Tensor};

use super::{Column, Table};
use crate::error::{count, shown};
use crate::{Error, Result};

/// One array: a column for each of its own, called `0`, `1` and so on.
pub(super) fn npy(path: &Path) -> Result<Table> {
    let array = covector_io::load_npy(path)?;
    let mut columns = Vec::new();
    add(&array, str::to_owned, &mut columns).map_err(|problem| Error::at(path, problem))?;
    finished(path, columns, array.shape()[0])
}

/// Several arrays with as many rows: one of one axis is a column of its name, the columns of one of two axes are called `NAME.0`,
/// `NAME.1` and so on.
pub(super) fn npz(path: &Path) -> Result<Table> {
    let arrays = covector_io::load_npz(path)?;
    let mut columns = Vec::new();
    let mut first: Option<(&str, usize)> = None;
    for (name, array) in &arrays {
        let wrong = |problem: String| Error::at(path, format!("array {}: {problem}", shown(name)));
        let called = |column: &str| if array.shape().len() == 1 { name.clone() } else { format!("{name}.{column}") };
        add(array, called, &mut columns).map_err(wrong)?;
        let rows = array.shape()[0];
        match first {
            Some((other, of)) if of != rows => {
                return Err(wrong(format!("{}, and {} has {of}", count(rows, "row"), shown(other))));
            }
            _ => first = Some((name, rows)),
        }
    }
    let Some((_, rows)) = first else { return Err(Error::at(path, "there are no arrays in it")) };
    finished(path, columns, rows)
}

fn finished(path: &Path, columns: Vec<Column>, rows: usize) -> Result<Table> {
    if rows == 0 || columns.is_empty() {
        return Err(Error::at(path, "there are no numbers in it"));
    }
    Table::checked(&path.display().to_string(), columns, (1..=rows as u64).collect(), true)
}

/// Adds the columns of an array, or says why it has none; `called` makes names of their numbers.
fn add(array: &Array, called: impl Fn(&str) -> String, columns: &mut Vec<Column>) -> Result<(), String> {
    let shape = array.shape();
    let wide = match shape[..] {
        [_] => 1,
        [_, wide] => wide,
        _ => {
            return Err(format!("a table has one axis or two, rows and columns, and this is {}{shape}", array.dtype()));
        }
    };
    let cells = cells(array)?;
    for i in 0..wide {
        let mut column = Column::named(called(&i.to_string()));
        cells.iter().skip(i).step_by(wide).for_each(|cell| column.push(cell));
        columns.push(column);
    }
    Ok(())
}

/// Every number as the text that reads back as it.
fn cells(array: &Array) -> Result<Vec<String>, String> {
    fn texts<T: ToString>(numbers: Vec<T>) -> Vec<String> {
        numbers.iter().map(T::to_string).collect()
    }
    let t = Tensor::from_array(array.clone());
    Ok(match t.dtype() {
        DType::F64 => texts(t.to_vec::<f64>()),
        DType::U64 => texts(t.to_vec::<u64>()),
        DType::Bool => texts(t.to_vec::<bool>()),
        dtype if dtype.is_float() => texts(t.cast(DType::F32).to_vec::<f32>()),
        dtype if dtype.is_complex() => return Err(format!("{dtype} are no numbers to learn from")),
        _ => texts(t.cast(DType::I64).to_vec::<i64>()),
    })
}
