#![expect(missing_docs, reason = "the macro makes a function without")]
//! The decisions under criterion, which keeps what it measured and compares: `cargo bench -p quorate-benches decisions`.

use criterion::{Criterion, criterion_group, criterion_main};
use quorate_benches::decisions::{SIZES, all};
use std::time::Instant;

fn decisions(criterion: &mut Criterion) {
    for mut decision in all(&SIZES) {
        let id = format!("{}/{}", decision.name, decision.members);
        criterion.bench_function(&id, |bencher| {
            bencher.iter_custom(|times| {
                let began = Instant::now();
                decision.run(times);
                began.elapsed()
            });
        });
    }
}

criterion_group!(benches, decisions);
criterion_main!(benches);
