//! Facts that the firmware tells before anything else runs: by its device tree, and by its mailbox
//! where there is no tree or the tree is silent.
#![allow(unsafe_code)]

use core::ops::Range;

use oarlock_raspi::device_tree::{DeviceTree, HEAD_BYTES, total_len};
use oarlock_raspi::flags::{FlagError, Flags};
use oarlock_raspi::memory::Memory;

use crate::board::Board;
use crate::mailbox::Mailbox;
use crate::mmu;
use crate::power;
use crate::registers::Registers;

/// The longest tree that is believed; those of the firmware have some 60 KiB.
const LONGEST_TREE: usize = 2 << 20;

/// Everything that is known of the machine.
pub struct Firmware {
    /// To ask more.
    pub mailbox: Mailbox,
    /// The device tree, if there is one.
    pub tree: Option<DeviceTree<'static>>,
    /// Memory, with what is taken of it.
    pub memory: Memory,
    /// The board's revision code.
    pub revision: Option<u32>,
    /// Hertz of the cores.
    pub arm_clock: Option<u32>,
}

impl Firmware {
    /// Asks. What it says of memory is mapped by the caller.
    pub fn ask(board: &Board, tree: usize) -> Self {
        // SAFETY: the board's table says that a mailbox is here.
        let mailbox = Mailbox::new(unsafe { Registers::at(board.mailbox) });
        let place = tree_at(board, tree);
        // SAFETY: the firmware has put a tree of this length here, and nobody writes it: the
        // range is noted as taken below.
        let bytes = place.clone().map(|place| unsafe { slice(place) });
        let tree = bytes.and_then(DeviceTree::new);
        let mut memory = memory(mailbox, tree.as_ref());
        memory.cut(&board.devices);
        memory.take(place.unwrap_or_default());
        let (revision, arm_clock) = (mailbox.revision(), mailbox.arm_clock_at_most());
        let this = Self { mailbox, tree, memory, revision, arm_clock };
        if this.flags().semihosting {
            power::use_semihosting();
        }
        this
    }

    /// The wishes in `cmdline.txt`.
    pub fn flags(&self) -> Flags<'static> {
        self.read_flags(&mut |_| {})
    }

    /// As [`Self::flags`], with what of it cannot be followed.
    pub fn read_flags(&self, report: &mut dyn FnMut(FlagError<'static>)) -> Flags<'static> {
        Flags::read(self.tree.and_then(|tree| tree.command_line()).unwrap_or_default(), report)
    }
}

/// The memory of the tree, or of the mailbox, without what the GPU keeps.
fn memory(mailbox: Mailbox, tree: Option<&DeviceTree<'_>>) -> Memory {
    let range = |[start, len]: [u32; 2]| start as usize..start as usize + len as usize;
    let mut memory = Memory::new();
    if let Some(tree) = tree {
        tree.memory(&mut |range| memory.add(range));
    }
    if memory.bytes() == 0 {
        memory.add(mailbox.arm_memory().map_or(mmu::PROGRAM, range));
    }
    memory.cut(&mailbox.gpu_memory().map(range).unwrap_or_default());
    memory
}

/// Finds the tree that begins at `start`, which may be anywhere below 4 GiB: it is
/// mapped for this.
fn tree_at(board: &Board, start: usize) -> Option<Range<usize>> {
    let most = start..start.checked_add(LONGEST_TREE)?;
    let in_devices = most.end > board.devices.start && start < board.devices.end;
    if start == 0 || !start.is_multiple_of(8) || most.end > mmu::FINE || in_devices {
        return None;
    }
    mmu::map_around(&most);
    // SAFETY: mapped, and by the boot protocol it is readable there.
    let head: [u8; HEAD_BYTES] = unsafe { (start as *const [u8; HEAD_BYTES]).read() };
    let len = total_len(&head).filter(|&len| len <= LONGEST_TREE)?;
    Some(start..start + len)
}

/// The bytes at `range`.
///
/// # Safety
/// They are mapped memory that nobody writes from now on.
pub unsafe fn slice(range: Range<usize>) -> &'static [u8] {
    let start = core::ptr::with_exposed_provenance(range.start);
    // SAFETY: as the caller promises.
    unsafe { core::slice::from_raw_parts(start, range.len()) }
}
