//! A disk with one FAT32 partition, written once: what a card needs for a firmware to find
//! its files, and the same files give the same bytes.
//!
//! After Microsoft's *FAT32 File System Specification* 1.03 ("FATgen103"). Files lie one
//! behind the other, so a chain is a count; there is one folder, the root.

mod names;

use std::io::{self, Seek, SeekFrom, Write};

use byteorder::{ByteOrder, LittleEndian};

use names::entries;

/// Bytes of a sector.
const SECTOR: u64 = 512;
/// The partition's first byte: whole megabytes suit the flash of a card.
const PARTITION: u64 = 4 << 20;
/// Sectors before the first table, as other formatters have them.
const RESERVED: u64 = 32;
/// The fewest clusters that make it FAT32 (page 14), and some more, as advised there.
const MIN_CLUSTERS: u64 = 65_525 + 16;
/// The most sectors in a cluster that are tried.
const MAX_CLUSTER_SECTORS: u64 = 8;
/// Room for whoever edits `config.txt` on the card.
const SPARE: u64 = 4 << 20;
/// The first cluster there is; the root folder begins there.
const FIRST: u64 = 2;
const LAST_OF_CHAIN: u32 = 0x0FFF_FFFF;
/// A file is shorter than this (page 27: its size has 32 bits).
pub const MAX_FILE_BYTES: u64 = u32::MAX as u64;

/// Places of everything on the disk.
struct DiskLayout {
    /// Sectors of a cluster.
    cluster_sectors: u64,
    clusters: u64,
    /// Sectors of one table.
    table: u64,
    /// Clusters of the root folder, then of each file.
    chains: Vec<u64>,
}

impl DiskLayout {
    fn new(root: &[u8], lens: &[u64]) -> Self {
        let mut cluster_sectors = MAX_CLUSTER_SECTORS;
        loop {
            let chains = Self::chains(root, lens, cluster_sectors);
            let needed = chains.iter().sum::<u64>() + SPARE.div_ceil(cluster_sectors * SECTOR);
            if needed < MIN_CLUSTERS && cluster_sectors > 1 {
                cluster_sectors /= 2;
                continue;
            }
            let clusters = needed.max(MIN_CLUSTERS);
            let table = ((clusters + FIRST) * 4).div_ceil(SECTOR);
            return Self { cluster_sectors, clusters, table, chains };
        }
    }

    fn chains(root: &[u8], lens: &[u64], cluster_sectors: u64) -> Vec<u64> {
        let of = |len: u64| len.div_ceil(cluster_sectors * SECTOR);
        let root = of(root.len() as u64).max(1);
        std::iter::once(root).chain(lens.iter().map(|&len| of(len))).collect()
    }

    /// The first cluster of a chain; 0 for an empty file, which has none.
    fn first(&self, chain: usize) -> u32 {
        let before: u64 = self.chains.iter().take(chain).sum();
        let empty = self.chains.get(chain).is_none_or(|&len| len == 0);
        if empty { 0 } else { (FIRST + before) as u32 }
    }

    fn used(&self) -> u64 {
        self.chains.iter().sum()
    }

    /// Sectors of the partition.
    fn sectors(&self) -> u64 {
        RESERVED + 2 * self.table + self.clusters * self.cluster_sectors
    }

    /// The byte of the disk at which a chain begins.
    fn place(&self, chain: usize) -> u64 {
        let before: u64 = self.chains.iter().take(chain).sum();
        PARTITION + (RESERVED + 2 * self.table + before * self.cluster_sectors) * SECTOR
    }

    fn boot_sector(&self) -> Vec<u8> {
        let mut sector = vec![0; SECTOR as usize];
        put(&mut sector, 0, b"\xEB\x58\x90OARLOCK ");
        LittleEndian::write_u16(&mut sector[11..], SECTOR as u16);
        sector[13] = self.cluster_sectors as u8;
        LittleEndian::write_u16(&mut sector[14..], RESERVED as u16);
        sector[16] = 2; // tables
        sector[21] = 0xF8; // a fixed disk
        LittleEndian::write_u16(&mut sector[24..], 63); // sectors of a track, and heads:
        LittleEndian::write_u16(&mut sector[26..], 255); // what is written where nobody asks
        LittleEndian::write_u32(&mut sector[28..], (PARTITION / SECTOR) as u32);
        LittleEndian::write_u32(&mut sector[32..], self.sectors() as u32);
        LittleEndian::write_u32(&mut sector[36..], self.table as u32);
        LittleEndian::write_u32(&mut sector[44..], FIRST as u32);
        LittleEndian::write_u16(&mut sector[48..], 1); // where the free space is counted
        LittleEndian::write_u16(&mut sector[50..], 6); // where the copy of this is
        put(&mut sector, 64, &[0x80, 0, 0x29]);
        put(&mut sector, 67, b"OAR1"); // a serial number
        put(&mut sector, 71, LABEL);
        put(&mut sector, 82, b"FAT32   ");
        put(&mut sector, 510, &[0x55, 0xAA]);
        sector
    }

    /// The sector that says how much is free, and where it begins (page 21).
    fn free_space(&self) -> Vec<u8> {
        let mut sector = vec![0; SECTOR as usize];
        LittleEndian::write_u32(&mut sector[0..], 0x4161_5252);
        LittleEndian::write_u32(&mut sector[484..], 0x6141_7272);
        LittleEndian::write_u32(&mut sector[488..], (self.clusters - self.used()) as u32);
        LittleEndian::write_u32(&mut sector[492..], (FIRST + self.used()) as u32);
        LittleEndian::write_u32(&mut sector[508..], 0xAA55_0000);
        sector
    }

    /// One table: each cluster's next.
    fn table(&self) -> Vec<u8> {
        let mut next = vec![0x0FFF_FFF8, LAST_OF_CHAIN];
        for &len in &self.chains {
            let start = next.len() as u32;
            next.extend((1..len as u32).map(|i| start + i));
            next.extend((len > 0).then_some(LAST_OF_CHAIN));
        }
        let mut bytes = vec![0; (self.table * SECTOR) as usize];
        LittleEndian::write_u32_into(&next, &mut bytes[..next.len() * 4]);
        bytes
    }

    /// The first sector of the disk, whose one partition this is.
    fn partition_table(&self) -> Vec<u8> {
        let mut sector = vec![0; SECTOR as usize];
        // Active, and cylinders that say: ask the other numbers.
        put(&mut sector, 446, &[0x80, 0xFE, 0xFF, 0xFF, 0x0C, 0xFE, 0xFF, 0xFF]);
        LittleEndian::write_u32(&mut sector[454..], (PARTITION / SECTOR) as u32);
        LittleEndian::write_u32(&mut sector[458..], self.sectors() as u32);
        put(&mut sector, 510, &[0x55, 0xAA]);
        sector
    }

    /// Everything before the first file.
    fn before_files(&self, root: &[u8]) -> Vec<u8> {
        let mut disk = self.partition_table();
        let mut at = |place: u64, bytes: &[u8]| {
            disk.resize(disk.len().max(place as usize), 0);
            disk.truncate(place as usize);
            disk.extend_from_slice(bytes);
        };
        let (boot, free) = (self.boot_sector(), self.free_space());
        for first in [0, 6] {
            at(PARTITION + first * SECTOR, &boot);
            at(PARTITION + (first + 1) * SECTOR, &free);
        }
        let table = self.table();
        for copy in [0, self.table] {
            at(PARTITION + (RESERVED + copy) * SECTOR, &table);
        }
        at(self.place(0), root);
        disk
    }
}

const LABEL: &[u8; 11] = b"OARLOCK    ";

/// Writes a disk with these files, by name and length; `fill` writes the bytes of each.
pub fn write<W: Write + Seek, E: From<io::Error>>(
    disk: &mut W,
    files: &[(&str, u64)],
    mut fill: impl FnMut(&mut W, usize) -> Result<(), E>,
) -> Result<(), E> {
    let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
    let lens: Vec<u64> = files.iter().map(|(_, len)| *len).collect();
    let empty = entries(LABEL, &names, &mut |_| (0, 0));
    let layout = DiskLayout::new(&empty, &lens);
    let root = entries(LABEL, &names, &mut |i| (layout.first(i + 1), lens[i] as u32));
    disk.write_all(&layout.before_files(&root))?;
    for i in 0..files.len() {
        disk.seek(SeekFrom::Start(layout.place(i + 1)))?;
        fill(disk, i)?;
    }
    // The last sector, so that the disk is as long as its partition says.
    disk.seek(SeekFrom::Start(PARTITION + (layout.sectors() - 1) * SECTOR))?;
    Ok(disk.write_all(&[0; SECTOR as usize])?)
}

fn put(sector: &mut [u8], at: usize, bytes: &[u8]) {
    sector[at..at + bytes.len()].copy_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut disk = io::Cursor::new(Vec::new());
        let list: Vec<_> = files.iter().map(|(name, bytes)| (*name, bytes.len() as u64)).collect();
        write::<_, io::Error>(&mut disk, &list, |disk, i| disk.write_all(files[i].1)).unwrap();
        disk.into_inner()
    }

    /// Reads a file by its short name, following its chain.
    fn read(disk: &[u8], short: &[u8; 11]) -> Vec<u8> {
        let part = &disk[PARTITION as usize..];
        let long = |at: usize| LittleEndian::read_u32(&part[at..]) as usize;
        let (cluster_bytes, table) = (usize::from(part[13]) * 512, 32 * 512);
        let data = table + 2 * long(36) * 512;
        let root = &part[data..data + cluster_bytes];
        let at = root.chunks(32).position(|entry| entry.starts_with(short)).expect("the file");
        let entry = &root[at * 32..];
        let high = usize::from(LittleEndian::read_u16(&entry[20..]));
        let mut cluster = high << 16 | usize::from(LittleEndian::read_u16(&entry[26..]));
        let mut bytes = Vec::new();
        while (2..0x0FFF_FFF8).contains(&cluster) {
            let start = data + (cluster - 2) * cluster_bytes;
            bytes.extend_from_slice(&part[start..start + cluster_bytes]);
            cluster = long(table + 4 * cluster);
        }
        bytes.truncate(LittleEndian::read_u32(&entry[28..]) as usize);
        bytes
    }

    #[test]
    fn files_are_read_back() {
        let long: Vec<u8> = (0..100_000_u32).map(|i| (i % 251) as u8).collect();
        let files: [(&str, &[u8]); 4] = [
            ("config.txt", b"arm_64bit=1\n"),
            ("EMPTY.TXT", b""),
            ("kernel8.img", &long),
            ("bcm2710-rpi-3-b.dtb", b"tree"),
        ];
        let disk = disk(&files);
        assert_eq!(read(&disk, b"CONFIG  TXT"), b"arm_64bit=1\n");
        assert_eq!(read(&disk, b"EMPTY   TXT"), b"");
        assert!(read(&disk, b"KERNEL8 IMG") == long);
        assert_eq!(read(&disk, b"BCM271~1DTB"), b"tree");
        assert_eq!(LittleEndian::read_u32(&disk[458..]) as usize * 512, disk.len() - (4 << 20));
    }

    #[test]
    fn larger_disks_have_wider_clusters() {
        for (bytes, cluster_sectors) in [(0, 1), (70 << 20, 2), (1 << 30, 8), (3 << 30, 8)] {
            let layout = DiskLayout::new(&[0; 32], &[bytes]);
            assert_eq!(layout.cluster_sectors, cluster_sectors, "{bytes}");
            assert!(layout.clusters >= MIN_CLUSTERS && layout.clusters > layout.used());
        }
    }
}
