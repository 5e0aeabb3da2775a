//! One algorithm, compiled for several instruction sets, chosen at run time.
//!
//! The bodies are ordinary Rust that the compiler vectorises; [`multiversion!`] compiles each body once for
//! AVX-512, once for AVX2 + FMA and once for the baseline, and calls the widest one the processor has.

use std::sync::OnceLock;

/// Each has what the one before has, and more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Level {
    Baseline,
    Avx2,
    Avx512,
    /// AVX-512 with `vdpbf16ps`.
    Avx512Bf16,
}

/// The widest level this processor has; `GLASSFORMER_ISA=baseline|avx2|avx512` narrows it (tests, measurements).
pub(crate) fn level() -> Level {
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(|| {
        let allowed = match std::env::var("GLASSFORMER_ISA").as_deref() {
            Ok("baseline") => Level::Baseline,
            Ok("avx2") => Level::Avx2,
            Ok("avx512") => Level::Avx512,
            _ => Level::Avx512Bf16,
        };
        detect().min(allowed)
    })
}

#[cfg(target_arch = "x86_64")]
fn detect() -> Level {
    if is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c")
    {
        if is_x86_feature_detected!("avx512bf16") {
            Level::Avx512Bf16
        } else {
            Level::Avx512
        }
    } else if is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c")
    {
        Level::Avx2
    } else {
        Level::Baseline
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn detect() -> Level {
    Level::Baseline
}

/// Name of the instruction set in use, for `glassformer info`.
pub fn instruction_set() -> &'static str {
    match level() {
        Level::Avx512Bf16 => "avx512+bf16",
        Level::Avx512 => "avx512",
        Level::Avx2 => "avx2+fma",
        Level::Baseline => "baseline",
    }
}

/// Compiles `fn name(args) { body }` for each [`Level`] and dispatches at run time.
///
/// Closures in the body are inlined, so that they are compiled for the same level. `FUSED` in it says whether the level
/// has an instruction for a·b + c ([`mul_add`]), `BF16` whether it has one for rounding (`product::round`).
macro_rules! multiversion {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn body<const FUSED: bool, const BF16: bool>($($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma")]
            fn avx512_bf16($($arg: $ty),*) $(-> $ret)? {
                body::<true, true>($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma")]
            fn avx512($($arg: $ty),*) $(-> $ret)? {
                body::<true, false>($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($arg: $ty),*) $(-> $ret)? {
                body::<true, false>($($arg),*)
            }

            match $crate::arch::level() {
                // SAFETY: `level` returned this value only after detecting these features.
                #[cfg(target_arch = "x86_64")]
                $crate::arch::Level::Avx512Bf16 => unsafe { avx512_bf16($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::arch::Level::Avx512 => unsafe { avx512($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::arch::Level::Avx2 => unsafe { avx2($($arg),*) },
                _ => body::<false, false>($($arg),*),
            }
        }
    };
}
pub(crate) use multiversion;

/// a·b + c: rounded once where there is an instruction for it, twice elsewhere (a library call would be far slower).
#[inline(always)]
pub(crate) fn mul_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}
