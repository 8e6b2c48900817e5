//! How much a test does: a short form of it with the other tests, the whole of it in `scripts/test-long`.

use std::env;
use std::fmt::Debug;

use proptest::prelude::{ProptestConfig, Strategy, TestCaseError};
use proptest::test_runner::{RngSeed, TestRunner};

/// Returns the long one of two amounts if `PGQ_TEST_LONG` is set, otherwise the short one.
pub(crate) fn pick<T>(short: T, long: T) -> T {
    if env::var_os("PGQ_TEST_LONG").is_some() { long } else { short }
}

/// Checks as many generated values as an amount says: always the same ones, unless `PROPTEST_RNG_SEED` says
/// otherwise. `PROPTEST_CASES` wins over the amount. Returns how many there were.
///
/// # Panics
///
/// Panics with the smallest value found that fails.
#[track_caller]
pub(crate) fn check_generated<T: Debug>(
    [short, long]: [u32; 2],
    strategy: &impl Strategy<Value = T>,
    check: impl Fn(T) -> Result<(), TestCaseError>,
) -> u32 {
    let defaults = ProptestConfig { failure_persistence: None, max_shrink_iters: 200, ..Default::default() };
    let rng_seed = if defaults.rng_seed == RngSeed::Random { RngSeed::Fixed(1) } else { defaults.rng_seed };
    let cases = if env::var_os("PROPTEST_CASES").is_some() { defaults.cases } else { pick(short, long) };
    if let Err(failure) = TestRunner::new(ProptestConfig { cases, rng_seed, ..defaults }).run(strategy, check)
    {
        panic!("{failure}");
    }
    cases
}
