//! The rows that directions are made of, gathered in one walk over the whitened gradients w_i:
//!
//!   rows 0 .. C          S_c = sum_{i in c} w_i, f32, one chain in sample order
//!   rows C .. C + held   w_i of the held samples, ascending
//!
//! All samples are held while they fit `Hold`; sketches then need no second walk. Principal directions come from at most
//! max(512, 2 (k - C)) of the held rows, spread evenly: no more are held of samples that do not all fit, and none when
//! the contributors take all k. So memory does not grow with the samples.

use super::error::Result;
use super::index::{AttributionIndex, Phase, Progress};
use super::parallel::try_for_each;
use super::simd::Level;
use super::source::{GradientSource, Labels};
use super::whiten::whiten_samples;
use crate::memory::{with_capacity, zeros};

/// Samples that a thread whitens together, so that it reads the eigenbases once for all of them.
pub const SAMPLES_TOGETHER: usize = 8;

/// Which whitened rows are held and which of them span principal directions shows in the index: part of its rule.
#[derive(Clone, Copy, Debug)]
pub struct Hold {
    pub bytes_max: usize,
    /// Rows that span principal directions, where k asks for no more. The Gram matrix grows with their square times P
    /// and its eigenvectors with their cube; what more of them are worth is in README.md.
    pub spanning: usize,
}

pub const HOLD: Hold = Hold { bytes_max: 4 << 30, spanning: 512 };
/// Rows for each principal direction that is wanted, at least.
const ROWS_PER_DIRECTION: usize = 2;

/// Row-major [contributors + held, width].
pub struct Stack {
    pub rows: Vec<f32>,
    pub width: usize,
    pub contributors: usize,
    /// Which samples are held, ascending.
    pub held: Vec<usize>,
    /// How many of the held rows principal directions come from; 0 when the contributors take all k.
    principal: usize,
}

impl Hold {
    /// Most rows that k directions beside the contributors' are spanned by; none when there are none of these.
    fn principal(&self, k: usize, (owners, contributors): (&[u32], usize)) -> usize {
        if k <= with_samples(owners, contributors) {
            return 0;
        }
        self.spanning.max(ROWS_PER_DIRECTION * k.saturating_sub(contributors))
    }

    /// The samples to hold of `samples` rows of `width` numbers: all that fit, else those that span.
    fn choose(&self, samples: usize, width: usize, principal: usize) -> Vec<usize> {
        let room = self.bytes_max / (4 * width);
        let count = if samples <= room { samples } else { room.min(principal) };
        spread(count, samples).collect()
    }
}

/// `count` of 0..all, evenly.
fn spread(count: usize, all: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |i| i * all / count)
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
        let principal = hold.principal(index.k(), (owners, contributors));
        let held = hold.choose(source.sample_count(), width, principal);
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
        Ok(Self { rows, width, contributors, principal: principal.min(held.len()), held })
    }

    /// The rows that directions are made of, each [width]: the contributors' sums, then held rows spread evenly.
    pub fn spanning(&self) -> Vec<&[f32]> {
        let rows: Vec<&[f32]> = self.rows.chunks_exact(self.width).collect();
        let (sums, held) = rows.split_at(self.contributors);
        let principal = spread(self.principal, held.len()).map(|i| held[i]);
        sums.iter().copied().chain(principal).collect()
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
