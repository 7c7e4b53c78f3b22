//! The hash of a model's weights in the form they are computed with: the identity of "this base, in int8".
//!
//! keccak256 over texts and numbers, each text with its length (u32 LE) before it:
//! `openledger-weights-1`, precision, config.json as the engine writes it (compact, sorted keys), then every tensor in
//! the order of `tensors`: name, then f32 LE row-major, or for an int8 map its entries row-major and its scales as
//! f32 LE.

use super::config::Target;
use super::weights::{Linear, Weights};
use crate::hash::{Hash, finish};
use tiny_keccak::{Hasher, Keccak};

struct Digest(Keccak);

impl Digest {
    fn text(&mut self, text: &str) {
        self.0.update(&(text.len() as u32).to_le_bytes());
        self.0.update(text.as_bytes());
    }

    fn floats(&mut self, values: &[f32]) {
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.0.update(&bytes);
    }

    fn linear(&mut self, name: &str, linear: &Linear) {
        self.text(name);
        match linear.int8() {
            None => self.floats(&linear.to_weight()),
            Some(map) => {
                let entries: Vec<u8> = map.entries().into_iter().map(|q| q as u8).collect();
                self.0.update(&entries);
                self.floats(map.scales());
            }
        }
    }

    fn norm(&mut self, name: &str, weight: &[f32]) {
        self.text(name);
        self.floats(weight);
    }
}

impl Weights {
    /// keccak256 of the weights in their form.
    pub fn digest(&self) -> Hash {
        let mut digest = Digest(Keccak::v256());
        digest.text("openledger-weights-1");
        digest.text(self.precision.name());
        digest.text(&self.config.to_json().to_string());
        digest.linear("model.embed_tokens.weight", &self.embedding);
        for (l, layer) in self.layers.iter().enumerate() {
            for target in Target::ALL {
                let name = format!("model.layers.{l}.{}.weight", target.path());
                digest.linear(&name, layer.linear(target));
            }
            let name = |n: &str| format!("model.layers.{l}.{n}.weight");
            digest.norm(&name("input_layernorm"), &layer.attention_norm);
            digest.norm(&name("post_attention_layernorm"), &layer.mlp_norm);
        }
        digest.norm("model.norm.weight", &self.final_norm);
        if let Some(head) = &self.head {
            digest.linear("lm_head.weight", head);
        }
        finish(digest.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{in_int8 as int8, random_weights, tiny_config};
    use super::*;

    #[test]
    fn each_form_has_a_hash_of_its_own_and_every_number_counts() {
        let weights = random_weights(tiny_config(), 3);
        let quantised = int8(&weights);
        assert_ne!(weights.digest(), quantised.digest());
        assert_eq!(quantised.digest(), int8(&weights).digest());
        let mut other = random_weights(tiny_config(), 3);
        other.layers[1].mlp_norm[5] += 1.0;
        assert_ne!(weights.digest(), other.digest());
        assert_ne!(quantised.digest(), int8(&other).digest());
    }

    #[test]
    fn quantising_what_an_int8_form_stands_for_gives_that_form_again() {
        let quantised = int8(&random_weights(tiny_config(), 3));
        let again = int8(&quantised);
        for target in Target::ALL {
            let maps = [&quantised, &again].map(|w| w.layers[0].linear(target).int8());
            let [Some(a), Some(b)] = maps else { panic!("both are int8") };
            assert_eq!(a.entries(), b.entries());
        }
    }
}
