//! What PyTorch computes, and the fused layers, on each instruction set that this processor has.
//!
//! The set is chosen once per process, so each one gets a process of its own.

use std::process::Command;

#[test]
fn every_path_passes_the_parity_tests() {
    for isa in ["baseline", "avx2", "avx512"] {
        let output = Command::new(std::env::current_exe().expect("this test's own program"))
            .args(["parity::", "precision::", "fused::logits"])
            .env("GLASSFORMER_ISA", isa)
            .output()
            .expect("started");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "with {isa}:\n{text}");
        assert!(!text.contains(" 0 passed"), "with {isa}:\n{text}");
    }
}
