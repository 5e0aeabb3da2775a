//! Arrays split over the threads of a pool.

use std::marker::PhantomData;
use std::ops::Range;

use crate::memory::fetch_to_write;

use super::Pool;

/// Pieces per thread in [`Pool::rows`]: enough that a thread which comes late takes fewer.
const PIECES_PER_THREAD: usize = 4;

/// Values that [`Pool::sum`] holds at a time, on the stack.
const SUM_BLOCK: usize = 64;

impl Pool {
    /// Cuts each of `arrays` into chunks and calls `f(i, (chunk i of each, …))`; threads take chunks as they become
    /// free.
    ///
    /// An array is `(slice, chunk_len)`, mutable or not; several are a tuple of such, all with the same number of
    /// chunks. The last chunk may be shorter.
    ///
    /// ```
    /// # use glassformer_kernels::Pool;
    /// let (mut y, x) = ([0; 6], [1, 2, 3]);
    /// Pool::new(2).split(((&mut y[..], 2), (&x[..], 1)), |_, (y, x)| y.fill(x[0]));
    /// assert_eq!(y, [1, 1, 2, 2, 3, 3]);
    /// ```
    ///
    /// # Panics
    /// When a `chunk_len` is 0, when the numbers of chunks differ, and as [`Pool::each`].
    pub fn split<S, F>(&self, arrays: S, f: F)
    where
        S: Split,
        F: Fn(usize, S::Chunk) + Sync,
    {
        let shared = arrays.share();
        self.each(S::count(&shared), |i| {
            // SAFETY: `each` gives every index below `count` once.
            f(i, unsafe { S::chunk(&shared, i) });
        });
    }

    /// Calls `f(i, chunk)` for each chunk of `chunk_len` elements; threads take chunks as they become free.
    pub fn chunks<T, F>(&self, data: &mut [T], chunk_len: usize, f: F)
    where
        T: Send,
        F: Fn(usize, &mut [T]) + Sync,
    {
        self.split((data, chunk_len), f);
    }

    /// As [`Pool::chunks`] over two arrays cut into the same number of chunks.
    pub fn chunks2<T, U, F>(&self, a: (&mut [T], usize), b: (&mut [U], usize), f: F)
    where
        T: Send,
        U: Send,
        F: Fn(usize, &mut [T], &mut [U]) + Sync,
    {
        self.split((a, b), |i, (a, b)| f(i, a, b));
    }

    /// Cuts `data` into contiguous runs of rows and calls `f(first_row, rows)` on each.
    ///
    /// A run has at least `min_rows` rows (except the last), so that small work stays on one thread; see
    /// [`Pool::rows_each`].
    pub fn rows<T, F>(&self, data: &mut [T], width: usize, min_rows: usize, f: F)
    where
        T: Send,
        F: Fn(usize, &mut [T]) + Sync,
    {
        if width == 0 || data.is_empty() {
            return;
        }
        let each = self.rows_each(data.len() / width, min_rows);
        self.split((data, each * width), |i, rows| f(i * each, rows));
    }

    /// As [`Pool::rows`] over two arrays that have the same number of rows.
    pub fn rows2<T, U, F>(
        &self,
        (a, a_width): (&mut [T], usize),
        (b, b_width): (&mut [U], usize),
        min_rows: usize,
        f: F,
    ) where
        T: Send,
        U: Send,
        F: Fn(usize, &mut [T], &mut [U]) + Sync,
    {
        if a.is_empty() {
            return;
        }
        let rows = a.len() / a_width;
        assert_eq!(b.len(), rows * b_width, "both have {rows} rows");
        let each = self.rows_each(rows, min_rows);
        let arrays = ((a, each * a_width), (b, each * b_width));
        self.split(arrays, |i, (a, b)| f(i * each, a, b));
    }

    /// The length of the runs into which [`Pool::rows`] and [`Pool::rows2`] cut `rows` rows: all on a single thread,
    /// else about four runs per thread, none (except the last) below `min_rows`.
    pub fn rows_each(&self, rows: usize, min_rows: usize) -> usize {
        let pieces = match self.threads() {
            1 => 1,
            threads => threads * PIECES_PER_THREAD,
        };
        rows.div_ceil(pieces).max(min_rows).max(1)
    }

    /// Σ f(i) for i in 0..n, added up in order of i whatever the number of threads.
    pub fn sum<F>(&self, n: usize, f: F) -> f64
    where
        F: Fn(usize) -> f64 + Sync,
    {
        let mut total = 0.0;
        for first in (0..n).step_by(SUM_BLOCK) {
            let mut block = [0.0; SUM_BLOCK];
            let block = &mut block[..SUM_BLOCK.min(n - first)];
            self.chunks(block, 1, |i, value| value[0] = f(first + i));
            for value in block {
                total += *value;
            }
        }
        total
    }
}

/// A slice of which several threads hold disjoint parts at the same time.
#[derive(Debug)]
pub struct Parts<'a, T> {
    start: *mut T,
    len: usize,
    data: PhantomData<&'a mut [T]>,
}

impl<'a, T> Parts<'a, T> {
    /// All of `data`, borrowed for as long as parts of it are.
    pub fn new(data: &'a mut [T]) -> Self {
        Self {
            start: data.as_mut_ptr(),
            len: data.len(),
            data: PhantomData,
        }
    }

    /// Elements in all.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing to share.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The elements in `range`.
    ///
    /// # Safety
    /// While the slice is in use, no other one from these parts holds any of the same elements.
    ///
    /// # Panics
    /// When the range does not lie within the slice.
    pub unsafe fn slice(&self, range: Range<usize>) -> &'a mut [T] {
        let Range { start, end } = range;
        assert!(
            start <= end && end <= self.len,
            "{start}..{end} of {}",
            self.len
        );
        // SAFETY: the range lies within the slice that is borrowed for `'a`; the caller promises that nobody else
        // has these elements.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(start), end - start) }
    }
}

impl<T: Copy> Parts<'_, T> {
    /// Asks for the cache line of element `at`, which will be written soon, if there is one.
    #[inline(always)]
    pub(crate) fn fetch_to_write(&self, at: usize) {
        fetch_to_write(self.start.wrapping_add(at));
    }

    /// Writes `values` from element `at` on, without a look at the length.
    ///
    /// # Safety
    /// As for [`Parts::slice`]; and `at + N` is at most [`Parts::len`].
    #[inline(always)]
    pub(crate) unsafe fn write<const N: usize>(&self, at: usize, values: [T; N]) {
        debug_assert!(at + N <= self.len, "{at} and {N} more of {}", self.len);
        // SAFETY: the caller's promise.
        unsafe { self.start.add(at).cast::<[T; N]>().write(values) };
    }
}

// SAFETY: it gives `&mut [T]` to whichever thread asks, which is to send `T`; nothing is shared, as parts in use do
// not overlap.
unsafe impl<T: Send> Send for Parts<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Parts<'_, T> {}

/// What [`Pool::split`] cuts into chunks: `(&mut [T], chunk_len)`, `(&[T], chunk_len)`, and tuples of two to four
/// of them.
///
/// # Safety
/// Chunks of different indices hold no mutable element in common.
pub unsafe trait Split {
    /// The arrays in a form that all threads may look at.
    type Shared: Sync;

    /// One chunk of each array.
    type Chunk;

    /// Gives the arrays to the threads.
    fn share(self) -> Self::Shared;

    /// How many chunks there are.
    ///
    /// # Panics
    /// When a chunk has no length or the arrays have different numbers of chunks.
    fn count(shared: &Self::Shared) -> usize;

    /// Chunk `i`.
    ///
    /// # Safety
    /// `i` is below the count, and is asked for once.
    unsafe fn chunk(shared: &Self::Shared, i: usize) -> Self::Chunk;
}

// SAFETY: the ranges of different chunks do not overlap.
unsafe impl<'a, T: Send> Split for (&'a mut [T], usize) {
    type Shared = (Parts<'a, T>, usize);
    type Chunk = &'a mut [T];

    fn share(self) -> Self::Shared {
        (Parts::new(self.0), self.1)
    }

    fn count((parts, each): &Self::Shared) -> usize {
        parts.len().div_ceil(*each)
    }

    unsafe fn chunk((parts, each): &Self::Shared, i: usize) -> Self::Chunk {
        let range = range(i, *each, parts.len());
        // SAFETY: the caller asks for each chunk once, and chunks do not overlap.
        unsafe { parts.slice(range) }
    }
}

// SAFETY: nothing here is mutable.
unsafe impl<'a, T: Sync> Split for (&'a [T], usize) {
    type Shared = Self;
    type Chunk = &'a [T];

    fn share(self) -> Self::Shared {
        self
    }

    fn count((data, each): &Self::Shared) -> usize {
        data.len().div_ceil(*each)
    }

    unsafe fn chunk((data, each): &Self::Shared, i: usize) -> Self::Chunk {
        &data[range(i, *each, data.len())]
    }
}

/// The elements of chunk `i`.
fn range(i: usize, each: usize, len: usize) -> Range<usize> {
    i * each..((i + 1) * each).min(len)
}

macro_rules! split_tuple {
    ($first:ident $($rest:ident)+) => {
        // SAFETY: the arrays are different ones, and each keeps the promise.
        unsafe impl<$first: Split, $($rest: Split),+> Split for ($first, $($rest),+) {
            type Shared = ($first::Shared, $($rest::Shared),+);
            type Chunk = ($first::Chunk, $($rest::Chunk),+);

            #[expect(non_snake_case, reason = "the names of the types serve for the values")]
            fn share(self) -> Self::Shared {
                let ($first, $($rest),+) = self;
                ($first.share(), $($rest.share()),+)
            }

            #[expect(non_snake_case, reason = "the names of the types serve for the values")]
            fn count(($first, $($rest),+): &Self::Shared) -> usize {
                let count = $first::count($first);
                $(assert_eq!(count, $rest::count($rest), "all have the same number of chunks");)+
                count
            }

            #[expect(non_snake_case, reason = "the names of the types serve for the values")]
            unsafe fn chunk(($first, $($rest),+): &Self::Shared, i: usize) -> Self::Chunk {
                // SAFETY: the caller's promise holds for each of them.
                unsafe { ($first::chunk($first, i), $($rest::chunk($rest, i)),+) }
            }
        }
    };
}

split_tuple!(A B);
split_tuple!(A B C);
split_tuple!(A B C D);
