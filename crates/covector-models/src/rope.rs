//! How fast positions rotate, where a model was made for longer sequences than it was trained with.

use serde::Deserialize;

/// How positions rotate, as `config.json` says it: `rope_parameters`, or `rope_scaling` in older files.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[allow(missing_docs, reason = "fields have the names of the files they are read from, and say no more than these")]
pub struct RopeParameters {
    pub rope_theta: Option<f64>,
    /// `default`, `linear`, `dynamic` or `llama3`.
    #[serde(alias = "type")]
    pub rope_type: Option<String>,
    pub factor: Option<f64>,
    pub low_freq_factor: Option<f64>,
    pub high_freq_factor: Option<f64>,
    pub original_max_position_embeddings: Option<f64>,
}

impl RopeParameters {
    fn kind(&self) -> &str {
        self.rope_type.as_deref().unwrap_or("default")
    }

    /// Says what is wrong, and what would be right.
    pub(crate) fn check(&self) -> Result<(), (String, &'static str)> {
        let positive = |name: &str, value: Option<f64>| match value {
            Some(x) if x > 0.0 && x.is_finite() => Ok(()),
            Some(x) => Err((format!("the `{name}` of rotary positions is {x}"), "it must be a number above 0")),
            None => Err((format!("rotary positions of this kind need a `{name}`"), "copy the file of the model whole")),
        };
        match self.kind() {
            "default" => Ok(()),
            // It changes nothing up to the longest sequence of the configuration, and longer ones are not taken.
            "dynamic" => Ok(()),
            "linear" => positive("factor", self.factor),
            "llama3" => {
                positive("factor", self.factor)?;
                positive("low_freq_factor", self.low_freq_factor)?;
                positive("high_freq_factor", self.high_freq_factor)?;
                match self.low_freq_factor < self.high_freq_factor {
                    true => Ok(()),
                    false => Err((
                        "the `low_freq_factor` of rotary positions is not below their `high_freq_factor`".to_owned(),
                        "copy the file of the model whole",
                    )),
                }
            }
            kind => Err((
                format!("rotary positions of the kind `{}` are not known", kind.escape_debug()),
                "known are `default`, `linear`, `dynamic` and `llama3`",
            )),
        }
    }

    /// The angle by which one position turns a pair of features, of an angle without scaling; `context` is the longest sequence
    /// of the configuration.
    ///
    /// Source: Chen et al. 2023, "Extending context window of large language models via positional interpolation" (linear); Llama 3.1.
    pub(crate) fn scaled(&self, rate: f64, context: usize) -> f64 {
        let factor = self.factor.unwrap_or(1.0);
        match self.kind() {
            "linear" => rate / factor,
            "llama3" => {
                let (low, high) = (self.low_freq_factor.unwrap_or(1.0), self.high_freq_factor.unwrap_or(4.0));
                // How often a pair turned in the sequences the model was trained with.
                let turns = self.original_max_position_embeddings.unwrap_or(context as f64) * rate
                    / (2.0 * std::f64::consts::PI);
                let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                kept * rate + (1.0 - kept) * rate / factor
            }
            _ => rate,
        }
    }
}
