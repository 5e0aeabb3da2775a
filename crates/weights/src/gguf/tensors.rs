//! The list of tensors from bytes, and where each lies.

use std::collections::BTreeMap;
use std::ops::Range;

use super::cursor::{Cursor, Parsed};
use super::types::{self, Layout};
use crate::TensorInfo;
use crate::index::Entry;

/// ggml's tensors have no more axes.
pub(super) const MOST_AXES: usize = 4;

/// Bytes of the least entry: an empty name, no axis, type and offset.
pub(super) const LEAST: usize = 8 + 4 + 4 + 8;

/// A tensor as the list has it: `range` is still relative to the beginning of all tensors' bytes.
pub(super) fn list(
    cursor: &mut Cursor<'_>,
    count: usize,
    alignment: usize,
) -> Parsed<BTreeMap<String, Entry>> {
    let mut tensors = BTreeMap::new();
    for i in 0..count {
        let name = cursor
            .string()
            .map_err(|reason| format!("the name of tensor {i} of {count}: {reason}"))?;
        let entry =
            entry(cursor, alignment).map_err(|reason| format!("tensor {name}: {reason}"))?;
        if tensors.insert(name.to_owned(), entry).is_some() {
            return Err(format!("the tensor {name} stands there twice"));
        }
    }
    Ok(tensors)
}

fn entry(cursor: &mut Cursor<'_>, alignment: usize) -> Parsed<Entry> {
    let axes = cursor.u32()? as usize;
    if axes > MOST_AXES {
        return Err(format!(
            "it has {axes} axes; at most {MOST_AXES} are possible"
        ));
    }
    let mut shape = Vec::with_capacity(axes);
    for _ in 0..axes {
        let length = cursor.u64()?;
        let length = usize::try_from(length).map_err(|_| format!("an axis is {length} long"))?;
        shape.push(length);
    }
    shape.reverse();
    let number = cursor.u32()?;
    let offset = cursor.u64()?;
    let layout =
        types::layout(number).ok_or_else(|| format!("its type has the unknown number {number}"))?;
    let length = byte_len(&shape, layout)?;
    let start = usize::try_from(offset)
        .ok()
        .filter(|start| start.is_multiple_of(alignment))
        .ok_or_else(|| format!("its offset {offset} is not a multiple of {alignment}"))?;
    let end = start
        .checked_add(length)
        .ok_or_else(|| format!("{length} bytes at offset {offset} are more than can be counted"))?;
    let info = TensorInfo {
        shape,
        data_type: layout.data_type,
    };
    Ok(Entry {
        info,
        range: start..end,
    })
}

/// Bytes of a tensor. Its rows must be whole blocks, and no product may overflow.
fn byte_len(shape: &[usize], layout: Layout) -> Parsed<usize> {
    let Layout {
        data_type,
        weights,
        bytes,
    } = layout;
    let row = shape.last().copied().unwrap_or(1);
    if !row.is_multiple_of(weights) {
        return Err(format!(
            "rows of {row} are not whole blocks of {weights}, as {data_type} has them"
        ));
    }
    // Zeros do not excuse lengths that overflow: who multiplies in another order would meet them.
    let most = shape.iter().try_fold(1usize, |product, &length| {
        product.checked_mul(length.max(1))
    });
    most.and_then(|most| most.checked_mul(bytes))
        .ok_or_else(|| format!("its shape {shape:?} has more elements than can be counted"))?;
    Ok(shape.iter().product::<usize>() / weights * bytes)
}

/// Moves all ranges to where the tensors' bytes begin in the file. No tensor may reach out of the file, or into
/// another one.
pub(super) fn place(
    tensors: &mut BTreeMap<String, Entry>,
    begin: usize,
    file_len: usize,
) -> Parsed<()> {
    let room = file_len.saturating_sub(begin);
    let mut order: Vec<(&str, Range<usize>)> = Vec::with_capacity(tensors.len());
    for (name, entry) in &*tensors {
        let Range { start, end } = entry.range;
        if end > room {
            return Err(format!(
                "tensor {name} takes bytes {start} to {end} of the tensors' part, which has only {room}"
            ));
        }
        order.push((name, start..end));
    }
    order.retain(|(_, range)| !range.is_empty());
    order.sort_by_key(|(_, range)| range.start);
    for pair in order.windows(2) {
        let [(first, a), (second, b)] = pair else {
            continue;
        };
        if b.start < a.end {
            return Err(format!(
                "tensor {second} begins at {} within tensor {first}, which ends at {}",
                b.start, a.end
            ));
        }
    }
    for entry in tensors.values_mut() {
        // An empty tensor may stand behind the end; it has no bytes to take.
        let Range { start, end } = entry.range;
        entry.range = if start == end {
            0..0
        } else {
            begin + start..begin + end
        };
    }
    Ok(())
}
