//! A view of what the firmware tells: the flattened device tree (Devicetree Specification v0.4,
//! chapter 5). Only what a chat needs is read; a tree that is damaged tells less.

use core::ops::Range;

const MAGIC: u32 = 0xD00D_FEED;
/// Bytes that tell how long the whole is.
pub const HEAD_BYTES: usize = 8;

const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROPERTY: u32 = 3;
const NOP: u32 = 4;

/// A device tree, where it lies.
#[derive(Clone, Copy, Debug)]
pub struct DeviceTree<'t> {
    structure: &'t [u8],
    strings: &'t [u8],
}

/// A property of the root or of a node below it.
#[derive(Clone, Copy, Debug)]
struct Property<'t> {
    /// The node below the root; empty for the root.
    node: &'t [u8],
    name: &'t [u8],
    value: &'t [u8],
}

/// The length of the tree that begins so, if one does.
pub fn total_len(head: &[u8; HEAD_BYTES]) -> Option<usize> {
    (word(head, 0)? == MAGIC).then_some(word(head, 4)? as usize)
}

impl<'t> DeviceTree<'t> {
    /// Reads the header; `None` if it is not that of a tree.
    pub fn new(bytes: &'t [u8]) -> Option<Self> {
        let len = total_len(bytes.first_chunk()?)?;
        let bytes = bytes.get(..len)?;
        let part = |offset: usize, len: usize| {
            let start = word(bytes, offset)? as usize;
            bytes.get(start..start.checked_add(word(bytes, len)? as usize)?)
        };
        Some(Self { structure: part(8, 36)?, strings: part(12, 32)? })
    }

    /// The name that the board gives itself.
    pub fn model(&self) -> Option<&'t str> {
        text(self.find(b"", b"model")?)
    }

    /// The content of `cmdline.txt`, with what the firmware adds.
    pub fn command_line(&self) -> Option<&'t str> {
        text(self.find(b"chosen", b"bootargs")?)
    }

    /// The place of the file that config.txt calls `initramfs`.
    pub fn initramfs(&self) -> Option<Range<usize>> {
        let start = number(self.find(b"chosen", b"linux,initrd-start")?)?;
        let end = number(self.find(b"chosen", b"linux,initrd-end")?)?;
        // Nothing that is referred to lies at address 0.
        (start > 0 && start < end).then_some(start..end)
    }

    /// Gives the ranges of memory that there are; none, if their numbers are not of one cell or two.
    pub fn memory(&self, each: &mut dyn FnMut(Range<usize>)) {
        let bytes = |name: &[u8]| match self.find(b"", name).and_then(number) {
            None | Some(1) => 4,
            Some(2) => 8,
            Some(_) => 0,
        };
        let (address, size) = (bytes(b"#address-cells"), bytes(b"#size-cells"));
        let is_memory = |p: &Property<'_>| p.node == b"memory" || p.node.starts_with(b"memory@");
        for property in self.properties().filter(|p| is_memory(p) && p.name == b"reg") {
            // Not of 0 bytes, though there is no number in it.
            for entry in property.value.chunks_exact((address + size).max(4)) {
                let (start, len) = entry.split_at_checked(address).unwrap_or_default();
                if let (Some(start), Some(len)) = (number(start), number(len)) {
                    each(start..start.saturating_add(len));
                }
            }
        }
    }

    fn find(&self, node: &[u8], name: &[u8]) -> Option<&'t [u8]> {
        let mut all = self.properties();
        all.find(|p| p.node == node && p.name == name).map(|p| p.value)
    }

    /// The properties of the root and of the nodes right below it.
    fn properties(&self) -> impl Iterator<Item = Property<'t>> {
        let Self { structure, strings } = *self;
        let (mut at, mut depth, mut node) = (0, 0_usize, &b""[..]);
        core::iter::from_fn(move || {
            loop {
                // All of it lies in the tree, and a slice has at most half of all addresses: no sum
                // of a place and a length of 32 bits overflows.
                let token = word(structure, at)?;
                at += 4;
                match token {
                    BEGIN_NODE => {
                        let name = until_zero(structure.get(at..)?);
                        at += (name.len() + 1).next_multiple_of(4);
                        depth += 1;
                        if depth == 2 {
                            node = name;
                        }
                    }
                    END_NODE => {
                        depth = depth.checked_sub(1)?;
                        if depth < 2 {
                            node = b"";
                        }
                    }
                    PROPERTY => {
                        let (len, name) = (word(structure, at)? as usize, word(structure, at + 4)?);
                        let value = structure.get(at + 8..)?.get(..len)?;
                        at += 8 + len.next_multiple_of(4);
                        let name = until_zero(strings.get(name as usize..)?);
                        if depth <= 2 {
                            return Some(Property { node, name, value });
                        }
                    }
                    NOP => {}
                    _ => return None,
                }
            }
        })
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_be_bytes(*word))
}

/// A big-endian number of one cell or two.
fn number(value: &[u8]) -> Option<usize> {
    match value.len() {
        4 => word(value, 0).map(|n| n as usize),
        8 => value.first_chunk().map(|n| u64::from_be_bytes(*n) as usize),
        _ => None,
    }
}

fn until_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

fn text(value: &[u8]) -> Option<&str> {
    core::str::from_utf8(until_zero(value)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    extern crate std;
    use std::vec::Vec;

    /// A tree with the properties given, in nodes that follow each other.
    fn tree(nodes: &[(&str, &[(&str, &[u8])])]) -> Vec<u8> {
        let (mut structure, mut strings) = (Vec::new(), Vec::new());
        let pad = |bytes: &mut Vec<u8>| bytes.resize(bytes.len().next_multiple_of(4), 0);
        structure.extend(BEGIN_NODE.to_be_bytes());
        structure.extend([0; 4]);
        for (name, properties) in nodes {
            if !name.is_empty() {
                structure.extend(BEGIN_NODE.to_be_bytes());
                structure.extend(name.bytes().chain([0]));
                pad(&mut structure);
            }
            for (name, value) in *properties {
                structure.extend(PROPERTY.to_be_bytes());
                structure.extend((value.len() as u32).to_be_bytes());
                structure.extend((strings.len() as u32).to_be_bytes());
                structure.extend(*value);
                pad(&mut structure);
                strings.extend(name.bytes().chain([0]));
            }
            if !name.is_empty() {
                structure.extend(END_NODE.to_be_bytes());
            }
        }
        structure.extend(END_NODE.to_be_bytes());
        structure.extend(9_u32.to_be_bytes());
        let (head, end) = (40, 40 + structure.len());
        let words = [MAGIC, (end + strings.len()) as u32, head, end as u32, 0, 17, 16, 0];
        let mut all: Vec<u8> = words.iter().flat_map(|w| w.to_be_bytes()).collect();
        all.extend((strings.len() as u32).to_be_bytes());
        all.extend((structure.len() as u32).to_be_bytes());
        all.extend(structure);
        all.extend(strings);
        all
    }

    fn example() -> Vec<u8> {
        let two = 2_u32.to_be_bytes();
        let one = 1_u32.to_be_bytes();
        let reg: Vec<u8> =
            [0, 0, 0x3B40_0000, 1, 0, 0x1000].iter().flat_map(|w: &u32| w.to_be_bytes()).collect();
        tree(&[
            ("", &[("model", b"Some Pi\0"), ("#address-cells", &two), ("#size-cells", &one)]),
            (
                "chosen",
                &[
                    ("bootargs", b"a b\0"),
                    ("linux,initrd-start", &0x800_0000_u32.to_be_bytes()),
                    ("linux,initrd-end", &0x900_0000_u64.to_be_bytes()),
                ],
            ),
            ("memory@0", &[("reg", &reg)]),
        ])
    }

    #[test]
    fn a_tree_tells_what_a_chat_needs() {
        let bytes = example();
        let tree = DeviceTree::new(&bytes).expect("a tree");
        assert_eq!((tree.model(), tree.command_line()), (Some("Some Pi"), Some("a b")));
        assert_eq!(tree.initramfs(), Some(0x800_0000..0x900_0000));
        let mut memory = Vec::new();
        tree.memory(&mut |range| memory.push(range));
        assert_eq!(memory, [0..0x3B40_0000, 0x1_0000_0000..0x1_0000_1000]);
    }

    #[test]
    fn absurd_cells_tell_of_no_memory() {
        for cells in [0, 3, 4, 1 << 30, 1 << 61, 1 << 62, (1 << 62) + 1, u64::MAX / 4, u64::MAX] {
            let (cells, two) = (cells.to_be_bytes(), 2_u64.to_be_bytes());
            for (address, size) in [(cells, two), (two, cells), (cells, cells)] {
                let root = ("", &[("#address-cells", &address[..]), ("#size-cells", &size)][..]);
                let bytes = tree(&[root, ("memory", &[("reg", &[0xFF; 64])])]);
                let tree = DeviceTree::new(&bytes).expect("a tree");
                tree.memory(&mut |range| panic!("{range:x?}"));
            }
        }
    }

    #[test]
    fn memory_ends_where_addresses_do() {
        let two = 2_u32.to_be_bytes();
        let root = ("", &[("#address-cells", &two[..]), ("#size-cells", &two)][..]);
        let bytes = tree(&[root, ("memory", &[("reg", &[0xFF; 16])])]);
        let mut memory = crate::memory::Memory::new();
        let tree = DeviceTree::new(&bytes).expect("a tree");
        tree.memory(&mut |range| memory.add(range));
        assert!(memory.bytes() == 0 && memory.longest_free().is_empty());
    }

    #[test]
    fn a_damaged_tree_tells_less_and_nothing_worse() {
        let good = example();
        for at in 0..good.len() {
            for flip in [1, 0x80, 0xFF] {
                let mut bad = good.clone();
                bad[at] ^= flip;
                let Some(tree) = DeviceTree::new(&bad) else { continue };
                let _ = (tree.model(), tree.command_line(), tree.initramfs());
                tree.memory(&mut |_| {});
            }
            assert!(DeviceTree::new(&good[..at]).is_none());
        }
    }
}
