//! A whole training on a text, by covector and by PyTorch in turn.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::Stdio;

use serde_json::Value;

use super::driver::{Launch, restricted};
use super::table::{median, time};

/// What a library says of its training.
struct Outcome {
    trained: f64,
    evaluated: f64,
    loss: f64,
}

/// Runs every training `repeats` times in turn; a table in Markdown.
pub fn run(launches: &[Launch], threads: usize, repeats: usize) -> Result<String, String> {
    let mut outcomes: BTreeMap<&'static str, Vec<Outcome>> = BTreeMap::new();
    for repeat in 0..repeats {
        for launch in launches {
            eprintln!("{} {}/{repeats}", launch.name, repeat + 1);
            let outcome = train(launch, threads).map_err(|e| format!("{}: {e}", launch.name))?;
            outcomes.entry(launch.name).or_default().push(outcome);
        }
    }
    Ok(table(launches.iter().map(|launch| launch.name), &outcomes))
}

fn table(names: impl Iterator<Item = &'static str>, outcomes: &BTreeMap<&'static str, Vec<Outcome>>) -> String {
    let mut text =
        String::from("| | training | covector / it | evaluation | held-out loss |\n|---|---:|---:|---:|---:|\n");
    for name in names {
        let figures = |figure: fn(&Outcome) -> f64| outcomes[name].iter().map(figure).collect::<Vec<_>>();
        let trained = figures(|o| o.trained);
        let ratios: Vec<f64> =
            outcomes["covector"].iter().zip(&trained).map(|(own, other)| own.trained / other).collect();
        let (trained, evaluated) = (time(median(&trained)), time(median(&figures(|o| o.evaluated))));
        let (ratio, loss) = (median(&ratios), median(&figures(|o| o.loss)));
        let _ = writeln!(text, "| {name} | {trained} | {ratio:.2} | {evaluated} | {loss:.4} |");
    }
    text
}

fn train(launch: &Launch, threads: usize) -> Result<Outcome, String> {
    let words = launch.command.clone()?;
    let output = restricted(threads, &words).stderr(Stdio::inherit()).output().map_err(|e| e.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout);
    let json: Value = said
        .lines()
        .rev()
        .find(|line| line.starts_with('{'))
        .map_or(Ok(Value::Null), |line| serde_json::from_str(line).map_err(|e| format!("{e} in {line}")))?;
    let figure = |name: &str| json[name].as_f64().ok_or_else(|| format!("it did not say \"{name}\""));
    Ok(Outcome { trained: figure("trained")?, evaluated: figure("evaluated")?, loss: figure("loss")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_within_a_repeat() {
        let outcome = |trained| Outcome { trained, evaluated: 0.5, loss: 1.25 };
        let of = |times: [f64; 3]| times.map(outcome).into_iter().collect::<Vec<_>>();
        // The machine slowed down: medians of each alone would give 20 / 30.
        let outcomes = BTreeMap::from([("covector", of([10.0, 20.0, 40.0])), ("torch", of([20.0, 30.0, 80.0]))]);
        let text = table(["covector", "torch"].into_iter(), &outcomes);
        assert!(text.contains("| torch | 30.0 s | 0.50 | 500 ms | 1.2500 |"), "{text}");
    }
}
