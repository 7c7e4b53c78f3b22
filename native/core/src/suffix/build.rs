//! Suffix array construction in linear time: SA-IS (Nong, Zhang, Chan: "Linear Suffix Array Construction by
//! Almost Pure Induced-Sorting", 2009).
//!
//! A suffix is of type S when it is smaller than the one after it, else of type L. An LMS position is an S
//! after an L. Sorting the LMS suffixes is enough: all others follow by two passes over the array. LMS
//! substrings are named by one such pass; if names repeat, the string of names is sorted the same way.

use super::END;

const EMPTY: u32 = u32::MAX;

/// The suffix array of a stream whose last value is END.
pub fn suffix_array(stream: &[u32]) -> Vec<u32> {
    let rows = stream.iter().filter(|&&value| value == END).count() as u32;
    let mut seen = 0;
    let symbols: Vec<u32> = stream
        .iter()
        .map(|&value| {
            if value == END {
                seen += 1;
                seen - 1
            } else {
                rows + value
            }
        })
        .collect();
    let alphabet = symbols.iter().max().map_or(0, |&symbol| symbol as usize + 1);
    sort(&symbols, alphabet)
}

fn sort(text: &[u32], alphabet: usize) -> Vec<u32> {
    let n = text.len();
    if n < 2 {
        return (0..n as u32).collect();
    }
    let smaller = types(text);
    let is_lms = |i: usize| i > 0 && smaller[i] && !smaller[i - 1];
    let starts = bucket_starts(text, alphabet);
    let lms: Vec<u32> = (1..n).filter(|&i| is_lms(i)).map(|i| i as u32).collect();
    let mut sa = induce(text, &smaller, &starts, &lms);
    if lms.len() < 2 {
        return sa;
    }

    // Names of LMS substrings in their sorted order; equal substrings get one name.
    let sorted: Vec<u32> = sa.iter().copied().filter(|&i| is_lms(i as usize)).collect();
    let mut name_of = vec![EMPTY; n];
    let mut names = 0u32;
    name_of[sorted[0] as usize] = 0;
    for pair in sorted.windows(2) {
        if !same_substring(text, &is_lms, pair[0] as usize, pair[1] as usize) {
            names += 1;
        }
        name_of[pair[1] as usize] = names;
    }
    if (names as usize + 1) < lms.len() {
        let reduced: Vec<u32> = lms.iter().map(|&i| name_of[i as usize]).collect();
        drop((sa, name_of, sorted));
        let order = sort(&reduced, names as usize + 1);
        let ordered: Vec<u32> = order.iter().map(|&i| lms[i as usize]).collect();
        sa = induce(text, &smaller, &starts, &ordered);
    } else {
        sa = induce(text, &smaller, &starts, &sorted);
    }
    sa
}

/// For each suffix whether it is smaller than the next one; the last is not (nothing is smaller than all).
fn types(text: &[u32]) -> Vec<bool> {
    let mut smaller = vec![false; text.len()];
    for i in (0..text.len() - 1).rev() {
        smaller[i] = text[i] < text[i + 1] || (text[i] == text[i + 1] && smaller[i + 1]);
    }
    smaller
}

/// Where the suffixes of each first symbol begin; one more entry for the end.
fn bucket_starts(text: &[u32], alphabet: usize) -> Vec<u32> {
    let mut starts = vec![0u32; alphabet + 1];
    for &symbol in text {
        starts[symbol as usize + 1] += 1;
    }
    for i in 0..alphabet {
        starts[i + 1] += starts[i];
    }
    starts
}

/// Sorts everything from LMS positions given in (some) order: L by a pass forward, S by a pass back.
fn induce(text: &[u32], smaller: &[bool], starts: &[u32], lms: &[u32]) -> Vec<u32> {
    let n = text.len();
    let mut sa = vec![EMPTY; n];
    let mut tails: Vec<u32> = starts[1..].to_vec();
    for &i in lms.iter().rev() {
        put_last(&mut sa, &mut tails, text[i as usize], i);
    }
    let mut heads: Vec<u32> = starts[..starts.len() - 1].to_vec();
    put_first(&mut sa, &mut heads, text[n - 1], n as u32 - 1);
    for at in 0..n {
        let i = sa[at];
        if i == EMPTY || i == 0 || smaller[i as usize - 1] {
            continue;
        }
        put_first(&mut sa, &mut heads, text[i as usize - 1], i - 1);
    }
    // S suffixes are found again from the L ones, in their true order; what the LMS left is overwritten
    // because each bucket is filled from its end.
    tails.copy_from_slice(&starts[1..]);
    for at in (0..n).rev() {
        let i = sa[at];
        if i == EMPTY || i == 0 || !smaller[i as usize - 1] {
            continue;
        }
        put_last(&mut sa, &mut tails, text[i as usize - 1], i - 1);
    }
    sa
}

fn put_first(sa: &mut [u32], heads: &mut [u32], symbol: u32, i: u32) {
    let head = &mut heads[symbol as usize];
    sa[*head as usize] = i;
    *head += 1;
}

fn put_last(sa: &mut [u32], tails: &mut [u32], symbol: u32, i: u32) {
    let tail = &mut tails[symbol as usize];
    *tail -= 1;
    sa[*tail as usize] = i;
}

/// Whether the substrings from one LMS position to the next are the same. Only the last one of a text runs
/// into its end, and that one is like no other.
fn same_substring(text: &[u32], is_lms: &impl Fn(usize) -> bool, a: usize, b: usize) -> bool {
    let n = text.len();
    for step in 0.. {
        let (i, j) = (a + step, b + step);
        if i >= n || j >= n || text[i] != text[j] {
            return false;
        }
        let ends = step > 0 && (is_lms(i) || is_lms(j));
        if ends {
            return is_lms(i) && is_lms(j);
        }
    }
    false
}
