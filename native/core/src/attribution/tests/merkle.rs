//! The sketch tree: shape, proofs, and what they refuse.

use crate::attribution::merkle::{Hash, leaf_hash, proof, root, verify};
use tiny_keccak::{Hasher, Keccak};

fn keccak(parts: &[&[u8]]) -> Hash {
    let mut keccak = Keccak::v256();
    parts.iter().for_each(|part| keccak.update(part));
    let mut out = Hash::default();
    keccak.finalize(&mut out);
    out
}

fn leaves(count: u32) -> Vec<Hash> {
    (0..count).map(|i| leaf_hash(i, i % 3, &[i as u8; 32], &[i as i16, -1, i16::MIN])).collect()
}

#[test]
fn a_leaf_hashes_its_fields_in_the_written_order() {
    let expected =
        keccak(&[&[0], &[1, 2, 0, 0], &[7, 0, 0, 0], &[9; 32], &[0xfe, 0xff, 0x34, 0x12]]);
    assert_eq!(leaf_hash(0x201, 7, &[9; 32], &[-2, 0x1234]), expected);
}

#[test]
fn an_odd_node_moves_up_unchanged() {
    let l = leaves(3);
    assert_eq!(root(&l), keccak(&[&[1], &keccak(&[&[1], &l[0], &l[1]]), &l[2]]));
    assert_eq!(root(&l[..1]), l[0]);
    assert_eq!(root(&[]), Hash::default());
}

#[test]
fn every_leaf_of_every_size_is_proved_and_nothing_else_is() {
    for count in 1..=17 {
        let all = leaves(count as u32);
        let root = root(&all);
        for index in 0..count {
            let path = proof(&all, index).unwrap();
            assert!(verify(&root, &all[index], index, count, &path), "{index} of {count}");
            let other = leaf_hash(99, 0, &[0; 32], &[]);
            assert!(!verify(&root, &other, index, count, &path), "a foreign leaf");
            assert!(!verify(&root, &all[index], index + count, count, &path), "outside");
            if count > 1 {
                let wrong = (index + 1) % count;
                assert!(
                    !verify(&root, &all[index], wrong, count, &path),
                    "at {wrong} instead of {index}"
                );
                let mut bent = path.clone();
                bent[0][5] ^= 1;
                assert!(!verify(&root, &all[index], index, count, &bent), "a changed sibling");
                assert!(!verify(&root, &all[index], index, count, &path[1..]), "one sibling short");
            }
            let mut long = path.clone();
            long.push([0; 32]);
            assert!(!verify(&root, &all[index], index, count, &long), "one sibling too many");
        }
    }
    assert_eq!(proof(&leaves(4), 4), None);
}
