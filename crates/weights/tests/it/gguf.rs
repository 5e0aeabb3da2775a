//! Reading GGUF against what the package `gguf` wrote and reads (`parity/gguf_files.py`).

use std::collections::BTreeMap;
use std::fs;

use glassformer_weights::gguf::{Array, Metadata, Value};
use glassformer_weights::{DataType, GgufFile, TensorFile, TensorSource, WeightsError};
use serde_json::json;

use crate::support::{golden, same_bits};

fn file() -> GgufFile {
    GgufFile::open(&golden("all-types.gguf")).unwrap()
}

#[test]
fn every_type_means_what_gguf_says() {
    let (file, expected) = (
        file(),
        TensorFile::open(&golden("all-types.safetensors")).unwrap(),
    );
    assert_eq!(file.names(), expected.names());
    assert_eq!(file.names().len(), 14);
    for name in file.names() {
        let (shape, values) = file.load_f32(&name).unwrap();
        let (expected_shape, expected) = expected.load_f32(&name).unwrap();
        assert_eq!(shape, expected_shape, "{name}");
        assert!(same_bits(&values, &expected), "{name}");
        let last = name.rsplit('.').next().unwrap();
        let data_type = file.info(&name).unwrap().data_type;
        if !last.contains(' ') {
            assert_eq!(data_type.to_string().to_lowercase(), last);
        }
        let length = data_type.byte_len(values.len());
        assert_eq!(Some(file.bytes(&name).unwrap().len()), length, "{name}");
    }
}

/// As JSON has it.
fn plain(value: &Value) -> serde_json::Value {
    match value {
        Value::U8(x) => json!(x),
        Value::I8(x) => json!(x),
        Value::U16(x) => json!(x),
        Value::I16(x) => json!(x),
        Value::U32(x) => json!(x),
        Value::I32(x) => json!(x),
        Value::F32(x) => json!(x),
        Value::Bool(x) => json!(x),
        Value::String(x) => json!(x),
        Value::Array(x) => plain_array(x),
        Value::U64(x) => json!(x),
        Value::I64(x) => json!(x),
        Value::F64(x) => json!(x),
    }
}

fn plain_array(array: &Array) -> serde_json::Value {
    match array {
        Array::U8(x) => json!(x),
        Array::I8(x) => json!(x),
        Array::U16(x) => json!(x),
        Array::I16(x) => json!(x),
        Array::U32(x) => json!(x),
        Array::I32(x) => json!(x),
        Array::F32(x) => json!(x),
        Array::Bool(x) => json!(x),
        Array::String(x) => json!(x),
        Array::Array(x) => x.iter().map(plain_array).collect(),
        Array::U64(x) => json!(x),
        Array::I64(x) => json!(x),
        Array::F64(x) => json!(x),
    }
}

#[test]
fn every_kind_of_metadata_is_read() {
    let expected: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(&fs::read_to_string(golden("all-types.json")).unwrap()).unwrap();
    let file = file();
    let found: BTreeMap<String, serde_json::Value> = file
        .metadata()
        .iter()
        .map(|(key, value)| (key.to_owned(), plain(value)))
        .collect();
    assert_eq!(found.len(), expected.len());
    for (key, expected) in expected {
        // 3e38 went through f32.
        let same = match (&found[&key], &expected) {
            (found, expected) if key == "array.float32" => {
                let [a, b] = [found, expected].map(|v| {
                    let values = v.as_array().unwrap().iter();
                    values
                        .map(|x| x.as_f64().unwrap() as f32)
                        .collect::<Vec<_>>()
                });
                a == b
            }
            (found, expected) => found == expected,
        };
        assert!(same, "{key}: {}", found[&key]);
    }
}

#[test]
fn getters_take_any_width_and_name_the_key() {
    let file = file();
    let metadata = file.metadata();
    assert_eq!(metadata.string("general.architecture").unwrap(), "golden");
    for (key, expected) in [
        ("uint8", 255),
        ("uint32", u64::from(u32::MAX)),
        ("uint64", u64::MAX),
    ] {
        assert_eq!(metadata.u64(&format!("scalar.{key}")).unwrap(), expected);
    }
    assert_eq!(metadata.i64("scalar.int8").unwrap(), -128);
    assert_eq!(metadata.i64("scalar.int64").unwrap(), i64::MIN);
    assert_eq!(metadata.f32("scalar.float32").unwrap(), 0.5);
    assert_eq!(metadata.f32("scalar.float64").unwrap(), f32::NEG_INFINITY);
    assert!(metadata.bool("scalar.bool").unwrap());
    assert_eq!(metadata.strings("array.string").unwrap()[2], "注意");
    assert_eq!(*metadata.f32s("array.float32").unwrap(), [0.25, -1.5, 3e38]);
    assert_eq!(
        *metadata.i32s("array.int32").unwrap(),
        [i32::MIN, 0, i32::MAX]
    );
    assert_eq!(*metadata.i32s("array.uint8").unwrap(), [0, 7, 255]);
    assert_eq!(*metadata.u64s("array.uint64").unwrap(), [u64::MAX, 0]);
    assert_eq!(metadata.bools("array.bool").unwrap(), [true, false, true]);
    assert_eq!(metadata.optional("no.such", Metadata::u64).unwrap(), None);
    assert_eq!(
        metadata.optional("scalar.uint8", Metadata::u64).unwrap(),
        Some(255)
    );
}

#[test]
fn wrong_keys_are_told_in_one_line() {
    let file = file();
    let metadata = file.metadata();
    let lines = [
        (
            metadata.u64("no.such").unwrap_err(),
            "has no metadata key no.such",
        ),
        (
            metadata.u64("scalar.int8").unwrap_err(),
            "scalar.int8 is the integer -128, not an integer from 0 on",
        ),
        (
            metadata.i64("scalar.uint64").unwrap_err(),
            "scalar.uint64 is the integer 18446744073709551615, not an integer of 64 bits",
        ),
        (
            metadata.f32("scalar.uint8").unwrap_err(),
            "scalar.uint8 is the integer 255, not a float",
        ),
        (
            metadata.strings("array.int8").unwrap_err(),
            "array.int8 is an array of 2 integers, not an array of strings",
        ),
        (
            metadata.i32s("array.uint32").unwrap_err(),
            "array.uint32 is an array of 1 integers, not an array of integers of 32 bits",
        ),
        (
            metadata
                .optional("scalar.bool", Metadata::string)
                .unwrap_err(),
            "scalar.bool is the truth value true, not a string",
        ),
    ];
    for (error, expected) in lines {
        let line = error.to_string();
        assert!(line.contains(expected), "{line}");
        assert!(line.contains("all-types.gguf") && !line.contains('\n'));
    }
}

#[test]
fn tensors_are_missed_by_name_and_shape() {
    let file = file();
    let missing = file.load_f32("blk.99").unwrap_err();
    assert!(matches!(missing, WeightsError::Missing { ref name, .. } if name == "blk.99"));
    let shape = file.expect("f32", &[5, 3, 7]).unwrap_err().to_string();
    assert!(shape.contains("f32 has shape [3, 5, 7] but the config asks for [5, 3, 7]"));
    assert_eq!(file.expect("f32", &[3, 5, 7]).unwrap(), DataType::F32);
}
