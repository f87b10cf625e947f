//! The runtime by itself.

use std::time::{Duration, Instant};

use wasmtime::{Instance, Module, Trap};

use super::*;

struct Data(Timer);

impl Timed for Data {
    fn timer(&mut self) -> &mut Timer {
        &mut self.0
    }
}

const TEXT: &str = r#"(module
    (func (export "forever") (loop br 0))
    (func (export "deep") call 1)
    (func (export "quick") (result i32) i32.const 7))"#;

fn store(runtime: &Runtime) -> (Store<Data>, Instance) {
    let bytes = wat::parse_str(TEXT).expect("text");
    let module = Module::new(runtime.engine(), bytes).expect("module");
    let mut store = runtime.store(Data(runtime.timer()));
    let instance = Timer::bounded(&mut store, Duration::from_secs(1), |store| {
        Instance::new(store, &module, &[])
    });
    (store, instance.expect("instance"))
}

fn call(store: &mut Store<Data>, instance: Instance, name: &str, limit: Duration) -> Option<Trap> {
    let of_name = instance.get_typed_func::<(), ()>(&mut *store, name);
    let of_name = of_name.expect("function");
    let done = Timer::bounded(store, limit, |store| of_name.call(store, ()));
    done.err().and_then(|error| error.downcast().ok())
}

#[test]
fn a_call_ends_when_its_time_is_up_and_not_before() {
    let runtime = Runtime::new(RuntimeConfig::inline(1, 1)).expect("runtime");
    let (mut store, instance) = store(&runtime);
    for limit in [Duration::from_millis(2), Duration::from_millis(40)] {
        let before = Instant::now();
        let trap = call(&mut store, instance, "forever", limit);
        assert_eq!(trap, Some(Trap::Interrupt));
        assert!(store.data_mut().timer().overran());
        assert!(before.elapsed() >= limit, "{:?}", before.elapsed());
    }
    let quick = instance.get_typed_func::<(), i32>(&mut store, "quick");
    let quick = quick.expect("function");
    let done = Timer::bounded(&mut store, Duration::from_millis(2), |store| {
        quick.call(store, ())
    });
    assert_eq!(done.expect("returns"), 7);
    assert!(!store.data_mut().timer().overran());
}

#[test]
fn a_stack_has_an_end() {
    let runtime = Runtime::new(RuntimeConfig::default()).expect("runtime");
    let (mut store, instance) = store(&runtime);
    let trap = call(&mut store, instance, "deep", Duration::from_secs(1));
    assert_eq!(trap, Some(Trap::StackOverflow));
}

#[test]
fn the_ticker_sleeps_while_nobody_calls() {
    let runtime = Runtime::new(RuntimeConfig::inline(1, 1)).expect("runtime");
    let (mut store, instance) = store(&runtime);
    let asleep = || {
        let begun = Instant::now();
        while !runtime.ticker().is_parked() {
            assert!(begun.elapsed() < Duration::from_secs(30), "it never sleeps");
            std::thread::sleep(Duration::from_millis(2));
        }
    };
    for _ in 0..5 {
        asleep();
        let ticks = runtime.ticker().ticks();
        // It wakes up for a call, or this would never end.
        let trap = call(&mut store, instance, "forever", Duration::from_millis(3));
        assert_eq!(trap, Some(Trap::Interrupt));
        assert!(runtime.ticker().ticks() > ticks);
    }
}

#[test]
fn a_runtime_is_kept_where_it_has_room() {
    let config = RuntimeConfig::inline(2, 1);
    let first = Runtime::new(config).expect("runtime");
    let kept = |config| first.with_room(config).expect("runtime").is_same(&first);
    assert!(kept(config));
    assert!(kept(RuntimeConfig::inline(1, 1)), "there is room to spare");
    assert!(!kept(RuntimeConfig::inline(3, 1)), "one module more");
    assert!(!kept(RuntimeConfig::inline(2, 2)), "one worker more");
    assert!(!kept(RuntimeConfig {
        memory: config.memory + 1,
        ..config
    }));
    assert!(
        !kept(RuntimeConfig::offline(2, 1)),
        "its clock goes otherwise"
    );
}

/// Work of this thread for so long.
fn work(time: Duration) {
    let processor = || {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
    };
    let begun = processor();
    while processor() - begun < time {
        std::hint::spin_loop();
    }
}

#[test]
fn waiting_is_no_work() {
    const LIMIT: Duration = Duration::from_millis(30);
    let runtime = Runtime::new(RuntimeConfig::inline(1, 1)).expect("runtime");
    // Long enough for a tick, then it waits, and ends at the next look at the clock or never.
    let text = r#"(module
        (import "" "work" (func $work))
        (import "" "wait" (func $wait))
        (func $look)
        (func (export "waits")
            (call $work) (call $look) (call $wait) (call $look) (call $work) (call $look)))"#;
    let bytes = wat::parse_str(text).expect("text");
    let module = Module::new(runtime.engine(), bytes).expect("module");
    let mut linker = wasmtime::Linker::new(runtime.engine());
    let short = |_: wasmtime::Caller<'_, Data>| work(LIMIT / 10);
    linker.func_wrap("", "work", short).expect("defined");
    let waits = |mut caller: wasmtime::Caller<'_, Data>| {
        let timer = caller.data_mut().timer();
        let begun = timer.waits();
        work(3 * LIMIT);
        timer.goes_on(begun);
    };
    linker.func_wrap("", "wait", waits).expect("defined");
    let mut store = runtime.store(Data(runtime.timer()));
    let instance = linker.instantiate(&mut store, &module).expect("instance");
    assert_eq!(call(&mut store, instance, "waits", LIMIT), None);
}
