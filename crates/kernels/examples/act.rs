use glassformer_kernels::{activation::*, softmax};
use std::time::Instant;
fn main() {
    let x: Vec<f32> = (0..4096).map(|i| (i as f32 - 2048.0) / 500.0).collect();
    let mut y = x.clone();
    let t = Instant::now(); for _ in 0..2000 { gelu(&mut y, &x); } println!("gelu {:.2} ns/16", t.elapsed().as_nanos() as f64 / 2000.0 / 256.0);
    let t = Instant::now(); for _ in 0..2000 { gelu_backward(&mut y, &x, &x); } println!("gelu' {:.2} ns/16", t.elapsed().as_nanos() as f64 / 2000.0 / 256.0);
    let t = Instant::now(); for _ in 0..2000 { y.copy_from_slice(&x); softmax::softmax_again(&mut y, 1.0, 3.0); } println!("exp {:.2} ns/16", t.elapsed().as_nanos() as f64 / 2000.0 / 256.0);
}
