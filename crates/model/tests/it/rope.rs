//! Angles far from the beginning of a text, where the rounding of a frequency shows (`parity/README.md`).

use glassformer_kernels::product::Precision;
use glassformer_model::block::attention::{Heads, Rope, Rotate, Stretch};
use glassformer_model::{Layer, Layout, Parameters, Run};
use glassformer_tensor::{Buffers, Ids, Pool, Tensor};

use crate::support::{distance, golden_tensors, ids};

/// Bar for cos and sin. Computed more exactly than in the steps that transformers takes, the frequencies give angles that
/// are off by up to 0.008 at the last position: what rounds differently in PyTorch's power is one frequency of `linear`.
const ABSOLUTE: f64 = 1e-3;

#[test]
fn angles_far_away() {
    let llama3 = Stretch::ByWavelength {
        factor: 32.0,
        low: 1.0,
        high: 4.0,
        context: 8192.0,
    };
    let file = golden_tensors("rope", "angles.safetensors");
    let (_, positions) = ids(&file, "positions");
    for (name, d_head, base, stretch) in [
        ("plain", 128, 10_000.0, Stretch::None),
        ("high-base", 64, 1_000_000.0, Stretch::None),
        ("linear", 96, 10_000.0, Stretch::Linear(3.0)),
        ("llama3", 64, 500_000.0, llama3),
    ] {
        let rope = Rope::new(d_head, base, &stretch, 1 << 17);
        let turned = turned(rope, d_head, &positions);
        for (part, actual) in ["cos", "sin"].into_iter().zip(turned) {
            let (_, expected) = file.load_f32(&format!("{name}.{part}")).unwrap();
            let difference = distance(&actual, &expected);
            println!("{name}.{part}: {difference:.1e}");
            assert!(
                difference <= ABSOLUTE,
                "{name}.{part} differs by {difference:e}"
            );
        }
    }
}

/// Pairs (1, 0) turned at each position: cos and sin of its angles [N,E/2].
fn turned(rope: Rope, d_head: usize, positions: &[u32]) -> [Vec<f32>; 2] {
    let (pool, buffers) = (Pool::single(), Buffers::new());
    let parameters = Parameters::new(Layout::default(), 0, &pool);
    let half = d_head / 2;
    let row = (0..3 * d_head).map(|i| if i < half { 1.0 } else { 0.0 });
    let rows: Vec<f32> = positions.iter().flat_map(|_| row.clone()).collect();
    let layer = Rotate {
        rope,
        heads: Heads {
            heads: 1,
            kv_heads: 1,
            d_head,
        },
        positions: Ids::new(&buffers, positions.iter().copied()),
        kept: Precision::F32,
    };
    let qkv = Tensor::from_slice(&buffers, &[positions.len(), 3 * d_head], &rows);
    let (y, ()) = layer.forward(Run::new(&parameters, &pool, &buffers), [&qkv]);
    let halves = [0..half, half..d_head];
    let rows = y.data().chunks_exact(3 * d_head);
    halves.map(|columns| {
        rows.clone()
            .flat_map(|row| &row[columns.clone()])
            .copied()
            .collect()
    })
}
