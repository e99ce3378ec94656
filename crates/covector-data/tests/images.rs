//! Images: what Pillow reads, damaged files, folders, arrays, and what is changed at random.

use std::path::{Path, PathBuf};

use covector::random::uniform;
use covector::{Array, DType, Key, Tensor, threads};
use covector_data::images::{self, Picture, Sizing, resized};
use covector_data::{Augment, Images, digits};
use serde_json::Value;

fn golden() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../goldens/data.json");
    serde_json::from_str(&std::fs::read_to_string(path).expect("goldens/data.json")).expect("JSON")
}

fn data(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(file)
}

/// A folder that is removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("covector-data-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    fn put(&self, file: &str, bytes: &[u8]) {
        let path = self.0.join(file);
        std::fs::create_dir_all(path.parent().expect("in the folder")).expect("a folder");
        std::fs::write(path, bytes).expect("a file");
    }

    fn png(&self, file: &str, height: usize, width: usize, value: u8) {
        let path = self.0.join(file);
        std::fs::create_dir_all(path.parent().expect("in the folder")).expect("a folder");
        let picture = Picture { height, width, channels: 1, bytes: vec![value; height * width] };
        images::save_png(path, &picture).expect("a file");
    }

    fn read(&self, sizing: Sizing) -> Result<Images, (String, String)> {
        Images::folder(&self.0, sizing).map_err(|e| {
            let text = e.to_string().replace(&self.0.display().to_string(), "F");
            let (said, hint) = text.split_once("\n  hint: ").unwrap_or((&text, ""));
            (said.to_owned(), hint.to_owned())
        })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn pictures_are_those_of_pillow() {
    let golden = golden();
    for (file, theirs) in golden["pictures"].as_object().unwrap() {
        let ours = Picture::read(data(file)).unwrap_or_else(|e| panic!("{e}"));
        let bytes: Vec<u8> = serde_json::from_value(theirs["bytes"].clone()).unwrap();
        let shape: Vec<usize> = serde_json::from_value(theirs["shape"].clone()).unwrap();
        assert_eq!([ours.height, ours.width, ours.channels][..shape.len()], shape, "{file}");
        // Decoders of JPEG may round differently.
        let off = if file.ends_with("jpg") { 3 } else { 0 } + u8::from(file == "alpha.png");
        let differs = ours.bytes.iter().zip(&bytes).position(|(a, b)| a.abs_diff(*b) > off);
        assert_eq!((differs, ours.bytes.len()), (None, bytes.len()), "{file}");
    }
    let noise = Picture::read(data("colours.png")).unwrap();
    for (size, theirs) in golden["resized"].as_object().unwrap() {
        let (h, w) = size.split_once('x').unwrap();
        let ours = resized(&noise, [h.parse().unwrap(), w.parse().unwrap()]).bytes;
        let theirs: Vec<u8> = serde_json::from_value(theirs.clone()).unwrap();
        assert!(ours.len() == theirs.len() && ours.iter().zip(&theirs).all(|(a, b)| a.abs_diff(*b) <= 1), "{size}");
    }
}

#[test]
fn images_cut_short_anywhere_are_refused() {
    for file in ["colours.png", "grey.png", "palette.png", "sixteen.png", "colours.jpg", "progressive.jpg", "grey.jpg"]
    {
        let bytes = std::fs::read(data(file)).unwrap();
        for end in 0..bytes.len() - 1 {
            assert!(Picture::decode(&bytes[..end]).is_err(), "{file} cut at {end} of {}", bytes.len());
        }
    }
}

#[test]
fn damaged_images_are_refused_or_read_but_never_a_panic() {
    let draws = uniform(&Key::new(5), [4000, 2], 0.0, 1.0, DType::F64).to_vec::<f64>();
    for (i, draw) in draws.chunks_exact(2).enumerate() {
        let file = ["colours.png", "colours.jpg", "progressive.jpg", "palette.png"][i % 4];
        let mut bytes = std::fs::read(data(file)).unwrap();
        let at = (draw[0] * bytes.len() as f64) as usize;
        bytes[at] = (draw[1] * 256.0) as u8;
        if let Ok(picture) = Picture::decode(&bytes) {
            assert_eq!(picture.bytes.len(), picture.height * picture.width * picture.channels);
        }
    }
    // A header that claims 65 535 × 65 535 pixels.
    let mut bytes = std::fs::read(data("grey.jpg")).unwrap();
    let size = bytes.windows(2).position(|w| w == [0xff, 0xc0]).unwrap() + 5;
    bytes[size..size + 4].fill(0xff);
    assert!(Picture::decode(&bytes).unwrap_err().contains("claims to be"));
}

#[test]
fn a_folder_is_read_by_class_and_name() {
    let folder = Folder::new("sound");
    for (i, file) in ["b/2.png", "b/10.png", "a/x.png"].iter().enumerate() {
        folder.png(file, 2, 3, 10 * i as u8);
    }
    folder.put(".hidden/x", b"");
    folder.put("a/.DS_Store", b"");
    let images = folder.read(Sizing::default()).unwrap();
    assert_eq!(images.classes, ["a", "b"]);
    assert_eq!(images.labels.to_vec::<i64>(), [0, 1, 1]);
    assert_eq!(images.sizes(), [1, 2, 3]);
    assert_eq!(images.pixels.to_vec::<u8>()[..], [[20u8; 6], [10; 6], [0; 6]].concat());
    let colours = folder.read(Sizing { size: Some([4, 4]), channels: Some(3) }).unwrap();
    assert_eq!(colours.pixels.shape()[..], [3, 3, 4, 4]);
    std::fs::copy(data("colours.png"), folder.0.join("a/y.png")).unwrap();
    let mixed = folder.read(Sizing { size: Some([2, 3]), channels: None }).unwrap();
    assert_eq!(mixed.sizes(), [3, 2, 3], "one in colours makes all of them so");
}

#[test]
fn wrong_folders_are_refused_with_the_file() {
    let fails = |folder: &Folder| folder.read(Sizing::default()).map(|_| ()).unwrap_err();
    let folder = Folder::new("wrong");
    assert_eq!(fails(&folder).0, "F: the folder has no sub-folders: each is a class, and holds its images");
    folder.png("a/1.png", 4, 4, 0);
    assert_eq!(fails(&folder).0, "F: the only class is `a`: there is nothing to tell apart");
    std::fs::create_dir(folder.0.join("b")).unwrap();
    assert_eq!(fails(&folder), ("F/b: the class has no images".into(), "remove the folder, or add images".into()));
    folder.png("b/1.png", 4, 5, 0);
    let (said, hint) = fails(&folder);
    assert_eq!(said, "F/b/1.png: the image is 5 × 4, where the first one is 4 × 4 pixels");
    assert_eq!(hint, "ask for one size of all (--size)");
    folder.put("b/1.png", b"hello");
    assert_eq!(fails(&folder).0, "F/b/1.png: neither a PNG nor a JPEG file");
    folder.put("b/1.png", b"");
    assert_eq!(fails(&folder).0, "F/b/1.png: the file is empty");
    let png = std::fs::read(data("grey.png")).unwrap();
    folder.put("b/1.png", &png[..png.len() / 2]);
    assert!(fails(&folder).0.starts_with("F/b/1.png: damaged or cut short: "), "{:?}", fails(&folder));
    let parts = Folder::new("parts");
    parts.png("train/a/1.png", 4, 4, 0);
    parts.png("test/a/1.png", 4, 4, 0);
    assert_eq!(
        fails(&parts),
        ("F/test/a: a folder in the folder of a class".into(), "name that folder: F/test".into())
    );
    let gone = Images::folder("/nowhere", Sizing::default()).map(|_| ()).unwrap_err().to_string();
    assert!(gone.starts_with("/nowhere: cannot read: "), "{gone}");
}

#[test]
fn digits_survive_a_folder_and_an_npz_file() {
    let folder = Folder::new("digits");
    let drawn = digits(20, &Key::new(3));
    drawn.save(&folder.0).unwrap();
    let read = folder.read(Sizing::default()).unwrap();
    let first = |images: &Images, class| images.labels.to_vec::<i64>().iter().position(|&l| l == class).unwrap();
    for class in 0..10 {
        let image = |images: &Images| {
            let which = Tensor::from(vec![first(images, class) as i64]);
            images.batch(&which).unwrap().0.to_vec::<f32>()
        };
        assert_eq!(image(&drawn), image(&read), "{class}");
    }
    let path = folder.0.join("digits.npz");
    let save = |arrays: &[(&str, Array)]| {
        let arrays: Vec<(String, Array)> = arrays.iter().map(|(n, a)| ((*n).to_owned(), a.clone())).collect();
        covector_io::save_npz(&path, &arrays).unwrap();
        Images::npz(&path).map_err(|e| e.to_string().replace(&folder.0.display().to_string(), "F"))
    };
    let (x, y) = (drawn.pixels.value(), drawn.labels.value());
    let read = save(&[("x_train", x.clone()), ("y_train", y.clone())]).unwrap();
    assert_eq!(read.pixels.to_vec::<u8>(), drawn.pixels.to_vec::<u8>());
    assert_eq!(read.classes.len(), 10);
    let small = images::read(&path, Sizing { size: Some([14, 7]), channels: Some(3) }).unwrap();
    assert_eq!(small.pixels.shape()[..], [20, 3, 14, 7]);
    let refused = |arrays: &[(&str, Array)]| save(arrays).map(|_| ()).unwrap_err();
    let say = refused(&[("x", x.clone()), ("z", y.clone())]);
    assert!(say.starts_with("F/digits.npz: there is no array of labels, only `x`, `z`\n  hint: labels are called y, "));
    let short = Array::from_slice(&[0i64, 1], 2);
    assert_eq!(
        refused(&[("x", x.clone()), ("y", short)]),
        "F/digits.npz: array `y`: 20 images in `x` and 2 labels here"
    );
    let holes = Array::from_slice(&[5i64; 20], 20);
    assert_eq!(refused(&[("x", x.clone()), ("y", holes)]), "F/digits.npz: array `y`: no image has the label 0");
    let negative = Array::from_slice(&[-1i64; 20], 20);
    assert!(refused(&[("x", x.clone()), ("y", negative)]).ends_with("there is a label -1, and they count from 0"));
    let bright = (Tensor::from_array(x.clone()).cast(DType::F32) + 1.0).value();
    assert!(refused(&[("x", bright), ("y", y.clone())]).ends_with("divide by 255, or save as u8"));
    let flat = Array::from_slice(&[0u8; 40], [20, 2]);
    assert!(refused(&[("x", flat), ("y", y)]).contains("with 1 or 3 channels, not u8[20, 2]"));
}

#[test]
fn digits_depend_on_their_key_and_number_alone() {
    let many = digits(30, &Key::new(1));
    let few = digits(10, &Key::new(1));
    assert_eq!(many.pixels.to_vec::<u8>()[..7840], few.pixels.to_vec::<u8>()[..]);
    assert_ne!(digits(10, &Key::new(2)).pixels.to_vec::<u8>(), few.pixels.to_vec::<u8>());
    let ink: Vec<f64> =
        few.pixels.to_vec::<u8>().chunks_exact(784).map(|c| c.iter().map(|&b| f64::from(b)).sum()).collect();
    assert!(ink.iter().all(|&sum| sum > 5000.0), "each has ink: {ink:?}");
}

#[test]
fn augmented_images_have_the_same_bits_for_any_number_of_threads() {
    let x = images::unit(&digits(16, &Key::new(0)).pixels);
    let some = Augment { flip: 0.5, shift: 2.0, rotate: 15.0, zoom: 0.2, noise: 0.1, crop: Some([24, 20]) };
    let bits = |n| {
        threads::set_threads(n);
        some.apply(&x, &Key::new(4)).to_vec::<f32>().into_iter().map(f32::to_bits).collect::<Vec<_>>()
    };
    let one = bits(1);
    assert_eq!(bits(3), one);
    assert_eq!(one.len(), 16 * 24 * 20);
    assert_eq!(some.still(&x).shape()[..], [16, 1, 24, 20]);
    assert_ne!(some.apply(&x, &Key::new(5)).to_vec::<f32>(), some.apply(&x, &Key::new(4)).to_vec::<f32>());
}

#[test]
fn each_change_is_what_it_says() {
    let x = Tensor::from_slice(&(0..25).map(|i| i as f32).collect::<Vec<_>>(), [1, 1, 5, 5]);
    let turned = Augment { rotate: 20.0, ..Augment::default() }.apply(&x, &Key::new(0)).to_vec::<f32>();
    assert!((turned[12] - 12.0).abs() < 1e-5, "the middle stays");
    let moved = Augment { shift: 1.0, ..Augment::default() }.apply(&x, &Key::new(0)).to_vec::<f32>();
    let by = moved[12] - 12.0;
    assert!(by != 0.0 && (moved[6] - 6.0 - by).abs() < 1e-4 && (moved[18] - 18.0 - by).abs() < 1e-4);
    let window = Augment { crop: Some([2, 2]), ..Augment::default() };
    for seed in 0..20 {
        let cut = window.apply(&x, &Key::new(seed)).to_vec::<f32>();
        assert_eq!([cut[1] - cut[0], cut[2] - cut[0], cut[3] - cut[0]], [1.0, 5.0, 6.0]);
    }
    let many = Tensor::from_slice(&[0.0f32, 1.0].repeat(1000), [1000, 1, 1, 2]);
    let flipped = Augment { flip: 0.25, ..Augment::default() }.apply(&many, &Key::new(0)).to_vec::<f32>();
    let count = flipped.iter().step_by(2).filter(|&&v| v == 1.0).count();
    assert!((200..300).contains(&count), "{count}");
    let noisy = Augment { noise: 0.1, ..Augment::default() }.apply(&many, &Key::new(0));
    assert!(((noisy - &many).std(.., 0.0).item::<f32>() - 0.1).abs() < 0.01);
}
