#![no_main]

use glassformer_fuzz::read_everything;
use glassformer_weights::Llama2cFile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| read_everything(Llama2cFile::from_vec(bytes.to_vec(), "fuzz.bin")));
