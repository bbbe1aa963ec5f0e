//! Duration of one check in the resolver alone, by the size of the catalog and the content of the check.
//!
//! Run with `cargo bench --bench resolver`. `docs/benchmarks.md` records the results.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use slipway_resolver::{decide, explain, read_check};

use slipway_test_support::sample_app::{FIELDS, app, check, check_context};

const TEN_THOUSAND: usize = 10_000;

fn deciding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decide");
    let check = check();
    for (resources, releases) in [(5, 10), (10, 1_000), (1_000, 10)] {
        let app = app(resources, releases);
        let shape = format!("{resources} resources of {releases} releases");
        group.bench_function(BenchmarkId::from_parameter(shape), |bencher| {
            bencher.iter(|| decide(black_box(&app), black_box(&check), &check_context()));
        });
    }
    group.finish();
}

fn reading_and_explaining(criterion: &mut Criterion) {
    criterion.bench_function("read a check", |bencher| {
        bencher.iter(|| read_check(black_box(&FIELDS)));
    });
    let app = app(10, TEN_THOUSAND / 10);
    let check = check();
    criterion.bench_function("explain 10,000 releases", |bencher| {
        bencher.iter(|| explain(black_box(&app), black_box(&check), &check_context()));
    });
}

criterion_group!(benches, deciding, reading_and_explaining);
criterion_main!(benches);
