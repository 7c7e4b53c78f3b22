//! A text as one vector: the mean of its rows after the final norm, scaled to length one. Sums run in f32 over rows in
//! ascending order, so the bytes are the same on every machine, like those of the forward pass.

use super::forward::{KvCache, check_tokens};
use super::weights::Weights;
use crate::Result;

/// Rows of one pass: bounds memory, moves no bit.
const ROWS: usize = 128;

/// The embedding [hidden] of `tokens` by the base alone. A vector of zeros stays as it is.
pub fn embed(weights: &Weights, tokens: &[u32]) -> Result<Vec<f32>> {
    check_tokens(&weights.config, tokens, usize::MAX)?;
    let mut cache = KvCache::new(weights, tokens.len());
    let mut sum = vec![0.0f32; weights.config.hidden];
    for chunk in tokens.chunks(ROWS) {
        let hidden = weights.forward(None, chunk, &mut cache, None);
        for row in hidden.chunks_exact(sum.len()) {
            for (s, x) in sum.iter_mut().zip(row) {
                *s += x;
            }
        }
    }
    let count = tokens.len() as f32;
    for s in &mut sum {
        *s /= count;
    }
    let length = sum.iter().fold(0.0f32, |total, x| total + x * x).sqrt();
    if length > 0.0 {
        for s in &mut sum {
            *s /= length;
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{random_weights, tiny_config, tokens};
    use super::*;

    #[test]
    fn an_embedding_has_length_one_and_tells_texts_apart() {
        let weights = random_weights(tiny_config(), 1);
        let ids = tokens(2, 11, weights.config.vocab);
        let one = embed(&weights, &ids).unwrap();
        assert_eq!(one.len(), weights.config.hidden);
        assert!((one.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-5);
        assert_ne!(one, embed(&weights, &ids[1..]).unwrap());
        assert!(embed(&weights, &[]).is_err());
    }

    #[test]
    fn an_embedding_is_the_mean_of_single_steps_to_the_bit() {
        let weights = random_weights(tiny_config(), 3);
        let ids = tokens(4, 9, weights.config.vocab);
        let mut cache = KvCache::new(&weights, ids.len());
        let mut mean = vec![0.0f32; weights.config.hidden];
        for id in &ids {
            let row = weights.forward(None, &[*id], &mut cache, None);
            mean.iter_mut().zip(&row).for_each(|(s, x)| *s += x);
        }
        mean.iter_mut().for_each(|s| *s /= ids.len() as f32);
        let length = mean.iter().fold(0.0f32, |total, x| total + x * x).sqrt();
        mean.iter_mut().for_each(|s| *s /= length);
        assert_eq!(mean, embed(&weights, &ids).unwrap());
    }
}
