//! A folder with one sub-folder per class.

use std::path::{Path, PathBuf};

use covector::Tensor;

use super::{Images, Picture, Sizing, resized};
use crate::error::{count, shown};
use crate::{Error, Result, images};

/// What sub-folders are called that hold parts of a set instead of classes.
const PARTS: [&str; 7] = ["train", "training", "test", "testing", "val", "valid", "validation"];

impl Images {
    /// Reads a folder with one sub-folder per class, in the order of their names; the PNG and JPEG files in each are its
    /// images. Hidden files are not looked at.
    ///
    /// # Errors
    /// If there are not two classes or more, a class has no images, a file is no image, is damaged or cut short, or
    /// images have different sizes and none is asked for: each with the file.
    pub fn folder(path: impl AsRef<Path>, sizing: Sizing) -> Result<Images> {
        let path = path.as_ref();
        let files = classes(path)?;
        let first = Picture::read(&files[0].1[0])?;
        let size = sizing.size.unwrap_or([first.height, first.width]);
        let mut pictures = Vec::new();
        let (mut labels, mut names, mut grey) = (Vec::new(), Vec::new(), true);
        for (class, (_, files)) in files.iter().enumerate() {
            for file in files {
                let picture = Picture::read(file)?;
                if sizing.size.is_none() && [picture.height, picture.width] != size {
                    let (its, of_first) = (across(&picture), across(&first));
                    let problem = format!("the image is {its}, where the first one is {of_first} pixels");
                    return Err(Error::at(file, problem).hint("ask for one size of all (--size)"));
                }
                grey &= picture.channels == 1;
                pictures.push(resized(&picture, size));
                labels.push(class as i64);
                names.push(file.display().to_string());
            }
        }
        let channels = sizing.channels.unwrap_or(if grey { 1 } else { 3 });
        let classes = files.into_iter().map(|(name, _)| name).collect();
        Ok(Images { pixels: stacked(pictures, channels), labels: Tensor::from(labels), classes, names })
    }

    /// Writes every image as `CLASS/NUMBER.png` into a folder, which is made.
    ///
    /// # Errors
    /// If something cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let (path, labels) = (path.as_ref(), self.labels.to_vec::<i64>());
        for class in &self.classes {
            let folder = path.join(class);
            std::fs::create_dir_all(&folder).map_err(|e| Error::at(&folder, format!("cannot make the folder: {e}")))?;
        }
        for (i, (picture, label)) in self.pictures().iter().zip(labels).enumerate() {
            let file = path.join(&self.classes[label as usize]).join(format!("{i:05}.png"));
            images::save_png(file, picture)?;
        }
        Ok(())
    }

    /// The images as pictures of bytes.
    fn pictures(&self) -> Vec<Picture> {
        let [channels, height, width] = self.sizes();
        let bytes = (images::unit(&self.pixels) * 255.0).round().permute_dims([0, 2, 3, 1]).to_vec::<f32>();
        let picture = |pixels: &[f32]| {
            let bytes = pixels.iter().map(|&x| x as u8).collect();
            Picture { height, width, channels, bytes }
        };
        bytes.chunks_exact(channels * height * width).map(picture).collect()
    }

    /// The images in the size and the channels that are asked for; as they are if nothing else is.
    pub fn sized(self, sizing: Sizing) -> Images {
        let [channels, height, width] = self.sizes();
        let (size, wanted) = (sizing.size.unwrap_or([height, width]), sizing.channels.unwrap_or(channels));
        if (size, wanted) == ([height, width], channels) {
            return self;
        }
        let pictures = self.pictures().iter().map(|picture| resized(picture, size)).collect();
        Images { pixels: stacked(pictures, wanted), ..self }
    }
}

/// Width and height.
fn across(picture: &Picture) -> String {
    format!("{} × {}", picture.width, picture.height)
}

/// Pictures of one size as `u8[n, channels, height, width]`.
pub(crate) fn stacked(pictures: Vec<Picture>, channels: usize) -> Tensor {
    let (n, height, width) = (pictures.len(), pictures[0].height, pictures[0].width);
    let mut all: Vec<u8> = Vec::with_capacity(n * channels * height * width);
    for picture in pictures {
        let bytes = picture.with_channels(channels).bytes;
        for channel in 0..channels {
            all.extend(bytes.iter().skip(channel).step_by(channels));
        }
    }
    Tensor::from_slice(&all, [n, channels, height, width])
}

/// The classes and their files, both in the order of their names.
fn classes(path: &Path) -> Result<Vec<(String, Vec<PathBuf>)>> {
    let folders: Vec<PathBuf> = entries(path)?.into_iter().filter(|p| p.is_dir()).collect();
    if folders.is_empty() {
        let error = Error::at(path, "the folder has no sub-folders: each is a class, and holds its images");
        return Err(error.hint("move the images of each class into a folder with its name"));
    }
    let mut classes = Vec::new();
    for folder in folders {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let files = entries(&folder)?;
        if let Some(inner) = files.iter().find(|f| f.is_dir()) {
            let part = PARTS.contains(&name.to_lowercase().as_str());
            let hint = if part { format!("name that folder: {}", folder.display()) } else { "move it up".to_owned() };
            return Err(Error::at(inner, "a folder in the folder of a class").hint(hint));
        }
        if files.is_empty() {
            return Err(Error::at(&folder, "the class has no images").hint("remove the folder, or add images"));
        }
        classes.push((name, files));
    }
    if classes.len() == 1 {
        let problem = format!("the only class is {}: there is nothing to tell apart", shown(&classes[0].0));
        return Err(Error::at(path, problem).hint(format!("it has {}", count(classes[0].1.len(), "file"))));
    }
    Ok(classes)
}

/// The file at a path; or the files of a folder and of its folders, but for hidden ones, in the order of their names.
///
/// # Errors
/// If a folder cannot be read, or has none.
pub fn files(path: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
    let path = path.as_ref();
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut all = Vec::new();
    for entry in entries(path)? {
        match entry.is_dir() {
            true => all.extend(entries(&entry)?.into_iter().filter(|p| !p.is_dir())),
            false => all.push(entry),
        }
    }
    match all.is_empty() {
        true => Err(Error::at(path, "the folder has no images")),
        false => Ok(all),
    }
}

/// What is in a folder, but for hidden files, by name.
pub(crate) fn entries(path: &Path) -> Result<Vec<PathBuf>> {
    let unread = |e: &std::io::Error| Error::unread(path, e);
    let mut all = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|e| unread(&e))? {
        let entry = entry.map_err(|e| unread(&e))?;
        let name = entry.file_name();
        if !name.to_string_lossy().starts_with('.') && !name.eq_ignore_ascii_case("thumbs.db") {
            all.push(entry.path());
        }
    }
    all.sort();
    Ok(all)
}
