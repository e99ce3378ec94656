//! The table: as Markdown for people, as JSON for the next comparison.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::rows::{Against, ROWS, Row};

/// Columns in order, with their headings.
const COLUMNS: [(&str, &str); 7] = [
    ("covector", "covector"),
    ("torch", "PyTorch"),
    ("torch-compile", "torch.compile"),
    ("jax", "JAX jit"),
    ("candle", "candle"),
    ("burn", "burn"),
    ("bare", "bare tape"),
];

/// A ratio that moved by more than this is worth a look.
const NOISE: f64 = 0.1;

/// Figures are marked if other work took more cores than this meanwhile.
pub const DISTURBED: f64 = 0.25;

#[derive(Default)]
pub struct Table {
    pub machine: String,
    pub commit: String,
    pub date: String,
    pub versions: Vec<String>,
    pub floors: BTreeMap<String, f64>,
    pub lines: BTreeMap<String, Line>,
    pub notes: Vec<String>,
}

/// The cells of a row.
#[derive(Default)]
pub struct Line {
    pub cells: BTreeMap<String, Cell>,
    /// covector's time over that of the best peer, and who that is.
    pub ratio: Option<(f64, String)>,
    pub floor: Option<f64>,
}

pub struct Cell {
    /// Seconds in each repeat.
    pub repeats: Vec<f64>,
    pub peak_mib: Option<f64>,
    /// How many cores other processes took, in the median.
    pub others: f64,
    /// Whether the check figures are covector's.
    pub agrees: bool,
}

impl Line {
    pub fn new(cells: BTreeMap<String, Cell>, against: Against) -> Line {
        let opponent = |name: &str| name != "covector" && against.includes(name);
        let peers = cells.iter().filter(|(name, cell)| opponent(name) && cell.agrees);
        let best = peers.min_by(|a, b| median(&a.1.repeats).total_cmp(&median(&b.1.repeats)));
        let ratio = cells.get("covector").zip(best).map(|(own, (name, best))| {
            let ratios: Vec<f64> = own.repeats.iter().zip(&best.repeats).map(|(a, b)| a / b).collect();
            (median(&ratios), name.clone())
        });
        Line { cells, ratio, floor: None }
    }

    /// Everybody's times in a line of plain text.
    pub fn summary(&self, row: &str) -> String {
        let cells = self.cells.iter().map(|(name, cell)| format!("{name} {}", cell.text()));
        let ratio = self.ratio.as_ref().map_or(String::new(), |(ratio, best)| format!("; {ratio:.2} of {best}"));
        format!("{row}: {}{ratio}", cells.collect::<Vec<_>>().join(", "))
    }
}

pub fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

impl Table {
    /// Fills in the floors, from the rates of the machine.
    pub fn set_floors(&mut self, floor: impl Fn(&Row, &BTreeMap<String, f64>) -> Option<f64>) {
        for row in &ROWS {
            if let Some(line) = self.lines.get_mut(row.name) {
                line.floor = floor(row, &self.floors);
            }
        }
    }

    /// The table, with a column that compares its ratios with those of an earlier one.
    pub fn markdown(&self, earlier: &Table) -> String {
        let mut text = String::from("# covector and its peers\n\n");
        let shown = |(name, _): &&(&str, &str)| self.lines.values().any(|line| line.cells.contains_key(*name));
        let columns: Vec<&(&str, &str)> = COLUMNS.iter().filter(shown).collect();
        let compared = !earlier.lines.is_empty();

        let headings = columns.iter().map(|(_, heading)| format!(" {heading} |")).collect::<String>();
        let last = if compared { " since last |" } else { "" };
        let _ = writeln!(text, "| |{headings} covector / best | floor |{last}");
        let dashes = "---:|".repeat(columns.len() + 2 + usize::from(compared));
        let _ = writeln!(text, "|---|{dashes}");
        for row in &ROWS {
            let Some(line) = self.lines.get(row.name) else { continue };
            let cell =
                |(name, _): &&(&str, &str)| format!(" {} |", line.cells.get(*name).map_or("–".into(), Cell::text));
            let cells = columns.iter().map(cell).collect::<String>();
            let ratio = line.ratio.as_ref().map_or("–".into(), |(ratio, _)| format!("{ratio:.2}"));
            let floor = line.floor.map_or("–".into(), time);
            let _ = write!(text, "| {} |{cells} {ratio} | {floor} |", row.title);
            if compared {
                let change = self.change(earlier, row.name).map_or("–".into(), |change| {
                    let text = format!("×{change:.2}");
                    if (change - 1.0).abs() > NOISE { format!("**{text}**") } else { text }
                });
                let _ = write!(text, " {change} |");
            }
            text.push('\n');
        }
        self.memory(&mut text, &columns);
        self.explanation(&mut text, compared.then_some(earlier));
        text
    }

    /// By what factor the ratio of a row moved since an earlier table.
    fn change(&self, earlier: &Table, row: &str) -> Option<f64> {
        let ratio = |table: &Table| table.lines.get(row)?.ratio.as_ref().map(|(ratio, _)| *ratio);
        Some(ratio(self)? / ratio(earlier)?)
    }

    /// The rows whose ratio grew by more than noise since an earlier table, and by what factor; the worst first.
    pub fn regressions(&self, earlier: &Table) -> Vec<(&'static str, f64)> {
        let changes = ROWS.iter().filter_map(|row| Some((row.name, self.change(earlier, row.name)?)));
        let mut found: Vec<_> = changes.filter(|(_, change)| *change > 1.0 + NOISE).collect();
        found.sort_by(|a, b| b.1.total_cmp(&a.1));
        found
    }

    fn memory(&self, text: &mut String, columns: &[&(&str, &str)]) {
        let peak = |line: &Line, name: &str| line.cells.get(name).and_then(|cell| cell.peak_mib);
        let lines: Vec<(&Row, &Line)> = ROWS.iter().filter_map(|r| Some((r, self.lines.get(r.name)?))).collect();
        let lines = lines.into_iter().filter(|(_, line)| columns.iter().any(|(name, _)| peak(line, name).is_some()));
        for (i, (row, line)) in lines.enumerate() {
            if i == 0 {
                let headings = columns.iter().map(|(_, heading)| format!(" {heading} |")).collect::<String>();
                let _ = writeln!(text, "\n| peak MiB |{headings}\n|---|{}", "---:|".repeat(columns.len()));
            }
            let cell =
                |(name, _): &&(&str, &str)| peak(line, name).map_or(" – |".into(), |mib| format!(" {mib:.0} |"));
            let _ = writeln!(text, "| {} |{}", row.title, columns.iter().map(cell).collect::<String>());
        }
    }

    fn explanation(&self, text: &mut String, earlier: Option<&Table>) {
        let floor = |name: &str| self.floors.get(name).copied().unwrap_or(f64::NAN);
        let Table { machine, commit, date, versions, .. } = self;
        let _ = writeln!(text, "\n- {date}, covector at {commit}. Machine: {machine}.");
        let cells = || self.lines.values().flat_map(|line| line.cells.values());
        let _ = writeln!(
            text,
            "- {} threads each. Other work took {:.1} cores in the median; ~ marks figures taken while it took more than \
             {DISTURBED}. Libraries whose threads wait by spinning suffer most from it.",
            floor("threads"),
            median(&cells().map(|cell| cell.others).collect::<Vec<_>>())
        );
        let _ = writeln!(text, "- Versions: {}.", versions.join(", "));
        let _ = writeln!(
            text,
            "- Measured beside it: {:.0} GFLOP/s f32, {:.0} f64 by fused multiply-adds; {:.0} GB/s read from memory; {:.0} ns \
             until a core sees what another has written (several times as many where they share no cache: nets are slower \
             then). The floor of a row is its unavoidable arithmetic or memory traffic at these rates; arrays that stay in \
             the cache may beat it.",
            floor("gflops_f32"),
            floor("gflops_f64"),
            floor("read_gb_s"),
            floor("handover_ns")
        );
        let _ = writeln!(
            text,
            "- Each repeat asks every library in turn; a figure is the median over the repeats of the fastest run. The ratio \
             is the median of those within a repeat, to the library that is best in the row: below 1, covector is faster. \
             Where covector records its ops as the program runs, it is compared with the libraries that do so, and with \
             those that compile where it compiles. Training steps of networks are compiled as a whole and \
             overwrite the parameters they are given."
        );
        let _ = writeln!(
            text,
            "- All compute the same from the same inputs: results, or the losses of the first three steps, are compared. \
             ≠ marks one that differs, which is then no opponent; – what a library lacks or its driver does not do."
        );
        if let Some(Table { date, commit, .. }) = earlier {
            let _ = writeln!(
                text,
                "- Since last: by what factor the ratio moved since {date} (covector at {commit}); in bold where by more \
                 than {:.0} %.",
                NOISE * 100.0
            );
        }
        for note in &self.notes {
            let _ = writeln!(text, "- {note}");
        }
    }

    /// What was recorded; an empty table if nothing was.
    pub fn read(path: &Path) -> Table {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let json: Value = serde_json::from_str(&text).unwrap_or_default();
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        let texts = |name: &str| -> Vec<String> {
            json[name].as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
        };
        let entries = |name: &str| json[name].as_object().into_iter().flatten();
        Table {
            machine: text("machine"),
            commit: text("commit"),
            date: text("date"),
            versions: texts("versions"),
            floors: entries("floors").filter_map(|(name, v)| Some((name.clone(), v.as_f64()?))).collect(),
            lines: entries("rows").map(|(name, v)| (name.clone(), Line::from_json(name, v))).collect(),
            notes: texts("notes"),
        }
    }

    /// This table with the rows of a newer one in place of its own; of one machine the best rates stand.
    pub fn updated(self, mut newer: Table) -> Table {
        let mut lines = self.lines;
        lines.extend(std::mem::take(&mut newer.lines));
        for (name, figure) in self.floors.iter().filter(|_| self.machine == newer.machine) {
            newer.floors.entry(name.clone()).and_modify(|best| *best = best.max(*figure));
        }
        Table { lines, ..newer }
    }

    pub fn write(&self, path: &Path) -> Result<(), String> {
        let rows: Map<String, Value> = self.lines.iter().map(|(name, line)| (name.clone(), line.to_json())).collect();
        let json = json!({
            "machine": self.machine, "commit": self.commit, "date": self.date,
            "versions": self.versions, "floors": self.floors, "rows": rows, "notes": self.notes,
        });
        let text = serde_json::to_string_pretty(&json).map_err(|e| e.to_string())?;
        std::fs::write(path, text + "\n").map_err(|e| e.to_string())
    }
}

impl Line {
    fn to_json(&self) -> Value {
        let cell = |cell: &Cell| json!({"seconds": median(&cell.repeats), "peak_mib": cell.peak_mib, "others": cell.others, "agrees": cell.agrees});
        let cells: Map<String, Value> = self.cells.iter().map(|(name, c)| (name.clone(), cell(c))).collect();
        let (ratio, best) = self.ratio.clone().unzip();
        json!({"cells": cells, "ratio": ratio, "best": best, "floor": self.floor})
    }

    /// A row as it was recorded; its opponents are those of today.
    fn from_json(name: &str, json: &Value) -> Line {
        let cell = |json: &Value| Cell {
            repeats: json["seconds"].as_f64().into_iter().collect(),
            peak_mib: json["peak_mib"].as_f64(),
            others: json["others"].as_f64().unwrap_or(f64::NAN),
            agrees: json["agrees"].as_bool().unwrap_or(true),
        };
        let cells = json["cells"].as_object().into_iter().flatten();
        let against = ROWS.iter().find(|row| row.name == name).map_or(Against::All, |row| row.against);
        let best = json["best"].as_str().filter(|best| against.includes(best));
        let line = Line::new(cells.map(|(name, json)| (name.clone(), cell(json))).collect(), against);
        let ratio = json["ratio"].as_f64().zip(best).map(|(ratio, best)| (ratio, best.to_owned())).or(line.ratio);
        Line { ratio, floor: json["floor"].as_f64(), ..line }
    }
}

impl Cell {
    fn text(&self) -> String {
        let disturbed = if self.others > DISTURBED { "~" } else { "" };
        let differs = if self.agrees { "" } else { " ≠" };
        format!("{disturbed}{}{differs}", time(median(&self.repeats)))
    }
}

/// Three digits and a unit.
pub fn time(seconds: f64) -> String {
    let (number, unit) = match seconds {
        s if s >= 1.0 => (s, "s"),
        s if s >= 1e-3 => (s * 1e3, "ms"),
        s => (s * 1e6, "µs"),
    };
    let digits = if number >= 99.95 { 0 } else { usize::from(number < 9.995) + 1 };
    format!("{number:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(figures: &[(&str, f64)], against: Against) -> Line {
        let cell = |seconds| Cell { repeats: vec![seconds], peak_mib: None, others: 0.0, agrees: true };
        Line::new(figures.iter().map(|(name, seconds)| ((*name).to_owned(), cell(*seconds))).collect(), against)
    }

    fn table(lines: Vec<(&str, Line)>) -> Table {
        let lines = lines.into_iter().map(|(name, line)| (name.to_owned(), line)).collect();
        Table { lines, commit: "abc".into(), date: "2026-01-02".into(), ..Table::default() }
    }

    #[test]
    fn the_ratio_is_to_the_best_of_those_that_do_the_same() {
        let figures = [("covector", 2.0), ("torch", 4.0), ("jax", 1.0), ("candle", 3.0)];
        assert_eq!(line(&figures, Against::All).ratio, Some((2.0, "jax".into())));
        assert_eq!(line(&figures, Against::Eager).ratio, Some((2.0 / 3.0, "candle".into())));
        assert_eq!(line(&figures[..2], Against::Compiled).ratio, None);
        let summary = line(&figures, Against::Eager).summary("chain");
        assert_eq!(summary, "chain: candle 3.00 s, covector 2.00 s, jax 1.00 s, torch 4.00 s; 0.67 of candle");
    }

    #[test]
    fn a_library_that_computes_something_else_is_no_opponent() {
        let mut cells = line(&[("covector", 2.0), ("torch", 4.0), ("jax", 1.0)], Against::All).cells;
        cells.get_mut("jax").expect("it was put there").agrees = false;
        assert_eq!(Line::new(cells, Against::All).ratio, Some((0.5, "torch".into())));
    }

    #[test]
    fn regressions_show_as_ratios_to_the_recorded_table() {
        let rows = |factor: f64| {
            let one = |own: f64| line(&[("covector", own), ("torch", 1.0)], Against::All);
            table(vec![("gelu", one(0.4 * factor)), ("mlp", one(0.5)), ("sum_0", one(0.9 / factor))])
        };
        let (last, now) = (rows(1.0), rows(1.5));
        let names: Vec<_> = now.regressions(&last).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["gelu"]);
        let text = now.markdown(&last);
        for (row, change) in [("GELU", " **×1.50** |"), ("MLP", " ×1.00 |"), ("sum", " **×0.67** |")] {
            let line = text.lines().find(|line| line.starts_with(&format!("| {row}"))).expect("the row is shown");
            assert!(line.ends_with(change), "{line}");
        }
        assert!(text.contains("since 2026-01-02 (covector at abc)"), "{text}");
    }

    #[test]
    fn a_slower_machine_is_no_regression() {
        let rows = |speed: f64| table(vec![("gelu", line(&[("covector", speed), ("jax", 2.0 * speed)], Against::All))]);
        assert_eq!(rows(3.0).regressions(&rows(1.0)), []);
    }

    #[test]
    fn rows_that_were_not_measured_before_have_no_change() {
        let now = table(vec![("gelu", line(&[("covector", 1.0), ("jax", 2.0)], Against::All))]);
        let last = table(vec![("mlp", line(&[("covector", 1.0), ("jax", 2.0)], Against::All))]);
        assert_eq!(now.regressions(&last), []);
        let row = now.markdown(&last).lines().find(|line| line.starts_with("| GELU")).map(str::to_owned);
        assert!(row.is_some_and(|row| row.ends_with(" – |")));
    }

    #[test]
    fn a_written_table_is_read_back() {
        let chain = line(&[("covector", 2.0), ("candle", 4.0), ("jax", 1.0)], Against::Eager);
        let table = table(vec![("chain", chain)]);
        let path = std::env::temp_dir().join(format!("covector-bench-table-{}.json", std::process::id()));
        table.write(&path).expect("the temporary folder takes a file");
        let read = Table::read(&path);
        std::fs::remove_file(&path).expect("it was written");
        assert_eq!(read.markdown(&Table::default()), table.markdown(&Table::default()));
    }

    #[test]
    fn ratios_recorded_under_other_rules_are_taken_anew() {
        let cells = json!({"covector": {"seconds": 2.0}, "candle": {"seconds": 4.0}, "jax": {"seconds": 1.0}});
        let recorded = json!({"cells": cells, "ratio": 2.1, "best": "jax", "floor": null});
        assert_eq!(Line::from_json("chain", &recorded).ratio, Some((0.5, "candle".into())));
        assert_eq!(Line::from_json("gelu", &recorded).ratio, Some((2.1, "jax".into())));
    }
}
