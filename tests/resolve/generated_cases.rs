//! Generated catalogs and requests: the resolver and the reference must give equal answers.

use std::env;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::case::CompiledCase;
use super::generate::{Scenario, scenario};
use super::reference;

/// Number of cases. `SLIPWAY_GENERATED_CASES` overrides it.
fn case_count() -> u32 {
    let asked = env::var("SLIPWAY_GENERATED_CASES")
        .ok()
        .and_then(|count| count.parse().ok());
    asked.unwrap_or(20_000)
}

#[test]
fn generated_checks_are_answered_like_the_reference() {
    let config = Config {
        cases: case_count(),
        failure_persistence: None,
        ..Config::default()
    };
    let answered_alike = |scenario: Scenario| {
        let Scenario {
            case,
            request,
            now,
            stale,
        } = scenario;
        let expected = reference::check(&case, &request, now, stale);
        let answer = CompiledCase::new(&case).check(&request, now, stale);
        prop_assert_eq!(expected, answer);
        Ok(())
    };
    TestRunner::new(config).run(&scenario(), answered_alike).unwrap();
}
