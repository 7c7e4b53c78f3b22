//! Philox4x32-10, a counter-based generator (Salmon et al., SC'11): the n-th number of a stream
//! is a pure function of (seed, stream, n), so draws never depend on what was drawn before, on
//! batch slots or on threads.

/// What a stream is for; two purposes never share numbers under one seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Stream {
    Sampling = 1,
    LoraInit = 2,
    DataOrder = 3,
    FisherLabels = 4,
    BaseInit = 5,
}

const M0: u64 = 0xd251_1f53;
const M1: u64 = 0xcd9e_8d57;
const W0: u32 = 0x9e37_79b9;
const W1: u32 = 0xbb67_ae85;

/// One block of four words for a 128-bit counter under a 64-bit key.
pub fn philox4x32(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    let [mut k0, mut k1] = key;
    for _ in 0..10 {
        let p0 = M0 * u64::from(c0);
        let p1 = M1 * u64::from(c2);
        (c0, c1, c2, c3) =
            ((p1 >> 32) as u32 ^ c1 ^ k0, p1 as u32, (p0 >> 32) as u32 ^ c3 ^ k1, p0 as u32);
        k0 = k0.wrapping_add(W0);
        k1 = k1.wrapping_add(W1);
    }
    [c0, c1, c2, c3]
}

/// The word at `index` of (seed, stream, lane).
pub fn word(seed: u64, stream: Stream, lane: u32, index: u64) -> u32 {
    let block = index >> 2;
    let counter = [block as u32, (block >> 32) as u32, lane, stream as u32];
    philox4x32(counter, [seed as u32, (seed >> 32) as u32])[(index & 3) as usize]
}

/// Uniform in [0, 1) with 24 bits.
pub fn uniform(seed: u64, stream: Stream, lane: u32, index: u64) -> f32 {
    (word(seed, stream, lane, index) >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// A permutation of 0..n by Fisher and Yates, one word each.
pub fn permutation(seed: u64, lane: u32, n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        let draw = u64::from(word(seed, Stream::DataOrder, lane, i as u64));
        order.swap(i, ((draw * (i as u64 + 1)) >> 32) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_answers_of_the_published_generator_come_out() {
        assert_eq!(
            philox4x32([0; 4], [0; 2]),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
        assert_eq!(
            philox4x32([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox4x32(
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn a_permutation_holds_every_index_once_and_depends_on_the_epoch() {
        let mut p = permutation(7, 0, 1000);
        assert_ne!(p, permutation(7, 1, 1000));
        assert_eq!(p, permutation(7, 0, 1000));
        p.sort_unstable();
        assert!(p.iter().copied().eq(0..1000));
    }
}
