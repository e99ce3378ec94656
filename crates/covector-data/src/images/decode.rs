//! PNG and JPEG, one file at a time.

use std::io::Cursor;
use std::path::Path;

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::{Error, Result};

/// Images with more pixels than this are refused: a small file can claim them.
const MOST_PIXELS: usize = 1 << 26;

/// One image: rows of pixels, each of `channels` bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Rows.
    pub height: usize,
    /// Pixels in a row.
    pub width: usize,
    /// 1 for grey, 3 for red, green and blue.
    pub channels: usize,
    /// `height * width * channels` of them.
    pub bytes: Vec<u8>,
}

impl Picture {
    /// Reads a PNG or JPEG file, whichever it is by its content. What is transparent is shown on white.
    ///
    /// # Errors
    /// If it cannot be read, is neither, is damaged or cut short, or has more than 67 million pixels.
    pub fn read(path: impl AsRef<Path>) -> Result<Picture> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|e| Error::unread(path, &e))?;
        Picture::decode(&bytes).map_err(|problem| Error::at(path, problem))
    }

    /// Reads the bytes of a PNG or JPEG file; an error is what is wrong with it.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn decode(bytes: &[u8]) -> Result<Picture, String> {
        let picture = match bytes {
            [] => return Err("the file is empty".into()),
            [0x89, b'P', b'N', b'G', ..] => png(bytes),
            [0xff, 0xd8, ..] => jpeg(bytes),
            _ => return Err("neither a PNG nor a JPEG file".into()),
        }?;
        match picture.bytes.is_empty() {
            true => Err("the image has no pixels".into()),
            false => Ok(picture),
        }
    }

    /// The same in grey (1) or in colours (3).
    pub fn with_channels(self, channels: usize) -> Picture {
        let bytes = match (self.channels, channels) {
            (1, 3) => self.bytes.iter().flat_map(|&g| [g; 3]).collect(),
            (3, 1) => self.bytes.chunks_exact(3).map(grey).collect(),
            _ => return self,
        };
        Picture { channels, bytes, ..self }
    }
}

/// The luma of red, green and blue (Rec. 601).
fn grey(rgb: &[u8]) -> u8 {
    let [r, g, b] = [rgb[0], rgb[1], rgb[2]].map(u32::from);
    ((299 * r + 587 * g + 114 * b + 500) / 1000) as u8
}

fn check_size(height: usize, width: usize) -> Result<(), String> {
    match height.checked_mul(width).filter(|&n| n <= MOST_PIXELS) {
        Some(_) => Ok(()),
        None => Err(format!("the image claims to be {width} × {height}, more than {MOST_PIXELS} pixels")),
    }
}

fn png(bytes: &[u8]) -> Result<Picture, String> {
    let damaged = |e: png::DecodingError| format!("damaged or cut short: {e}");
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), png::Limits { bytes: 6 * MOST_PIXELS });
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(damaged)?;
    let (width, height) = (reader.info().width as usize, reader.info().height as usize);
    check_size(height, width)?;
    let size = reader.output_buffer_size().ok_or("the image is too large")?;
    let mut out = vec![0; size];
    let info = reader.next_frame(&mut out).map_err(damaged)?;
    reader.finish().map_err(damaged)?;
    out.truncate(info.buffer_size());
    let white = |value: u8, alpha: u8| {
        let (value, alpha) = (u32::from(value), u32::from(alpha));
        ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    };
    let (channels, bytes) = match info.color_type {
        png::ColorType::Grayscale => (1, out),
        png::ColorType::GrayscaleAlpha => (1, out.chunks_exact(2).map(|p| white(p[0], p[1])).collect()),
        png::ColorType::Rgb => (3, out),
        png::ColorType::Rgba => {
            (3, out.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]].map(|value| white(value, p[3]))).collect())
        }
        png::ColorType::Indexed => return Err("its palette was not resolved".into()),
    };
    Ok(Picture { height, width, channels, bytes })
}

fn jpeg(bytes: &[u8]) -> Result<Picture, String> {
    let damaged = |e: zune_jpeg::errors::DecodeErrors| format!("damaged or cut short: {e:?}");
    // A decoder may fill in what a truncated file lacks; a whole one ends with a marker.
    if !bytes.windows(2).rev().any(|pair| pair == [0xff, 0xd9]) {
        return Err("cut short: there is no end of the image".into());
    }
    let options = DecoderOptions::default().set_strict_mode(true).set_max_width(1 << 16).set_max_height(1 << 16);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(damaged)?;
    let (width, height) = decoder.dimensions().ok_or("it has no size")?;
    check_size(height, width)?;
    let grey = decoder.input_colorspace() == Some(ColorSpace::Luma);
    decoder.set_options(options.jpeg_set_out_colorspace(if grey { ColorSpace::Luma } else { ColorSpace::RGB }));
    let bytes = decoder.decode().map_err(damaged)?;
    Ok(Picture { height, width, channels: if grey { 1 } else { 3 }, bytes })
}

/// Writes a picture as a PNG file, whole or not at all.
///
/// # Errors
/// If the bytes are not as many as the picture needs, or the file cannot be written.
pub fn save_png(path: impl AsRef<Path>, picture: &Picture) -> Result<()> {
    let path = path.as_ref();
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, picture.width as u32, picture.height as u32);
    encoder.set_color(if picture.channels == 1 { png::ColorType::Grayscale } else { png::ColorType::Rgb });
    encoder.set_depth(png::BitDepth::Eight);
    let failed = |e: png::EncodingError| Error::at(path, format!("cannot be written as PNG: {e}"));
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(&picture.bytes).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(covector_io::write_atomically(path, &out)?)
}
