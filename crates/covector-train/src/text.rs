//! A GPT on a text.

use std::collections::HashSet;
use std::path::Path;

use covector::ops::create::zeros;
use covector::ops::random::randint;
use covector::{DType, Key, Tensor};
use covector_nn::doctor::{self, Finding};
use covector_nn::sample::{Flow, Sampling, Stops, continued};
use covector_nn::{Decoder, Dropout, Gpt, GptConfig};
use covector_trace::{Sizes, trace_multiples};

use crate::codec::{Codec, Cut, Stream};
use crate::corpus::Corpus;
use crate::{Effort, Error, Measure, Result, Task};

/// Pieces of the held-out text that a look in the middle of training is content with.
pub(crate) const GLANCE: usize = 240;
/// Pieces that the last look is content with; only texts of many millions of tokens have more.
const MOST: usize = 20_000;

/// The sizes of a [`TextTask`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TextOptions {
    /// Number of transformer blocks.
    pub layers: usize,
    /// Number of attention heads in each.
    pub heads: usize,
    /// Width of the residual stream, divisible by the number of heads.
    pub width: usize,
    /// Longest sequence the model sees.
    pub block: usize,
    /// Sequences in a batch.
    pub batch: usize,
    /// Part of the activations that is dropped in training.
    pub dropout: f64,
    /// Length of the sample at the end, in tokens.
    pub tokens: usize,
    /// Its temperature.
    pub temperature: f64,
}

/// A GPT over the tokens of a text, the last tenth of which is held out.
pub struct TextTask {
    options: TextOptions,
    corpus: Corpus,
    /// The number of tokens that are learned; the others are held out.
    learned: usize,
}

impl TextTask {
    /// The task of learning the characters of a text; `name` stands for it in errors.
    ///
    /// # Errors
    /// If sizes do not go together, or the text is too short for the block.
    pub fn new(name: &str, text: &str, options: TextOptions) -> Result<TextTask> {
        TextTask::over(name, Corpus::of(text)?, options)
    }

    /// The task of learning a file: a text, or tokens as numbers in `.npy`, `.u16` (or `.bin`) and `.u32` files.
    ///
    /// The file is gone through once and then read piece by piece, so it may be larger than memory; only the tokens of a
    /// `tokenizer.json` are held, four bytes each.
    ///
    /// # Errors
    /// As [`new`](Self::new); and if the file cannot be read, or is no text.
    pub fn open(path: &Path, cut: &Cut, options: TextOptions) -> Result<TextTask> {
        TextTask::over(&path.display().to_string(), Corpus::open(path, cut)?, options)
    }

    fn over(name: &str, corpus: Corpus, options: TextOptions) -> Result<TextTask> {
        let TextOptions { width, heads, block, .. } = options;
        if heads == 0 || !width.is_multiple_of(heads) {
            return Err(Error::Settings(format!("a width of {width} does not divide into {heads} heads")));
        }
        let held_out = corpus.len / 10;
        if held_out <= block {
            return Err(Error::outside(format!(
                "{name} is too short: a tenth of its {} {} is held out, which must be more than the block of {block}",
                corpus.len,
                corpus.codec.unit(),
            )));
        }
        Ok(TextTask { options, learned: corpus.len - held_out, corpus })
    }

    /// Pieces that begin at these places, and the same moved on by one.
    fn pieces(&self, starts: &[i64]) -> Result<(Tensor, Tensor)> {
        let block = self.options.block;
        let (mut x, mut y) = (Vec::with_capacity(starts.len() * block), Vec::with_capacity(starts.len() * block));
        for &start in starts {
            let tokens = self.corpus.read(start as usize..start as usize + block + 1)?;
            x.extend_from_slice(&tokens[..block]);
            y.extend_from_slice(&tokens[1..]);
        }
        Ok((Tensor::from_slice(&x, [starts.len(), block]), Tensor::from_slice(&y, [starts.len(), block])))
    }

    fn config(&self) -> GptConfig {
        let TextOptions { block, layers, heads, width, .. } = self.options;
        GptConfig { vocabulary: self.corpus.codec.size(), block, layers, heads, width, bias: false }
    }
}

impl Task for TextTask {
    type Model = Gpt;
    type Running = ();
    type Batch = (Tensor, Tensor);

    fn name(&self) -> &'static str {
        "gpt"
    }

    fn fingerprint(&self) -> String {
        self.corpus.fingerprint.clone()
    }

    fn describe(&self) -> String {
        let (unit, size) = (self.corpus.codec.unit(), self.corpus.codec.size());
        let [learned, held_out] =
            [self.learned, self.corpus.len - self.learned].map(|n| covector_trace::table::grouped(n as u64));
        format!("{learned} {unit} to learn, {held_out} held out, {size} different")
    }

    fn start(&self, key: &Key) -> Result<(Gpt, ())> {
        Ok((Gpt::new(key, &self.config()), ()))
    }

    fn batch(&self, position: usize, key: &Key) -> Result<(Tensor, Tensor)> {
        let TextOptions { batch, block, .. } = self.options;
        let starts = randint(&key.fold_in(position as i64), [batch, 1], 0, (self.learned - block) as i64);
        self.pieces(&starts.to_vec::<i64>())
    }

    fn loss(&self, model: &Gpt, (): &(), (x, y): &(Tensor, Tensor), key: &Key) -> (Tensor, ()) {
        (model.loss(x, y, &Dropout::new(self.options.dropout, key.clone())), ())
    }

    fn measures(&self) -> Vec<Measure> {
        vec![Measure::loss("held-out loss")]
    }

    fn evaluate(&self, model: &Gpt, (): &(), effort: Effort) -> Result<Vec<f64>> {
        let (block, tokens) = (self.options.block, self.corpus.len - self.learned);
        // Side by side, evenly spread.
        let all = (tokens - 1) / block;
        let count = all.min(if effort == Effort::Glance { GLANCE } else { MOST });
        let starts: Vec<i64> = (0..count).map(|i| (self.learned + i * all / count * block) as i64).collect();
        let mut sum = 0.0;
        for starts in starts.chunks(4 * self.options.batch) {
            let (x, y) = self.pieces(starts)?;
            let loss = model.loss(&x, &y, &Dropout::off());
            sum += loss.try_item::<f32>()? as f64 * starts.len() as f64;
        }
        Ok(vec![sum / count as f64])
    }

    fn save(&self, path: &Path, model: &Gpt, (): &()) -> Result<()> {
        self.corpus.codec.save(model, path)
    }

    fn units(&self) -> (&'static str, usize) {
        ("tokens", self.options.batch * self.options.block)
    }

    fn shapes(&self, _: &Gpt) -> Result<String> {
        let (config, TextOptions { batch, block, .. }) = (self.config(), self.options);
        let sizes = [
            ("B", Some(batch)),
            ("T", Some(block)),
            ("vocabulary", Some(config.vocabulary)),
            ("heads", Some(config.heads)),
            ("d", Some(config.width)),
        ];
        let of = |s: &Sizes| GptConfig {
            vocabulary: s["vocabulary"],
            block: s["T"],
            heads: s["heads"],
            width: s["d"],
            ..config
        };
        let loss = |model: &Gpt, s: &Sizes| {
            let [x, y] = ["tokens", "targets"].map(|name| s.input(name, zeros([s["B"], s["T"]], DType::I64)));
            model.loss(&x, &y, &Dropout::off())
        };
        let table = trace_multiples(&sizes, &[("d", "heads")], |s| Gpt::new(&Key::new(0), &of(s)), loss)?;
        Ok(table.to_string())
    }

    fn summary(&self, model: &Gpt, (): &(), key: &Key, out: &mut dyn FnMut(&str) -> Result<()>) -> Result<()> {
        let codec = &self.corpus.codec;
        let start = match codec.encode("\n") {
            Ok(start) if !start.is_empty() => start,
            _ => self.corpus.read(self.learned..self.learned + 1)?,
        };
        let sampling = Sampling { temperature: self.options.temperature, ..Sampling::default() };
        out(&codec.decode(&start))?;
        sample(model, codec, &start, self.options.tokens, sampling, key, out)
    }

    fn hidden(&self, path: &str, parameter: &Tensor) -> bool {
        parameter.ndim() == 2 && path.starts_with("h.")
    }

    fn check_data(&self) -> Result<Vec<Finding>> {
        repeated(&self.corpus, self.learned)
    }

    fn check_model(&self, model: &Gpt, (): &(), (x, _): &(Tensor, Tensor), effort: Effort) -> Result<Vec<Finding>> {
        let (forward, mut found) = (|x: &Tensor| model.forward(x, &Dropout::off()), Vec::new());
        if effort == Effort::Full && self.options.block > 1 {
            found.extend(doctor::sees_ahead(forward, &x.take(&Tensor::from([0]), 0)));
            found.extend(doctor::mixes_examples(forward, x));
        }
        // What the units of the feed-forward parts do.
        let positions = Tensor::from((0..self.options.block as i64).collect::<Vec<i64>>());
        let mut state = model.wte.forward(x) + model.wpe.forward(&positions);
        for (i, block) in model.h.iter().enumerate() {
            let attended = &state + block.attn.forward(&block.ln_1.forward(&state), &Dropout::off());
            let units = block.mlp.c_fc.forward(&block.ln_2.forward(&attended)).gelu();
            found.extend(doctor::activations(&format!("h.{i}.mlp"), &units));
            state = block.forward(&state, &Dropout::off());
        }
        Ok(found)
    }

    fn classes(&self) -> Option<usize> {
        Some(self.corpus.codec.size())
    }
}

/// Tokens up to which a text is searched for what is held out.
const SEARCHED: usize = 1 << 22;
/// Pieces that are searched for, and their tokens.
const PIECES: usize = 200;
const LONG: usize = 64;

/// Whether much of what is held out is learned word for word: then what is measured says little.
fn repeated(corpus: &Corpus, learned: usize) -> Result<Vec<Finding>> {
    let held_out = corpus.len - learned;
    if corpus.len > SEARCHED || held_out < LONG {
        return Ok(Vec::new());
    }
    const BASE: u64 = 0x0100_0000_01b3;
    let hash = |tokens: &[i64]| tokens.iter().fold(0u64, |h, &t| h.wrapping_mul(BASE).wrapping_add(t as u64 + 1));
    let count = (held_out / LONG).min(PIECES);
    let mut asked = HashSet::new();
    for i in 0..count {
        let start = learned + i * (held_out / LONG) / count * LONG;
        asked.insert(hash(&corpus.read(start..start + LONG)?));
    }
    // The hash of every piece that is learned, each from the one before.
    let (tokens, first) = (corpus.read(0..learned)?, BASE.wrapping_pow(LONG as u32 - 1));
    let mut here = hash(&tokens[..LONG]);
    let mut met = HashSet::from([here]);
    for i in LONG..learned {
        here = here.wrapping_sub((tokens[i - LONG] as u64 + 1).wrapping_mul(first));
        here = here.wrapping_mul(BASE).wrapping_add(tokens[i] as u64 + 1);
        if asked.contains(&here) {
            met.insert(here);
        }
    }
    let both = asked.iter().filter(|piece| met.contains(piece)).count();
    if both * 4 < asked.len() {
        return Ok(Vec::new());
    }
    let says = format!(
        "{both} of {} pieces of the held-out text, {LONG} {} each, are in what is learned, word for word: the measured loss \
         is too good",
        asked.len(),
        corpus.codec.unit()
    );
    Ok(vec![Finding { name: "overlap", says }])
}

/// Hands out the continuation of a prompt, each character as soon as it is whole, and a line end.
///
/// # Errors
/// As [`continued`], and those of `out`.
pub fn sample(
    model: &Gpt,
    codec: &Codec,
    prompt: &[i64],
    tokens: usize,
    sampling: Sampling,
    key: &Key,
    out: &mut dyn FnMut(&str) -> Result<()>,
) -> Result<()> {
    let mut stream = Stream::after(codec, prompt);
    let decode = &mut |token| {
        Ok(match token {
            Some(token) => stream.push(token),
            None => stream.rest(),
        })
    };
    let end = &mut |_| false;
    written(model, prompt, Continuing { tokens, sampling, key, decode, end, stops: Stops::new([]) }, out)
}

/// How a text goes on.
pub struct Continuing<'a> {
    /// The most tokens that are drawn.
    pub tokens: usize,
    /// How they are.
    pub sampling: Sampling,
    /// What decides the draws.
    pub key: &'a Key,
    /// The text that a token adds, which may wait for more of them; at the end, of none, what is left.
    pub decode: &'a mut dyn FnMut(Option<i64>) -> covector::Result<String>,
    /// Whether a token ends the text.
    pub end: &'a mut dyn FnMut(i64) -> bool,
    /// What ends it, too.
    pub stops: Stops,
}

/// Hands out what follows `start` as it is drawn, and a line end.
///
/// # Errors
/// As [`continued`], and those of `out`.
pub fn written(
    model: &impl Decoder,
    start: &[i64],
    how: Continuing,
    out: &mut dyn FnMut(&str) -> Result<()>,
) -> Result<()> {
    let Continuing { tokens, sampling, key, decode, end, mut stops } = how;
    let (mut broken, mut stopped) = (None, false);
    let result = continued(model, start, tokens, sampling, key, |token| {
        if end(token) {
            return Ok(Flow::Stop);
        }
        let (piece, flow) = stops.push(&decode(Some(token))?);
        stopped = flow == Flow::Stop;
        out(&piece).map(|()| flow).map_err(|e| {
            let text = e.to_string();
            broken = Some(e);
            covector::Error::new(text)
        })
    });
    if let Some(e) = broken {
        return Err(e);
    }
    result?;
    if !stopped {
        let (piece, flow) = stops.push(&decode(None)?);
        out(&piece)?;
        if flow == Flow::On {
            out(&stops.rest())?;
        }
    }
    out("\n")
}
