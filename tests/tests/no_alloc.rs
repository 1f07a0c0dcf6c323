//! Stepping a session allocates nothing, and neither does anything else in the runtime.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};

use oarlock::{KvType, Machine, Model, Options, Sampler, Sampling, Serial, Session};
use oarlock_tests::{Aligned, isas, tiny};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the caller keeps the contract of this very function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of this very function.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.load(Ordering::SeqCst);
    work();
    ALLOCATIONS.load(Ordering::SeqCst) - before
}

/// Opens, prefills, decodes and samples until the ring has wrapped several times over.
fn converse(file: &[u8], scratch: &mut [u8], options: Options) {
    let model = Model::open(file).expect("a converted model opens");
    for isa in [isas_first(), isas_last()] {
        let machine = Machine { isa, exec: &Serial };
        let mut session = Session::new(model, options, scratch).expect("enough scratch");
        let mut sampler = Sampler::new(Sampling { repeat_penalty: 1.1, ..Sampling::default() }, 1);
        session.feed(&machine, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]).expect("known tokens");
        for i in 0..4 * options.context as u32 {
            black_box(session.sample(&machine, &mut sampler));
            // A text that repeats itself, whatever the model says: some drafts come true.
            session.feed_speculative(&machine, 1 + i % 5, usize::MAX).expect("known tokens");
        }
        assert_ne!(session.drafts().accepted, 0, "drafts of a text of period 5");
        let mut last = 0.0;
        let each = &mut |_: usize, logits: &[f32]| last = logits[0];
        session.feed_each(&machine, &[1, 2, 3], each).expect("known tokens");
        session.truncate(session.len() - 2).expect("just fed");
        let mut crc = oarlock::internal::crc::Crc32::new();
        let saved: Result<(), ()> = session.save(&mut |bytes| {
            crc.update(bytes);
            Ok(())
        });
        assert!(saved.is_ok() && session.restore(&mut |_| Err(())).is_err());
        session.reset(2).expect("half of the context or less");
        black_box(last);
    }
}

/// `isas` allocates its list, so it is asked before the counting starts.
fn isas_first() -> oarlock::Isa {
    *ISAS.first().expect("the scalar reference is always there")
}

fn isas_last() -> oarlock::Isa {
    *ISAS.last().expect("the scalar reference is always there")
}

static ISAS: std::sync::LazyLock<Vec<oarlock::Isa>> = std::sync::LazyLock::new(isas);

// The only test of this file: another one running beside it would be counted as well.
#[test]
fn a_session_allocates_nothing() {
    for (name, weights, kv) in [
        ("gqa", "f32", KvType::F32),
        ("gqa", "int4", KvType::F16),
        ("qwen2-moe", "int8", KvType::Int8),
    ] {
        let file = tiny(name, weights);
        let (needed, options) = {
            let model = Model::open(&file).expect("a converted model opens");
            let options = Options::for_model(&model);
            let options = Options { context: 40, chunk: 7, draft: 4, kv, ..options };
            let needed = Session::bytes_needed(&model, &options).expect("options that make sense");
            (needed, options)
        };
        let mut scratch = Aligned::zeroed(needed);
        std::sync::LazyLock::force(&ISAS);
        let count = allocations(|| converse(&file, &mut scratch, options));
        assert_eq!(count, 0, "{name} in {weights}");
    }
    assert_ne!(allocations(|| drop(black_box(vec![1]))), 0, "the counter counts");
}
