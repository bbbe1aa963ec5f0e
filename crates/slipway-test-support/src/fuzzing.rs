//! Number and seeds of the cases of a fuzzing test: few in an ordinary run, many on request.

use std::env;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Seed of an ordinary run.
const USUAL_SEED: u64 = 7;

/// One case, reproducible from its seed.
pub struct FuzzCase {
    pub seed: u64,
    runner: TestRunner,
}

/// Returns the cases of this run. `SLIPWAY_FUZZ_CASES` overrides their number, and `SLIPWAY_FUZZ_SEED` the first seed.
pub fn fuzz_cases(usual: u64) -> impl Iterator<Item = FuzzCase> {
    let count = number("SLIPWAY_FUZZ_CASES").unwrap_or(usual);
    let first = number("SLIPWAY_FUZZ_SEED").unwrap_or(USUAL_SEED);
    (0..count).map(move |index| FuzzCase::new(first.wrapping_add(index)))
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable} is {text}, which is no number")))
}

impl FuzzCase {
    fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        Self {
            seed,
            runner: TestRunner::new_with_rng(Config::default(), rng),
        }
    }

    pub fn draw<S: Strategy>(&mut self, strategy: &S) -> S::Value {
        strategy.new_tree(&mut self.runner).unwrap().current()
    }

    /// Returns the settings that run this case again.
    pub fn again(&self) -> String {
        format!("SLIPWAY_FUZZ_SEED={} SLIPWAY_FUZZ_CASES=1", self.seed)
    }
}
