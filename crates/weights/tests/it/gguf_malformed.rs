//! GGUF headers that lie: each is told in one line that names file, tensor or key, expected and found.

use glassformer_weights::{GgufFile, TensorSource};

const U8: u32 = 0;
const U32: u32 = 4;
const STRING: u32 = 8;
const ARRAY: u32 = 9;
const F32: u32 = 0;
const Q4_K: u32 = 12;

/// A header in the making.
#[derive(Clone)]
struct Header(Vec<u8>);

impl Header {
    fn new(version: u32, tensors: u64, keys: u64) -> Self {
        Self(b"GGUF".to_vec()).u32(version).u64(tensors).u64(keys)
    }

    fn u32(mut self, x: u32) -> Self {
        self.0.extend(x.to_le_bytes());
        self
    }

    fn u64(mut self, x: u64) -> Self {
        self.0.extend(x.to_le_bytes());
        self
    }

    fn bytes(mut self, x: &[u8]) -> Self {
        self.0.extend(x);
        self
    }

    fn string(self, x: &str) -> Self {
        self.u64(x.len() as u64).bytes(x.as_bytes())
    }

    fn tensor(self, name: &str, lengths: &[u64], kind: u32, offset: u64) -> Self {
        let axes = self.string(name).u32(lengths.len() as u32);
        lengths
            .iter()
            .fold(axes, |header, &length| header.u64(length))
            .u32(kind)
            .u64(offset)
    }

    /// Zeros up to a multiple of 32, then `data` bytes.
    fn data(mut self, data: usize) -> Vec<u8> {
        self.0.resize(self.0.len().next_multiple_of(32) + data, 0);
        self.0
    }
}

#[track_caller]
fn refused(bytes: Vec<u8>, expected: &str) {
    let line = match GgufFile::from_vec(bytes, "m.gguf") {
        Ok(file) => panic!("{:?} was opened, not refused: {expected}", file.names()),
        Err(error) => error.to_string(),
    };
    assert!(line.contains(expected), "{line}\nshould say: {expected}");
    assert!(
        line.starts_with("m.gguf ") && !line.contains('\n'),
        "{line}"
    );
}

#[test]
fn other_files_and_versions() {
    refused(
        vec![],
        "it ends at byte 0 where 4 bytes from byte 0 on are expected",
    );
    refused(
        b"ggml\0\0\0\0".to_vec(),
        "it begins with \"ggml\", not \"GGUF\"",
    );
    refused(
        Header::new(1, 0, 0).data(0),
        "is a GGUF file of version 1; 2 and 3 are read",
    );
    refused(Header::new(4, 0, 0).data(0), "version 4");
    refused(
        Header::new(3 << 24, 0, 0).data(0),
        "is a big-endian GGUF file: get the little-endian",
    );
    assert!(GgufFile::from_vec(Header::new(2, 0, 0).data(0), "m").is_ok());
}

#[test]
fn counts_larger_than_the_file() {
    let huge = u64::MAX / 2;
    refused(
        Header::new(3, huge, 0).data(8),
        &format!("it claims {huge} tensors, but the 24 bytes left can hold at most 1"),
    );
    refused(
        Header::new(3, 0, 1 << 32).data(8),
        "it claims 4294967296 metadata keys",
    );
    refused(
        Header::new(3, 0, 1).u64(huge).data(32),
        &format!("metadata key 0 of 1: it claims {huge} bytes of a string"),
    );
    let value = |kind| Header::new(3, 0, 1).string("a.key").u32(kind);
    refused(
        value(STRING).u64(u64::MAX).data(0),
        "the value of metadata key a.key: it claims 18446744073709551615 bytes of a string",
    );
    for element in 0..13 {
        refused(
            value(ARRAY).u32(element).u64(1 << 60).data(640),
            "the value of metadata key a.key: it claims 1152921504606846976 elements of an array",
        );
    }
    refused(
        Header::new(3, 1, 0).u64(huge).data(24),
        &format!("the name of tensor 0 of 1: it claims {huge} bytes"),
    );
}

#[test]
fn values_that_cannot_be() {
    let value = |kind| Header::new(3, 0, 1).string("a.key").u32(kind);
    refused(
        value(13).data(32),
        "the value of metadata key a.key: there is no type of number 13",
    );
    refused(
        value(ARRAY).u32(99).data(32),
        "there is no type of number 99",
    );
    refused(value(7).bytes(&[2]).data(0), "2 is no truth value");
    refused(
        value(STRING).u64(2).bytes(&[0xff, 0xfe]).data(0),
        "is not UTF-8",
    );
    // Arrays of one array of one array …
    let nested = (0..50).fold(value(ARRAY), |header, _| header.u32(ARRAY).u64(1));
    refused(nested.data(64), "arrays lie more than 4 deep");
    let twice = Header::new(3, 0, 2)
        .string("a.key")
        .u32(U8)
        .bytes(&[1])
        .string("a.key")
        .u32(U8)
        .bytes(&[1]);
    refused(twice.data(0), "the metadata key a.key stands there twice");
}

#[test]
fn tensors_that_cannot_be() {
    let one = |lengths: &[u64], kind, offset| {
        Header::new(3, 1, 0)
            .tensor("w", lengths, kind, offset)
            .data(4096)
    };
    assert!(GgufFile::from_vec(one(&[8, 128], F32, 0), "m").is_ok());
    refused(
        one(&[1; 5], F32, 0),
        "tensor w: it has 5 axes; at most 4 are possible",
    );
    refused(
        one(&[1], 77, 0),
        "tensor w: its type has the unknown number 77",
    );
    refused(
        one(&[257], Q4_K, 0),
        "tensor w: rows of 257 are not whole blocks of 256, as Q4_K has them",
    );
    refused(
        one(&[1 << 40, 1 << 40], F32, 0),
        "tensor w: its shape [1099511627776, 1099511627776] has more elements than can be counted",
    );
    refused(
        one(&[0, 1 << 40, 1 << 40], F32, 0),
        "more elements than can be counted",
    );
    refused(
        one(&[8], F32, 8),
        "tensor w: its offset 8 is not a multiple of 32",
    );
    refused(
        one(&[1025], F32, 0),
        "tensor w takes bytes 0 to 4100 of the tensors' part, which has only 4096",
    );
    refused(
        one(&[8], F32, 1 << 62),
        "tensor w takes bytes 4611686018427387904 to",
    );
    refused(
        one(&[8], F32, u64::MAX - 31),
        "are more than can be counted",
    );
    let two = |a: &str, b: &str, offset| {
        Header::new(3, 2, 0)
            .tensor(a, &[16], F32, 0)
            .tensor(b, &[16], F32, offset)
            .data(4096)
    };
    assert!(GgufFile::from_vec(two("a", "b", 64), "m").is_ok());
    refused(two("a", "a", 64), "the tensor a stands there twice");
    refused(
        two("a", "b", 32),
        "tensor b begins at 32 within tensor a, which ends at 64",
    );
    refused(two("a", "b", 0), "within tensor a");
}

#[test]
fn alignments_that_cannot_be() {
    let aligned = |value: u32| {
        Header::new(3, 0, 1)
            .string("general.alignment")
            .u32(U32)
            .u32(value)
            .data(0)
    };
    assert!(GgufFile::from_vec(aligned(1 << 31), "m").is_ok());
    for value in [0, 3, 48, u32::MAX] {
        refused(
            aligned(value),
            &format!("general.alignment is the integer {value}, not a power of two"),
        );
    }
    let text = Header::new(3, 0, 1)
        .string("general.alignment")
        .u32(STRING)
        .string("32");
    refused(
        text.data(0),
        "general.alignment is the string \"32\", not a power of two as u32",
    );
}

#[test]
fn one_part_of_several() {
    let part = Header::new(3, 0, 1)
        .string("split.count")
        .u32(2)
        .bytes(&[3, 0]);
    refused(part.data(0), "is one of 3 parts of a model: join them");
}

/// Known by name and size, so the file opens; its values cannot be had.
#[test]
fn a_type_that_is_not_read_is_named_when_it_is_read() {
    let bytes = Header::new(3, 1, 0).tensor("w", &[256], 23, 0).data(136);
    let file = GgufFile::from_vec(bytes, "m.gguf").unwrap();
    assert_eq!(file.bytes("w").unwrap().len(), 136);
    let line = file.load_f32("w").unwrap_err().to_string();
    assert!(
        line.starts_with("m.gguf: w is IQ4_XS; F32, F16, BF16, Q4_0"),
        "{line}"
    );
}

#[test]
fn empty_tensors_and_scalars() {
    let bytes = Header::new(3, 3, 0)
        .tensor("scalar", &[], F32, 0)
        .tensor("empty", &[3, 0], F32, 1 << 5)
        .tensor("behind", &[0], F32, 1 << 5)
        .data(32);
    let file = GgufFile::from_vec(bytes, "m.gguf").unwrap();
    assert_eq!(file.load_f32("scalar").unwrap(), (vec![], vec![0.0]));
    assert_eq!(file.load_f32("empty").unwrap(), (vec![0, 3], vec![]));
    assert_eq!(file.load_f32("behind").unwrap(), (vec![0], vec![]));
}
