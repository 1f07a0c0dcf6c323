//! Executors, which run the parts of a loop: the one thing about threads that a board supplies.

/// Runs the parts of a closure, possibly in parallel.
///
/// A board with threads implements this over its pool, a bare-metal board over its
/// cores, and [`Serial`] over nothing at all. The runtime never spawns or blocks.
///
/// Every thread that runs parts must have called
/// [`set_control_word`](crate::set_control_word) once.
pub trait Executor: Sync {
    /// Number of parts that can run at the same time; at least 1.
    fn threads(&self) -> usize;

    /// Calls `f(0)` … `f(parts − 1)`, each exactly once, and returns when all have returned.
    ///
    /// Results do not depend on it: whatever parts are called twice, left out or made up, each
    /// piece of work is done once. Nor does soundness, if no `unsafe` is in it: `f` is borrowed, so
    /// that safe code cannot return while another thread still calls it.
    fn run(&self, parts: usize, f: &(dyn Fn(usize) + Sync));

    /// Whether work is scheduled statically: each part computes the same share, instead of taking
    /// a piece whenever it is done with one.
    ///
    /// Static schedules suit cores that are alike and have nothing else to do; where threads may
    /// lose their core, others would wait for them.
    fn deals(&self) -> bool {
        false
    }

    /// Takes note of the number of pieces that a part has computed; called by that part, if work
    /// [is scheduled statically](Self::deals).
    fn note(&self, part: usize, pieces: usize) {
        let _ = (part, pieces);
    }
}

/// The executor of one thread: the caller's.
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
