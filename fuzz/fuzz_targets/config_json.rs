#![no_main]

use glassformer_fuzz::config::read_config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| read_config(bytes));
