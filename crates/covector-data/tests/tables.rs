//! Tables: what pandas reads, and every way in which a file can be wrong.

use covector::Tensor;
use covector_data::{Asked, Goal, Missing, Reading, Schema, Standardize, Table};
use serde_json::Value;

fn golden() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../goldens/data.json");
    serde_json::from_str(&std::fs::read_to_string(path).expect("goldens/data.json")).expect("JSON")
}

fn parse(text: &str) -> covector_data::Result<Table> {
    Table::parse("t.csv", text.as_bytes(), Reading::default())
}

fn table(text: &str) -> Table {
    parse(text).unwrap_or_else(|e| panic!("{e}"))
}

/// The message, without the hint, and the hint.
fn refused(text: &str) -> (String, String) {
    split(parse(text).map(|_| ()).expect_err("it must be refused"))
}

fn split(e: covector_data::Error) -> (String, String) {
    let text = e.to_string();
    let (said, hint) = text.split_once("\n  hint: ").unwrap_or((&text, ""));
    (said.to_owned(), hint.to_owned())
}

fn asked() -> Asked {
    Asked::default()
}

fn learned(text: &str, asked: &Asked) -> covector_data::Result<(Schema, Vec<f64>, Vec<f64>)> {
    let table = table(text);
    let schema = Schema::learn(&table, asked)?;
    let examples = schema.encode(&table, true)?;
    let y = examples.y.expect("it was asked for").cast(covector::DType::F64);
    Ok((schema, examples.x.to_vec::<f64>(), y.to_vec::<f64>()))
}

#[test]
fn cells_are_those_of_pandas() {
    for golden in golden()["tables"].as_array().unwrap() {
        let ours = table(golden["text"].as_str().unwrap());
        let theirs = golden["cells"].as_object().unwrap();
        assert_eq!(ours.columns().len(), theirs.len());
        for (name, cells) in theirs {
            let column = ours.column(name).unwrap();
            assert_eq!(ours.rows(), cells.as_array().unwrap().len());
            for (row, cell) in cells.as_array().unwrap().iter().enumerate() {
                match cell {
                    Value::Null => assert_eq!(column.cell(row), None, "{name} {row}"),
                    Value::Number(x) => assert_eq!(column.cell(row).unwrap().parse::<f64>().ok(), x.as_f64()),
                    text => assert_eq!(column.cell(row), text.as_str(), "{name} {row}"),
                }
            }
        }
        assert_eq!((0..5).map(|row| ours.line(row)).collect::<Vec<_>>(), [2, 3, 4, 6, 7]);
    }
}

#[test]
fn the_scale_of_iris_is_that_of_scikit_learn() {
    let golden = &golden()["iris"];
    let iris = Table::iris();
    let x = Schema::learn(&iris, &asked()).unwrap().encode(&iris, true).unwrap().x;
    assert!((x.sum(..).item::<f64>() - golden["sum"].as_f64().unwrap()).abs() < 1e-9);
    let scale = Standardize::of(&x, |_| true);
    for (ours, theirs) in [(&scale.mean, &golden["mean"]), (&scale.std, &golden["std"])] {
        let theirs: Vec<f64> = serde_json::from_value(theirs.clone()).unwrap();
        assert!(ours.to_vec::<f64>().iter().zip(theirs).all(|(a, b)| (a - b).abs() < 1e-12));
    }
}

#[test]
fn delimiters_and_headers_are_found_or_told() {
    for text in ["a,b\n1,2\n", "a;b\n1;2\n", "a\tb\n1\t2\n", "a|b\n1|2\n", "\u{feff}a,b\r\n1,2\r\n", "\n\na,b\n\n1,2"] {
        let table = table(text);
        assert_eq!((table.column("b").unwrap().cell(0), table.rows()), (Some("2"), 1), "{text:?}");
        assert!(table.has_header());
    }
    let headless = table("1,x\n2,y\n");
    assert_eq!((headless.rows(), headless.columns()[1].name(), headless.line(1)), (2, "column_2", 2));
    let told = |how| Table::parse("t.csv", b"a,b;c\nd,e;f\n", how).unwrap();
    assert_eq!(told(Reading { header: Some(false), ..Reading::default() }).rows(), 2);
    assert_eq!(told(Reading { delimiter: Some(b';'), header: None }).columns()[0].name(), "a,b");
    assert_eq!(table("\"a,b,c\";d\n1;2\n").columns()[0].name(), "a,b,c", "what is in quotes does not count");
}

#[test]
fn wrong_files_are_refused_with_their_line() {
    let cases = [
        ("", "t.csv: the file is empty", ""),
        ("a,b\n", "t.csv: there are no rows under the header", "a file without a header needs numbers"),
        ("a,b\n1,2\n3\n", "t.csv: line 3: 1 cell, where the header has 2", "from column `b` on, cells are missing"),
        (
            "a,b\n1,2,3\n",
            "t.csv: line 2: 3 cells, where the header has 2",
            "a text with `,` in it needs quotes around it",
        ),
        ("a,b,a\n1,2,3\n", "t.csv: line 1: columns 1 and 3 are both named `a`", "rename one of them"),
        (
            "a,,b\nx,2,3\n",
            "t.csv: line 1: column 2 has no name",
            "name it; an index that pandas wrote is left out by `to_csv(…, index=False)`",
        ),
        (
            "a,b\nx,\"y\n1,2\n",
            "t.csv: line 2: a quote is opened here and never closed",
            "a quote inside of quotes is written twice, \"\"",
        ),
        (
            "a,b\n\"x\" y,2\n",
            "t.csv: line 2: there is text after a closing quote",
            "a quote inside of quotes is written twice, \"\"",
        ),
        ("a,b\nx, \"y, z\"\n", "t.csv: line 2: a quote after a space opens no cell", "remove the space before it"),
        ("a,b\n1,\0\n", "t.csv: line 2: there is a zero byte: this is no text", ""),
    ];
    for (text, said, hint) in cases {
        assert_eq!(refused(text), (said.to_owned(), hint.to_owned()), "{text:?}");
    }
    assert!(refused("\n\n").0.contains("nothing but empty lines"));
    let bytes = |bytes: &[u8]| split(Table::parse("t.csv", bytes, Reading::default()).unwrap_err());
    assert_eq!(bytes(b"a,b\n1,caf\xe9\n").0, "t.csv: line 2: byte 6 of the line begins no character of UTF-8");
    assert_eq!(bytes(b"\xff\xfea\0,\0").0, "t.csv: the file is UTF-16");
    let gone = split(Table::read("/nowhere/t.csv", Reading::default()).unwrap_err());
    assert!(gone.0.starts_with("/nowhere/t.csv: cannot read: ") && gone.1 == "check the path");
}

#[test]
fn columns_are_numbers_or_categories_and_mixtures_are_refused() {
    let (schema, x, y) = learned("n,colour,t\n1,red,0.5\n2.5,blue,1.5\n", &asked()).unwrap();
    assert_eq!((x, y), (vec![1.0, 0.0, 1.0, 2.5, 1.0, 0.0], vec![0.5, 1.5]));
    assert_eq!((schema.numbers(), schema.target.classes), (vec![true, false, false], None));
    let fails = |text: &str, asked: &Asked| split(learned(text, asked).map(|_| ()).unwrap_err());
    let (said, hint) = fails("age,t\n1,a\n2,b\nabc,a\n4,b\n", &asked());
    assert_eq!(said, "t.csv: line 4, column `age`: `abc` is no number, but 3 cells are");
    assert_eq!(hint, "correct it, or take the column as categories (--categories age)");
    let forced = Asked { categories: vec!["age".into()], ..asked() };
    assert_eq!(learned("age,t\n1,a\n2,b\nabc,a\n10,b\n", &forced).unwrap().0.width(), 4);
    let (said, hint) = fails("x,t\n\"1,5\",a\n\"2,5\",b\n", &asked());
    assert_eq!(said, "t.csv: line 2, column `x`: `1,5` is no number");
    assert_eq!(hint, "numbers have a decimal point, not a comma");
    let (said, _) = fails("x,t\n1,a\ninf,b\n", &asked());
    assert_eq!(said, "t.csv: line 3, column `x`: `inf` is no finite number");
    let (said, _) = fails("x,t\n1,a\n2,a\n", &asked());
    assert_eq!(said, "t.csv: column `t`: the target is `a` in every row: there is nothing to tell apart");
    let (said, _) = fails("x,t\nNA,a\n,b\n", &asked());
    assert_eq!(said, "t.csv: column `x`: every cell is missing");
    let (said, _) = fails("t\na\nb\n", &asked());
    assert_eq!(said, "t.csv: column `t`: there is no column to learn from besides the target");
    let names: String = (0..101).map(|i| format!("Name {i},{i},{}\n", if i % 2 == 0 { "a" } else { "b" })).collect();
    let (said, hint) = fails(&format!("Name,x,t\n{names}"), &asked());
    assert_eq!(said, "t.csv: `Name` has 101 different texts in 101 rows: too many to be categories");
    assert_eq!(hint, "leave them out (--ignore Name)");
    let ignoring = Asked { ignore: vec!["Name".into()], ..asked() };
    assert_eq!(learned(&format!("Name,x,t\n{names}"), &ignoring).unwrap().0.width(), 1);
}

#[test]
fn wrong_names_of_columns_bring_the_nearest() {
    let fails = |asked: Asked| split(learned("Age,colour\n1,a\n2,b\n", &asked).map(|_| ()).unwrap_err());
    let target = |name: &str| Asked { target: Some(name.into()), ..asked() };
    assert_eq!(fails(target("color")), ("t.csv: there is no column `color`".into(), "did you mean `colour`?".into()));
    assert_eq!(fails(target("age")).1, "did you mean `Age`?");
    assert_eq!(fails(target("zzz")).1, "its 2 columns: `Age`, `colour`");
    assert_eq!(fails(Asked { ignore: vec!["Agge".into()], ..asked() }).1, "did you mean `Age`?");
}

#[test]
fn missing_cells_are_errors_unless_a_policy_is_named() {
    let text = "x,c,t\n1,a,0.5\n,b,1.5\n3,?,2.5\n5,a,\n";
    let with = |missing| learned(text, &Asked { missing, ..asked() });
    let (said, hint) = split(with(Missing::Error).map(|_| ()).unwrap_err());
    assert_eq!(said, "t.csv: line 3, column `x`: the cell is missing");
    assert_eq!(hint, "fill such cells with means, or drop such rows (--missing mean, --missing drop)");
    assert_eq!(with(Missing::Drop).unwrap().1, [1.0, 1.0, 0.0]);
    let (said, hint) = split(with(Missing::Mean).map(|_| ()).unwrap_err());
    assert_eq!(said, "t.csv: line 5, column `t`: the cell is missing");
    assert_eq!(hint, "a row without a target teaches nothing: drop such rows (--missing drop)");
    let (schema, x, _) =
        learned("x,c,t\n1,a,0.5\n,b,1.5\n3,?,2.5\n", &Asked { missing: Missing::Mean, ..asked() }).unwrap();
    assert!(x[3].is_nan() && x[7..] == [0.0, 0.0], "{x:?}: a missing category is none of those known");
    let x = Tensor::from_slice(&x, [3, 3]);
    let scaled = Standardize::of(&x, |i| schema.numbers()[i]).apply(&x).to_vec::<f32>();
    assert_eq!(scaled, [-1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0], "a missing number is the mean");
    let none = split(learned("x,t\n,1\n2,\n", &Asked { missing: Missing::Drop, ..asked() }).map(|_| ()).unwrap_err());
    assert_eq!(none.0, "t.csv: every row lacks something, so that none is left");
}

#[test]
fn whole_numbers_are_classes_only_if_they_are_few() {
    let rows = |n: usize, of: usize| (0..n).map(|i| format!("{i},{}\n", i % of)).collect::<String>();
    let classes = |text: String, goal| {
        learned(&format!("x,t\n{text}"), &Asked { goal, ..asked() }).unwrap().0.target.classes.map(|c| c.len())
    };
    assert_eq!(classes(rows(30, 3), None), Some(3));
    assert_eq!(classes(rows(30, 3), Some(Goal::Number)), None);
    assert_eq!(classes(rows(12, 3), None), None, "four rows each say little");
    assert_eq!(classes(rows(12, 3), Some(Goal::Classes)), Some(3));
    assert_eq!(classes(rows(110, 11), None), None);
    let ordered = learned("x,t\n1,10\n2,9\n", &Asked { goal: Some(Goal::Classes), ..asked() }).unwrap().0;
    assert_eq!(ordered.target.classes.unwrap(), ["9", "10"]);
}

#[test]
fn later_tables_are_held_to_what_was_learned() {
    let (schema, ..) = learned("n,colour,t\n1,red,a\n2,blue,b\n", &asked()).unwrap();
    let json = serde_json::to_string(&schema).unwrap();
    let schema: Schema = serde_json::from_str(&json).unwrap();
    let encoded = |text: &str| schema.encode(&table(text), false).map(|e| e.x.to_vec::<f64>()).map_err(split);
    assert_eq!(encoded("more,colour,n\n9,red,7\n").unwrap(), [7.0, 0.0, 1.0], "columns are found by name");
    assert_eq!(encoded("n,color\n1,red\n").unwrap_err().1, "did you mean `color`?");
    assert_eq!(
        encoded("n,colour\n1,redd\n").unwrap_err().0,
        "t.csv: line 2, column `colour`: `redd` is none of the 2 category names known"
    );
    assert_eq!(encoded("n,colour\n1,redd\n").unwrap_err().1, "did you mean `red`?");
    assert_eq!(encoded("n,colour\none,red\n").unwrap_err().0, "t.csv: line 2, column `n`: `one` is no number");
    assert_eq!(encoded("n,colour\n,red\n").unwrap_err().0, "t.csv: line 2, column `n`: the cell is missing");
    let unknown = schema.encode(&table("n,colour,t\n1,red,c\n"), true).map(|_| ()).map_err(split).unwrap_err();
    assert_eq!(unknown.0, "t.csv: line 2, column `t`: `c` is none of the 2 classes known");
}

#[cfg(not(feature = "parquet"))]
#[test]
fn parquet_is_refused_by_a_build_without_it() {
    let (said, hint) = split(Table::read("a.parquet", Reading::default()).map(|_| ()).unwrap_err());
    assert_eq!(said, "a.parquet: this build does not read Parquet");
    assert_eq!(hint, "build with `--features parquet`, or write the table as CSV");
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_gives_the_cells_of_the_same_table_in_csv() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let ours = Table::read(folder.join("table.parquet"), Reading::default()).unwrap();
    let same = Table::read(folder.join("table.csv"), Reading::default()).unwrap();
    assert_eq!(ours.rows(), same.rows());
    for (a, b) in ours.columns().iter().zip(same.columns()) {
        assert_eq!(a.name(), b.name());
        let number = |c: Option<&str>| c.map(|c| c.parse::<f64>().map_or_else(|_| c.to_owned(), |x| x.to_string()));
        assert!(a.cells().map(number).eq(b.cells().map(number)), "{}", a.name());
    }
    let bytes = std::fs::read(folder.join("table.parquet")).unwrap();
    let cut = std::env::temp_dir().join(format!("covector-data-{}.parquet", std::process::id()));
    for end in (0..bytes.len()).step_by(7) {
        std::fs::write(&cut, &bytes[..end]).unwrap();
        let error = Table::read(&cut, Reading::default()).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("not a valid Parquet file"), "{error}");
    }
    std::fs::remove_file(&cut).unwrap();
}

/// A file of arrays, which is removed when dropped.
struct Arrays(std::path::PathBuf);

impl Arrays {
    fn npy(name: &str, array: &Tensor) -> Arrays {
        let path = std::env::temp_dir().join(format!("covector-data-{}-{name}.npy", std::process::id()));
        covector_io::save_npy(&path, &array.value()).unwrap();
        Arrays(path)
    }

    fn npz(name: &str, arrays: &[(&str, Tensor)]) -> Arrays {
        let path = std::env::temp_dir().join(format!("covector-data-{}-{name}.npz", std::process::id()));
        let arrays: Vec<_> = arrays.iter().map(|(name, t)| ((*name).to_owned(), t.value())).collect();
        covector_io::save_npz(&path, &arrays).unwrap();
        Arrays(path)
    }

    fn read(&self) -> covector_data::Result<Table> {
        Table::read(&self.0, Reading::default())
    }

    #[track_caller]
    fn refused(&self, wanted: &str) {
        let said = self.read().map(|_| ()).unwrap_err().to_string();
        assert!(said.starts_with(&self.0.display().to_string()) && said.contains(wanted), "{said}");
    }
}

impl Drop for Arrays {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn arrays_are_tables_whose_columns_have_numbers_or_the_names_that_are_given() {
    let x = Tensor::from([[0.1f32, -3.0], [f32::NAN, 1e-7], [16777216.0, 4.0]]);
    let table = Arrays::npy("two", &x).read().unwrap();
    let cells = |name: &str| -> Vec<Option<String>> {
        table.column(name).unwrap().cells().map(|cell| cell.map(str::to_owned)).collect()
    };
    assert_eq!(cells("0"), [Some("0.1".into()), None, Some("16777216".into())]);
    assert_eq!(cells("1"), [Some("-3".into()), Some("0.0000001".into()), Some("4".into())]);
    let named = table.clone().renamed(&["a".into(), "b".into()]).unwrap();
    assert_eq!(named.column("b").unwrap().cell(2), Some("4"));
    let said = table.clone().renamed(&["a".into()]).unwrap_err().to_string();
    assert!(said.contains("1 name for 2 columns"), "{said}");
    assert!(table.renamed(&["a".into(), "a".into()]).unwrap_err().to_string().contains("are both named `a`"));

    let (y, flag) = (Tensor::from([7i64, -8, i64::MAX]), Tensor::from([true, false, true]));
    let several = Arrays::npz("several", &[("y", y), ("x", x), ("flag", flag)]).read().unwrap();
    let names: Vec<&str> = several.columns().iter().map(covector_data::Column::name).collect();
    assert_eq!(names, ["flag", "x.0", "x.1", "y"]);
    assert_eq!(several.column("y").unwrap().cell(2), Some("9223372036854775807"));
    assert_eq!(several.column("flag").unwrap().cell(1), Some("false"));
    let one = Arrays::npy("one", &Tensor::from([1.5f64, 2.5])).read().unwrap();
    assert_eq!((one.columns().len(), one.rows(), one.column("0").unwrap().cell(1)), (1, 2, Some("2.5")));
}

#[test]
fn arrays_that_are_no_tables_are_refused() {
    Arrays::npy("cube", &Tensor::from([[[1.0f32]]]))
        .refused("a table has one axis or two, rows and columns, and this is f32[1, 1, 1]");
    Arrays::npy("point", &Tensor::from(1.0f32)).refused("a table has one axis or two");
    Arrays::npy("nothing", &Tensor::from(Vec::<f32>::new())).refused("there are no numbers in it");
    let (x, y) = (Tensor::from([1.0f32, 2.0]), Tensor::from([1.0f32]));
    Arrays::npz("uneven", &[("x", x), ("y", y)]).refused("array `y`: 1 row, and `x` has 2");
    Arrays::npz("none", &[]).refused("there are no arrays in it");
    let cut = Arrays::npy("cut", &Tensor::from([1.0f32, 2.0]));
    let bytes = std::fs::read(&cut.0).unwrap();
    std::fs::write(&cut.0, &bytes[..bytes.len() - 3]).unwrap();
    cut.refused("");
}
