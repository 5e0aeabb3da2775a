//! The numbers by which GGUF calls the types of tensors (`ggml_type` in ggml's `ggml.h`).

use glassformer_kernels::quantised::blocks::Kind;

use crate::DataType;

/// Types that can be read.
const READ: [(u32, DataType); 14] = [
    (0, DataType::F32),
    (1, DataType::F16),
    (2, DataType::Block(Kind::Q4_0)),
    (3, DataType::Block(Kind::Q4_1)),
    (6, DataType::Block(Kind::Q5_0)),
    (7, DataType::Block(Kind::Q5_1)),
    (8, DataType::Block(Kind::Q8_0)),
    (10, DataType::Block(Kind::Q2_K)),
    (11, DataType::Block(Kind::Q3_K)),
    (12, DataType::Block(Kind::Q4_K)),
    (13, DataType::Block(Kind::Q5_K)),
    (14, DataType::Block(Kind::Q6_K)),
    (26, DataType::I32),
    (30, DataType::Bf16),
];

/// Types that are known by name and size alone: (number, name, elements and bytes of a block).
const LISTED: [(u32, &str, usize, usize); 20] = [
    (9, "Q8_1", 32, 40),
    (15, "Q8_K", 256, 292),
    (16, "IQ2_XXS", 256, 66),
    (17, "IQ2_XS", 256, 74),
    (18, "IQ3_XXS", 256, 98),
    (19, "IQ1_S", 256, 50),
    (20, "IQ4_NL", 32, 18),
    (21, "IQ3_S", 256, 110),
    (22, "IQ2_S", 256, 82),
    (23, "IQ4_XS", 256, 136),
    (24, "I8", 1, 1),
    (25, "I16", 1, 2),
    (27, "I64", 1, 8),
    (28, "F64", 1, 8),
    (29, "IQ1_M", 256, 56),
    (34, "TQ1_0", 256, 54),
    (35, "TQ2_0", 256, 66),
    (39, "MXFP4", 32, 17),
    (40, "NVFP4", 64, 36),
    (41, "Q1_0", 128, 18),
];

/// A type, and the elements and bytes of its blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) data_type: DataType,
    pub(super) weights: usize,
    pub(super) bytes: usize,
}

/// The type of this number.
pub(super) fn layout(number: u32) -> Option<Layout> {
    let read = READ.iter().find(|(n, _)| *n == number);
    if let Some(&(_, data_type)) = read {
        let (weights, bytes) = data_type.piece()?;
        return Some(Layout {
            data_type,
            weights,
            bytes,
        });
    }
    let &(_, name, weights, bytes) = LISTED.iter().find(|(n, ..)| *n == number)?;
    Some(Layout {
        data_type: DataType::Other(name),
        weights,
        bytes,
    })
}

/// The number of this type.
pub(super) fn number(data_type: DataType) -> Option<u32> {
    let read = READ.iter().find(|(_, of)| *of == data_type);
    read.map(|(number, _)| *number)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_number_has_one_type_and_every_block_format_a_number() {
        let numbers: Vec<u32> = READ
            .iter()
            .map(|(n, _)| *n)
            .chain(LISTED.iter().map(|(n, ..)| *n))
            .collect();
        assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), numbers.len());
        for kind in Kind::ALL {
            assert!(READ.iter().any(|(_, t)| *t == DataType::Block(kind)));
        }
        assert!(layout(4).is_none() && layout(u32::MAX).is_none());
    }
}
