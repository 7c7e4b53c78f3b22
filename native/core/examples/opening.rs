//! What the opening of an answer costs beside its replay, at SmolLM2-135M's shape with random weights: CPU time of one thread,
//! the least of some rounds in turn: `cargo run --release --example opening`. Linux, for its clock.

use openledger_core::generate::opening::{Opening, TILE_COLUMNS, TILE_ROWS, outputs};
use openledger_core::generate::{Request, generate, replay, sampler::GREEDY};
use openledger_core::model::testing::{random_weights, smol_config, tokens};

const ROUNDS: usize = 3;

/// Of the calling thread since it began.
fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let ns = stat.split(' ').next().and_then(|n| n.parse::<f64>().ok()).expect("nanoseconds");
    1e-6 * ns
}

fn ms(job: impl FnOnce()) -> f64 {
    let start = cpu_ms();
    job();
    cpu_ms() - start
}

fn main() {
    openledger_core::pool::build(1).install(run);
}

fn run() {
    let weights = random_weights(smol_config(30), 1);
    let prompt = tokens(1, 32, weights.config.vocab);
    let request = Request { prompt: prompt.clone(), max_tokens: 32, sampler: GREEDY, stop: vec![] };
    let answer = generate(&weights, None, &request, &mut |_, _| true).expect("it runs").tokens;
    let all = outputs(&weights.config, prompt.len(), answer.len());
    let values: usize = all.iter().map(|output| output.rows * output.columns).sum();
    println!(
        "{} tokens, {} operators, {:.1} MB of outputs in tiles of {TILE_ROWS} x {TILE_COLUMNS}",
        prompt.len() + answer.len(),
        all.len(),
        4e-6 * values as f64
    );
    // The farthest: the last layer's residual stream.
    let last = all.len() - 4;
    let open = Opening::new(&weights, None, &prompt, &answer, &|| false).expect("it fits");
    let mut least = [f64::MAX; 4];
    for _ in 0..ROUNDS {
        let round = [
            ms(|| drop(replay(&weights, None, &request, &answer).expect("it runs"))),
            ms(|| drop(open.roots().expect("it runs"))),
            ms(|| drop(open.tiles(last).expect("it runs"))),
            ms(|| drop(open.tile(last, 0).expect("it runs"))),
        ];
        for (least, ms) in least.iter_mut().zip(round) {
            *least = least.min(ms);
        }
    }
    let [again, roots, tiles, tile] = least;
    println!("replay {again:.0} ms; operators {roots:.0}, tiles {tiles:.0}, a tile {tile:.0} ms");
}
