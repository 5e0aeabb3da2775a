#![no_main]

use glassformer_fuzz::read_everything;
use glassformer_weights::TensorFile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| read_everything(TensorFile::from_vec(
    bytes.to_vec(),
    "fuzz.safetensors"
)));
