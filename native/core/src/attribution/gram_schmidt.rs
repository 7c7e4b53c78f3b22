//! Modified Gram-Schmidt with re-orthogonalisation, in the inner product <x, y> = x^T K y.
//!
//! With K = W W^T (the Gram matrix of the whitened gradients, [n, n]) a coefficient vector x stands
//! for the direction W^T x, so a basis of the P-dimensional gradient space is built in n dimensions.
//! Each new vector is swept twice against the accepted ones ("twice is enough", Giraud & Langou 2005);
//! what remains below a relative threshold is dependent and dropped. f64, fixed order.

use super::linalg::dot;

/// A direction is dependent when its squared remainder is below this part of its squared length:
/// an angle of 1e-5, far above the rounding of K (about 1e-13) and far below anything measurable.
pub const DEPENDENT_RATIO: f64 = 1e-10;

/// Accepted directions: coefficients b_j with b_i^T K b_j = (i == j).
pub struct OrthonormalBasis<'a> {
    gram: &'a [f64],
    n: usize,
    /// b_j, each [n].
    pub coefficients: Vec<Vec<f64>>,
    /// K b_j, each [n].
    images: Vec<Vec<f64>>,
}

impl<'a> OrthonormalBasis<'a> {
    /// `gram` is K, row-major [n, n], symmetric and positive semi-definite.
    pub fn new(gram: &'a [f64], n: usize) -> Self {
        assert_eq!(gram.len(), n * n, "gram is not [n, n]");
        Self { gram, n, coefficients: vec![], images: vec![] }
    }

    pub fn rank(&self) -> usize {
        self.coefficients.len()
    }

    /// K x.
    fn image(&self, x: &[f64]) -> Vec<f64> {
        self.gram.chunks_exact(self.n).map(|row| dot(row, x)).collect()
    }

    /// Adds the direction `x` orthogonalised and normalised; false when it is dependent, which is
    /// judged against `floor` (a squared length) or the vector's own length, whichever is larger.
    pub fn push(&mut self, mut x: Vec<f64>, floor: f64) -> bool {
        assert_eq!(x.len(), self.n, "a coefficient vector of another length");
        let length_squared = dot(&x, &self.image(&x));
        for _ in 0..2 {
            for (b, image) in self.coefficients.iter().zip(&self.images) {
                let part = dot(image, &x);
                for (x, b) in x.iter_mut().zip(b) {
                    *x -= part * b;
                }
            }
        }
        let rest = dot(&x, &self.image(&x));
        // Written so that NaN is dependent, too.
        let independent =
            rest > DEPENDENT_RATIO * length_squared.max(floor) && rest > f64::MIN_POSITIVE;
        if !independent {
            return false;
        }
        let norm = rest.sqrt();
        x.iter_mut().for_each(|x| *x /= norm);
        self.images.push(self.image(&x));
        self.coefficients.push(x);
        true
    }

    /// K - sum_j (K b_j)(K b_j)^T: the Gram matrix of what the basis does not reach, [n, n].
    pub fn residual_gram(&self) -> Vec<f64> {
        let mut residual = self.gram.to_vec();
        for image in &self.images {
            for (row, left) in residual.chunks_exact_mut(self.n).zip(image) {
                for (x, right) in row.iter_mut().zip(image) {
                    *x -= left * right;
                }
            }
        }
        residual
    }
}
