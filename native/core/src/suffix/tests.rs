use super::*;
use crate::attribution::merkle;
use crate::math::philox::{Stream, word};

/// Rows over a few tokens, so that long repeats are common.
fn stream(seed: u64, rows: usize, alphabet: u32) -> Vec<u32> {
    let mut draw = 0u64;
    let mut next = |below: u32| {
        draw += 1;
        word(seed, Stream::DataOrder, 0, draw) % below
    };
    let mut out = vec![];
    for _ in 0..rows {
        let length = next(12);
        out.extend((0..length).map(|_| next(alphabet)));
        out.push(END);
    }
    out
}

/// Suffixes up to the end of their rows, END below every token, then by position.
fn plain(stream: &[u32]) -> Vec<u32> {
    let key = |i: u32| {
        let rest = &stream[i as usize..];
        let end = rest.iter().position(|&t| t == END).unwrap_or(rest.len());
        (rest[..end].to_vec(), i)
    };
    let mut all: Vec<u32> = (0..stream.len() as u32).collect();
    all.sort_by_key(|&i| key(i));
    all
}

#[test]
fn the_array_is_the_sorted_list_of_suffixes() {
    for seed in 0..300 {
        let rows = stream(seed, 1 + seed as usize % 9, 1 + seed as u32 % 4);
        let index = SuffixIndex::build(rows.clone()).unwrap();
        assert_eq!(index.sa, plain(&rows), "{rows:?}");
        assert_eq!(index.first_fault(), None);
    }
}

#[test]
fn duplicate_rows_stand_in_the_order_of_their_positions() {
    let row = [7, 7, 3, END];
    let index = SuffixIndex::build(row.repeat(50)).unwrap();
    assert_eq!(index.sa, plain(&index.stream));
    let found = index.longest(&[7, 7, 3]);
    let at: Vec<u32> = (found.low..found.high).map(|k| index.sa[k as usize]).collect();
    assert_eq!(at, (0..50).map(|i| 4 * i).collect::<Vec<u32>>());
}

#[test]
fn the_longest_match_is_the_one_a_scan_finds() {
    for seed in 0..100 {
        let rows = stream(seed, 8, 3);
        let index = SuffixIndex::build(rows.clone()).unwrap();
        let query: Vec<u32> = stream(seed + 1000, 3, 3).into_iter().filter(|&t| t != END).collect();
        for (at, found) in index.matches(&query).iter().enumerate() {
            let occurs = |length: usize| {
                let wanted = &query[at..at + length];
                rows.windows(length).filter(|window| *window == wanted).count()
            };
            let longest = (1..=query.len() - at).rev().find(|&length| occurs(length) > 0);
            assert_eq!(found.length as usize, longest.unwrap_or(0));
            if let Some(length) = longest {
                assert_eq!((found.high - found.low) as usize, occurs(length));
                assert_eq!(index.count(&query[at..at + length]) as usize, occurs(length));
            }
        }
    }
}

#[test]
fn a_changed_array_is_found_out_and_a_file_reads_back() {
    let good = SuffixIndex::build(stream(5, 20, 3)).unwrap();
    let bytes = good.to_bytes();
    assert_eq!(SuffixIndex::from_bytes(&bytes).unwrap().to_bytes(), bytes);
    for k in 0..good.sa.len() - 1 {
        let mut bad = SuffixIndex::from_bytes(&bytes).unwrap();
        bad.sa.swap(k, k + 1);
        assert!(SuffixIndex::from_bytes(&bad.to_bytes()).unwrap().first_fault().is_some());
    }
    for cut in [0, 3, 11, bytes.len() - 1] {
        assert!(SuffixIndex::from_bytes(&bytes[..cut]).is_err());
    }
    assert!(SuffixIndex::build(vec![1, 2]).is_err(), "a row without an end");
}

#[test]
fn an_array_out_of_order_is_asked_without_a_panic() {
    let mut bad = SuffixIndex::build(vec![1, END, 1, END]).unwrap();
    // The last suffix, of one value, in the middle of those that are asked on.
    bad.sa = vec![1, 0, 2, 3];
    let bad = SuffixIndex::from_bytes(&bad.to_bytes()).unwrap();
    assert!(bad.first_fault().is_some());
    assert_eq!(bad.longest(&[1, 1]).length, 1);
    assert_eq!(bad.count(&[1, 1]), 0);
}

#[test]
fn a_check_that_may_not_go_on_is_cancelled() {
    let index = SuffixIndex::build(stream(5, 20, 3)).unwrap();
    assert_eq!(index.first_fault_while(&|| true).unwrap(), None);
    assert_eq!(index.first_fault_while(&|| false).unwrap_err().code, crate::ErrorCode::Cancelled);
}

#[test]
fn every_chunk_opens_to_the_root() {
    for length in [1usize, 31, 32, 33, 96, 97, 500] {
        let values: Vec<u32> = (0..length as u32).collect();
        let committed = Committed::new(&values);
        let chunks = length.div_ceil(CHUNK_VALUES);
        for chunk in 0..chunks {
            let part = &values[chunk * CHUNK_VALUES..length.min((chunk + 1) * CHUNK_VALUES)];
            let leaf = Committed::new(part).root();
            let proof: Vec<merkle::Hash> = committed
                .proof(chunk)
                .chunks_exact(32)
                .map(|sibling| <[u8; 32]>::try_from(sibling).unwrap())
                .collect();
            assert!(merkle::verify(&committed.root(), &leaf, chunk, chunks, &proof));
        }
    }
}
