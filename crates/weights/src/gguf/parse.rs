//! Metadata from bytes.

use std::path::Path;

use super::cursor::{Cursor, Parsed};
use super::metadata::Metadata;
use super::value::{Array, Value};

/// Arrays within arrays go no deeper than this; nobody nests them more than once.
const DEEPEST: usize = 4;

/// `count` keys with their values.
pub(super) fn metadata(cursor: &mut Cursor<'_>, count: usize, origin: &Path) -> Parsed<Metadata> {
    let mut metadata = Metadata::new(origin);
    for i in 0..count {
        let key = cursor
            .string()
            .map_err(|reason| format!("metadata key {i} of {count}: {reason}"))?;
        let value =
            value(cursor).map_err(|reason| format!("the value of metadata key {key}: {reason}"))?;
        if metadata.insert(key, value).is_some() {
            return Err(format!("the metadata key {key} stands there twice"));
        }
    }
    Ok(metadata)
}

fn value(cursor: &mut Cursor<'_>) -> Parsed<Value> {
    Ok(match cursor.u32()? {
        0 => Value::U8(u8::from_le_bytes(cursor.array()?)),
        1 => Value::I8(i8::from_le_bytes(cursor.array()?)),
        2 => Value::U16(u16::from_le_bytes(cursor.array()?)),
        3 => Value::I16(i16::from_le_bytes(cursor.array()?)),
        4 => Value::U32(cursor.u32()?),
        5 => Value::I32(i32::from_le_bytes(cursor.array()?)),
        6 => Value::F32(f32::from_le_bytes(cursor.array()?)),
        7 => Value::Bool(truth(cursor.array()?)?),
        8 => Value::String(cursor.string()?.to_owned()),
        9 => Value::Array(array(cursor, 1)?),
        10 => Value::U64(cursor.u64()?),
        11 => Value::I64(i64::from_le_bytes(cursor.array()?)),
        12 => Value::F64(f64::from_le_bytes(cursor.array()?)),
        other => return Err(unknown(other)),
    })
}

fn array(cursor: &mut Cursor<'_>, depth: usize) -> Parsed<Array> {
    Ok(match cursor.u32()? {
        0 => Array::U8(numbers(cursor, u8::from_le_bytes)?),
        1 => Array::I8(numbers(cursor, i8::from_le_bytes)?),
        2 => Array::U16(numbers(cursor, u16::from_le_bytes)?),
        3 => Array::I16(numbers(cursor, i16::from_le_bytes)?),
        4 => Array::U32(numbers(cursor, u32::from_le_bytes)?),
        5 => Array::I32(numbers(cursor, i32::from_le_bytes)?),
        6 => Array::F32(numbers(cursor, f32::from_le_bytes)?),
        7 => Array::Bool(
            numbers(cursor, |byte| byte)?
                .into_iter()
                .map(truth)
                .collect::<Parsed<_>>()?,
        ),
        // The least string is its length.
        8 => Array::String(elements(cursor, 8, |cursor| {
            cursor.string().map(str::to_owned)
        })?),
        9 if depth == DEEPEST => return Err(format!("arrays lie more than {DEEPEST} deep")),
        // The least array is its type and its length.
        9 => Array::Array(elements(cursor, 12, |cursor| array(cursor, depth + 1))?),
        10 => Array::U64(numbers(cursor, u64::from_le_bytes)?),
        11 => Array::I64(numbers(cursor, i64::from_le_bytes)?),
        12 => Array::F64(numbers(cursor, f64::from_le_bytes)?),
        other => return Err(unknown(other)),
    })
}

/// A length and so many elements of at least `least` bytes each.
fn elements<'a, T>(
    cursor: &mut Cursor<'a>,
    least: usize,
    mut element: impl FnMut(&mut Cursor<'a>) -> Parsed<T>,
) -> Parsed<Vec<T>> {
    let count = cursor.count("elements of an array", least)?;
    (0..count).map(|_| element(cursor)).collect()
}

/// A length and so many numbers of `N` bytes.
fn numbers<T, const N: usize>(
    cursor: &mut Cursor<'_>,
    convert: impl Fn([u8; N]) -> T,
) -> Parsed<Vec<T>> {
    let count = cursor.count("elements of an array", N)?;
    // Cannot overflow: so many bytes are there.
    let (pieces, _) = cursor.take(count * N)?.as_chunks();
    Ok(pieces.iter().map(|&piece| convert(piece)).collect())
}

fn truth([byte]: [u8; 1]) -> Parsed<bool> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(format!("{other} is no truth value (0 or 1)")),
    }
}

fn unknown(number: u32) -> String {
    format!("there is no type of number {number} (0 to 12 are known)")
}
