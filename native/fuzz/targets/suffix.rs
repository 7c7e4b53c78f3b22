//! The bytes of a suffix array: what is read back also answers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use openledger_core::suffix::{END, SuffixIndex};

fn good() -> Vec<u8> {
    SuffixIndex::build(vec![3, 1, 4, 1, 5, END, 9, 2, 6, 5, 3, 5, 1, 4, 1, END])
        .expect("built")
        .to_bytes()
}

fuzz_target!(init: openledger_fuzz::seed("suffix", &good()), |data: &[u8]| {
    if let Ok(index) = SuffixIndex::from_bytes(data) {
        let _ = (index.first_fault(), index.longest(&[1, 4, 1, 5]), index.count(&[1, 4]));
    }
});
