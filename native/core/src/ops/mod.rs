//! The element-wise and row-wise operators of the network, forward and backward. Every sum follows the
//! canonical rule; loops are written so that the compiler may vectorise across elements only.

pub mod attention;
pub mod elementwise;
pub mod loss;
pub mod norm;
pub mod rope;
