//! safetensors files and their indices: what is wrong is said of the tensor that it concerns.

use std::fs;
use std::path::Path;

use glassformer_weights::{
    DataType, FloatType, NamedTensor, Sharded, TensorFile, TensorSource, WeightsError, WeightsFile,
    safetensors,
};
use serde_json::json;

use crate::support::golden;

/// A file with this header and so many bytes behind it.
fn file(header: &serde_json::Value, data: usize) -> Vec<u8> {
    let header = header.to_string();
    let length = (header.len() as u64).to_le_bytes();
    [&length[..], header.as_bytes(), &vec![0; data]].concat()
}

#[track_caller]
fn says(error: &WeightsError, expected: &str) {
    let line = error.to_string();
    assert!(line.contains(expected), "{line}\nshould say: {expected}");
    assert!(!line.contains('\n'), "{line}");
}

#[test]
fn what_is_wrong_is_said_of_the_tensor() {
    let a = |dtype: &str, shape: &[u64], offsets: &[u64]| json!({"dtype": dtype, "shape": shape, "data_offsets": offsets});
    let whole = a("F32", &[2, 3], &[0, 24]);
    let cases = [
        (
            file(&json!({"a": whole}), 20),
            "its tensors take 24 bytes, but 20 follow the header",
        ),
        (
            file(&json!({"a": whole}), 28),
            "its tensors take 24 bytes, but 28 follow the header",
        ),
        (
            file(&json!({"a": a("F32", &[2, 3], &[0, 20])}), 20),
            "tensor a as F32 of shape [2, 3] takes 24 bytes, but its data_offsets are 0 and 20",
        ),
        (
            file(&json!({"a": a("F32", &[2], &[8, 0])}), 8),
            "tensor a as F32 of shape [2] takes 8 bytes, but its data_offsets are 8 and 0",
        ),
        (
            file(&json!({"a": whole, "b": a("F16", &[2], &[20, 24])}), 24),
            "tensor b begins at byte 20, but the one before it ends at 24",
        ),
        (
            file(&json!({"a": whole, "b": a("F16", &[2], &[28, 32])}), 32),
            "tensor b begins at byte 28, but the one before it ends at 24",
        ),
        (
            file(&json!({"a": a("Q4_0", &[2], &[0, 8])}), 8),
            "tensor a has the unknown dtype \"Q4_0\"",
        ),
        (
            file(&json!({"a": a("F32", &[1 << 40, 1 << 40], &[0, 8])}), 8),
            "tensor a has the shape [1099511627776, 1099511627776], more than can be counted",
        ),
        (
            file(&json!({"a": a("F32", &[2], &[0])}), 8),
            "tensor a has 1 data_offsets, not 2",
        ),
        (
            file(&json!({"a": 7}), 8),
            "tensor a has the unknown dtype null",
        ),
        (b"short".to_vec(), "it has only 5 bytes"),
        (
            u64::MAX.to_le_bytes().to_vec(),
            "its header should take 18446744073709551615 bytes, but only 0 follow",
        ),
        (file(&json!([1, 2]), 0), "JSON"),
        (b"\x02\0\0\0\0\0\0\0{]".to_vec(), "JSON"),
    ];
    for (bytes, expected) in cases {
        let error = TensorFile::from_vec(bytes, "m.safetensors").unwrap_err();
        says(&error, expected);
        says(&error, "m.safetensors is damaged or not a safetensors file");
    }
}

#[test]
fn types_without_values_are_listed() {
    let header =
        json!({"position_ids": {"dtype": "I64", "shape": [1, 2], "data_offsets": [0, 16]}});
    let file = TensorFile::from_vec(file(&header, 16), "m").unwrap();
    let info = file.info("position_ids").unwrap();
    assert_eq!(info.data_type, DataType::Other("I64"));
    says(
        &file.load_f32("position_ids").unwrap_err(),
        "m: position_ids is I64; F32, F16",
    );
}

/// `a` and `b` in two files, and an index of them.
fn shards(folder: &Path, weight_map: &serde_json::Value) -> Result<Sharded, WeightsError> {
    for (file, name) in [("one.safetensors", "a"), ("two.safetensors", "b")] {
        let tensor = NamedTensor {
            name: name.to_owned(),
            shape: vec![2],
            data: &[1.0, 2.0],
        };
        let bytes = safetensors::to_bytes(&[tensor], FloatType::F32, &[].into()).unwrap();
        fs::write(folder.join(file), bytes).unwrap();
    }
    let index = folder.join("model.safetensors.index.json");
    let text = json!({"metadata": {"total_size": 16}, "weight_map": weight_map});
    fs::write(&index, text.to_string()).unwrap();
    Sharded::open(&index)
}

#[test]
fn shards_are_one_source() {
    let folder = tempfile::tempdir().unwrap();
    let map = json!({"a": "one.safetensors", "b": "two.safetensors"});
    let sharded = shards(folder.path(), &map).unwrap();
    assert_eq!(sharded.names(), ["a", "b"]);
    assert_eq!(sharded.load_f32("b").unwrap(), (vec![2], vec![1.0, 2.0]));
    assert!(sharded.origin().ends_with("model.safetensors.index.json"));
    let shape = sharded.expect("b", &[3]).unwrap_err();
    says(
        &shape,
        "two.safetensors: b has shape [2] but the config asks for [3]",
    );
    says(
        &sharded.load_f32("c").unwrap_err(),
        "index.json has no tensor c",
    );
    let opened = WeightsFile::open(folder.path()).unwrap();
    assert!(matches!(opened, WeightsFile::Sharded(_)));
    assert_eq!(opened.source().names(), ["a", "b"]);
}

#[test]
fn an_index_that_lies_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        (
            json!({"a": "three.safetensors"}),
            "three.safetensors: No such file",
        ),
        (json!({"b": "one.safetensors"}), "says that tensor b is in"),
        (
            json!({"a": "../one.safetensors"}),
            "which is not the name of a file beside it",
        ),
        (
            json!({"a": "/etc/passwd"}),
            "tensor a is said to be in \"/etc/passwd\"",
        ),
        (json!({"a": ".."}), "which is not the name of a file"),
        (json!({"a": ""}), "which is not the name of a file"),
        (json!({"a": 1}), "tensor a is said to be in 1"),
        (json!(null), "it has no object `weight_map`"),
        (
            json!({"a": "model.safetensors.index.json"}),
            "damaged or not a safetensors file",
        ),
    ];
    for (map, expected) in cases {
        says(&shards(folder.path(), &map).unwrap_err(), expected);
    }
}

#[test]
fn what_is_no_safetensors_file_is_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let pickle =
        "is a PyTorch pickle, which may run code when it is loaded: convert it to safetensors";
    let cases = [
        (write("pytorch_model.bin", b"PK\x03\x04rest"), pickle),
        (
            write("old.pt", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P"),
            pickle,
        ),
        (write("model.safetensors", b"PK\x03\x04rest"), pickle),
        (write("pytorch_model.bin.index.json", b"{}"), pickle),
        (
            write(
                "lfs.gguf",
                b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            ),
            "is a Git LFS pointer, not the file itself: run `git lfs pull`",
        ),
        (
            write("notes.bin", b"hello"),
            "damaged or not a llama2.c file",
        ),
        (folder.path().join("none.safetensors"), "cannot read"),
    ];
    for (path, expected) in cases {
        says(&WeightsFile::open(&path).unwrap_err(), expected);
    }
    let gguf = write("any.name", &fs::read(golden("all-types.gguf")).unwrap());
    assert!(matches!(WeightsFile::open(&gguf), Ok(WeightsFile::Gguf(_))));
}

#[test]
fn a_folder_of_pickles_or_nothing_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = WeightsFile::open(folder.path()).unwrap_err();
    says(
        &error,
        "has neither model.safetensors nor model.safetensors.index.json",
    );
    fs::write(folder.path().join("pytorch_model.bin"), "PK").unwrap();
    says(
        &WeightsFile::open(folder.path()).unwrap_err(),
        "is a PyTorch pickle",
    );
}
