//! How a loop is run in parts: the one thing about threads that a board supplies.

/// Runs the parts of a closure, possibly in parallel.
///
/// A board with threads implements this over its pool, a bare-metal board over its
/// cores, and [`Serial`] over nothing at all. The runtime never spawns or blocks.
///
/// Every thread that runs parts must have called
/// [`kernels::set_control_word`](crate::kernels::set_control_word) once.
pub trait Executor: Sync {
    /// How many parts can run at the same time; at least 1.
    fn threads(&self) -> usize;

    /// Calls `f(0)` … `f(parts − 1)`, each exactly once, and returns when all have returned.
    fn run(&self, parts: usize, f: &(dyn Fn(usize) + Sync));

    /// Whether work is dealt out beforehand, so that each part computes the same share,
    /// instead of going to whoever comes first.
    ///
    /// That suits cores that are alike and have nothing else to do; where threads may lose
    /// their core, others would wait for them.
    fn deals(&self) -> bool {
        false
    }

    /// Told how many pieces a part has computed, by that part, when work is dealt out.
    fn note(&self, part: usize, pieces: usize) {
        let _ = (part, pieces);
    }
}

/// One thread: the caller's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Serial;

impl Executor for Serial {
    fn threads(&self) -> usize {
        1
    }

    fn run(&self, parts: usize, f: &(dyn Fn(usize) + Sync)) {
        for part in 0..parts {
            f(part);
        }
    }
}
