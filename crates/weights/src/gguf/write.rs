//! Writing version 3: header, metadata and the list of tensors first, which need sizes alone; then each tensor when its
//! turn comes.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;

use glassformer_kernels::Pool;

use super::metadata::Metadata;
use super::tensors::MOST_AXES;
use super::value::{Array, Value};
use super::{ALIGNMENT_KEY, DEFAULT_ALIGNMENT, types};
use crate::atomic::NewFile;
use crate::{NewTensor, WeightsError};

const VERSION: u32 = 3;

/// Longest name of a tensor that ggml takes, without the 0 that ends it there.
const LONGEST_NAME: usize = 63;

/// Writes a GGUF file with these tensors in this order, so that it appears whole or not at all. No more than one tensor
/// is in memory at a time, besides what was there before.
///
/// Types are those that [`DataType::is_writable`](crate::DataType::is_writable) allows, or any that can be read for
/// tensors that are [copied](NewTensor::copy) as they are. `general.alignment` is left out of the metadata: it is the usual 32.
pub fn write(
    path: &Path,
    metadata: &Metadata,
    tensors: Vec<NewTensor<'_>>,
    pool: &Pool,
) -> Result<(), WeightsError> {
    let io_error = |source| WeightsError::Write {
        path: path.to_owned(),
        source,
    };
    let header = header(metadata, &tensors)?;
    let mut file = NewFile::create(path).map_err(io_error)?;
    file.write_all(&header).map_err(io_error)?;
    for tensor in tensors {
        let length = tensor.byte_len()?;
        tensor.write(&mut file, pool, &io_error)?;
        pad(&mut file, length).map_err(io_error)?;
    }
    file.commit().map_err(io_error)
}

/// Zeros from `length` to a multiple of the alignment.
fn pad(out: &mut impl Write, length: usize) -> io::Result<()> {
    const ZEROS: [u8; DEFAULT_ALIGNMENT as usize] = [0; DEFAULT_ALIGNMENT as usize];
    out.write_all(&ZEROS[..aligned(length) - length])
}

fn aligned(length: usize) -> usize {
    length.next_multiple_of(DEFAULT_ALIGNMENT as usize)
}

/// All that stands before the tensors' bytes, up to where they begin.
fn header(metadata: &Metadata, tensors: &[NewTensor<'_>]) -> Result<Vec<u8>, WeightsError> {
    let keys: Vec<(&str, &Value)> = metadata
        .iter()
        .filter(|(key, _)| *key != ALIGNMENT_KEY)
        .collect();
    let mut out = b"GGUF".to_vec();
    out.extend(VERSION.to_le_bytes());
    put_len(&mut out, tensors.len());
    put_len(&mut out, keys.len());
    for (key, value) in keys {
        put_string(&mut out, key);
        put_value(&mut out, value);
    }
    let mut offset = 0usize;
    let mut names = BTreeSet::new();
    for tensor in tensors {
        if !names.insert(tensor.name.as_str()) {
            return Err(tensor.error("there are two of that name".to_owned()));
        }
        put_entry(&mut out, tensor, offset)?;
        offset = offset
            .checked_add(aligned(tensor.byte_len()?))
            .ok_or_else(|| tensor.error("the file would be too large".to_owned()))?;
    }
    out.resize(aligned(out.len()), 0);
    Ok(out)
}

fn put_entry(out: &mut Vec<u8>, tensor: &NewTensor<'_>, offset: usize) -> Result<(), WeightsError> {
    let NewTensor {
        name,
        shape,
        data_type,
        ..
    } = tensor;
    if name.len() > LONGEST_NAME {
        return Err(tensor.error(format!(
            "its name has {} bytes, ggml takes {LONGEST_NAME}",
            name.len()
        )));
    }
    if shape.len() > MOST_AXES {
        return Err(tensor.error(format!(
            "it has {} axes, GGUF files have at most {MOST_AXES}",
            shape.len()
        )));
    }
    let number = types::number(*data_type)
        .ok_or_else(|| tensor.error(format!("GGUF files have no {data_type}")))?;
    put_string(out, name);
    out.extend((shape.len() as u32).to_le_bytes());
    shape.iter().rev().for_each(|&length| put_len(out, length));
    out.extend(number.to_le_bytes());
    put_len(out, offset);
    Ok(())
}

fn put_len(out: &mut Vec<u8>, length: usize) {
    out.extend((length as u64).to_le_bytes());
}

fn put_string(out: &mut Vec<u8>, text: &str) {
    put_len(out, text.len());
    out.extend(text.as_bytes());
}

/// The type's number, then the value.
fn put_value(out: &mut Vec<u8>, value: &Value) {
    out.extend(value.type_number().to_le_bytes());
    match value {
        Value::U8(x) => out.push(*x),
        Value::I8(x) => out.extend(x.to_le_bytes()),
        Value::U16(x) => out.extend(x.to_le_bytes()),
        Value::I16(x) => out.extend(x.to_le_bytes()),
        Value::U32(x) => out.extend(x.to_le_bytes()),
        Value::I32(x) => out.extend(x.to_le_bytes()),
        Value::F32(x) => out.extend(x.to_le_bytes()),
        Value::Bool(x) => out.push(u8::from(*x)),
        Value::String(x) => put_string(out, x),
        Value::Array(x) => put_array(out, x),
        Value::U64(x) => out.extend(x.to_le_bytes()),
        Value::I64(x) => out.extend(x.to_le_bytes()),
        Value::F64(x) => out.extend(x.to_le_bytes()),
    }
}

/// The elements' type, their number, then they.
fn put_array(out: &mut Vec<u8>, array: &Array) {
    out.extend(array.type_number().to_le_bytes());
    put_len(out, array.len());
    match array {
        Array::U8(x) => out.extend(x),
        Array::I8(x) => out.extend(x.iter().flat_map(|x| x.to_le_bytes())),
        Array::U16(x) => out.extend(x.iter().flat_map(|x| x.to_le_bytes())),
        Array::I16(x) => out.extend(x.iter().flat_map(|x| x.to_le_bytes())),
        Array::U32(x) => out.extend(x.iter().flat_map(|x| x.to_le_bytes())),
        Array::I32(x) => out.extend(x.iter().flat_map(|x| x.to_le_bytes())),
        Array::F32(x) => out.extend(x.iter().flat_map(|x| x.to_le_bytes())),
        Array::Bool(x) => out.extend(x.iter().map(|x| u8::from(*x))),
        Array::String(x) => x.iter().for_each(|x| put_string(out, x)),
        Array::Array(x) => x.iter().for_each(|x| put_array(out, x)),
        Array::U64(x) => out.extend(x.iter().flat_map(|x| x.to_le_bytes())),
        Array::I64(x) => out.extend(x.iter().flat_map(|x| x.to_le_bytes())),
        Array::F64(x) => out.extend(x.iter().flat_map(|x| x.to_le_bytes())),
    }
}
