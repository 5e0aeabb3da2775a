//! The explainer's chapters as films and pictures.
//!
//! Level 6. The page's own code draws every frame: its chapters, marks and words are built into one script
//! (`web/src/film/main.ts`) that runs here in QuickJS and asks the API of `glassformer-server` in this process. What it
//! answers with, a frame as SVG, is painted by resvg with the page's fonts and encoded. So a film shows what the page
//! shows, and every number in it is the engine's.
//!
//! [`Script`] is the page's code with a run loaded, [`Painter`] its fonts and pixels, [`save`] the file.

mod adapt;
mod apng;
mod error;
mod fonts;
mod mp4;
mod painter;
mod save;
mod script;

pub use error::FilmError;
pub use painter::Painter;
pub use save::{Kind, save};
pub use script::{Ask, Kept, Plan, Reply, Script, Settings, Size, Wanted};
