use super::*;
use crate::generate::{Request, generate, replay, sampler};
use crate::model::Target;
use crate::model::testing::{in_int8, random_adapter, random_weights, tiny_config, tokens};

const GO_ON: &(dyn Fn() -> bool + Sync) = &|| false;

fn request() -> Request {
    Request { prompt: tokens(4, 21, 50), max_tokens: 30, sampler: sampler::GREEDY, stop: vec![] }
}

fn changed(weights: &Weights, name: &str, at: usize) -> Weights {
    let mut tensors = weights.tensors().into_iter();
    let built: std::result::Result<_, std::convert::Infallible> =
        Weights::build_as(weights.precision, weights.config.clone(), |asked, _| {
            let (_, _, mut values) = tensors.next().expect("as many tensors");
            if asked == name {
                values[at] += 0.25;
            }
            Ok(values)
        });
    built.unwrap_or_else(|never| match never {})
}

#[test]
fn an_opening_of_either_precision_ends_in_the_trace_of_the_answer() {
    let f32 = random_weights(tiny_config(), 1);
    let int8 = in_int8(&f32);
    let adapter = random_adapter(&f32.config, &Target::ALL, 3, 2);
    for weights in [f32, int8] {
        let request = request();
        let made = generate(&weights, Some(&adapter), &request, &mut |_, _| true).expect("it runs");
        let opening = Opening::new(&weights, Some(&adapter), &request.prompt, &made.tokens, GO_ON)
            .expect("it fits");
        let roots = opening.roots().expect("it runs");
        assert_eq!(roots.len(), 1 + 2 * 15 + 3);
        assert_eq!(roots.len(), opening.outputs.len());
        assert_eq!(roots.last(), Some(&merkle::root(&made.trace)));
        for (operator, root) in roots.iter().enumerate() {
            let tiles = opening.tiles(operator).expect("it runs");
            assert_eq!(merkle::root(&tiles), *root, "{:?}", opening.outputs[operator]);
        }
    }
}

#[test]
fn tiles_put_together_are_the_matrix() {
    let weights = random_weights(tiny_config(), 1);
    let request = request();
    let made = generate(&weights, None, &request, &mut |_, _| true).expect("it runs");
    let opening =
        Opening::new(&weights, None, &request.prompt, &made.tokens, GO_ON).expect("it fits");
    // The logits: 30 rows of 50 columns, the first after token 20.
    let head = opening.outputs.len() - 2;
    let Output { name, first, rows, columns, .. } = opening.outputs[head];
    assert_eq!((name, first, rows, columns), ("lm_head", 20, 30, 50));
    let logits: Vec<f32> = (0..opening.outputs[head].tiles())
        .flat_map(|tile| opening.tile(head, tile).expect("it runs"))
        .collect();
    let leaves: Vec<Hash> = logits
        .chunks_exact(50)
        .enumerate()
        .map(|(i, row)| trace_leaf(21 + i as u32, made.tokens[i], row))
        .collect();
    assert_eq!(leaves, made.trace);
    // One of 40 columns in the second row of tiles.
    let gate = 1 + 15 + 10;
    assert_eq!((opening.outputs[gate].layer, opening.outputs[gate].name), (Some(1), "gate_proj"));
    let tile = opening.tile(gate, 3).expect("it runs");
    assert_eq!(tile.len(), (50 - 48) * 40);
    assert_eq!(tile_hash(&tile), opening.tiles(gate).expect("it runs")[3]);
}

#[test]
fn one_changed_weight_is_where_two_openings_part() {
    let weights = random_weights(tiny_config(), 1);
    let request = request();
    // Row 17 of [24, 40].
    let lying = changed(&weights, "model.layers.1.mlp.down_proj.weight", 17 * 40 + 3);
    let made = generate(&lying, None, &request, &mut |_, _| true).expect("it runs");
    let (theirs, ours) = (
        Opening::new(&lying, None, &request.prompt, &made.tokens, GO_ON).expect("it fits"),
        Opening::new(&weights, None, &request.prompt, &made.tokens, GO_ON).expect("it fits"),
    );
    let parts = |a: Vec<Hash>, b: Vec<Hash>| a.iter().zip(&b).position(|(a, b)| a != b);
    let operator = parts(theirs.roots().expect("it runs"), ours.roots().expect("it runs"));
    let operator = operator.expect("they differ");
    let Output { layer, name, .. } = ours.outputs[operator];
    assert_eq!((layer, name), (Some(1), "down_proj"));
    let tile =
        parts(theirs.tiles(operator).expect("it runs"), ours.tiles(operator).expect("it runs"));
    assert_eq!(tile, Some(0));
    let (a, b) =
        (theirs.tile(operator, 0).expect("it runs"), ours.tile(operator, 0).expect("it runs"));
    let wrong: Vec<usize> = (0..a.len()).filter(|i| a[*i] != b[*i]).map(|i| i % 24).collect();
    assert!(!wrong.is_empty() && wrong.iter().all(|column| *column == 17), "{wrong:?}");
    let again = replay(&weights, None, &request, &made.tokens).expect("it runs");
    assert_ne!(again.trace, made.trace);
}

#[test]
fn what_cannot_be_opened_is_refused_and_what_is_not_wanted_ends() {
    let mut config = tiny_config();
    config.max_positions = 60;
    let weights = random_weights(config, 1);
    let (prompt, answer) = (tokens(4, 21, 50), tokens(5, 40, 50));
    let refused = |prompt: &[u32], answer: &[u32]| {
        Opening::new(&weights, None, prompt, answer, GO_ON).err().expect("refused").message
    };
    assert!(refused(&prompt, &answer).contains("61 tokens; at most 60"));
    assert!(refused(&prompt, &[]).contains("empty"));
    assert!(refused(&prompt, &[50]).contains("token 50"));
    let opening = Opening::new(&weights, None, &prompt, &answer[..9], GO_ON).expect("it fits");
    let last = opening.outputs.len() - 1;
    for (operator, tile, says) in
        [(99, 0, "operator 99 of 34"), (0, 2, "tile 2 of 2"), (last, 0, "trace leaves")]
    {
        let error = opening.tile(operator, tile).expect_err("refused");
        assert!(error.message.contains(says), "{error}");
    }
    let ended = Opening::new(&weights, None, &prompt, &answer[..9], &|| true).expect("it fits");
    assert_eq!(ended.roots().expect_err("cancelled").code, crate::ErrorCode::Cancelled);
}
