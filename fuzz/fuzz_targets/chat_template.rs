#![no_main]

use glassformer_fuzz::tokens::render_template;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| render_template(bytes));
