#![no_main]

use glassformer_fuzz::read_everything;
use glassformer_weights::GgufFile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| read_everything(GgufFile::from_vec(bytes.to_vec(), "fuzz.gguf")));
