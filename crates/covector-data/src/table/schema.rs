//! What the columns of a table mean, learned once, stored with the model, and asked of every later table.

use std::collections::BTreeMap;

use covector::Tensor;
use covector::spelling::nearest;
use serde::{Deserialize, Serialize};

use super::{Column, Table};
use crate::error::{count, shown};
use crate::{Error, Result};

/// More different texts than this in a column are no categories.
const MOST_CATEGORIES: usize = 100;
/// As many different whole numbers are taken as classes, if nobody says otherwise.
const MOST_NUMBERED_CLASSES: usize = 10;

/// What is to be done with cells that are missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Missing {
    /// It is an error that names the first of them.
    #[default]
    Error,
    /// A number that is missing is the column's mean over the rows learned from; a category is none of those known.
    Mean,
    /// Rows that lack anything are left out.
    Drop,
}

/// What is learned: one of several classes, or a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// One of several classes.
    Classes,
    /// A number.
    Number,
}

/// What is asked of a table before it is learned from.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The column to predict; the last one if none is named.
    pub target: Option<String>,
    /// Columns to leave out.
    pub ignore: Vec<String>,
    /// Columns of numbers that are names of categories.
    pub categories: Vec<String>,
    /// What is to be done with missing cells.
    pub missing: Missing,
    /// What is learned. If it is not said: classes if the target is texts, or at most ten different whole numbers, each in
    /// five rows on average; else a number.
    pub goal: Option<Goal>,
}

/// How a column becomes numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// As the number it is.
    Number,
    /// As one number per category, 1 for the one it is and 0 for the others.
    Categories(Vec<String>),
}

/// A column that is learned from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feature {
    /// Its name.
    pub name: String,
    /// How it becomes numbers.
    pub encoding: Encoding,
}

impl Feature {
    /// How many numbers it becomes.
    pub fn width(&self) -> usize {
        match &self.encoding {
            Encoding::Number => 1,
            Encoding::Categories(names) => names.len(),
        }
    }
}

/// The column that is predicted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// Its classes in order; none if it is a number.
    pub classes: Option<Vec<String>>,
}

/// What the columns of a table mean.
///
/// ```
/// use covector_data::{Asked, Schema, Table};
/// let iris = Table::iris();
/// let schema = Schema::learn(&iris, &Asked::default()).unwrap();
/// assert_eq!(schema.target.classes.as_ref().unwrap()[2], "virginica");
/// let examples = schema.encode(&iris, true).unwrap();
/// assert_eq!(examples.x.shape()[..], [150, 4]);
/// assert_eq!(examples.y.unwrap().shape()[..], [150]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// What is learned from.
    pub features: Vec<Feature>,
    /// What is predicted.
    pub target: Target,
    /// What is done with missing cells.
    pub missing: Missing,
}

/// Rows as numbers.
#[derive(Clone, Debug)]
pub struct Examples {
    /// The features, `f64[rows, width]`; NaN where a number is missing.
    pub x: Tensor,
    /// The targets, if they were asked for: `i64[rows]` for classes, else `f64[rows]`.
    pub y: Option<Tensor>,
    /// Which rows of the table these are.
    pub rows: Vec<usize>,
}

impl Schema {
    /// Reads off a table what its columns mean.
    ///
    /// A column is numbers if half of its cells or more are; then the first cell that is none is an error.
    ///
    /// # Errors
    /// If a named column does not exist, nothing is left to learn from, a column is neither numbers nor categories, or the
    /// target has one class only.
    pub fn learn(table: &Table, asked: &Asked) -> Result<Schema> {
        for name in asked.ignore.iter().chain(&asked.categories) {
            table.column(name)?;
        }
        let target = match &asked.target {
            Some(name) => table.column(name)?,
            None => table.columns.last().expect("a table has columns"),
        };
        if asked.ignore.contains(&target.name) {
            return Err(Error::new(&table.name, "the target cannot be left out").column(&target.name));
        }
        let kept = table.columns.iter().filter(|c| c.name != target.name && !asked.ignore.contains(&c.name));
        let (mut features, mut many) = (Vec::new(), Vec::new());
        for column in kept {
            let numbers = !asked.categories.contains(&column.name) && is_numbers(table, column)?;
            let encoding = if numbers { Encoding::Number } else { Encoding::Categories(categories(column)) };
            let feature = Feature { name: column.name.clone(), encoding };
            if feature.width() == 0 {
                let error = Error::new(&table.name, "every cell is missing").column(&column.name);
                return Err(error.hint(format!("leave the column out (--ignore {})", column.name)));
            }
            if feature.width() > MOST_CATEGORIES {
                many.push(column.name.clone());
            }
            features.push(feature);
        }
        if !many.is_empty() {
            return Err(too_many(table, &many));
        }
        if features.is_empty() {
            let problem = "there is no column to learn from besides the target";
            return Err(Error::new(&table.name, problem).column(&target.name));
        }
        let target = Target { name: target.name.clone(), classes: classes(table, target, asked.goal)? };
        Ok(Schema { features, target, missing: asked.missing })
    }

    /// How many numbers a row becomes.
    pub fn width(&self) -> usize {
        self.features.iter().map(Feature::width).sum()
    }

    /// For each of those numbers, whether it is a number of the table, and not the mark of a category.
    pub fn numbers(&self) -> Vec<bool> {
        let of = |f: &Feature| std::iter::repeat_n(f.encoding == Encoding::Number, f.width());
        self.features.iter().flat_map(of).collect()
    }

    /// The rows of a table as numbers. Columns are found by name; others are not looked at.
    ///
    /// Rows that lack something are left out if that is the policy and the target is asked for. Without it every row counts.
    ///
    /// # Errors
    /// If a column is missing, a cell is of another type, a category or class is unknown, or a cell is missing where none may.
    pub fn encode(&self, table: &Table, with_target: bool) -> Result<Examples> {
        let columns = self.features.iter().map(|f| table.column(&f.name)).collect::<Result<Vec<_>>>()?;
        let target = if with_target { Some(table.column(&self.target.name)?) } else { None };
        let lacks = |row: usize| columns.iter().chain(&target).any(|c| c.cell(row).is_none());
        let drop = self.missing == Missing::Drop && with_target;
        let rows: Vec<usize> = (0..table.rows()).filter(|&row| !(drop && lacks(row))).collect();
        if rows.is_empty() {
            return Err(Error::new(&table.name, "every row lacks something, so that none is left")
                .hint("leave out columns that are often empty, or fill with means (--ignore, --missing mean)"));
        }
        let width = self.width();
        let mut x = vec![0.0; rows.len() * width];
        let mut start = 0;
        for (feature, column) in self.features.iter().zip(&columns) {
            let known = Places::of(&feature.encoding);
            for (i, &row) in rows.iter().enumerate() {
                let out = &mut x[i * width + start..][..feature.width()];
                self.write(table, column, row, &known, out)?;
            }
            start += feature.width();
        }
        let x = Tensor::from_slice(&x, [rows.len(), width]);
        let y = target.map(|column| self.targets(table, column, &rows)).transpose()?;
        Ok(Examples { x, y, rows })
    }

    fn write(&self, table: &Table, column: &Column, row: usize, known: &Places<'_>, out: &mut [f64]) -> Result<()> {
        match (column.cell(row), known) {
            (None, _) if self.missing != Missing::Mean => return Err(lacking(table, column, row)),
            (None, Places::Number) => out[0] = f64::NAN,
            (None, Places::Categories(_)) => (),
            (Some(cell), Places::Number) => out[0] = number(table, column, row, cell)?,
            (Some(cell), Places::Categories(places)) => {
                out[place(table, column, row, cell, places, "category")?] = 1.0;
            }
        }
        Ok(())
    }

    fn targets(&self, table: &Table, column: &Column, rows: &[usize]) -> Result<Tensor> {
        let cell = |row: usize| {
            let missing = || {
                lacking(table, column, row)
                    .hint("a row without a target teaches nothing: drop such rows (--missing drop)")
            };
            column.cell(row).ok_or_else(missing)
        };
        if let Some(classes) = &self.target.classes {
            let places = places(classes);
            let class = |&row: &usize| Ok(place(table, column, row, cell(row)?, &places, "class")? as i64);
            return Ok(Tensor::from(rows.iter().map(class).collect::<Result<Vec<i64>>>()?));
        }
        let value = |&row: &usize| number(table, column, row, cell(row)?);
        Ok(Tensor::from(rows.iter().map(value).collect::<Result<Vec<f64>>>()?))
    }
}

/// Where the categories of a column are.
enum Places<'a> {
    Number,
    Categories(BTreeMap<&'a str, usize>),
}

impl<'a> Places<'a> {
    fn of(encoding: &'a Encoding) -> Places<'a> {
        match encoding {
            Encoding::Number => Places::Number,
            Encoding::Categories(names) => Places::Categories(places(names)),
        }
    }
}

fn places(names: &[String]) -> BTreeMap<&str, usize> {
    names.iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect()
}

fn place(
    table: &Table,
    column: &Column,
    row: usize,
    cell: &str,
    places: &BTreeMap<&str, usize>,
    what: &str,
) -> Result<usize> {
    places.get(cell).copied().ok_or_else(|| {
        let names = places.keys().copied();
        let problem = format!("{} is none of the {} {what}{} known", shown(cell), places.len(), plural(what));
        let error = table.fault(row, column, problem);
        match nearest(cell, names.clone()) {
            Some(near) => error.hint(format!("did you mean {}?", shown(near))),
            None => error.hint(format!("there are {}", names.take(10).map(shown).collect::<Vec<_>>().join(", "))),
        }
    })
}

/// What makes "category" and "class" several, after it.
fn plural(what: &str) -> &'static str {
    if what == "class" { "es" } else { " names" }
}

fn lacking(table: &Table, column: &Column, row: usize) -> Error {
    let hint = "fill such cells with means, or drop such rows (--missing mean, --missing drop)";
    table.fault(row, column, "the cell is missing").hint(hint)
}

fn number(table: &Table, column: &Column, row: usize, cell: &str) -> Result<f64> {
    match cell.parse::<f64>() {
        Ok(x) if x.is_finite() => Ok(x),
        Ok(_) => Err(table.fault(row, column, format!("{} is no finite number", shown(cell)))),
        Err(_) => {
            let error = table.fault(row, column, format!("{} is no number", shown(cell)));
            Err(if decimal_comma(cell) { error.hint("numbers have a decimal point, not a comma") } else { error })
        }
    }
}

fn decimal_comma(cell: &str) -> bool {
    cell.contains(',') && cell.replace(',', ".").parse::<f64>().is_ok()
}

/// True if the cells are numbers; an error if most are and one is not.
fn is_numbers(table: &Table, column: &Column) -> Result<bool> {
    let (mut numbers, mut known, mut other) = (0, 0, None);
    for (row, cell) in column.cells().enumerate() {
        let Some(cell) = cell else { continue };
        known += 1;
        match cell.parse::<f64>() {
            Ok(_) => numbers += 1,
            Err(_) => other = other.or(Some((row, cell))),
        }
    }
    match other {
        None => Ok(numbers > 0),
        Some((row, cell)) if decimal_comma(cell) => number(table, column, row, cell).map(|_| true),
        Some((row, cell)) if 2 * numbers >= known => {
            let others = if numbers == 1 { "cell is".to_owned() } else { format!("{numbers} cells are") };
            let problem = format!("{} is no number, but {others}", shown(cell));
            Err(table
                .fault(row, column, problem)
                .hint(format!("correct it, or take the column as categories (--categories {})", column.name)))
        }
        Some(_) => Ok(false),
    }
}

/// The different cells, numbers by size before texts by letters.
fn categories(column: &Column) -> Vec<String> {
    let mut all: Vec<&str> = column.cells().flatten().collect();
    all.sort_unstable();
    all.dedup();
    let size = |cell: &str| cell.parse::<f64>().ok().filter(|x| !x.is_nan());
    all.sort_by(|a, b| match (size(a), size(b)) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        (Some(_), None) => std::cmp::Ordering::Less,
        (None, Some(_)) => std::cmp::Ordering::Greater,
        (None, None) => a.cmp(b),
    });
    all.into_iter().map(str::to_owned).collect()
}

fn too_many(table: &Table, names: &[String]) -> Error {
    let each = |name: &String| {
        let column = table.column(name).expect("it was just there");
        format!("{} has {} different texts in {}", shown(name), categories(column).len(), count(table.rows(), "row"))
    };
    let all: Vec<String> = names.iter().map(each).collect();
    let problem = format!("{}: too many to be categories", all.join(", "));
    Error::new(&table.name, problem).hint(format!("leave them out (--ignore {})", names.join(",")))
}

/// The classes of the target; none if it is a number.
fn classes(table: &Table, column: &Column, goal: Option<Goal>) -> Result<Option<Vec<String>>> {
    let numbers = match goal {
        Some(Goal::Classes) => false,
        Some(Goal::Number) => true,
        None => is_numbers(table, column)?,
    };
    let classes = categories(column);
    if classes.is_empty() {
        return Err(Error::new(&table.name, "every cell of the target is missing").column(&column.name));
    }
    let whole = |c: &String| c.parse::<f64>().is_ok_and(|x| x.fract() == 0.0);
    let few = classes.len() <= MOST_NUMBERED_CLASSES && 5 * classes.len() <= table.rows();
    if numbers && (goal.is_some() || !few || !classes.iter().all(whole)) {
        return Ok(None);
    }
    if classes.len() == 1 {
        let problem = format!("the target is {} in every row: there is nothing to tell apart", shown(&classes[0]));
        return Err(Error::new(&table.name, problem).column(&column.name));
    }
    if classes.len() > MOST_CATEGORIES && 2 * classes.len() > table.rows() {
        let problem = format!("the target has {} different texts in {} rows", classes.len(), table.rows());
        return Err(Error::new(&table.name, problem)
            .column(&column.name)
            .hint("name the column to predict (--target)"));
    }
    Ok(Some(classes))
}
