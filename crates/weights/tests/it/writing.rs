//! What is written is read again, and nothing is left of what could not be.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use glassformer_kernels::Pool;
use glassformer_kernels::quantised::blocks::Kind;
use glassformer_kernels::random;
use glassformer_weights::gguf::{self, Array, Metadata, Value};
use glassformer_weights::{
    DataType, FloatType, GgufFile, NamedTensor, NewTensor, TensorFile, TensorSource, Values,
    WeightsError, first_not_finite, safetensors,
};

use crate::support::{golden, same_bits};

fn normals(seed: u64, n: usize) -> Vec<f32> {
    (0..n as u64)
        .map(|i| random::normal(seed, i) as f32)
        .collect()
}

#[test]
fn a_gguf_file_is_copied_with_all_it_has() {
    let source = GgufFile::open(&golden("all-types.gguf")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("copy.gguf");
    let tensors = source
        .names()
        .iter()
        .map(|name| {
            let data_type = source.info(name).unwrap().data_type;
            NewTensor::copy(&source, name, format!("copy.{name}"), data_type).unwrap()
        })
        .collect();
    gguf::write(&path, source.metadata(), tensors, &Pool::new(2)).unwrap();

    let copy = GgufFile::open(&path).unwrap();
    for name in source.names() {
        let copied = format!("copy.{name}");
        assert_eq!(copy.info(&copied), source.info(&name));
        assert_eq!(copy.bytes(&copied).unwrap(), source.bytes(&name).unwrap());
    }
    assert_eq!(copy.names().len(), source.names().len());
    // The copy has the usual alignment.
    let keys = |file: &GgufFile| -> BTreeMap<String, Value> {
        let all = file.metadata().iter();
        all.map(|(key, value)| (key.to_owned(), value.clone()))
            .filter(|(key, _)| key != "general.alignment")
            .collect()
    };
    assert_eq!(keys(&copy), keys(&source));
}

/// Every type, with more values than are encoded at a time, and rows that no thread's share is a multiple of.
#[test]
fn every_type_is_written_the_same_for_any_number_of_threads() {
    let (rows, row) = (1367, 768);
    let values = normals(1, rows * row);
    let folder = tempfile::tempdir().unwrap();
    let kinds = [Kind::Q8_0, Kind::Q4_0, Kind::Q4_K, Kind::Q6_K].map(DataType::Block);
    let types = [DataType::F32, DataType::F16, DataType::Bf16]
        .into_iter()
        .chain(kinds);
    for data_type in types {
        let files = [1, 3].map(|threads| {
            let path = folder.path().join(format!("{threads}.gguf"));
            let tensor = NewTensor::from_slice("w", &[rows, row], data_type, &values);
            let metadata = Metadata::new(&path);
            gguf::write(&path, &metadata, vec![tensor], &Pool::new(threads)).unwrap();
            fs::read(path).unwrap()
        });
        assert!(files[0] == files[1], "{data_type}");
        let [file, _] = files;
        let file = GgufFile::from_vec(file, "w.gguf").unwrap();
        assert_eq!(file.expect("w", &[rows, row]).unwrap(), data_type);
        let (_, back) = file.load_f32("w").unwrap();
        let mut expected = vec![0; data_type.byte_len(values.len()).unwrap()];
        data_type.encode(&values, &mut expected);
        assert!(file.bytes("w").unwrap() == expected, "{data_type}");
        let most = match data_type {
            DataType::F32 => 0.0,
            DataType::F16 | DataType::Bf16 => 0.02,
            _ => 0.5,
        };
        let worst = back
            .iter()
            .zip(&values)
            .fold(0.0f32, |worst, (a, b)| worst.max((a - b).abs()));
        assert!(worst <= most, "{data_type}: {worst}");
    }
}

#[test]
fn a_safetensors_file_is_written_tensor_by_tensor() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let (a, b) = (normals(1, 15), normals(2, 7));
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    let source = GgufFile::open(&golden("all-types.gguf")).unwrap();
    let tensors = vec![
        NewTensor::from_slice("b", &[7], DataType::Bf16, &b),
        NewTensor::new("a", &[3, 5], DataType::F32, || {
            Ok(Values::F32(Cow::Owned(a.clone())))
        }),
        NewTensor::copy(&source, "blk.7.q4_k", "q", DataType::F16).unwrap(),
        NewTensor::from_slice("scalar", &[], DataType::F32, &b[..1]),
    ];
    safetensors::write(&path, tensors, &metadata, &Pool::single()).unwrap();
    let file = TensorFile::open(&path).unwrap();
    assert_eq!(file.metadata(), metadata);
    assert_eq!(file.names(), ["a", "b", "q", "scalar"]);
    assert_eq!(file.load_f32("a").unwrap(), (vec![3, 5], a));
    assert_eq!(file.load_f32("scalar").unwrap(), (vec![], b[..1].to_vec()));
    assert_eq!(file.expect("b", &[7]).unwrap(), DataType::Bf16);
    let (shape, q) = source.load_f32("blk.7.q4_k").unwrap();
    let (found, halves) = file.load_f32("q").unwrap();
    assert_eq!(found, shape);
    assert!(
        q.iter()
            .zip(halves)
            .all(|(a, b)| (a - b).abs() <= a.abs() / 1000.0)
    );
}

#[test]
fn bytes_in_memory_are_those_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let values = normals(3, 6);
    let tensor = NewTensor::from_slice("x", &[2, 3], DataType::F16, &values);
    safetensors::write(&path, vec![tensor], &BTreeMap::new(), &Pool::single()).unwrap();
    let named = NamedTensor {
        name: "x".to_owned(),
        shape: vec![2, 3],
        data: &values,
    };
    let bytes = safetensors::to_bytes(&[named], FloatType::F16, &BTreeMap::new()).unwrap();
    assert_eq!(fs::read(path).unwrap(), bytes);
    assert!(TensorFile::from_vec(bytes, "memory").is_ok());
}

/// Tries to write these, and gives the message.
fn refusal(path: &Path, tensors: Vec<NewTensor<'_>>) -> String {
    let metadata = Metadata::new(path);
    let error = gguf::write(path, &metadata, tensors, &Pool::single()).unwrap_err();
    error.to_string()
}

#[test]
fn what_cannot_be_written_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    fs::write(&path, "old").unwrap();
    let x = normals(4, 300);
    let q4_k = DataType::Block(Kind::Q4_K);
    let tensor =
        |name: &str, shape: &[usize], data_type| NewTensor::from_slice(name, shape, data_type, &x);
    let cases = [
        (
            vec![tensor("w", &[1, 300], q4_k)],
            "tensor w: the shape [1, 300] cannot be written as Q4_K",
        ),
        (
            vec![tensor("w", &[256, 3], q4_k)],
            "tensor w: the shape [256, 3] cannot be written as Q4_K",
        ),
        (
            vec![tensor("w", &[256], q4_k)],
            "tensor w: 300 values were made for it, 256 are needed",
        ),
        (
            vec![tensor("w", &[usize::MAX, 2], DataType::F32)],
            "cannot be written as F32",
        ),
        (
            vec![tensor("w", &[256], DataType::Block(Kind::Q5_K))],
            "tensor w: values cannot be written as Q5_K, only as",
        ),
        (
            vec![tensor("w", &[300], DataType::Other("IQ4_XS"))],
            "GGUF files have no IQ4_XS",
        ),
        (
            vec![
                tensor("w", &[300], DataType::F32),
                tensor("w", &[300], DataType::F32),
            ],
            "tensor w: there are two of that name",
        ),
        (
            vec![tensor(&"w".repeat(64), &[300], DataType::F32)],
            "its name has 64 bytes, ggml takes 63",
        ),
        (
            vec![tensor("w", &[1, 1, 1, 1, 300], DataType::F32)],
            "it has 5 axes",
        ),
        (
            vec![NewTensor::new("w", &[32], q8_0(), || {
                Ok(Values::Encoded(Cow::Borrowed(b"few")))
            })],
            "3 bytes were made for it, 34 are needed",
        ),
        (
            vec![
                tensor("w", &[300], DataType::F32),
                NewTensor::new("v", &[300], DataType::F32, || {
                    Err(WeightsError::Missing {
                        path: "x".into(),
                        name: "lost".to_owned(),
                    })
                }),
            ],
            "has no tensor lost",
        ),
    ];
    for (tensors, expected) in cases {
        let line = refusal(&path, tensors);
        assert!(line.contains(expected) && !line.contains('\n'), "{line}");
        assert_eq!(fs::read(&path).unwrap(), b"old", "{expected}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
    let block = tensor("w", &[256], q4_k);
    let safetensors = folder.path().join("model.safetensors");
    let error = safetensors::write(&safetensors, vec![block], &BTreeMap::new(), &Pool::single());
    let line = error.unwrap_err().to_string();
    assert!(line.contains("safetensors files have no Q4_K"), "{line}");
    assert!(!safetensors.exists());
    let nowhere = folder.path().join("no/such/folder.gguf");
    assert!(refusal(&nowhere, vec![]).contains("cannot write"));
}

fn q8_0() -> DataType {
    DataType::Block(Kind::Q8_0)
}

#[test]
fn the_first_tensor_that_is_not_finite_is_named() {
    let (clean, pool) = (normals(5, 512), Pool::new(2));
    let types = [
        DataType::F32,
        DataType::F16,
        DataType::Bf16,
        q8_0(),
        DataType::Block(Kind::Q4_K),
        DataType::Block(Kind::Q6_K),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.gguf");
    for data_type in types {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut dirty = clean.clone();
            dirty[400] = bad;
            let tensors = [("a", &clean), ("d", &dirty), ("c", &dirty), ("b", &clean)];
            let tensors = tensors
                .map(|(name, values)| NewTensor::from_slice(name, &[2, 256], data_type, values));
            gguf::write(&path, &Metadata::new(&path), tensors.into(), &pool).unwrap();
            let found = first_not_finite(&GgufFile::open(&path).unwrap(), &pool).unwrap();
            assert_eq!(found.as_deref(), Some("c"), "{data_type} with {bad}");
        }
    }
    let source = GgufFile::open(&golden("all-types.gguf")).unwrap();
    assert_eq!(first_not_finite(&source, &pool).unwrap(), None);
}

#[test]
fn metadata_of_every_type_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.gguf");
    let mut metadata = Metadata::new(&path);
    let nested = Array::Array(vec![
        Array::Array(vec![]),
        Array::Bool(vec![true, false]),
        Array::String(vec![String::new(), "é".to_owned()]),
    ]);
    metadata.insert("nested", Value::Array(nested));
    metadata.insert("empty", Value::Array(Array::F64(vec![])));
    metadata.insert("nan", Value::F32(f32::NAN));
    metadata.insert("", Value::String(String::new()));
    metadata.insert("general.alignment", Value::U32(4096));
    gguf::write(&path, &metadata, vec![], &Pool::single()).unwrap();
    let file = GgufFile::open(&path).unwrap();
    assert!(file.names().is_empty());
    let back = file.metadata();
    assert_eq!(back.len(), 4);
    assert!(back.f32("nan").unwrap().is_nan());
    for key in ["nested", "empty", ""] {
        assert_eq!(back.get(key), metadata.get(key), "{key}");
    }
    assert!(same_bits(&back.f32s("empty").unwrap(), &[]));
}
