//! Sessions: whatever they are fed, wherever they lie, on whatever runs them.

use oarlock::{KvType, Machine, Model, Options, Sampler, Sampling, Session};

use crate::executors::Liar;
use crate::hostile::{Hostile, ignore};
use crate::models::place;

/// The most memory that a round asks for.
const MAX_MEMORY: usize = 8 << 20;

/// Options, most of which can be.
pub fn options(hostile: &mut Hostile, model: &Model<'_>) -> Options {
    let ours = Options {
        context: hostile.pick(&[2, 3, 20, 33, 64, 70]),
        sinks: hostile.pick(&[0, 1, 4]),
        kv: hostile.pick(&KvType::ALL),
        chunk: hostile.pick(&[1, 3, 16, 40]),
        draft: hostile.pick(&[0, 1, 5]),
        logit_rows: hostile.pick(&[1, 2, 7]),
        base_position: hostile.pick(&[0, 7, u64::MAX, 1 << 63]),
    };
    if model.is_f32() && hostile.one_in(2) {
        return Options { kv: KvType::F32, ..ours };
    }
    match hostile.random.below(8) {
        0 => Options { context: hostile.absurd(), ..ours },
        1 => Options { chunk: hostile.absurd(), ..ours },
        2 => Options { draft: hostile.absurd(), logit_rows: hostile.absurd(), ..ours },
        3 => Options { sinks: hostile.absurd(), ..ours },
        _ => ours,
    }
}

/// Sampling by any numbers.
pub fn sampling(hostile: &mut Hostile) -> Sampling {
    let mut float = || f64::from(hostile.float());
    let (temp, top_p, min_p, repeat_penalty) = (float(), float(), float(), float());
    let top_k = hostile.random.bits() as u32;
    match hostile.random.below(3) {
        0 => Sampling { temp, top_p, min_p, repeat_penalty, top_k },
        1 => Sampling { repeat_penalty: 1.3, min_p: 0.1, ..Sampling::default() },
        _ => Sampling::default(),
    }
}

/// One round.
pub fn round(hostile: &mut Hostile, models: &[Vec<u8>]) {
    let model = &models[hostile.random.below(models.len())];
    let skip = if hostile.one_in(10) { hostile.random.below(64) } else { 0 };
    let (bytes, at) = place(model, skip);
    let Ok(model) = Model::open(&bytes[at..at + model.len()]) else {
        assert!(skip > 0, "a model that does not open");
        return;
    };
    let options = options(hostile, &model);
    let Ok(needed) = Session::bytes_needed(&model, &options) else { return };
    if needed > MAX_MEMORY {
        return;
    }
    let (offset, short) = (hostile.random.below(64), hostile.one_in(10));
    let fill = hostile.pick(&[0, 0xFF, 0x7F, 0x80]);
    let mut memory = vec![fill; offset + needed - usize::from(short)];
    match Session::new(model, options, &mut memory[offset..]) {
        Ok(mut session) => {
            assert!(!short, "a byte less than is needed");
            (0..8).for_each(|_| step(hostile, &mut session));
        }
        Err(error) => assert!(short, "{error}"),
    }
}

fn tokens(hostile: &mut Hostile, session: &Session<'_>) -> Vec<u32> {
    let n = hostile.pick(&[0, 1, 1, 2, 9, 41, 80]);
    let known = session.model().config().vocab_size;
    let any = hostile.one_in(12);
    let mut one =
        |_| if any { hostile.random.bits() as u32 } else { hostile.random.below(known) as u32 };
    (0..n).map(&mut one).collect()
}

/// One call of a session.
fn step(hostile: &mut Hostile, session: &mut Session<'_>) {
    let (isa, exec) = (hostile.isa(), Liar::new(hostile));
    let machine = &Machine { isa, exec: &exec };
    let (ids, len, sinks) = (tokens(hostile, session), hostile.absurd(), hostile.about(2));
    let mut sampler = Sampler::new(sampling(hostile), hostile.random.bits());
    let what = format!("a session on {isa:?}, {exec:?}");
    match hostile.random.below(10) {
        0..3 => hostile.public(&what, || ignore(session.feed(machine, &ids))),
        3 => hostile.public(&what, || {
            ignore(session.feed_each(machine, &ids, &mut |_, logits| assert!(!logits.is_empty())));
        }),
        4 | 5 => hostile.public(&what, || {
            for &id in ids.iter().take(5) {
                ignore(session.feed_speculative(machine, id, len));
            }
        }),
        6 => hostile.public(&what, || {
            let _ = (session.sample(machine, &mut sampler), session.logits(machine).len());
        }),
        7 => {
            let back = session.len().saturating_sub(len as u64 % 70);
            hostile.public(&what, || {
                ignore((session.truncate(len as u64), session.truncate(back)));
            });
        }
        8 => hostile.public(&what, || ignore(session.reset(sinks))),
        _ => carry(hostile, session),
    }
    hostile.public("visible", || {
        let known = session.model().config().vocab_size;
        assert!(session.visible().all(|id| (id as usize) < known));
        let _ = (session.is_empty(), session.options().context, session.drafts());
    });
}

/// Saves, and restores what is no longer what was saved.
fn carry(hostile: &mut Hostile, session: &mut Session<'_>) {
    let mut saved = Vec::new();
    hostile.public("save", || {
        let _ = session.save::<()>(&mut |bytes| {
            saved.extend_from_slice(bytes);
            Ok(())
        });
    });
    for _ in 0..hostile.random.below(4) {
        let at = if hostile.one_in(2) { hostile.random.below(64) } else { hostile.size() };
        if let Some(byte) = saved.get_mut(at) {
            *byte ^= 1 << hostile.random.below(8);
        }
    }
    saved.truncate(hostile.about(saved.len()).min(saved.len()));
    let mut rest = &saved[..];
    hostile.public("restore", || {
        let _ = session.restore::<()>(&mut |bytes: &mut [u8]| {
            let (now, later) = rest.split_at_checked(bytes.len()).ok_or(())?;
            bytes.copy_from_slice(now);
            rest = later;
            Ok(())
        });
    });
}
