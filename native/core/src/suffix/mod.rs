//! Verbatim attribution: a suffix array over a corpus of rows of tokens, its longest-match queries and its
//! commitments (DESIGN 7.4).
//!
//!   rows ─► stream (END after each row) ─► SA-IS ─► sa, isa ─► Merkle roots of tokens, sa and isa
//!   an answer ─► for every position the longest match and its suffix-array interval
//!
//! **Order.** A suffix is compared up to the end of its row; a row that ends first is smaller; what is equal
//! up to the end is ordered by position. That is the order of plain suffixes when each END is a symbol of its
//! own, smaller than every token and than every later END, so nothing depends on what another row says.

mod build;
mod commit;
mod index;
#[cfg(test)]
mod tests;

pub use commit::{CHUNK_VALUES, Committed};
pub use index::{Match, SuffixIndex};

/// Ends every row of a stream; no token.
pub const END: u32 = u32::MAX;
/// Values of a stream at most: indices and the symbols made of them fit 31 bits.
pub const STREAM_MAX: usize = 1 << 30;
