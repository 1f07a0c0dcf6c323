//! A FAT folder: names of any length beside those of eight and three letters ("FATgen103",
//! pages 22 to 32).

use byteorder::{ByteOrder, LittleEndian};

/// Bytes of an entry.
const ENTRY: usize = 32;
/// The offset in an entry of how its name is written.
const CASE_AT: usize = 12;
/// Letters of a long name that an entry holds, and where.
const LETTERS: [usize; 13] = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];
/// The first of January 1980: the same files give the same bytes whenever that is.
const DATE: u16 = 0x21;
const IS_LABEL: u8 = 0x08;
const IS_FILE: u8 = 0x20;
const IS_LONG_NAME: u8 = 0x0F;

/// The folder with this label and these files; `place` gives the first cluster and the
/// length of each.
pub fn entries(
    label: &[u8; 11],
    names: &[&str],
    place: &mut dyn FnMut(usize) -> (u32, u32),
) -> Vec<u8> {
    let mut folder = entry(label, IS_LABEL, (0, 0)).to_vec();
    let mut taken: Vec<[u8; 11]> = Vec::new();
    for (i, name) in names.iter().enumerate() {
        let short = short(name, &taken);
        if !is_short(name) {
            folder.extend(long(name, &short));
        }
        let mut file = entry(&short, IS_FILE, place(i));
        file[CASE_AT] = case(name);
        folder.extend(file);
        taken.push(short);
    }
    folder
}

fn entry(name: &[u8; 11], kind: u8, (cluster, len): (u32, u32)) -> [u8; ENTRY] {
    let mut entry = [0; ENTRY];
    entry[..11].copy_from_slice(name);
    entry[11] = kind;
    for date in [16, 18, 24] {
        LittleEndian::write_u16(&mut entry[date..], DATE);
    }
    LittleEndian::write_u16(&mut entry[20..], (cluster >> 16) as u16);
    LittleEndian::write_u16(&mut entry[26..], cluster as u16);
    LittleEndian::write_u32(&mut entry[28..], len);
    entry
}

fn parts(name: &str) -> (&str, &str) {
    name.rsplit_once('.').unwrap_or((name, ""))
}

/// Flags of the parts of a short name that are written small, as Windows NT notes it and others
/// heed it.
fn case(name: &str) -> u8 {
    let (base, extension) = parts(name);
    let small = |part: &str| part.bytes().any(|c| c.is_ascii_lowercase());
    let flags = [(small(base), 0x08), (small(extension), 0x10)];
    flags.into_iter().filter(|(small, _)| is_short(name) && *small).map(|(_, flag)| flag).sum()
}

/// Whether a short name says it all: each part is written small, or large.
fn is_short(name: &str) -> bool {
    let (base, extension) = parts(name);
    let fits = |c: u8| c.is_ascii_alphanumeric() || b"_-$~!#%&".contains(&c);
    let mixed = |part: &str| {
        part.bytes().any(|c| c.is_ascii_lowercase()) && part.bytes().any(|c| c.is_ascii_uppercase())
    };
    if mixed(base) || mixed(extension) {
        return false;
    }
    (1..=8).contains(&base.len())
        && extension.len() <= 3
        && base.bytes().all(fits)
        && extension.bytes().all(fits)
}

/// The name in eight and three letters, unlike those that are taken.
fn short(name: &str, taken: &[[u8; 11]]) -> [u8; 11] {
    let (base, extension) = parts(name);
    let letters = |text: &str, max: usize| {
        let plain = text.bytes().filter(u8::is_ascii_alphanumeric);
        plain.take(max).map(|c| c.to_ascii_uppercase()).collect::<Vec<u8>>()
    };
    let together = |base: &[u8]| {
        let mut short = [b' '; 11];
        short[..base.len()].copy_from_slice(base);
        let extension = letters(extension, 3);
        short[8..8 + extension.len()].copy_from_slice(&extension);
        short
    };
    if is_short(name) {
        let mut short = [b' '; 11];
        short[..base.len()].copy_from_slice(base.to_ascii_uppercase().as_bytes());
        let extension = extension.to_ascii_uppercase();
        short[8..8 + extension.len()].copy_from_slice(extension.as_bytes());
        return short;
    }
    let numbered = |n: usize| {
        let tail = format!("~{n}");
        together(&[letters(base, 8 - tail.len()), tail.into_bytes()].concat())
    };
    let mut free = (1..1_000_000).map(numbered).filter(|short| !taken.contains(short));
    free.next().unwrap_or([b'_'; 11])
}

/// The entries of a long name, last part first, tied to the short one by its sum.
fn long(name: &str, short: &[u8; 11]) -> Vec<u8> {
    let sum = short.iter().fold(0_u8, |sum, &c| sum.rotate_right(1).wrapping_add(c));
    let units: Vec<u16> = name.encode_utf16().collect();
    let count = units.len().div_ceil(LETTERS.len());
    let mut all = Vec::new();
    for part in (0..count).rev() {
        let mut entry = [0; ENTRY];
        entry[0] = part as u8 + 1 + if part + 1 == count { 0x40 } else { 0 };
        (entry[11], entry[13]) = (IS_LONG_NAME, sum);
        for (i, at) in LETTERS.into_iter().enumerate() {
            // A zero ends the name, ones fill the rest.
            let index = part * LETTERS.len() + i;
            let end = if index == units.len() { 0 } else { 0xFFFF };
            LittleEndian::write_u16(&mut entry[at..], units.get(index).copied().unwrap_or(end));
        }
        all.extend(entry);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shortened_apart() {
        let none = &[][..];
        assert_eq!(&short("kernel8.img", none), b"KERNEL8 IMG");
        assert_eq!(&short("LICENCE", none), b"LICENCE    ");
        assert_eq!(&short("bcm2711-rpi-4-b.dtb", none), b"BCM271~1DTB");
        assert_eq!(&short("bcm2711-rpi-400.dtb", &[*b"BCM271~1DTB"]), b"BCM271~2DTB");
        assert_eq!(&short("start4.elf", none), b"START4  ELF");
        assert_eq!([case("start4.elf"), case("LICENCE"), case("README.txt")], [0x18, 0, 0x10]);
        assert!(!is_short("ReadMe.txt") && case("bcm2711-rpi-400.dtb") == 0);
    }

    #[test]
    fn long_names_come_before_short_ones() {
        let folder = entries(b"LABEL      ", &["bcm2711-rpi-4-b.dtb"], &mut |_| (0x1_0002, 7));
        assert_eq!(folder.len(), 4 * ENTRY);
        let (second, first, file) = (&folder[32..64], &folder[64..96], &folder[96..]);
        assert_eq!((second[0], first[0], first[11]), (0x42, 1, IS_LONG_NAME));
        assert_eq!(&first[1..11], b"b\0c\0m\x002\x007\0");
        assert_eq!(&second[10..16], &[0, IS_LONG_NAME, 0, first[13], b'b', 0][..]);
        assert_eq!((file[20], file[26], file[28]), (1, 2, 7));
    }
}
