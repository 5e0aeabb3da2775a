//! Frames to a file, whose name says of what kind.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use glassformer_weights::atomic::NewFile;
use resvg::tiny_skia::Pixmap;

use crate::apng::{Apng, Lasting};
use crate::error::FilmError;
use crate::mp4::Mp4;
use crate::painter::Painter;
use crate::script::{Script, Wanted};

/// What stands for a frame's number in the name of a series of pictures.
const NUMBER: &str = "%04d";

/// What is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A film with H.264 in it.
    Mp4,
    /// A film that browsers show as a picture.
    Apng,
    /// A picture for each frame.
    Pngs,
    /// The last frame.
    Png,
    /// The last frame.
    Svg,
}

impl Kind {
    /// By the end of the file's name.
    pub fn of(path: &Path) -> Result<Self, FilmError> {
        let end = path.extension().and_then(|end| end.to_str());
        let is_series = path.to_str().is_some_and(|path| path.contains(NUMBER));
        match end.map(str::to_lowercase).as_deref() {
            Some("mp4") => Ok(Self::Mp4),
            Some("apng") => Ok(Self::Apng),
            Some("png") if is_series => Ok(Self::Pngs),
            Some("png") => Ok(Self::Png),
            Some("svg") => Ok(Self::Svg),
            _ => Err(FilmError::UnknownKind(path.to_owned())),
        }
    }

    /// Whether it shows one frame alone: the last, which is the finished picture of the last step.
    pub fn is_still(self) -> bool {
        matches!(self, Self::Png | Self::Svg)
    }
}

/// Makes the file; `progress` hears how many frames of how many are done. Returns the number of frames in it.
///
/// The file appears when it is whole.
pub fn save(
    script: &Script,
    painter: &Painter,
    wanted: &Wanted,
    out: &Path,
    mut progress: impl FnMut(usize, usize),
) -> Result<usize, FilmError> {
    let kind = Kind::of(out)?;
    let last = script.plan().frames - 1;
    let frames = Frames {
        script,
        painter,
        wanted,
    };
    match kind {
        Kind::Svg => {
            let svg = script.svg(last)?;
            whole(out, |file| written(out, file.write_all(svg.as_bytes())))?;
        }
        Kind::Png => {
            let pixels = png(out, &frames.paint(last)?)?;
            whole(out, |file| written(out, file.write_all(&pixels)))?;
        }
        Kind::Pngs => frames.series(out, &mut progress)?,
        Kind::Mp4 => whole(out, |file| frames.mp4(file, &mut progress))?,
        Kind::Apng => whole(out, |file| frames.apng(file, &mut progress))?,
    }
    Ok(if kind.is_still() { 1 } else { last + 1 })
}

struct Frames<'a> {
    script: &'a Script,
    painter: &'a Painter,
    wanted: &'a Wanted,
}

impl Frames<'_> {
    fn paint(&self, frame: usize) -> Result<Pixmap, FilmError> {
        self.painter
            .paint(&self.script.svg(frame)?, self.wanted.size)
    }

    /// Shows each frame to `take`; one that is like the one before is not painted again.
    fn each(
        &self,
        progress: &mut dyn FnMut(usize, usize),
        mut take: impl FnMut(usize, &Pixmap) -> Result<(), FilmError>,
    ) -> Result<(), FilmError> {
        let count = self.script.plan().frames;
        let mut before: Option<(String, Pixmap)> = None;
        for frame in 0..count {
            let svg = self.script.svg(frame)?;
            let pixels = match before.take() {
                Some((same, pixels)) if same == svg => pixels,
                _ => self.painter.paint(&svg, self.wanted.size)?,
            };
            take(frame, &pixels)?;
            before = Some((svg, pixels));
            progress(frame + 1, count);
        }
        Ok(())
    }

    fn mp4(
        &self,
        file: impl Write,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<(), FilmError> {
        let mut mp4 = Mp4::new(file, self.wanted.size, self.wanted.fps)?;
        self.each(progress, |_, pixels| mp4.write(pixels))?;
        mp4.finish()
    }

    fn series(&self, out: &Path, progress: &mut dyn FnMut(usize, usize)) -> Result<(), FilmError> {
        let pattern = out.to_string_lossy();
        self.each(progress, |frame, pixels| {
            let path = PathBuf::from(pattern.replace(NUMBER, &format!("{:04}", frame + 1)));
            let pixels = png(&path, pixels)?;
            whole(&path, |file| written(&path, file.write_all(&pixels)))
        })
    }

    /// How long a frame lasts stands before its pixels, and how many there are before all: so they are gathered first.
    fn apng(
        &self,
        file: impl Write,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<(), FilmError> {
        let mut runs: Vec<(usize, u32)> = Vec::new();
        let mut before = String::new();
        for frame in 0..self.script.plan().frames {
            let svg = self.script.svg(frame)?;
            match runs.last_mut() {
                Some((_, times)) if svg == before => *times += 1,
                _ => runs.push((frame, 1)),
            }
            before = svg;
        }
        let mut apng = Apng::new(file, self.wanted.size, self.wanted.fps, runs.len() as u32)?;
        for (done, &(frame, times)) in runs.iter().enumerate() {
            let pixels = self.paint(frame)?.take();
            apng.write(Lasting { pixels, times })?;
            progress(done + 1, runs.len());
        }
        apng.finish()
    }
}

fn png(path: &Path, pixels: &Pixmap) -> Result<Vec<u8>, FilmError> {
    pixels
        .encode_png()
        .map_err(|error| FilmError::Encode(format!("{}: {error}", path.display())))
}

fn written<T>(path: &Path, result: io::Result<T>) -> Result<T, FilmError> {
    result.map_err(|error| FilmError::Write {
        path: path.to_owned(),
        error,
    })
}

/// A file that appears when it is whole. It is begun first: minutes of work for a folder that cannot be written to would
/// be lost.
fn whole(
    out: &Path,
    fill: impl FnOnce(&mut NewFile) -> Result<(), FilmError>,
) -> Result<(), FilmError> {
    let mut file = written(out, NewFile::create(out))?;
    fill(&mut file)?;
    written(out, file.commit())
}
