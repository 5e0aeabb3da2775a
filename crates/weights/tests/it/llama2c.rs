//! llama2.c's format: a small file put together here.

use glassformer_weights::llama2c::Llama2cHeader;
use glassformer_weights::{Llama2cFile, TensorSource};

/// D, F, L, H, K, V, C.
const SIZES: [i32; 7] = [12, 20, 2, 6, 2, 11, 5];

/// A file whose values count up, so that each tensor's place shows.
fn bytes(sizes: [i32; 7], values: usize) -> Vec<u8> {
    let header = sizes.into_iter().flat_map(i32::to_le_bytes);
    let values = (0..values).flat_map(|i| (i as f32).to_le_bytes());
    header.chain(values).collect()
}

/// Values of a file of [`SIZES`], without a classifier of its own.
fn values() -> usize {
    let (embedding, norms) = (11 * 12, 2 * 12 * 2 + 12);
    let attention = 2 * (12 * 12 * 2 + 4 * 12 * 2);
    embedding + norms + attention + 2 * 3 * 20 * 12 + 2 * 5
}

fn refusal(bytes: Vec<u8>) -> String {
    let error = Llama2cFile::from_vec(bytes, "m.bin").unwrap_err();
    error.to_string()
}

#[test]
fn tensors_lie_in_their_order() {
    let file = Llama2cFile::from_vec(bytes(SIZES, values()), "m.bin").unwrap();
    let header = file.header();
    let expected = Llama2cHeader {
        dim: 12,
        hidden_dim: 20,
        n_layers: 2,
        n_heads: 6,
        n_kv_heads: 2,
        vocab_size: 11,
        seq_len: 5,
        shared_classifier: true,
    };
    assert_eq!(header, expected);
    assert_eq!(file.names().len(), 2 + 2 * 9);
    let first = |name: &str, shape: &[usize]| {
        let (found, values) = file.load_f32(name).unwrap();
        assert_eq!(found, shape, "{name}");
        values[0] as usize
    };
    assert_eq!(first("token_embedding_table", &[11, 12]), 0);
    assert_eq!(first("layers.0.rms_att_weight", &[12]), 132);
    assert_eq!(first("layers.1.rms_att_weight", &[12]), 144);
    assert_eq!(first("layers.0.wq", &[12, 12]), 156);
    assert_eq!(first("layers.1.wk", &[4, 12]), 156 + 288 + 48);
    assert_eq!(
        first("layers.0.w2", &[12, 20]),
        156 + 2 * (2 * 144 + 2 * 48) + 24 + 480
    );
    assert_eq!(first("rms_final_weight", &[12]), values() - 10 - 12);
}

#[test]
fn a_classifier_of_its_own_is_the_last() {
    let mut sizes = SIZES;
    sizes[5] = -11;
    let file = Llama2cFile::from_vec(bytes(sizes, values() + 132), "m.bin").unwrap();
    assert!(!file.header().shared_classifier);
    let (shape, data) = file.load_f32("wcls").unwrap();
    assert_eq!(shape, [11, 12]);
    assert_eq!(data[0] as usize, values());
}

#[test]
fn lying_headers_are_refused_in_one_line() {
    let changed = |at: usize, to: i32| {
        let mut sizes = SIZES;
        sizes[at] = to;
        bytes(sizes, values())
    };
    let cases = [
        (b"short".to_vec(), "it has only 5 bytes"),
        (changed(0, -12), "its dim is -12"),
        (changed(2, 0), "its n_layers is 0"),
        (changed(3, 5), "its dim 12 is not a multiple of 5 heads"),
        (
            changed(4, 4),
            "its 6 heads are not a multiple of 4 key/value heads",
        ),
        (changed(2, i32::MAX), "it claims 2147483647 layers"),
        (
            changed(5, 12),
            &format!("bytes, but it has {}", 28 + 4 * values()),
        ),
        (changed(5, i32::MIN), "bytes, but it has"),
        (changed(1, i32::MAX), "bytes, but it has"),
        (
            b"24ka\x01\0\0\0".to_vec(),
            "of version 1 or 2: export it with",
        ),
    ];
    for (bytes, expected) in cases {
        let line = refusal(bytes);
        assert!(
            line.starts_with("m.bin") && line.contains(expected),
            "{line}"
        );
        assert!(!line.contains('\n'));
    }
    for length in 0..28 + 4 * values() {
        let mut cut = bytes(SIZES, values());
        cut.truncate(length);
        refusal(cut);
    }
}
