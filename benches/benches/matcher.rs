//! criterion's view of the matchers: small workloads that need no files. `weir bench matcher` is the full measure.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use weir_bench::contender;
use weir_bench::workload::{Buffers, Traffic, made_probes, near_misses};

/// Bytes of buffers for one measurement.
const BYTES: usize = 256 << 10;

fn matchers(criterion: &mut Criterion) {
    let traffic = Traffic::generated(1, 4000);
    for count in [100, 10_000] {
        let probes = made_probes(1, count, &[]);
        let workloads = [
            ("payloads", traffic.measure.spread(BYTES)),
            (
                "1500",
                Buffers::cut(traffic.measure.bytes(), 1500).spread(BYTES),
            ),
            ("near-misses", near_misses(1, &probes, 1500, BYTES)),
        ];
        for (name, buffers) in workloads {
            let mut group = criterion.benchmark_group(format!("probes-{count}/{name}"));
            group.throughput(Throughput::Bytes(buffers.bytes().len() as u64));
            for entry in contender::all() {
                // One that does not take a set is not measured with it.
                let Ok(mut contender) = entry.load(&probes) else {
                    continue;
                };
                let mut found = Vec::new();
                group.bench_function(&entry.name, |bencher| {
                    bencher.iter(|| {
                        for buffer in buffers.iter() {
                            found.clear();
                            contender
                                .scan(buffer, &mut found)
                                .expect("the buffer is finished");
                        }
                    });
                });
            }
        }
    }
}

criterion_group!(benches, matchers);
criterion_main!(benches);
