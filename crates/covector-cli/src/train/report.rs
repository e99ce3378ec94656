//! The report of a training: one HTML page with its curves, its sample, its settings and its shapes.

use std::fmt::Write;
use std::path::Path;

use super::history::History;
use crate::{Failure, args};

/// What a report shows beside the history.
pub struct Facts<'a> {
    pub options: &'a args::Train,
    pub parameters: usize,
    pub steps: usize,
    pub loss: f64,
    pub time: String,
    pub sample: &'a str,
    pub shapes: &'a str,
}

/// Writes the page, whole or not at all.
pub fn write(path: &Path, history: &History, facts: &Facts) -> Result<(), Failure> {
    covector_io::write_atomically(path, page(history, facts).as_bytes()).map_err(|e| Failure::Outside(e.to_string()))
}

fn page(history: &History, facts: &Facts) -> String {
    let options = serde_json::to_value(facts.options).unwrap_or_default();
    let mut settings = String::new();
    for (name, value) in options.as_object().into_iter().flatten().filter(|(_, v)| !v.is_null()) {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let _ =
            writeln!(settings, "<tr><th>{}</th><td>{}</td></tr>", escaped(&name.replace('_', "-")), escaped(&value));
    }
    let figures = [
        ("held-out loss", format!("{:.4}", facts.loss)),
        ("steps", facts.steps.to_string()),
        ("parameters", crate::progress::grouped(facts.parameters as u64)),
        ("time", facts.time.clone()),
    ];
    let figures: String =
        figures.iter().map(|(name, x)| format!("<div><b>{}</b><span>{name}</span></div>", escaped(x))).collect();
    include_str!("report.html")
        .replace("{{figures}}", &figures)
        .replace("{{chart}}", &chart(history))
        .replace("{{settings}}", &settings)
        .replace("{{shapes}}", &escaped(facts.shapes))
        .replace("{{sample}}", &escaped(facts.sample))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('{', "&#123;")
}

/// Width and height of the chart, and the room for its labels.
const SIZE: (f64, f64) = (760.0, 320.0);
const ROOM: (f64, f64) = (48.0, 28.0);

/// The losses as a picture: every batch, their mean, the held-out text.
fn chart(history: &History) -> String {
    let all = history.losses.iter().chain(&history.held_out).filter(|(_, y)| y.is_finite());
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
    let mut svg = format!("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"loss by step\">\n", SIZE.0, SIZE.1);
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
    let _ = writeln!(svg, "<polyline class=\"batch\" points=\"{}\"/>", line(&history.losses));
    let _ = writeln!(svg, "<polyline class=\"mean\" points=\"{}\"/>", line(&history.smooth()));
    let _ = writeln!(svg, "<polyline class=\"held\" points=\"{}\"/>", line(&history.held_out));
    for (step, loss) in history.held_out.iter().filter(|(_, loss)| loss.is_finite()) {
        let (cx, cy) = (x(*step), y(*loss));
        let _ = writeln!(
            svg,
            "<circle class=\"held\" cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"4\"><title>step {step}: {loss:.4}</title></circle>"
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
    fn texts_cannot_leave_their_place() {
        assert_eq!(escaped("<script>{{sample}}"), "&lt;script&gt;&#123;&#123;sample}}");
    }
}
