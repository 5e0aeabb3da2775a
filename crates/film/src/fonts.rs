//! The fonts of frames: the page's own, from the program; all that they lack, Chinese too, from the system.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::Cursor;
use std::sync::Arc;

use glassformer_server::{page_file, page_files};
use resvg::usvg::fontdb::{Database, FaceInfo, Family, ID, Language, Query, Source};
use resvg::usvg::{FallbackSelectionFn, FontResolver};
use skrifa::{FontRef, MetadataProvider};
use woff2_patched::decode::convert_woff2_to_ttf;

use crate::error::FilmError;

/// Which files of the page are which fonts: the beginning of the name, the ending, and what SVG calls it.
const FONTS: [(&str, &str, &str); 10] = [
    ("inter-latin-wght", ".woff2", "Inter Variable"),
    (
        "jetbrains-mono-latin-wght",
        ".woff2",
        "JetBrains Mono Variable",
    ),
    ("KaTeX_Main-Regular", ".ttf", "KaTeX_Main"),
    ("KaTeX_Math-Italic", ".ttf", "KaTeX_Math"),
    ("KaTeX_AMS-Regular", ".ttf", "KaTeX_AMS"),
    ("KaTeX_Caligraphic-Regular", ".ttf", "KaTeX_Caligraphic"),
    ("KaTeX_Size1-Regular", ".ttf", "KaTeX_Size1"),
    ("KaTeX_Size2-Regular", ".ttf", "KaTeX_Size2"),
    ("KaTeX_Size3-Regular", ".ttf", "KaTeX_Size3"),
    ("KaTeX_Size4-Regular", ".ttf", "KaTeX_Size4"),
];

/// What the page's fonts lack is written in the first of these that has it; the page's own styles name the same.
const OTHERS: [&str; 8] = [
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "PingFang SC",
    "Microsoft YaHei",
    "WenQuanYi Micro Hei",
    "Noto Sans Symbols2",
    "DejaVu Sans",
];

/// The page's fonts, and the system's.
pub(crate) fn load() -> Result<Database, FilmError> {
    let mut fonts = Database::new();
    fonts.load_system_fonts();
    let files: Vec<_> = page_files().collect();
    for (begin, end, family) in FONTS {
        let path = files.iter().find(|path| {
            path.strip_prefix("assets/")
                .is_some_and(|name| name.starts_with(begin) && name.ends_with(end))
        });
        let bytes = path.and_then(|path| page_file(path));
        let bytes = bytes.ok_or(FilmError::NoPage)?;
        let data = if end == ".woff2" {
            convert_woff2_to_ttf(&mut Cursor::new(&*bytes))
                .map_err(|_| FilmError::Font(family.to_owned()))?
        } else {
            bytes.into_owned()
        };
        add(&mut fonts, data, family)?;
    }
    Ok(fonts)
}

/// Adds a font under the name by which the page calls it.
fn add(fonts: &mut Database, data: Vec<u8>, family: &str) -> Result<(), FilmError> {
    let ids = fonts.load_font_source(Source::Binary(Arc::new(data)));
    let Some(mut face) = ids.first().and_then(|id| fonts.face(*id)).cloned() else {
        return Err(FilmError::Font(family.to_owned()));
    };
    for id in ids {
        fonts.remove_face(id);
    }
    face.families = vec![(family.to_owned(), Language::English_UnitedStates)];
    fonts.push_face_info(face);
    Ok(())
}

/// The page's fonts write what they can and leave the rest to [`StandIns`]; for those anything will do.
pub(crate) fn fallback() -> FallbackSelectionFn<'static> {
    let any = FontResolver::default_fallback_selector();
    Box::new(move |character, tried, fonts| {
        let first = fonts.face(*tried.first()?)?;
        if is_ours(first) {
            return None;
        }
        any(character, tried, fonts)
    })
}

fn is_ours(face: &FaceInfo) -> bool {
    let mut names = face.families.iter().map(|(name, _)| name);
    names.any(|name| FONTS.iter().any(|(_, _, ours)| name == ours))
}

fn has(fonts: &Database, id: ID, character: char) -> bool {
    fonts
        .with_face_data(id, |data, index| {
            FontRef::from_index(data, index)
                .is_ok_and(|font| font.charmap().map(character).is_some())
        })
        .unwrap_or(false)
}

/// Which font writes a letter that one of the page's fonts lacks; each letter is looked for once.
#[derive(Default)]
pub(crate) struct StandIns(RefCell<HashMap<(String, char), Option<String>>>);

impl StandIns {
    /// The family's name; `None` where the page's own font has the letter, or none has it.
    pub(crate) fn name(&self, fonts: &Database, own: &str, letter: char) -> Option<String> {
        if letter.is_ascii() {
            return None;
        }
        let mut known = self.0.borrow_mut();
        let found = known.entry((own.to_owned(), letter));
        found
            .or_insert_with(|| look_for(fonts, own, letter))
            .clone()
    }
}

fn look_for(fonts: &Database, own: &str, letter: char) -> Option<String> {
    let can = |name: &&str| {
        let query = Query {
            families: &[Family::Name(name)],
            ..Query::default()
        };
        fonts.query(&query).is_some_and(|id| has(fonts, id, letter))
    };
    if can(&own) {
        return None;
    }
    let known = OTHERS.into_iter().find(can).map(str::to_owned);
    known.or_else(|| {
        let face = fonts.faces().find(|face| has(fonts, face.id, letter))?;
        face.families.first().map(|(name, _)| name.clone())
    })
}

/// Whether some font can write a character.
pub(crate) fn can_write(fonts: &Database, character: char) -> bool {
    fonts.faces().any(|face| has(fonts, face.id, character))
}
