//! Files that are damaged anywhere: an error or a file that can be read, never a panic, and never more memory than the
//! file could fill.

use std::fs;

use allocation_counter::measure;
use glassformer_kernels::{Pool, random};
use glassformer_weights::{
    GgufFile, Llama2cFile, TensorFile, TensorSource, WeightsError, first_not_finite,
};
use proptest::prelude::*;

use crate::support::golden;

type Opened = Result<Box<dyn TensorSource>, WeightsError>;
type Open = fn(Vec<u8>) -> Opened;

fn gguf(bytes: Vec<u8>) -> Opened {
    Ok(Box::new(GgufFile::from_vec(bytes, "m.gguf")?))
}

fn safetensors(bytes: Vec<u8>) -> Opened {
    Ok(Box::new(TensorFile::from_vec(bytes, "m.safetensors")?))
}

fn llama2c(bytes: Vec<u8>) -> Opened {
    Ok(Box::new(Llama2cFile::from_vec(bytes, "m.bin")?))
}

/// Each format with a whole file of it.
fn whole() -> [(Open, Vec<u8>); 3] {
    let sizes = [4i32, 2, 1, 2, 1, 3, 2];
    let values = 3 * 4 + 4 + 16 + 8 + 8 + 16 + 4 + 3 * 8 + 4 + 2 * 2;
    let mut small: Vec<u8> = sizes.into_iter().flat_map(i32::to_le_bytes).collect();
    small.resize(small.len() + 4 * values, 0x3e);
    let read = |name| fs::read(golden(name)).unwrap();
    [
        (gguf, read("all-types.gguf")),
        (safetensors, read("all-types.safetensors")),
        (llama2c, small),
    ]
}

/// Opens, and reads whatever can be read.
fn read(open: Open, bytes: Vec<u8>) {
    let length = bytes.len() as u64;
    let mut opened = None;
    let memory = measure(|| opened = Some(open(bytes)));
    // Names and shapes take some times the space that they have in the file.
    assert!(
        memory.bytes_max < 64 * length + (1 << 16),
        "{memory:?} for {length} bytes"
    );
    match opened.unwrap() {
        Err(error) => {
            let line = error.to_string();
            assert!(line.starts_with("m.") && !line.contains('\n'), "{line}");
        }
        Ok(file) => {
            for name in file.names() {
                // An unreadable type is an error, and any values will do.
                let _ = file.load_f32(&name);
            }
            first_not_finite(&*file, &Pool::single()).unwrap();
        }
    }
}

#[test]
fn whole_files_are_whole() {
    for (open, bytes) in whole() {
        assert!(!open(bytes).unwrap().names().is_empty());
    }
}

#[test]
fn every_truncation_is_refused() {
    for (open, bytes) in whole() {
        // What pads the last tensor is not missed.
        let opens = |length: &usize| open(bytes[..*length].to_vec()).is_ok();
        let least = (0..=bytes.len()).find(opens).unwrap();
        assert!(bytes.len() - least < 64);
        for length in 0..least {
            let line = open(bytes[..length].to_vec()).unwrap_err().to_string();
            assert!(line.contains("damaged or not a"), "{length}: {line}");
        }
    }
}

#[test]
fn names_with_control_characters_are_shown_escaped() {
    let header = br#"{"\u001b[2J\n\ud83d\ude42":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}"#;
    let length = (header.len() as u64).to_le_bytes();
    let file = safetensors([&length[..], header, &[0; 8]].concat()).unwrap();
    let error = file.load_f32(&file.names()[0]).unwrap_err();
    let line = error.to_string();
    assert!(
        line.contains("m.safetensors: \\u{1b}[2J\\n🙂 is I64"),
        "{line}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3000) })]

    #[test]
    fn flipped_bytes_never_panic(seed: u64, count in 1u64..8) {
        for (open, mut bytes) in whole() {
            // Headers are where it hurts.
            let anywhere = random::bits(seed, 1000).is_multiple_of(4);
            let reach = if anywhere { bytes.len() } else { bytes.len().min(1500) };
            for i in 0..count {
                let at = random::bits(seed, 2 * i) as usize % reach;
                let value = random::bits(seed, 2 * i + 1);
                // A bit, the ends of the range, or anything.
                bytes[at] = match value % 4 {
                    0 => bytes[at] ^ (1 << ((value >> 8) % 8)),
                    1 => 0xff,
                    2 => 0,
                    _ => (value >> 8) as u8,
                };
            }
            read(open, bytes);
        }
    }

    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), version in 2u8..4) {
        for (open, _) in whole() {
            read(open, bytes.clone());
        }
        let header = [b"GGUF", &[version, 0, 0, 0][..]].concat();
        read(gguf, [header, bytes].concat());
    }
}
