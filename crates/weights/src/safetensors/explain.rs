//! Why a header was refused. The `safetensors` crate decides; this says which tensor, what was expected and what found.

use safetensors::{Dtype, SafeTensorError};
use serde_json::{Map, Value};

/// The length of the header stands before it.
const LENGTH: usize = size_of::<u64>();

/// A reason for people, or the crate's own words where nothing better is found.
pub(super) fn reason(bytes: &[u8], error: &SafeTensorError) -> String {
    let Some(&length) = bytes.first_chunk::<LENGTH>() else {
        return format!("it has only {} bytes", bytes.len());
    };
    let (length, rest) = (u64::from_le_bytes(length), &bytes[LENGTH..]);
    let header = usize::try_from(length).ok().and_then(|n| rest.get(..n));
    let Some(header) = header else {
        return format!(
            "its header should take {length} bytes, but only {} follow",
            rest.len()
        );
    };
    let header: Option<Map<String, Value>> = serde_json::from_slice(header).ok();
    header
        .and_then(|header| fault(&header, rest.len() - length as usize))
        .unwrap_or_else(|| error.to_string())
}

/// A tensor as the header has it.
struct Claim<'a> {
    name: &'a str,
    start: u64,
    end: u64,
}

/// The first tensor whose size or place cannot be. They must follow each other without gaps up to the end.
fn fault(header: &Map<String, Value>, data: usize) -> Option<String> {
    let mut claims = Vec::new();
    for (name, tensor) in header.iter().filter(|(name, _)| *name != "__metadata__") {
        match claim(name, tensor) {
            Ok(claim) => claims.push(claim),
            Err(fault) => return Some(format!("tensor {name} {fault}")),
        }
    }
    claims.sort_by_key(|claim| (claim.start, claim.end));
    let mut end = 0;
    for claim in &claims {
        if claim.start != end {
            let Claim { name, start, .. } = claim;
            return Some(format!(
                "tensor {name} begins at byte {start}, but the one before it ends at {end}"
            ));
        }
        end = claim.end;
    }
    (end != data as u64)
        .then(|| format!("its tensors take {end} bytes, but {data} follow the header"))
}

fn claim<'a>(name: &'a str, tensor: &Value) -> Result<Claim<'a>, String> {
    let numbers = |key: &str| -> Option<Vec<u64>> {
        let values = tensor.get(key)?.as_array()?;
        values.iter().map(Value::as_u64).collect()
    };
    let data_type = tensor.get("dtype").unwrap_or(&Value::Null);
    let dtype: Dtype = serde_json::from_value(data_type.clone())
        .map_err(|_| format!("has the unknown dtype {data_type}"))?;
    let shape = numbers("shape").ok_or("has no shape of integers")?;
    let offsets = numbers("data_offsets").ok_or("has no data_offsets of integers")?;
    let [start, end] = offsets[..] else {
        return Err(format!("has {} data_offsets, not 2", offsets.len()));
    };
    let bits = shape
        .iter()
        .try_fold(dtype.bitsize() as u64, |bits, &n| bits.checked_mul(n))
        .ok_or_else(|| format!("has the shape {shape:?}, more than can be counted"))?;
    if end.checked_sub(start) != Some(bits.div_ceil(8)) {
        return Err(format!(
            "as {dtype} of shape {shape:?} takes {} bytes, but its data_offsets are {start} and {end}",
            bits.div_ceil(8)
        ));
    }
    Ok(Claim { name, start, end })
}
