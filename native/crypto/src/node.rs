//! A trie node in memory and its RLP (yellow paper, appendix D). A node shorter than 32 bytes is embedded
//! in its parent, any other is referred to by its hash.

use crate::keccak::{Hash, keccak};
use crate::{nibbles, rlp};
use rayon::prelude::*;

#[derive(Debug, Clone, Default, PartialEq)]
pub enum Child {
    #[default]
    Empty,
    /// In the database.
    Stored(Hash),
    Open(Box<Node>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Set while the node is as the database has it.
    pub stored: Option<Hash>,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Leaf { path: Vec<u8>, value: Vec<u8> },
    Extension { path: Vec<u8>, child: Child },
    Branch { children: Box<[Child; 16]> },
}

/// A node that is new.
pub type Fresh = (Hash, Box<[u8]>);

impl Child {
    pub fn new(kind: Kind) -> Self {
        Self::Open(Box::new(Node { stored: None, kind }))
    }
}

/// None: not a trie node.
pub fn decode(bytes: &[u8], stored: Option<Hash>) -> Option<Node> {
    let (list, rest) = rlp::split(bytes)?;
    if !list.is_list || !rest.is_empty() {
        return None;
    }
    let mut items = Vec::with_capacity(17);
    let mut rest = list.content;
    while !rest.is_empty() {
        let (item, after) = rlp::split(rest)?;
        items.push(item);
        rest = after;
    }
    let kind = match items.len() {
        17 => {
            let mut children: Box<[Child; 16]> = Default::default();
            for (child, item) in children.iter_mut().zip(&items) {
                *child = decode_child(item)?;
            }
            Kind::Branch { children }
        }
        2 => {
            let (path, is_leaf) = nibbles::unpack(items[0].content)?;
            if is_leaf {
                Kind::Leaf { path, value: items[1].content.to_vec() }
            } else {
                Kind::Extension { path, child: decode_child(&items[1])? }
            }
        }
        _ => return None,
    };
    Some(Node { stored, kind })
}

fn decode_child(item: &rlp::Item) -> Option<Child> {
    if item.is_list {
        return Some(Child::Open(Box::new(decode(item.whole, None)?)));
    }
    match item.content.len() {
        0 => Some(Child::Empty),
        32 => Some(Child::Stored(item.content.try_into().ok()?)),
        _ => None,
    }
}

/// How deep the branches are hashed on several threads.
pub fn encode(node: &Node, parallel_levels: u8, fresh: &mut Vec<Fresh>) -> Vec<u8> {
    let mut items = Vec::with_capacity(532);
    match &node.kind {
        Kind::Leaf { path, value } => {
            rlp::put_string(&mut items, &nibbles::pack(path, true));
            rlp::put_string(&mut items, value);
        }
        Kind::Extension { path, child } => {
            rlp::put_string(&mut items, &nibbles::pack(path, false));
            put_child(child, parallel_levels, &mut items, fresh);
        }
        Kind::Branch { children } => {
            if parallel_levels > 0 {
                let parts: Vec<(Vec<u8>, Vec<Fresh>)> = children
                    .par_iter()
                    .map(|child| {
                        let (mut item, mut below) = (Vec::with_capacity(33), Vec::new());
                        put_child(child, parallel_levels - 1, &mut item, &mut below);
                        (item, below)
                    })
                    .collect();
                for (item, below) in parts {
                    items.extend_from_slice(&item);
                    fresh.extend(below);
                }
            } else {
                for child in children.iter() {
                    put_child(child, 0, &mut items, fresh);
                }
            }
            items.push(0x80);
        }
    }
    rlp::list(&items)
}

fn put_child(child: &Child, parallel_levels: u8, out: &mut Vec<u8>, fresh: &mut Vec<Fresh>) {
    match child {
        Child::Empty => out.push(0x80),
        Child::Stored(hash) => rlp::put_string(out, hash),
        Child::Open(node) => {
            if let Some(hash) = &node.stored {
                return rlp::put_string(out, hash);
            }
            let bytes = encode(node, parallel_levels, fresh);
            if bytes.len() < 32 {
                out.extend_from_slice(&bytes);
            } else {
                let hash = keccak(&bytes);
                rlp::put_string(out, &hash);
                fresh.push((hash, bytes.into()));
            }
        }
    }
}
