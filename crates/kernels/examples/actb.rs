use glassformer_kernels::{Pool, product::{*, finish::*}, activation::Activation, memory::Block};
fn main() {
    let pool = Pool::new(1);
    let (m,k,n)=(3072usize, 384usize, 1536usize);
    let p = Precision::Bf16;
        let c = Block::zeros(m*n); let mut c1=c.clone(); let mut c2=Block::zeros(n*(m+8)); let mut c3=Block::zeros((n+48)*m); let mut sums = Block::zeros(m.div_ceil(BLOCK_ROWS)*n);
            let aw = Block::zeros(m*p.words(k));
            let bw = Block::zeros(Right::len(p, k, n));
            let left = Left::from(Rows::new(aw.words(), p, [m,k], p.words(k)));
            let right = Right::new(bw.words(), p, k, n);
            let w = p.words(n)*m;
            for _ in 0..60 { activate_backward(&pool, ActivationGradients{ rows: &mut c1.words_mut()[..w], right: &mut c3.words_mut()[..Right::len(p,m,n)], post: &mut c2.words_mut()[..Left::panels_len(p,n,m)], sums: &mut sums }, Activation::GeluTanh, left, right, Rows::new(&c.words()[..w], p, [m,n], p.words(n))); }
}
