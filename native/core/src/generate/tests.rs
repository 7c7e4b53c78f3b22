use super::*;
use crate::model::config::Target;
use crate::model::testing::{random_adapter, random_weights, tiny_config, tokens};

fn request(sampler: Sampler) -> Request {
    Request { prompt: tokens(4, 70, 50), max_tokens: 80, sampler, stop: vec![] }
}

#[test]
fn replaying_an_answer_at_once_gives_the_trace_of_making_it_token_by_token() {
    let weights = random_weights(tiny_config(), 1);
    let adapter = random_adapter(&weights.config, &Target::ALL, 3, 2);
    for sampler in [sampler::GREEDY, Sampler { temperature: 0.9, top_p: 0.8, seed: 11 }] {
        let request = request(sampler);
        let made = generate(&weights, Some(&adapter), &request, &mut |_, _| true).expect("it runs");
        let again = replay(&weights, Some(&adapter), &request, &made.tokens).expect("it runs");
        assert_eq!(made, again);
        assert_eq!(made.tokens.len(), 80);
    }
}

#[test]
fn one_changed_token_is_named_by_the_replay() {
    let weights = random_weights(tiny_config(), 1);
    let request = request(sampler::GREEDY);
    let mut made = generate(&weights, None, &request, &mut |_, _| true).expect("it runs");
    made.tokens[7] = (made.tokens[7] + 1) % 50;
    let again = replay(&weights, None, &request, &made.tokens).expect("it runs");
    let first = made.trace.iter().zip(&again.trace).position(|(a, b)| a != b);
    assert_eq!(first, Some(7));
    assert_ne!(again.tokens[7], made.tokens[7]);
}

#[test]
fn a_stop_token_ends_the_answer_and_a_false_callback_cancels_it() {
    let weights = random_weights(tiny_config(), 1);
    let mut request = request(Sampler { temperature: 5.0, top_p: 1.0, seed: 1 });
    let free = generate(&weights, None, &request, &mut |_, _| true).expect("it runs");
    request.stop = vec![free.tokens[5]];
    let stopped = generate(&weights, None, &request, &mut |_, _| true).expect("it runs");
    let end = free.tokens.iter().position(|t| *t == free.tokens[5]).expect("it is there");
    assert_eq!((stopped.finish, &stopped.tokens[..]), (Finish::Stop, &free.tokens[..=end]));
    request.stop = vec![];
    let cut = generate(&weights, None, &request, &mut |_, i| i < 2).expect("it runs");
    assert_eq!((cut.finish, cut.tokens.len()), (Finish::Cancelled, 3));
}

#[test]
fn a_prompt_that_does_not_fit_or_names_an_unknown_token_is_refused() {
    let weights = random_weights(tiny_config(), 1);
    let mut long = request(sampler::GREEDY);
    long.max_tokens = 91;
    let mut unknown = request(sampler::GREEDY);
    unknown.prompt[3] = 50;
    for (request, says) in [(long, "160 positions"), (unknown, "token 50 at index 3")] {
        let error = generate(&weights, None, &request, &mut |_, _| true).expect_err("refused");
        assert!(error.message.contains(says), "{error}");
    }
}

#[test]
fn a_trace_leaf_is_the_hash_of_position_token_and_all_logits_with_one_nan() {
    let mut logits: Vec<f32> = (0..600).map(|i| i as f32 * 0.25 - 70.0).collect();
    logits[300] = f32::from_bits(0xffc0_1234);
    let mut bytes = vec![7, 0, 0, 0, 9, 1, 0, 0];
    for (i, x) in logits.iter().enumerate() {
        bytes.extend(if i == 300 { [0, 0, 0xc0, 0x7f] } else { x.to_le_bytes() });
    }
    let mut hash = Keccak::v256();
    hash.update(&bytes);
    let mut want = [0; 32];
    hash.finalize(&mut want);
    assert_eq!(trace_leaf(7, 265, &logits), want);
    logits[599] = 0.0;
    assert_ne!(trace_leaf(7, 265, &logits), want);
}
