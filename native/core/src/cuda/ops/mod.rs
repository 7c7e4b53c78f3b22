//! The kernels as Rust functions: shapes checked, grids computed. One function here, one kernel (or one family of
//! tile shapes) in native/kernels, one scalar twin in `ops`, `gemm`, `lora`, `train` or `attribution`.

mod attention;
mod lora;
mod products;
mod rows;
mod training;

pub use attention::*;
pub use lora::*;
pub use products::*;
pub use rows::*;
pub use training::*;

use super::device::{Address, Arguments, Result};
use super::memory::{Buffer, Gpu};
use crate::gemm::BLOCK;
use crate::ops::attention::Heads;
use std::sync::Arc;

/// Longest key range of one row: tiles that the attention kernel has room for.
pub const KEYS_MAX: usize = 2048 * 64;
/// Widest head the attention kernels hold.
pub const HEAD_DIM_MAX: usize = 256;
/// Largest vocabulary of the softmax kernel.
pub const VOCAB_MAX: usize = 2048 * 256;

/// A row-major matrix inside a buffer: `rows` x `cols`, `ld` floats from one row to the next.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    data: &'a Buffer<f32>,
    offset: usize,
    pub rows: usize,
    pub cols: usize,
    pub ld: usize,
}

impl Buffer<f32> {
    /// All of the buffer as rows of `cols`.
    pub fn rows(&self, cols: usize) -> Matrix<'_> {
        self.matrix(0, self.len() / cols, cols, cols)
    }

    /// Panics when the matrix would leave the buffer.
    pub fn matrix(&self, offset: usize, rows: usize, cols: usize, ld: usize) -> Matrix<'_> {
        assert!(cols <= ld, "{cols} columns in rows of {ld}");
        let end = if rows == 0 { 0 } else { offset + (rows - 1) * ld + cols };
        assert!(end <= self.len(), "a matrix that ends at {end} of {}", self.len());
        Matrix { data: self, offset, rows, cols, ld }
    }
}

impl<'a> Matrix<'a> {
    pub fn at(&self) -> Address {
        self.data.at(self.offset)
    }

    /// Its values, row after row.
    pub fn to_vec(&self) -> Result<Vec<f32>> {
        if self.rows == 0 {
            return Ok(vec![]);
        }
        let all = self.data.range(self.offset, (self.rows - 1) * self.ld + self.cols)?;
        Ok(all.chunks(self.ld).flat_map(|row| &row[..self.cols]).copied().collect())
    }

    /// Columns `from .. from + cols` of it.
    pub fn columns(&self, from: usize, cols: usize) -> Matrix<'a> {
        self.data.matrix(self.offset + from, self.rows, cols, self.ld)
    }

    /// Rows `from .. from + rows` of it.
    pub fn slice(&self, from: usize, rows: usize) -> Matrix<'a> {
        self.data.matrix(self.offset + from * self.ld, rows, self.cols, self.ld)
    }
}
