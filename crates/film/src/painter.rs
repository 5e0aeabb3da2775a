//! From a frame's SVG to pixels.

use std::sync::Arc;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{FontResolver, Options, Tree};

use crate::adapt::adapt;
use crate::error::FilmError;
use crate::fonts::{self, StandIns};
use crate::script::Size;

/// Paints frames with the page's fonts.
pub struct Painter {
    options: Options<'static>,
    stand_ins: StandIns,
}

impl Painter {
    /// Looks through the fonts of the page and of the system.
    pub fn new() -> Result<Self, FilmError> {
        let options = Options {
            fontdb: Arc::new(fonts::load()?),
            font_resolver: FontResolver {
                select_fallback: fonts::fallback(),
                ..FontResolver::default()
            },
            ..Options::default()
        };
        Ok(Self {
            options,
            stand_ins: StandIns::default(),
        })
    }

    /// Whether some font on this machine has a character.
    pub fn can_write(&self, character: char) -> bool {
        fonts::can_write(&self.options.fontdb, character)
    }

    /// The picture of a document, opaque.
    pub fn paint(&self, svg: &str, size: Size) -> Result<Pixmap, FilmError> {
        let impossible = |reason| FilmError::Size {
            width: size.width,
            height: size.height,
            reason,
        };
        let fonts = &self.options.fontdb;
        let svg = adapt(svg, |font, letter| self.stand_ins.name(fonts, font, letter));
        let tree = Tree::from_str(&svg, &self.options)
            .map_err(|error| FilmError::Paint(error.to_string()))?;
        let mut pixels = Pixmap::new(size.width, size.height)
            .ok_or_else(|| impossible("there is no memory for it"))?;
        let of = tree.size();
        let (x, y) = (
            size.width as f32 / of.width(),
            size.height as f32 / of.height(),
        );
        resvg::render(&tree, Transform::from_scale(x, y), &mut pixels.as_mut());
        Ok(pixels)
    }
}
