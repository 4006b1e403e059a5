//! As much of the Part-10 format (PS3.10 7.1) as is needed to find where a stored file's data set begins and who sent
//! it. Files here were written by this program, but a disk may have changed them since: every length is checked.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// What the file meta information says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Meta {
    /// Where the data set begins.
    pub(super) data_set_offset: u64,
    /// Source Application Entity Title (0002,0016), trimmed; empty where absent.
    pub(super) calling_ae: String,
}

/// Preamble and prefix.
const PREFIX_BYTES: usize = 132;
/// (0002,0000) with its value.
const GROUP_LENGTH_BYTES: usize = 12;
/// File meta information is a few hundred bytes; anything near this is no file of ours.
const META_BYTES_MAX: usize = 64 << 10;

/// Reads the file meta information of a stored file; nothing where it has none.
pub(super) fn read_meta(path: &Path) -> std::io::Result<Option<Meta>> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut head = [0; PREFIX_BYTES + GROUP_LENGTH_BYTES];
    match reader.read_exact(&mut head) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let Some(length) = group_length(&head) else { return Ok(None) };
    let mut group = vec![0; length];
    match reader.read_exact(&mut group) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let data_set_offset = (head.len() + length) as u64;
    Ok(Some(Meta { data_set_offset, calling_ae: source_ae(&group) }))
}

fn group_length(head: &[u8]) -> Option<usize> {
    let element = head.get(128..)?.strip_prefix(b"DICM\x02\x00\x00\x00UL\x04\x00")?;
    let length = u32::from_le_bytes(element.try_into().ok()?);
    usize::try_from(length).ok().filter(|length| *length <= META_BYTES_MAX)
}

/// Walks the explicit VR little endian elements of group 2.
fn source_ae(mut group: &[u8]) -> String {
    while let Some((element, value, rest)) = next_element(group) {
        if element == 0x0016 {
            return String::from_utf8_lossy(value).trim_matches([' ', '\0']).to_owned();
        }
        group = rest;
    }
    String::new()
}

fn next_element(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let element = u16::from_le_bytes(bytes.get(2..4)?.try_into().ok()?);
    let long = matches!(bytes.get(4..6)?, b"OB" | b"OW" | b"UN" | b"UT" | b"SQ" | b"OF" | b"UC" | b"UR");
    let (length, start) = if long {
        (usize::try_from(u32::from_le_bytes(bytes.get(8..12)?.try_into().ok()?)).ok()?, 12)
    } else {
        (usize::from(u16::from_le_bytes(bytes.get(6..8)?.try_into().ok()?)), 8)
    };
    let end = length.checked_add(start)?;
    Some((element, bytes.get(start..end)?, bytes.get(end..)?))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Preamble, prefix and file meta information, enough for this module.
    pub(in crate::store) fn meta_bytes(calling_ae: &str) -> Vec<u8> {
        let mut group = vec![2, 0, 1, 0, b'O', b'B', 0, 0, 2, 0, 0, 0, 0, 1];
        let mut ae = calling_ae.as_bytes().to_vec();
        if ae.len() % 2 == 1 {
            ae.push(b' ');
        }
        group.extend([2, 0, 0x16, 0, b'A', b'E']);
        group.extend(u16::try_from(ae.len()).unwrap().to_le_bytes());
        group.extend(ae);
        let mut bytes = vec![0; 128];
        bytes.extend(b"DICM\x02\x00\x00\x00UL\x04\x00");
        bytes.extend(u32::try_from(group.len()).unwrap().to_le_bytes());
        bytes.extend(group);
        bytes
    }

    #[test]
    fn the_sender_and_the_start_of_the_data_set_are_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        let meta = meta_bytes("SCANNER");
        std::fs::write(&path, [meta.as_slice(), b"data"].concat()).unwrap();
        let read = read_meta(&path).unwrap().unwrap();
        assert_eq!(read, Meta { data_set_offset: meta.len() as u64, calling_ae: "SCANNER".to_owned() });
    }

    #[test]
    fn a_file_cut_anywhere_in_its_meta_information_has_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        let meta = meta_bytes("A");
        for end in 0..meta.len() {
            std::fs::write(&path, &meta[..end]).unwrap();
            assert_eq!(read_meta(&path).unwrap(), None, "cut at {end}");
        }
    }
}
