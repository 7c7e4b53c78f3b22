//! A suffix array with its stream: built or read back, checked, asked and opened.
//!
//! File: "OLSA" | version u32 = 1 | length u32 | stream u32 x length | suffix array u32 x length, all
//! little-endian. The inverse follows from it.

use super::build::suffix_array;
use super::commit::Committed;
use super::{END, STREAM_MAX};
use crate::{Result, bail};

const MAGIC: &[u8; 4] = b"OLSA";
const VERSION: u32 = 1;
const HEADER: usize = 12;

pub struct SuffixIndex {
    pub stream: Vec<u32>,
    pub sa: Vec<u32>,
    /// Where each suffix stands: `sa[isa[i]] == i`.
    pub isa: Vec<u32>,
}

/// The longest match at one position of a query: `length` tokens, found at `sa[low..high]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Match {
    pub length: u32,
    pub low: u32,
    pub high: u32,
}

impl SuffixIndex {
    /// `stream`: rows of tokens, END after each, the last included.
    pub fn build(stream: Vec<u32>) -> Result<Self> {
        check_stream(&stream)?;
        let sa = suffix_array(&stream);
        let isa = inverse(&sa);
        Ok(Self { stream, sa, isa })
    }

    /// The array is taken as it stands but for its bounds: `first_fault` says whether it is right.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        if bytes.len() < HEADER || &bytes[..4] != MAGIC {
            bail!(BadIndex, "not a suffix array: {} bytes without its header", bytes.len());
        }
        let word =
            |i: usize| u32::from_le_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]);
        let (version, length) = (word(4), word(8) as usize);
        if version != VERSION || length > STREAM_MAX || bytes.len() != HEADER + 8 * length {
            bail!(
                BadIndex,
                "suffix array of version {version}, {length} values, in {} bytes; expected version {VERSION} and {} bytes",
                bytes.len(),
                HEADER + 8 * length
            );
        }
        let values = |at: usize| (0..length).map(|i| word(at + 4 * i)).collect::<Vec<u32>>();
        let (stream, sa) = (values(HEADER), values(HEADER + 4 * length));
        check_stream(&stream)?;
        if let Some(bad) = sa.iter().find(|&&i| i as usize >= length) {
            bail!(BadIndex, "the suffix array holds {bad}, outside its {length} positions");
        }
        let isa = inverse(&sa);
        Ok(Self { stream, sa, isa })
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER + 8 * self.stream.len());
        out.extend_from_slice(MAGIC);
        for word in [VERSION, self.stream.len() as u32] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        for value in self.stream.iter().chain(&self.sa) {
            out.extend_from_slice(&value.to_le_bytes());
        }
        out
    }

    /// The first place k where `sa[k]`, `sa[k + 1]` are out of order, or where `sa` repeats itself; None when
    /// it is the suffix array of the stream. Linear.
    pub fn first_fault(&self) -> Option<u32> {
        self.first_fault_while(&|| true).ok().flatten()
    }

    /// The same, cancelled once `go_on` says no.
    pub fn first_fault_while(&self, go_on: &dyn Fn() -> bool) -> Result<Option<u32>> {
        let n = self.sa.len();
        let moved = |k: usize| self.isa[self.sa[k] as usize] != k as u32;
        let unsorted =
            |k: usize| k > 0 && !self.in_order(self.sa[k - 1] as usize, self.sa[k] as usize);
        if let Some(k) = find_while(n, moved, go_on)? {
            return Ok(Some(k));
        }
        Ok(find_while(n, unsorted, go_on)?.map(|k| k - 1))
    }

    /// First values, then what follows them by where it stands.
    fn in_order(&self, a: usize, b: usize) -> bool {
        match (self.stream[a], self.stream[b]) {
            (END, END) => a < b,
            (END, _) => true,
            (_, END) => false,
            (x, y) if x != y => x < y,
            // A token is never last, so both have a next.
            _ => self.isa[a + 1] < self.isa[b + 1],
        }
    }

    /// The longest match at every position of a query.
    pub fn matches(&self, query: &[u32]) -> Vec<Match> {
        (0..query.len()).map(|at| self.longest(&query[at..])).collect()
    }

    /// The longest prefix of `query` that stands in some row. Nothing matches END.
    pub fn longest(&self, query: &[u32]) -> Match {
        let mut found = Match { length: 0, low: 0, high: self.sa.len() as u32 };
        for (depth, &token) in query.iter().enumerate() {
            let next = self.narrow(found, depth, token);
            if token == END || next.low >= next.high {
                break;
            }
            found = Match { length: depth as u32 + 1, ..next };
        }
        if found.length == 0 { Match::default() } else { found }
    }

    /// How often `query` stands in the corpus.
    pub fn count(&self, query: &[u32]) -> u32 {
        let found = self.longest(query);
        if found.length as usize == query.len() { found.high - found.low } else { 0 }
    }

    /// Those of an interval of common prefix `depth` that go on with `token`.
    fn narrow(&self, within: Match, depth: usize, token: u32) -> Match {
        // END is smaller than every token: one more than it in an order of 64 bits. An array that was read and is
        // not in order may lead past the end of the stream.
        let rank = |k: u32| match self.stream.get(self.sa[k as usize] as usize + depth) {
            None | Some(&END) => 0,
            Some(value) => u64::from(*value) + 1,
        };
        let first = |wanted: u64| {
            let (mut low, mut high) = (within.low, within.high);
            while low < high {
                let middle = low + (high - low) / 2;
                if rank(middle) < wanted { low = middle + 1 } else { high = middle }
            }
            low
        };
        let wanted = u64::from(token) + 1;
        Match { length: within.length, low: first(wanted), high: first(wanted + 1) }
    }

    /// Commitments of stream, suffix array and its inverse.
    pub fn commit(&self) -> [Committed; 3] {
        [&self.stream, &self.sa, &self.isa].map(|values| Committed::new(values))
    }
}

/// Entries looked at between two questions whether to go on.
const ENTRIES_TOGETHER: usize = 1 << 20;

/// The first of 0 .. n that `wrong` names.
fn find_while(
    n: usize,
    wrong: impl Fn(usize) -> bool,
    go_on: &dyn Fn() -> bool,
) -> Result<Option<u32>> {
    for from in (0..n).step_by(ENTRIES_TOGETHER) {
        if !go_on() {
            bail!(Cancelled, "cancelled at entry {from} of {n}");
        }
        if let Some(k) = (from..n.min(from + ENTRIES_TOGETHER)).find(|k| wrong(*k)) {
            return Ok(Some(k as u32));
        }
    }
    Ok(None)
}

fn check_stream(stream: &[u32]) -> Result<()> {
    if stream.len() > STREAM_MAX {
        bail!(BadInput, "a stream of {} values; at most {STREAM_MAX}", stream.len());
    }
    if stream.last() != Some(&END) {
        bail!(BadInput, "a stream of {} values that does not end a row", stream.len());
    }
    if let Some(token) = stream.iter().find(|&&token| token != END && token >= 1 << 30) {
        bail!(BadInput, "token {token} is no vocabulary's: at most 2^30");
    }
    Ok(())
}

fn inverse(sa: &[u32]) -> Vec<u32> {
    let mut isa = vec![0; sa.len()];
    for (k, &i) in sa.iter().enumerate() {
        isa[i as usize] = k as u32;
    }
    isa
}
