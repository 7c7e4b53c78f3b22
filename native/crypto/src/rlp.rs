//! As much of RLP (yellow paper, appendix B) as trie nodes need.

/// The header of an item whose content has `length` bytes; `base` is 0x80 for strings, 0xc0 for lists.
pub fn put_header(out: &mut Vec<u8>, base: u8, length: usize) {
    if length < 56 {
        out.push(base + length as u8);
        return;
    }
    let bytes = length.to_be_bytes();
    let skip = bytes.iter().take_while(|&&byte| byte == 0).count();
    out.push(base + 55 + (bytes.len() - skip) as u8);
    out.extend_from_slice(&bytes[skip..]);
}

pub fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    match bytes {
        [byte] if *byte < 0x80 => out.push(*byte),
        _ => {
            put_header(out, 0x80, bytes.len());
            out.extend_from_slice(bytes);
        }
    }
}

/// Wraps encoded items in a list.
pub fn list(items: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(items.len() + 4);
    put_header(&mut out, 0xc0, items.len());
    out.extend_from_slice(items);
    out
}

/// One item: `whole` with its header, `content` without.
pub struct Item<'a> {
    pub is_list: bool,
    pub whole: &'a [u8],
    pub content: &'a [u8],
}

/// The item at the front and what follows it. None when it is cut off.
pub fn split(bytes: &[u8]) -> Option<(Item<'_>, &[u8])> {
    let first = *bytes.first()?;
    let (is_list, header, length) = match first {
        0..0x80 => (false, 0, 1),
        0x80..0xb8 => (false, 1, (first - 0x80) as usize),
        0xb8..0xc0 => long(bytes, first - 0xb7).map(|(header, length)| (false, header, length))?,
        0xc0..0xf8 => (true, 1, (first - 0xc0) as usize),
        0xf8.. => long(bytes, first - 0xf7).map(|(header, length)| (true, header, length))?,
    };
    let end = usize::checked_add(header, length).filter(|&end| end <= bytes.len())?;
    let item = Item { is_list, whole: &bytes[..end], content: &bytes[header..end] };
    Some((item, &bytes[end..]))
}

fn long(bytes: &[u8], size: u8) -> Option<(usize, usize)> {
    let size = size as usize;
    let digits = bytes.get(1..1 + size)?;
    if size > 4 {
        return None;
    }
    Some((1 + size, digits.iter().fold(0, |length, &digit| length << 8 | digit as usize)))
}
