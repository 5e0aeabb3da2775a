//! Every instruction set that fuses multiply and add gives the same numbers, bit for bit, as partial sums have a fixed
//! order; the baseline, which rounds twice, passes the same tests against f64.
//!
//! The set is chosen once per process, so each one gets a process of its own.

use std::process::Command;

use glassformer_kernels::adamw::{self, AdamW};
use glassformer_kernels::dropout::{self, Mask};
use glassformer_kernels::{
    activation, cross_entropy, instruction_set, layer_norm, random, rows, softmax,
};

use crate::support::normals;

fn child(isa: &str, arguments: &[&str]) -> String {
    let output = Command::new(std::env::current_exe().expect("this test's own program"))
        .args(arguments)
        .env("GLASSFORMER_ISA", isa)
        .output()
        .expect("started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "with {isa}:\n{text}");
    text
}

#[test]
fn every_path_passes_all_tests() {
    for isa in ["baseline", "avx2", "avx512"] {
        let text = child(isa, &["--skip", "isa::"]);
        assert!(!text.contains(" 0 passed"), "{text}");
    }
}

#[test]
fn every_path_gives_the_same_bits() {
    let told = |isa: &str| {
        let text = child(
            isa,
            &["--ignored", "--exact", "--nocapture", "isa::fingerprint"],
        );
        let (_, line) = text
            .split_once("fingerprint of ")
            .unwrap_or_else(|| panic!("{text}"));
        let (set, value) = line
            .lines()
            .next()
            .and_then(|line| line.split_once(": "))
            .expect("a set and a value");
        (set.to_owned(), value.to_owned())
    };
    let (baseline, _) = told("baseline");
    assert_eq!(baseline, "baseline");
    let (_, expected) = told("widest");
    for isa in ["avx2", "avx512", "widest"] {
        let (set, value) = told(isa);
        let fuses = set != "baseline";
        assert!(!fuses || value == expected, "{set} differs from the widest");
        #[cfg(target_arch = "x86_64")]
        assert!(
            isa != "avx2" || !is_x86_feature_detected!("avx2") || set == "avx2+fma",
            "{set}"
        );
    }
}

#[test]
#[ignore = "run by every_path_gives_the_same_bits in processes of its own"]
fn fingerprint() {
    let mut hash = 0;
    for (i, n) in [1usize, 15, 16, 17, 63, 64, 131].into_iter().enumerate() {
        for x in outputs(i as u64, n) {
            hash = random::bits(hash, u64::from(x.to_bits()));
        }
    }
    println!("fingerprint of {}: {hash:016x}", instruction_set());
}

/// What the kernels that are compiled for several sets make of random rows of `n` numbers.
///
/// Products and attention are not among them: a fused multiply-add rounds once where two instructions round twice.
fn outputs(seed: u64, n: usize) -> Vec<f32> {
    let [x, w, b] = [1, 2, 3].map(|purpose| normals(seed, purpose, n));
    let mut all = Vec::new();
    let mut y = vec![0.0; n];
    for f in activation::Activation::ALL {
        activation::forward(f, &mut y, &x);
        all.extend_from_slice(&y);
        activation::backward(f, &mut y, &x, &w);
        all.extend_from_slice(&y);
    }
    rows::sum(&mut y, &x, &w);
    all.extend_from_slice(&y);
    let (mut mean, mut inverse) = ([0.0], [0.0]);
    layer_norm::forward(&mut y, &mut mean, &mut inverse, &x, &w, &b, 1e-5);
    all.extend_from_slice(&y);
    let (mut dw, mut db) = (x.clone(), x.clone());
    layer_norm::backward(&mut y, &mut dw, &mut db, &b, &x, &w, &mean, &inverse, false);
    all.extend([y.clone(), dw, db, mean.to_vec(), inverse.to_vec()].concat());

    y.copy_from_slice(&x);
    let log_sum = softmax::softmax(&mut y, 0.7);
    all.extend_from_slice(&y);
    y.copy_from_slice(&x);
    softmax::softmax_again(&mut y, 0.7, log_sum);
    all.extend_from_slice(&y);
    all.extend([
        log_sum,
        cross_entropy::loss(&x, n / 2),
        cross_entropy::loss_and_gradient(&mut y, n / 2, 0.3),
    ]);
    dropout::apply(&mut y, Mask::new(seed, 0.4), 5);
    rows::add(&mut y, &x);
    rows::sum_rows(&mut y, &w);
    all.extend_from_slice(&y);

    let options = AdamW {
        learning_rate: 0.01,
        betas: (0.9, 0.99),
        eps: 1e-8,
        weight_decay: 0.1,
        step: 3,
        gradient_scale: 0.9,
    };
    let (mut theta, mut m, mut v) = (
        x.clone(),
        w.clone(),
        b.iter().map(|x| x.abs()).collect::<Vec<_>>(),
    );
    adamw::step(&mut theta, &mut m, &mut v, &x, options);
    all.extend([theta, m, v].concat());
    all.push(adamw::sum_of_squares(&x) as f32);

    all
}
