//! Images of classes, by a small convolutional network or a vision transformer.

mod model;
mod nets;

use std::path::Path;

use covector::{DType, Key, Tensor};
use covector_data::{Augment, Images, Standardize};
use covector_nn::doctor::{self, Finding};

use crate::deal::Deal;
use crate::fingerprint::fingerprint;
use crate::scores::Classified;
use crate::tabular::SPLIT;
use crate::task::lowered;
use crate::{Effort, Error, Measure, Result, Task};

pub(crate) use model::FORMAT;
pub use model::ImageModel;
pub use nets::{ImageNet, Kind};

/// Held-out images that a look in the middle of training is content with.
const GLANCE: usize = 512;

/// The sizes of an [`ImageTask`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImageOptions {
    /// Which kind of network.
    pub kind: Kind,
    /// How images are changed at random.
    pub augment: Augment,
    /// Part of the activations before the last layer that is dropped in training.
    pub dropout: f64,
    /// Images in a batch.
    pub batch: usize,
    /// The part of the images that is held out.
    pub held_out: f64,
    /// The seed of the split.
    pub seed: u64,
}

impl Default for ImageOptions {
    /// A convolutional network, images as they are, batches of 32, a fifth held out.
    fn default() -> Self {
        let (kind, augment) = (Kind::Cnn, Augment::default());
        ImageOptions { kind, augment, dropout: 0.0, batch: 32, held_out: 0.2, seed: 0 }
    }
}

/// Learning to tell classes of images apart.
///
/// Channels are standardised by the images learned from. The model's file has the size of images and the names of classes.
#[derive(Debug)]
pub struct ImageTask {
    options: ImageOptions,
    images: Images,
    sizes: [usize; 3],
    scale: Standardize,
    deal: Deal,
    fingerprint: String,
}

impl ImageTask {
    /// The task of learning these images.
    ///
    /// # Errors
    /// If there are too few, or the network cannot see images of this size.
    pub fn new(images: Images, options: ImageOptions) -> Result<ImageTask> {
        let labels = images.labels.to_vec::<i64>();
        let key = Key::new(options.seed).fold_in(SPLIT);
        let deal = Deal::new(images.len(), Some(&labels), options.held_out, options.batch, &key)?;
        let [channels, height, width] = images.sizes();
        let sizes = match options.augment.crop {
            Some([high, wide]) if high > height || wide > width => {
                let problem = format!("a window of {wide} × {high} is larger than the images, {width} × {height}");
                return Err(Error::Settings(problem));
            }
            Some([high, wide]) => [channels, high, wide],
            None => [channels, height, width],
        };
        options.kind.check(sizes).map_err(Error::Settings)?;
        if deal.batch() < 2 {
            return Err(Error::Settings("a batch has at least two images: they are normalised together".into()));
        }
        let scale = images.scale(&deal.learned)?;
        let bytes = images.pixels.value().to_bytes();
        let labelled = fingerprint(bytes.iter().chain(&*images.labels.value().to_bytes()));
        let fingerprint = format!("{labelled}, a split by seed {}", options.seed);
        Ok(ImageTask { options, images, sizes, scale, deal, fingerprint })
    }

    /// The number of images that are learned from.
    pub fn learned(&self) -> usize {
        self.deal.learned.size()
    }

    /// The model as it is saved.
    pub fn finished(&self, net: &ImageNet, running: &<ImageTask as Task>::Running) -> ImageModel {
        ImageModel {
            net: net.clone(),
            running: running.clone(),
            scale: self.scale.clone(),
            kind: self.options.kind,
            sizes: self.sizes,
            classes: self.images.classes.clone(),
        }
    }

    fn judged(&self, net: &ImageNet, running: &<ImageTask as Task>::Running, which: &Tensor) -> Result<Classified> {
        let model = self.finished(net, running);
        let (mut all, mut truth) = (Vec::new(), Vec::new());
        for some in which.to_vec::<i64>().chunks(256) {
            let (x, y) = self.images.batch(&Tensor::from(some.to_vec()))?;
            all.extend(model.predict(&self.options.augment.still(&x))?.to_vec::<f64>());
            truth.extend(y.to_vec::<i64>());
        }
        Ok(Classified::of(&truth, &all, &self.images.classes))
    }
}

impl Task for ImageTask {
    type Model = ImageNet;
    type Running = Vec<covector_nn::RunningStats>;
    type Batch = (Tensor, Tensor);

    fn name(&self) -> &'static str {
        "image"
    }

    fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }

    fn describe(&self) -> String {
        let ([channels, height, width], held_out) = (self.sizes, self.deal.held_out.size());
        let colours = if channels == 1 { "grey" } else { "in colours" };
        let (learned, classes) = (self.learned(), self.images.classes.len());
        format!("{learned} images to learn, {held_out} held out; {width} × {height}, {colours}, {classes} classes")
    }

    fn start(&self, key: &Key) -> Result<(ImageNet, Self::Running)> {
        let net = ImageNet::new(key, self.options.kind, self.sizes, self.images.classes.len());
        let running = net.start();
        Ok((net, running))
    }

    fn batch(&self, position: usize, key: &Key) -> Result<(Tensor, Tensor)> {
        let (x, y) = self.images.batch(&self.deal.at(position, key)?)?;
        // The draws of a batch are its position's, and not those of the order of an epoch.
        let x = self.options.augment.apply(&x, &key.fold_in(-1).fold_in(position as i64));
        let x = self.scale.channels(&x);
        covector::try_eval([&x])?;
        Ok((x, y))
    }

    fn loss(
        &self,
        net: &ImageNet,
        running: &Self::Running,
        (x, y): &(Tensor, Tensor),
        key: &Key,
    ) -> (Tensor, Self::Running) {
        let (logits, running) = net.train(&lowered(x, net.weight()), running, self.options.dropout, key);
        let logits = logits.cast(logits.dtype().promote(DType::F32));
        (logits.cross_entropy(y, None, None, 0.0, "mean"), running)
    }

    fn measures(&self) -> Vec<Measure> {
        vec![Measure::loss("held-out loss"), Measure::higher("accuracy")]
    }

    fn evaluate(&self, net: &ImageNet, running: &Self::Running, effort: Effort) -> Result<Vec<f64>> {
        let which = match effort {
            Effort::Glance if self.deal.held_out.size() > GLANCE => self.deal.held_out.i(covector::s![..GLANCE]),
            _ => self.deal.held_out.clone(),
        };
        let scores = self.judged(net, running, &which)?;
        Ok(vec![scores.loss, scores.accuracy()])
    }

    fn save(&self, path: &Path, net: &ImageNet, running: &Self::Running) -> Result<()> {
        self.finished(net, running).save(path)
    }

    fn units(&self) -> (&'static str, usize) {
        ("images", self.deal.batch())
    }

    fn summary(
        &self,
        net: &ImageNet,
        running: &Self::Running,
        _: &Key,
        out: &mut dyn FnMut(&str) -> Result<()>,
    ) -> Result<()> {
        out(&format!("\n{}", self.judged(net, running, &self.deal.held_out)?.table()))
    }

    fn summary_title(&self) -> &'static str {
        "Held-out images"
    }

    /// Matrices and kernels decay; positions and scales do not.
    fn decays(&self, path: &str, parameter: &Tensor) -> bool {
        parameter.ndim() >= 2 && !path.ends_with("positions")
    }

    fn hidden(&self, path: &str, parameter: &Tensor) -> bool {
        parameter.ndim() == 2 && path.starts_with("encoder")
    }

    fn classes(&self) -> Option<usize> {
        Some(self.images.classes.len())
    }

    /// Images are changed while others are learned from.
    fn prefetch(&self) -> usize {
        2
    }

    fn check_data(&self) -> Result<Vec<Finding>> {
        let labels = self.images.labels.try_take(&self.deal.learned, 0)?;
        Ok(doctor::labels(&labels, self.images.classes.len()))
    }
}
