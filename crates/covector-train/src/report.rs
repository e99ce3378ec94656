//! The report of a training: one HTML page with its curves, its sample, its settings and its shapes.

use std::fmt::Write;
use std::path::Path;

use covector_trace::table::grouped;
use serde_json::Value;

use crate::{History, Measure, Result};

/// What a report shows beside the history.
pub struct Facts<'a> {
    pub task: &'a str,
    pub options: &'a Value,
    pub parameters: usize,
    pub steps: usize,
    pub measures: &'a [Measure],
    pub values: &'a [f64],
    pub time: String,
    pub summary_title: &'a str,
    pub summary: &'a str,
    pub shapes: &'a str,
    /// The page with the picture of the loss, or why there is none.
    pub graph: std::result::Result<String, String>,
}

/// Writes the page, whole or not at all.
pub fn write(path: &Path, history: &History, facts: &Facts) -> Result<()> {
    Ok(covector_io::write_atomically(path, page(history, facts).as_bytes())?)
}

fn page(history: &History, facts: &Facts) -> String {
    let mut settings = String::new();
    for (name, value) in facts.options.as_object().into_iter().flatten().filter(|(_, v)| !v.is_null()) {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let _ =
            writeln!(settings, "<tr><th>{}</th><td>{}</td></tr>", escaped(&name.replace('_', "-")), escaped(&value));
    }
    let mut figures: Vec<(&str, String)> =
        facts.measures.iter().zip(facts.values).map(|(m, x)| (m.name.as_str(), format!("{x:.4}"))).collect();
    figures.extend([
        ("steps", facts.steps.to_string()),
        ("parameters", grouped(facts.parameters as u64)),
        ("time", facts.time.clone()),
    ]);
    let figures: String = figures
        .iter()
        .map(|(name, x)| format!("<div><b>{}</b><span>{}</span></div>", escaped(x), escaped(name)))
        .collect();
    let section = |title: &str, class: &str, text: &str| match text {
        "" => String::new(),
        _ => format!("<h2>{}</h2>\n<pre{class}>{}</pre>\n", escaped(title), escaped(text)),
    };
    include_str!("report.html")
        .replace("{{title}}", &escaped(facts.task))
        .replace("{{figures}}", &figures)
        .replace("{{charts}}", &charts(history, facts.measures))
        .replace("{{settings}}", &settings)
        .replace("{{graph}}", &graph(&facts.graph))
        .replace("{{shapes}}", &section("Shapes", "", facts.shapes))
        .replace("{{summary}}", &section(facts.summary_title, " class=\"sample\"", facts.summary))
}

/// The page with the picture, in a frame of its own.
fn graph(page: &std::result::Result<String, String>) -> String {
    let inside = match page {
        Ok(page) => {
            let page = page.replace('&', "&amp;").replace('"', "&quot;").replace('{', "&#123;");
            format!("<iframe class=\"graph\" title=\"The graph of the loss\" srcdoc=\"{page}\"></iframe>")
        }
        Err(why) => format!("<p class=\"soft\">It cannot be drawn: {}</p>", escaped(why)),
    };
    format!("<h2>Graph</h2>\n{inside}\n")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('{', "&#123;")
}

/// Width and height of the chart, and the room for its labels.
const SIZE: (f64, f64) = (760.0, 320.0);
const ROOM: (f64, f64) = (48.0, 28.0);

/// The losses in one picture, with the measure that is one of them; the other measures in pictures of their own.
fn charts(history: &History, measures: &[Measure]) -> String {
    let loss = measures.iter().position(|m| m.loss);
    let held_out = loss.map(|i| history.measured(i)).unwrap_or_default();
    let mut key = vec![("var(--mean)", "training, mean"), ("var(--batch)", "each batch")];
    if let Some(i) = loss {
        key.push(("var(--held)", measures[i].name.as_str()));
    }
    let key: String =
        key.iter().map(|(colour, name)| format!("<i style=\"background: {colour}\"></i>{}", escaped(name))).collect();
    let mut all = format!("<h2>Loss</h2>\n<div class=\"key\">{key}</div>\n");
    all += &chart("loss", &[("batch", &history.losses), ("mean", &history.smooth()), ("held", &held_out)]);
    for (i, measure) in measures.iter().enumerate().filter(|(i, _)| Some(*i) != loss) {
        let _ = write!(all, "\n<h2>{}</h2>\n", escaped(&measure.name));
        all += &chart(&measure.name, &[("held", &history.measured(i))]);
    }
    all
}

/// Points by step as a picture; those called `held` with dots.
fn chart(name: &str, series: &[(&str, &[(usize, f64)])]) -> String {
    let all = series.iter().flat_map(|(_, points)| points.iter()).filter(|(_, y)| y.is_finite());
    let (low, high) = all.clone().fold((f64::MAX, f64::MIN), |(l, h), (_, y)| (l.min(*y), h.max(*y)));
    let last = all.map(|(step, _)| *step).max().unwrap_or(1).max(2) as f64;
    if low > high {
        return String::new();
    }
    let (low, high) = (low - 0.02 * (high - low), if high > low { high } else { low + 1.0 });
    let x = |step: usize| ROOM.0 + (SIZE.0 - ROOM.0 - 20.0) * (step as f64 - 1.0) / (last - 1.0);
    let y = |loss: f64| 8.0 + (SIZE.1 - ROOM.1 - 8.0) * (high - loss) / (high - low);
    let line = |points: &[(usize, f64)]| -> String {
        let finite = points.iter().filter(|(_, y)| y.is_finite());
        finite.map(|(step, loss)| format!("{:.1},{:.1} ", x(*step), y(*loss))).collect()
    };
    let (width, height) = SIZE;
    let label = escaped(name);
    let mut svg = format!("<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{label} by step\">\n");
    for tick in ticks(low, high) {
        let at = y(tick);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/><text x=\"{}\" y=\"{:.1}\" \
             text-anchor=\"end\">{tick}</text>",
            ROOM.0,
            SIZE.0 - 20.0,
            ROOM.0 - 8.0,
            at + 4.0
        );
    }
    for tick in ticks(0.0, last).into_iter().filter(|t| *t >= 1.0) {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{tick}</text>",
            x(tick as usize),
            SIZE.1 - 8.0
        );
    }
    for (class, points) in series {
        let _ = writeln!(svg, "<polyline class=\"{class}\" points=\"{}\"/>", line(points));
    }
    let held = series.iter().filter(|(class, _)| *class == "held").flat_map(|(_, points)| points.iter());
    for (step, value) in held.filter(|(_, value)| value.is_finite()) {
        let (cx, cy) = (x(*step), y(*value));
        let _ = writeln!(
            svg,
            "<circle class=\"held\" cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"4\"><title>step {step}: {value:.4}</title></circle>"
        );
    }
    svg + "</svg>"
}

/// About five round numbers between two.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let rough = (high - low) / 5.0;
    let unit = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].iter().map(|m| m * unit).find(|s| *s >= rough).unwrap_or(unit);
    let first = (low / step).ceil() as i64;
    // Rounded, so that 0.30000000000000004 reads 0.3.
    let digits = (-step.log10().floor()).max(0.0) as usize;
    let tick = |i: i64| format!("{:.digits$}", i as f64 * step).parse().unwrap_or(0.0);
    (first..).take_while(|i| *i as f64 * step <= high + 1e-12).take(20).map(tick).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!(ticks(1.8, 4.2), [2.0, 2.5, 3.0, 3.5, 4.0]);
        assert_eq!(ticks(0.0, 2000.0), [0.0, 500.0, 1000.0, 1500.0, 2000.0]);
    }

    #[test]
    fn a_page_in_a_page_comes_out_as_it_went_in() {
        let framed = graph(&Ok("<p title=\"a\">{{x}} &amp; y</p>".into()));
        let inner = framed.split_once("srcdoc=\"").and_then(|(_, rest)| rest.split_once('"')).unwrap().0;
        let read = inner.replace("&#123;", "{").replace("&quot;", "\"").replace("&amp;", "&");
        assert_eq!(read, "<p title=\"a\">{{x}} &amp; y</p>");
    }

    #[test]
    fn texts_cannot_leave_their_place() {
        assert_eq!(escaped("<script>{{sample}}"), "&lt;script&gt;&#123;&#123;sample}}");
    }
}
