//! Half bytes, one in a byte: the alphabet of trie paths. And their hex-prefix packing (yellow paper,
//! appendix C): flag nibble 2 for leaves, 1 for odd lengths.

/// A key of n bytes as 2n nibbles.
pub fn of_key(key: &[u8]) -> Vec<u8> {
    key.iter().flat_map(|byte| [byte >> 4, byte & 15]).collect()
}

pub fn at(key: &[u8], index: usize) -> u8 {
    let byte = key[index / 2];
    if index.is_multiple_of(2) { byte >> 4 } else { byte & 15 }
}

pub fn shared(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(x, y)| x == y).count()
}

pub fn pack(path: &[u8], is_leaf: bool) -> Vec<u8> {
    let odd = path.len() % 2;
    let flag = (if is_leaf { 2 } else { 0 }) | odd as u8;
    let mut out = Vec::with_capacity(path.len() / 2 + 1);
    out.push(if odd == 1 { flag << 4 | path[0] } else { flag << 4 });
    out.extend(path[odd..].chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]));
    out
}

/// None: not a packed path.
pub fn unpack(bytes: &[u8]) -> Option<(Vec<u8>, bool)> {
    let flag = *bytes.first()? >> 4;
    if flag > 3 {
        return None;
    }
    let mut path = Vec::with_capacity(bytes.len() * 2);
    if flag & 1 == 1 {
        path.push(bytes[0] & 15);
    }
    path.extend(of_key(&bytes[1..]));
    Some((path, flag & 2 != 0))
}
