//! The rows that directions are made of, gathered in one walk over the whitened gradients w_i:
//!
//!   rows 0 .. C          S_c = sum_{i in c} w_i, f32, one chain in sample order
//!   rows C .. C + held   w_i of the held samples, ascending
//!
//! All samples are held while they fit `Hold`; sketches then need no second walk. Of more, a few spread evenly are
//! held to find principal directions, none when the contributors take all k. So memory does not grow with the samples.

use super::error::Result;
use super::index::{AttributionIndex, Phase, Progress};
use super::parallel::try_for_each;
use super::simd::Level;
use super::source::{GradientSource, Labels};
use super::whiten::whiten_samples;
use crate::memory::{with_capacity, zeros};

/// Samples that a thread whitens together, so that it reads the eigenbases once for all of them.
pub const SAMPLES_TOGETHER: usize = 8;

/// Most whitened rows held at once. Which rows are held shows in the index: these are part of its rule.
#[derive(Clone, Copy, Debug)]
pub struct Hold {
    /// The Gram matrix has as many rows, and its eigenvectors cost their cube.
    pub rows_max: usize,
    pub bytes_max: usize,
}

pub const HOLD: Hold = Hold { rows_max: 16_384, bytes_max: 4 << 30 };

/// Row-major [contributors + held, width].
pub struct Stack {
    pub rows: Vec<f32>,
    pub width: usize,
    pub contributors: usize,
    /// Which samples are held, ascending.
    pub held: Vec<usize>,
    /// Whether the contributors leave directions to the held samples.
    pub has_principal: bool,
}

impl Hold {
    /// The samples to hold of `samples` rows of `width` numbers.
    fn choose(&self, samples: usize, width: usize, has_principal: bool) -> Vec<usize> {
        let room = self.rows_max.min(self.bytes_max / (4 * width));
        if samples <= room {
            (0..samples).collect()
        } else if has_principal {
            (0..room).map(|i| i * samples / room).collect()
        } else {
            vec![]
        }
    }
}

impl Stack {
    pub fn gather(
        level: Level,
        threads: usize,
        (index, source): (&AttributionIndex, &dyn GradientSource),
        (owners, contributors): (&[u32], usize),
        hold: Hold,
        progress: &mut Progress<'_>,
    ) -> Result<Self> {
        let width = index.parameters();
        let has_principal = index.k() > with_samples(owners, contributors);
        let held = hold.choose(source.sample_count(), width, has_principal);
        let mut rows = zeros("the stack of held rows", (contributors + held.len()) * width);
        let (sums, kept) = rows.split_at_mut(contributors * width);
        let mut places = held.iter().zip(kept.chunks_exact_mut(width)).peekable();
        walk(level, threads, (index, source), SAMPLES_TOGETHER, &mut |first, batch| {
            for (i, row) in batch.chunks_exact(width).enumerate() {
                let start = owners[first + i] as usize * width;
                sums[start..start + width].iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
                if let Some((_, place)) = places.next_if(|(sample, _)| **sample == first + i) {
                    place.copy_from_slice(row);
                }
            }
            let done = first + batch.len() / width;
            progress.step(Phase::Whiten, done, source.sample_count())
        })?;
        Ok(Self { rows, width, contributors, held, has_principal })
    }

    /// The rows that directions are made of, [.., width].
    pub fn spanning(&self) -> &[f32] {
        let end = if self.has_principal { self.rows.len() } else { self.contributors * self.width };
        &self.rows[..end]
    }

    /// The held samples, [held, width].
    pub fn samples(&self) -> &[f32] {
        &self.rows[self.contributors * self.width..]
    }
}

fn with_samples(owners: &[u32], contributors: usize) -> usize {
    let mut has = vec![false; contributors];
    owners.iter().for_each(|owner| has[*owner as usize] = true);
    has.into_iter().filter(|has| *has).count()
}

/// Whitens every sample, `each` of them a thread together, and hands batches to `work(first, rows)` in order.
pub fn walk(
    level: Level,
    threads: usize,
    (index, source): (&AttributionIndex, &dyn GradientSource),
    each: usize,
    work: &mut dyn FnMut(usize, &[f32]) -> Result<()>,
) -> Result<()> {
    let (n, width) = (source.sample_count(), index.parameters());
    let mut batch = zeros("whitened rows", n.min(threads * each) * width);
    for first in (0..n).step_by(threads * each) {
        let rows = &mut batch[..(n - first).min(threads * each) * width];
        try_for_each(threads, rows.chunks_mut(SAMPLES_TOGETHER * width), |i, rows| {
            let first = first + i * SAMPLES_TOGETHER;
            whiten_samples(level, index.whiteners(), source, (first, Labels::Data), rows)
        })?;
        work(first, rows)?;
    }
    Ok(())
}

/// W, row-major [n, P].
pub fn whiten_all(
    level: Level,
    threads: usize,
    (index, source): (&AttributionIndex, &dyn GradientSource),
    progress: &mut Progress<'_>,
) -> Result<Vec<f32>> {
    let n = source.sample_count();
    let mut all = with_capacity("whitened rows", n * index.parameters());
    walk(level, threads, (index, source), SAMPLES_TOGETHER, &mut |first, rows| {
        all.extend_from_slice(rows);
        progress.step(Phase::Whiten, first + rows.len() / index.parameters(), n)
    })?;
    Ok(all)
}
