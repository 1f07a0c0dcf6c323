//! Memory that Linux lets this process have: a container's limit, or that of a service.

use std::path::Path;

/// The least limit of the control groups that this process is in, in bytes; `None` if there is none,
/// or no such thing.
pub fn memory_limit() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let all = places(&groups).flat_map(|(root, group, files)| {
        files.iter().filter_map(move |file| least(Path::new(root), group, file))
    });
    all.min()
}

/// Above `high` memory is taken back already, above `max` the process ends.
const SECOND: &[&str] = &["memory.max", "memory.high"];
const FIRST: &[&str] = &["memory.limit_in_bytes"];

/// Places of the limits in each hierarchy that has some, where it usually is: the second version,
/// or the first's.
fn places(groups: &str) -> impl Iterator<Item = (&'static str, &str, &'static [&'static str])> {
    groups.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, group) = (fields.next()?, fields.next()?.trim_start_matches('/'));
        if controllers.is_empty() {
            return Some(("/sys/fs/cgroup", group, SECOND));
        }
        let memory = controllers.split(',').any(|controller| controller == "memory");
        memory.then_some(("/sys/fs/cgroup/memory", group, FIRST))
    })
}

/// The least number in the files of this name in a group's folder and those that it lies in.
/// Inside a container the folder may not be there, and the root has the container's limit.
fn least(root: &Path, group: &str, file: &str) -> Option<u64> {
    let folder = root.join(group);
    let folders = folder.ancestors().take_while(|folder| folder.starts_with(root));
    let numbers = folders.filter_map(|folder| {
        std::fs::read_to_string(folder.join(file)).ok()?.trim().parse::<u64>().ok()
    });
    numbers.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_both_versions_are_found() {
        let text = "9:name=systemd:/a\n4:cpu,memory:/b/c:d\n0::/user.slice/x\n";
        let v1 = ("/sys/fs/cgroup/memory", "b/c:d", FIRST);
        let v2 = ("/sys/fs/cgroup", "user.slice/x", SECOND);
        assert_eq!(places(text).collect::<Vec<_>>(), [v1, v2]);
        assert_eq!(places("nonsense").count(), 0);
    }

    #[test]
    fn the_least_limit_on_the_way_up_counts() {
        let root = std::env::temp_dir().join(format!("oarlock-cgroup-{}", std::process::id()));
        std::fs::create_dir_all(root.join("a/b")).expect("a folder");
        for (folder, limit) in [("", "4096\n"), ("a", "max\n"), ("a/b", "8192\n")] {
            std::fs::write(root.join(folder).join("memory.max"), limit).expect("a file");
        }
        assert_eq!(least(&root, "a/b", "memory.max"), Some(4096));
        assert_eq!(least(&root, "not/here", "memory.max"), Some(4096));
        assert_eq!(least(&root, "a", "memory.high"), None);
        std::fs::remove_dir_all(&root).expect("removed");
    }
}
