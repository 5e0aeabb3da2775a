#![no_main]

use glassformer_fuzz::tokens::read_vocabulary;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| read_vocabulary(bytes));
