//! Animated PNG: a film that every browser shows as a picture. After the first frame only what has changed is written.

use std::io::Write;

use png::{BitDepth, BlendOp, ColorType, Compression, DisposeOp, Encoder, EncodingError, Writer};

use crate::error::FilmError;
use crate::script::Size;

/// Bytes of a pixel.
const PIXEL: usize = 4;

/// Frames of which each lasts until the next one that differs.
pub(crate) struct Apng<W: Write> {
    writer: Writer<W>,
    width: usize,
    before: Vec<u8>,
    fps: f64,
}

/// A frame and how many times it is shown.
pub(crate) struct Lasting {
    pub(crate) pixels: Vec<u8>,
    pub(crate) times: u32,
}

impl<W: Write> Apng<W> {
    /// `frames`: how many differing ones will come.
    pub(crate) fn new(writer: W, size: Size, fps: f64, frames: u32) -> Result<Self, FilmError> {
        let mut encoder = Encoder::new(writer, size.width, size.height);
        encoder.set_color(ColorType::Rgba);
        encoder.set_depth(BitDepth::Eight);
        encoder.set_compression(Compression::High);
        encoder.set_animated(frames, 0).map_err(FilmError::encode)?;
        encoder
            .set_dispose_op(DisposeOp::None)
            .map_err(FilmError::encode)?;
        Ok(Self {
            writer: encoder.write_header().map_err(FilmError::encode)?,
            width: size.width as usize,
            before: Vec::new(),
            fps,
        })
    }

    pub(crate) fn write(&mut self, frame: Lasting) -> Result<(), FilmError> {
        let ticks = f64::from(frame.times) * 1000.0 / self.fps;
        self.writer
            .set_frame_delay(ticks.round().min(65535.0) as u16, 1000)
            .map_err(FilmError::encode)?;
        if self.before.is_empty() {
            self.writer
                .write_image_data(&frame.pixels)
                .map_err(FilmError::encode)?;
        } else {
            self.write_change(&frame.pixels)
                .map_err(FilmError::encode)?;
        }
        self.before = frame.pixels;
        Ok(())
    }

    /// The smallest box with all that differs from the frame before; within it, what does not is left transparent.
    fn write_change(&mut self, now: &[u8]) -> Result<(), EncodingError> {
        let differs = |at: usize| self.before[at..at + PIXEL] != now[at..at + PIXEL];
        let changed: Vec<usize> = (0..now.len())
            .step_by(PIXEL)
            .filter(|at| differs(*at))
            .collect();
        let place = |at: usize| (at / PIXEL % self.width, at / PIXEL / self.width);
        let (mut left, mut right) = (self.width - 1, 0);
        for (x, _) in changed.iter().map(|at| place(*at)) {
            (left, right) = (left.min(x), right.max(x));
        }
        let (Some((_, top)), Some((_, bottom))) = (
            changed.first().map(|at| place(*at)),
            changed.last().map(|at| place(*at)),
        ) else {
            // Two frames alike: one pixel, as it was.
            return self.write_box(&now[..PIXEL], (0, 0), (1, 1));
        };
        let size = (right - left + 1, bottom - top + 1);
        let mut pixels = vec![0; size.0 * size.1 * PIXEL];
        for at in changed {
            let (x, y) = place(at);
            let to = ((y - top) * size.0 + x - left) * PIXEL;
            pixels[to..to + PIXEL].copy_from_slice(&now[at..at + PIXEL]);
        }
        self.write_box(&pixels, (left, top), size)
    }

    fn write_box(
        &mut self,
        pixels: &[u8],
        (x, y): (usize, usize),
        (width, height): (usize, usize),
    ) -> Result<(), EncodingError> {
        self.writer.reset_frame_position()?;
        self.writer
            .set_frame_dimension(width as u32, height as u32)?;
        self.writer.set_frame_position(x as u32, y as u32)?;
        self.writer.set_blend_op(BlendOp::Over)?;
        self.writer.write_image_data(pixels)
    }

    pub(crate) fn finish(self) -> Result<(), FilmError> {
        self.writer.finish().map_err(FilmError::encode)
    }
}
