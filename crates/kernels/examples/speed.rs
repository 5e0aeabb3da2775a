use glassformer_kernels::{Pool, product::{*, finish::*}, activation::Activation, memory::Block};
use std::time::Instant;
fn med(mut f: impl FnMut()) -> f64 { f(); let mut t: Vec<f64> = (0..9).map(|_| { let s = Instant::now(); f(); s.elapsed().as_secs_f64() }).collect(); t.sort_by(f64::total_cmp); t[4]*1e3 }
fn main() {
    let threads = std::env::args().nth(1).map_or(1, |x| x.parse().unwrap());
    let pool = Pool::new(threads);
    for (m, k, n) in [(1024usize, 768usize, 2304usize), (1024, 768, 768), (1024, 768, 3072), (1024, 3072, 768), (768,1024,3072), (3072, 384, 1536), (384, 3072, 1536), (768, 128, 512), (256, 768, 8064)] {
        let mut a = Block::zeros(m*k); for i in 0..m*k { a[i] = ((i * 7919) % 101) as f32 / 50.0 - 1.0 }
        let mut b = Block::zeros(n*k); for i in 0..n*k { b[i] = ((i * 7907) % 103) as f32 / 50.0 - 1.0 }
        let mut c = Block::zeros(m*n); let mut c1=c.clone(); let mut c2=Block::zeros(n*(m+8)); let mut c3=Block::zeros((n+48)*m); let mut sums = Block::zeros(m.div_ceil(BLOCK_ROWS)*n);
        for p in [Precision::F32, Precision::Bf16] {
            let mut aw = Block::zeros(m*p.words(k));
            let mut acw = Block::zeros(Left::panels_len(p, m, k));
            let mut bw = Block::zeros(Right::len(p, k, n));
            let ta = med(|| pack::rows(&pool, aw.words_mut(), p, Rows::f32(&a, k)));
            let tat = med(|| pack::columns(&pool, acw.words_mut(), p, Rows::f32(&a, m)));
            let tbt = med(|| pack::right_transposed(&pool, bw.words_mut(), p, Rows::f32(&b, k)));
            let tb = med(|| pack::right(&pool, bw.words_mut(), p, Rows::f32(&b, n)));
            let left = Left::from(Rows::new(aw.words(), p, [m,k], p.words(k)));
            let right = Right::new(bw.words(), p, k, n);
            let t0 = med(|| product(&pool, left, right, |_t| {}));
            let tc = med(|| product(&pool, Left::in_panels(acw.words(), p, m, k), right, |_t| {}));
            let t = med(|| store(&pool, &mut c, left, right, None, Onto::Nothing));
            let w = p.words(n)*m;
            let tr = med(|| round(&pool, &mut c.words_mut()[..w], p, left, right, None));
            let tg = med(|| activate(&pool, [&mut c.words_mut()[..w], &mut c1.words_mut()[..w]], Activation::GeluTanh, left, right, None));
            let tgb = med(|| activate_backward(&pool, ActivationGradients{ rows: &mut c1.words_mut()[..w], right: &mut c3.words_mut()[..Right::len(p,m,n)], post: &mut c2.words_mut()[..Left::panels_len(p,n,m)], sums: &mut sums }, Activation::GeluTanh, left, right, Rows::new(&c.words()[..w], p, [m,n], p.words(n))));
            let g = |t: f64| 2.0 * (m * k * n) as f64 / t / 1e6;
            println!("{m}x{k}x{n} {p:?}: bare {:.0} cols {:.0}, store {:.0}, round {:.0} act {:.0} actb {:.0} GF/s; {t:.2} ms; pack A {ta:.2} At {tat:.2} B {tb:.2} Bt {tbt:.2} ms", g(t0), g(tc), g(t), g(tr), g(tg), g(tgb));
        }
    }
}
