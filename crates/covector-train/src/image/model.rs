//! A network with all that turns an image into a prediction.

use std::collections::BTreeMap;
use std::path::Path;

use covector::{DType, Key, Tensor, Tree};
use covector_data::images::{Picture, Sizing, resized};
use covector_data::{Standardize, images};
use covector_nn::{RunningStats, file};
use serde::{Deserialize, Serialize};

use crate::image::{ImageNet, Kind};
use crate::{Error, Result};

/// What the metadata of a file calls its format.
pub(crate) const FORMAT: &str = "covector-image-1";
/// Larger images, and more classes, are no model that was saved here.
const LARGEST: usize = 1 << 13;

/// A trained network and what it sees and says.
#[derive(Clone, Debug)]
pub struct ImageModel {
    /// The network.
    pub net: ImageNet,
    /// Its running statistics.
    pub running: Vec<RunningStats>,
    /// How channels are standardised.
    pub scale: Standardize,
    /// Its kind.
    pub kind: Kind,
    /// Channels, height and width of the images it sees.
    pub sizes: [usize; 3],
    /// The names of the classes.
    pub classes: Vec<String>,
}

/// What is in a file.
#[derive(Tree)]
struct Stored {
    net: ImageNet,
    running: Vec<RunningStats>,
    scale: Standardize,
}

/// What is in its metadata.
#[derive(Serialize, Deserialize)]
struct Config {
    kind: Kind,
    sizes: [usize; 3],
    classes: Vec<String>,
}

impl ImageModel {
    /// Writes the model with its sizes and classes, whole or not at all.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let config = Config { kind: self.kind, sizes: self.sizes, classes: self.classes.clone() };
        let config = serde_json::to_string(&config);
        let config = config.map_err(|e| Error::outside(format!("cannot write {}: {e}", path.display())))?;
        let metadata = BTreeMap::from([
            ("format".to_owned(), FORMAT.to_owned()),
            ("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
            ("config".to_owned(), config),
        ]);
        let stored = Stored { net: self.net.clone(), running: self.running.clone(), scale: self.scale.clone() };
        Ok(file::save(path, &stored, &metadata)?)
    }

    /// Reads what [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// If the file cannot be read, is no such model, or its arrays do not fit its configuration.
    pub fn load(path: impl AsRef<Path>) -> Result<ImageModel> {
        ImageModel::read(&file::load(path)?)
    }

    pub(crate) fn read(contents: &file::Contents) -> Result<ImageModel> {
        if contents.metadata.get("format").map(String::as_str) != Some(FORMAT) {
            return Err(contents.error("this is no model of images; make one with `covector train image`").into());
        }
        let config = contents.metadata.get("config").ok_or_else(|| contents.error("its metadata lacks `config`"))?;
        let Config { kind, sizes, classes } = serde_json::from_str(config)
            .map_err(|e| contents.error(format!("its configuration cannot be read: {e}")))?;
        let [channels, height, width] = sizes;
        if !matches!(channels, 1 | 3) || height.max(width) > LARGEST || !(2..=LARGEST).contains(&classes.len()) {
            return Err(contents.error("its configuration has sizes that no model has").into());
        }
        kind.check(sizes).map_err(|problem| contents.error(problem))?;
        let net = ImageNet::new(&Key::new(0), kind, sizes, classes.len());
        let (running, scale) = (net.start(), Standardize::none(channels));
        let Stored { net, running, scale } = contents.fill(&Stored { net, running, scale })?;
        Ok(ImageModel { net, running, scale, kind, sizes, classes })
    }

    /// The probabilities of the classes, `f64[n, classes]`, for images `[n, channels, height, width]` from 0 to 1.
    ///
    /// # Errors
    /// If images have another size.
    pub fn predict(&self, x: &Tensor) -> Result<Tensor> {
        if x.shape().get(1..) != Some(&self.sizes[..]) {
            let [channels, height, width] = self.sizes;
            let problem = format!("the model sees images of {channels} × {height} × {width}, not {}", x.spec());
            return Err(Error::outside(problem));
        }
        let logits = self.net.eval(&self.scale.channels(x), &self.running);
        let probabilities = logits.cast(DType::F64).softmax(-1);
        covector::try_eval([&probabilities])?;
        Ok(probabilities)
    }

    /// The probabilities of the classes for one picture, brought to the size and channels that the model sees.
    ///
    /// # Errors
    /// If values cannot be computed.
    pub fn predict_picture(&self, picture: Picture) -> Result<Vec<f64>> {
        let [channels, height, width] = self.sizes;
        let picture = resized(&picture, [height, width]).with_channels(channels);
        let pixels = Tensor::from_slice(&picture.bytes, [1, height, width, channels]).permute_dims([0, 3, 1, 2]);
        Ok(self.predict(&images::unit(&pixels))?.to_vec::<f64>())
    }

    /// How images are to be read for this model.
    pub fn sizing(&self) -> Sizing {
        let [channels, height, width] = self.sizes;
        Sizing { size: Some([height, width]), channels: Some(channels) }
    }
}
