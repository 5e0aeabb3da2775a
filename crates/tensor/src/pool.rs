//! The threads that share the work.

use rayon::prelude::*;

/// A fixed number of threads. Work is cut by a rule that depends on the number of threads and the sizes alone.
#[derive(Debug)]
pub struct Pool {
    pool: Option<rayon::ThreadPool>,
    threads: usize,
}

impl Pool {
    /// The calling thread alone.
    pub fn single() -> Self {
        Self {
            pool: None,
            threads: 1,
        }
    }

    /// `threads` threads; 0 means as many as the machine has.
    pub fn new(threads: usize) -> Self {
        let threads = if threads == 0 {
            std::thread::available_parallelism().map_or(1, usize::from)
        } else {
            threads
        };
        // Without a pool (a system that gives no threads) the work is done on the calling thread.
        let pool = (threads > 1)
            .then(|| {
                rayon::ThreadPoolBuilder::new()
                    .num_threads(threads)
                    .build()
                    .ok()
            })
            .flatten();
        let threads = if pool.is_some() { threads } else { 1 };
        Self { pool, threads }
    }

    /// How many threads share the work.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// The rayon pool behind this one, for code that brings its own splitting.
    pub fn rayon(&self) -> Option<&rayon::ThreadPool> {
        self.pool.as_ref()
    }

    /// Cuts `data` into one contiguous run of rows per thread and calls `f(first_row, rows)` on each.
    ///
    /// A run has at least `min_rows` rows (except the last), so that small work stays on one thread.
    pub fn rows<F>(&self, data: &mut [f32], width: usize, min_rows: usize, f: F)
    where
        F: Fn(usize, &mut [f32]) + Sync,
    {
        if width == 0 || data.is_empty() {
            return;
        }
        let rows = data.len() / width;
        let each = rows.div_ceil(self.threads).max(min_rows).max(1);
        match &self.pool {
            Some(pool) if each < rows => pool.install(|| {
                data.par_chunks_mut(each * width)
                    .enumerate()
                    .for_each(|(i, part)| f(i * each, part));
            }),
            _ => f(0, data),
        }
    }

    /// As [`Pool::rows`] over two arrays that have the same number of rows.
    pub fn rows2<F>(
        &self,
        (a, a_width): (&mut [f32], usize),
        (b, b_width): (&mut [f32], usize),
        min_rows: usize,
        f: F,
    ) where
        F: Fn(usize, &mut [f32], &mut [f32]) + Sync,
    {
        if a.is_empty() {
            return;
        }
        let rows = a.len() / a_width;
        assert_eq!(b.len(), rows * b_width, "both have {rows} rows");
        let each = rows.div_ceil(self.threads).max(min_rows).max(1);
        match &self.pool {
            Some(pool) if each < rows => pool.install(|| {
                a.par_chunks_mut(each * a_width)
                    .zip(b.par_chunks_mut(each * b_width))
                    .enumerate()
                    .for_each(|(i, (a, b))| f(i * each, a, b));
            }),
            _ => f(0, a, b),
        }
    }

    /// Calls `f(i, chunk)` for each chunk of `chunk_len` elements; threads take chunks as they become free.
    pub fn chunks<F>(&self, data: &mut [f32], chunk_len: usize, f: F)
    where
        F: Fn(usize, &mut [f32]) + Sync,
    {
        match &self.pool {
            Some(pool) if data.len() > chunk_len => pool.install(|| {
                data.par_chunks_mut(chunk_len)
                    .with_max_len(1)
                    .enumerate()
                    .for_each(|(i, part)| f(i, part));
            }),
            _ => data
                .chunks_mut(chunk_len)
                .enumerate()
                .for_each(|(i, part)| f(i, part)),
        }
    }

    /// As [`Pool::chunks`] over two arrays cut into the same number of chunks.
    pub fn chunks2<F>(&self, (a, a_len): (&mut [f32], usize), (b, b_len): (&mut [f32], usize), f: F)
    where
        F: Fn(usize, &mut [f32], &mut [f32]) + Sync,
    {
        assert_eq!(
            a.len().div_ceil(a_len),
            b.len().div_ceil(b_len),
            "both have the same number of chunks"
        );
        match &self.pool {
            Some(pool) if a.len() > a_len => pool.install(|| {
                a.par_chunks_mut(a_len)
                    .zip(b.par_chunks_mut(b_len))
                    .with_max_len(1)
                    .enumerate()
                    .for_each(|(i, (a, b))| f(i, a, b));
            }),
            _ => a
                .chunks_mut(a_len)
                .zip(b.chunks_mut(b_len))
                .enumerate()
                .for_each(|(i, (a, b))| f(i, a, b)),
        }
    }

    /// Σ f(i) for i in 0..n, added up in order of i whatever the number of threads.
    pub fn sum<F>(&self, n: usize, f: F) -> f64
    where
        F: Fn(usize) -> f64 + Sync + Send,
    {
        match &self.pool {
            Some(pool) if n > 1 => {
                let parts: Vec<f64> = pool.install(|| (0..n).into_par_iter().map(f).collect());
                parts.iter().sum()
            }
            _ => (0..n).map(f).sum(),
        }
    }
}
