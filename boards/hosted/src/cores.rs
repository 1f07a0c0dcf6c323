//! Threads that are worth starting: as many as physical cores that this process may use.
//!
//! The second hardware thread of a core brings nothing here, since the first already
//! keeps the vector units or the memory bus busy.

use std::thread::available_parallelism;

/// Physical cores, within what affinity and control groups leave us; at least 1.
pub fn physical_cores() -> usize {
    // This one knows of quotas, but counts hardware threads.
    let logical = logical_cores();
    count().filter(|&cores| cores > 0).map_or(logical, |cores| cores.min(logical))
}

/// Hardware threads that this process may use; at least 1.
pub fn logical_cores() -> usize {
    available_parallelism().map_or(1, usize::from)
}

#[cfg(target_os = "linux")]
fn count() -> Option<usize> {
    let cores = crate::os::allowed_cpus().into_iter().map(siblings).collect::<Option<Vec<_>>>()?;
    Some(distinct(cores))
}

/// The hardware threads that share a core with `cpu`: equal for all of them.
#[cfg(target_os = "linux")]
fn siblings(cpu: usize) -> Option<String> {
    let topology = format!("/sys/devices/system/cpu/cpu{cpu}/topology");
    std::fs::read_to_string(format!("{topology}/thread_siblings_list")).ok()
}

#[cfg(any(target_os = "linux", test))]
fn distinct(mut cores: Vec<String>) -> usize {
    cores.sort_unstable();
    cores.dedup();
    cores.len()
}

#[cfg(target_os = "macos")]
fn count() -> Option<usize> {
    crate::os::sysctl(c"hw.physicalcpu")
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_threads_of_a_core_count_once() {
        assert_eq!(super::distinct(vec!["0,4".into(), "1,5".into(), "0,4".into()]), 2);
        assert!((1..=super::logical_cores()).contains(&super::physical_cores()));
    }
}
