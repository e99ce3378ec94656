//! Tables: named columns of cells, from files of comma- or tab-separated values, arrays, or Parquet.

mod arrays;
mod csv;
#[cfg(feature = "parquet")]
mod parquet;
mod schema;

use std::collections::HashMap;
use std::path::Path;

use covector::spelling::nearest;

use crate::error::{count, shown};
use crate::{Error, Result};

pub use schema::{Asked, Encoding, Examples, Feature, Goal, Missing, Schema, Target};

/// How a file of separated values is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// What stands between cells. If it is not said: a tab in files that end in .tsv or .tab, else whichever of `,`, `;`, tab
    /// and `|` the first line has most of.
    pub delimiter: Option<u8>,
    /// Whether the first line names the columns. If it is not said: it does unless one of its cells is a number.
    pub header: Option<bool>,
}

/// Cells in rows and named columns, as text; what they mean is said by a [`Schema`].
///
/// ```
/// use covector_data::{Reading, Table};
/// let table = Table::parse("pets.csv", b"name,kg\nTom,4.2\n\"Rex, the dog\",NA\n", Reading::default()).unwrap();
/// assert_eq!((table.rows(), table.line(1)), (2, 3));
/// let (name, kg) = (table.column("name").unwrap(), table.column("kg").unwrap());
/// assert_eq!([name.cell(1), kg.cell(0), kg.cell(1)], [Some("Rex, the dog"), Some("4.2"), None]);
/// let error = table.column("Name ").unwrap_err();
/// assert!(error.to_string().ends_with("hint: did you mean `name`?"));
/// ```
#[derive(Clone, Debug)]
pub struct Table {
    name: String,
    columns: Vec<Column>,
    /// The line of the file in which each row begins.
    lines: Vec<u64>,
    header: bool,
}

/// One column of a [`Table`].
#[derive(Clone, Debug, Default)]
pub struct Column {
    name: String,
    /// All cells one after the other, and where each ends.
    text: String,
    ends: Vec<usize>,
}

/// What stands for "not known" in a cell.
const UNKNOWN: [&str; 8] = ["", "na", "n/a", "#n/a", "nan", "null", "none", "?"];

impl Column {
    fn named(name: impl Into<String>) -> Column {
        Column { name: name.into(), ..Column::default() }
    }

    fn push(&mut self, cell: &str) {
        self.text.push_str(cell);
        self.ends.push(self.text.len());
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text of a cell; none if it is missing: empty, or one of NA, N/A, #N/A, NaN, null, None and ?, in any case.
    ///
    /// # Panics
    /// If the table has no such row.
    #[track_caller]
    pub fn cell(&self, row: usize) -> Option<&str> {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        let text = &self.text[start..self.ends[row]];
        (!UNKNOWN.iter().any(|unknown| text.eq_ignore_ascii_case(unknown))).then_some(text)
    }

    /// All cells.
    pub fn cells(&self) -> impl Iterator<Item = Option<&str>> {
        (0..self.ends.len()).map(|row| self.cell(row))
    }
}

impl Table {
    /// Reads a file: arrays if it ends in .npy or .npz, Parquet if it ends in .parquet, separated values else.
    ///
    /// The columns of an array are called `0`, `1` and so on; in npz files an array of one axis is a column of its name, and the
    /// columns of one of two axes are `NAME.0`, `NAME.1` and so on. Whatever [`renamed`](Self::renamed) says is theirs.
    ///
    /// # Errors
    /// If it cannot be read, is empty, has no rows, is not UTF-8, names a column twice or not at all, has lines of other
    /// lengths, or quotes that do not match: each with the line.
    pub fn read(path: impl AsRef<Path>, how: Reading) -> Result<Table> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let ends_in = |ending: &str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(ending));
        if ends_in("parquet") {
            return parquet_table(path);
        }
        if ends_in("npy") {
            return arrays::npy(path);
        }
        if ends_in("npz") {
            return arrays::npz(path);
        }
        let bytes = std::fs::read(path).map_err(|e| Error::unread(path, &e))?;
        let tab = (ends_in("tsv") || ends_in("tab")).then_some(b'\t');
        Table::parse(&name, &bytes, Reading { delimiter: how.delimiter.or(tab), ..how })
    }

    /// Reads separated values; `name` is said in errors.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(name: &str, bytes: &[u8], how: Reading) -> Result<Table> {
        csv::parse(name, bytes, how)
    }

    /// Fisher's iris data: 150 flowers of three species, four lengths in cm each.
    ///
    /// ```
    /// let iris = covector_data::Table::iris();
    /// assert_eq!((iris.rows(), iris.columns().len()), (150, 5));
    /// ```
    /// Source: R. A. Fisher, "The use of multiple measurements in taxonomic problems", Annals of Eugenics 7 (1936); the
    /// numbers are those of the copy in scikit-learn 1.9, which equal Fisher's.
    pub fn iris() -> Table {
        Table::parse("iris", include_bytes!("../../data/iris.csv"), Reading::default())
            .expect("the embedded table is sound")
    }

    /// The same table with these names of its columns, in order.
    ///
    /// ```
    /// use covector_data::{Reading, Table};
    /// let table = Table::parse("a.csv", b"1,2\n3,4\n", Reading::default())?.renamed(&["x".into(), "y".into()])?;
    /// assert_eq!(table.column("y")?.cell(1), Some("4"));
    /// # Ok::<(), covector_data::Error>(())
    /// ```
    /// # Errors
    /// If there are more or fewer of them than columns, or one is empty or there twice.
    pub fn renamed(self, names: &[String]) -> Result<Table> {
        let Table { name, mut columns, lines, .. } = self;
        if names.len() != columns.len() {
            let problem = format!("{} for {}", count(names.len(), "name"), count(columns.len(), "column"));
            return Err(Error::new(name, problem).hint("name each column once, in order"));
        }
        columns.iter_mut().zip(names).for_each(|(column, name)| column.name.clone_from(name));
        Table::checked(&name, columns, lines, true)
    }

    /// What it is called in errors: the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.lines.len()
    }

    /// All columns in order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// True if the file named its columns; else they are `column_1`, `column_2` and so on.
    pub fn has_header(&self) -> bool {
        self.header
    }

    /// The line of the file in which a row begins, counted from 1.
    #[track_caller]
    pub fn line(&self, row: usize) -> u64 {
        self.lines[row]
    }

    /// The column of this name.
    ///
    /// # Errors
    /// If there is none; a name near it is proposed.
    pub fn column(&self, name: &str) -> Result<&Column> {
        self.columns.iter().find(|c| c.name == name).ok_or_else(|| self.no_column(name))
    }

    fn no_column(&self, name: &str) -> Error {
        let names = || self.columns.iter().map(|c| c.name.as_str());
        let error = Error::new(&self.name, format!("there is no column {}", shown(name)));
        match names().find(|c| c.eq_ignore_ascii_case(name.trim())).or_else(|| nearest(name, names())) {
            Some(near) => error.hint(format!("did you mean {}?", shown(near))),
            None => {
                let some: Vec<String> = names().take(20).map(shown).collect();
                let more = if self.columns.len() > 20 { ", …" } else { "" };
                error.hint(format!("its {}: {}{more}", count(self.columns.len(), "column"), some.join(", ")))
            }
        }
    }

    /// An error about one cell.
    fn fault(&self, row: usize, column: &Column, problem: impl Into<String>) -> Error {
        Error::new(&self.name, problem).line(self.lines[row]).column(&column.name)
    }

    /// A table of these columns of equal length, whose rows begin in these lines.
    ///
    /// # Errors
    /// If there are no rows, or a column has no name or one that another has.
    fn checked(name: &str, columns: Vec<Column>, lines: Vec<u64>, header: bool) -> Result<Table> {
        let mut known: HashMap<&str, usize> = HashMap::with_capacity(columns.len());
        for (i, column) in columns.iter().enumerate() {
            let at = |problem: String| Error::new(name, problem).line(1);
            if column.name.is_empty() {
                let error = at(format!("column {} has no name", i + 1));
                return Err(error.hint("name it; an index that pandas wrote is left out by `to_csv(…, index=False)`"));
            }
            if let Some(first) = known.insert(&column.name, i) {
                let which = format!("columns {} and {}", first + 1, i + 1);
                return Err(at(format!("{which} are both named {}", shown(&column.name))).hint("rename one of them"));
            }
        }
        if lines.is_empty() {
            return Err(
                Error::new(name, "there are no rows under the header").hint("a file without a header needs numbers")
            );
        }
        Ok(Table { name: name.to_owned(), columns, lines, header })
    }
}

#[cfg(feature = "parquet")]
fn parquet_table(path: &Path) -> Result<Table> {
    parquet::read(path)
}

#[cfg(not(feature = "parquet"))]
fn parquet_table(path: &Path) -> Result<Table> {
    let hint = "build with `--features parquet`, or write the table as CSV";
    Err(Error::at(path, "this build does not read Parquet").hint(hint))
}
