//! Preamble, prefix and file meta information (PS3.10 7.1) of a received object, in explicit VR little endian.

use super::negotiate::Context;
use crate::dicom::uid::Uid;
use crate::dicom::write::{IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME};
use crate::net::AeTitle;

/// What stands before the data set in its file.
///
/// Source Application Entity Title (0002,0016) is the sender's, so that the index can be rebuilt from the files.
#[must_use]
pub fn file_meta(context: &Context, sop_class: &Uid, sop_instance: &Uid, sender: &AeTitle) -> Vec<u8> {
    let mut group = Vec::new();
    // File Meta Information Version: OB has a 32-bit length.
    group.extend_from_slice(&[0x02, 0, 0x01, 0, b'O', b'B', 0, 0, 2, 0, 0, 0, 0, 1]);
    put(&mut group, 0x0002, b"UI", sop_class.as_str());
    put(&mut group, 0x0003, b"UI", sop_instance.as_str());
    put(&mut group, 0x0010, b"UI", context.transfer_syntax.as_str());
    put(&mut group, 0x0012, b"UI", IMPLEMENTATION_CLASS_UID);
    put(&mut group, 0x0013, b"SH", IMPLEMENTATION_VERSION_NAME);
    put(&mut group, 0x0016, b"AE", sender.as_str());
    let mut bytes = vec![0; 128];
    bytes.extend_from_slice(b"DICM");
    bytes.extend_from_slice(&[0x02, 0, 0x00, 0, b'U', b'L', 4, 0]);
    bytes.extend_from_slice(&u32::try_from(group.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(&group);
    bytes
}

/// A short text element of group 0002, padded to an even length. No value here has more than 64 characters.
fn put(group: &mut Vec<u8>, number: u16, vr: &[u8; 2], text: &str) {
    let padding = (text.len() % 2 == 1).then_some(if vr == b"UI" { 0 } else { b' ' });
    let length = u16::try_from(text.len() + usize::from(padding.is_some())).unwrap_or(u16::MAX);
    group.extend_from_slice(&[0x02, 0]);
    group.extend_from_slice(&number.to_le_bytes());
    group.extend_from_slice(vr);
    group.extend_from_slice(&length.to_le_bytes());
    group.extend_from_slice(text.as_bytes());
    group.extend(padding);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::receive::negotiate::Service;
    use dicom_object::FileMetaTable;

    #[test]
    fn another_reader_finds_in_the_file_meta_information_what_was_received() {
        let uid = |text| Uid::parse(text).unwrap();
        let context = Context {
            service: Service::Storage,
            abstract_syntax: uid("1.2.840.10008.5.1.4.1.1.2"),
            transfer_syntax: uid("1.2.840.10008.1.2.4.90"),
        };
        let bytes = file_meta(&context, &context.abstract_syntax, &uid("1.2.345"), &AeTitle::parse("CT1").unwrap());
        assert_eq!(bytes.len() % 2, 0);
        let meta = FileMetaTable::from_reader(&bytes[128..]).unwrap();
        assert_eq!(meta.media_storage_sop_class_uid(), "1.2.840.10008.5.1.4.1.1.2");
        assert_eq!(meta.media_storage_sop_instance_uid(), "1.2.345");
        assert_eq!(meta.transfer_syntax(), "1.2.840.10008.1.2.4.90");
        assert_eq!(meta.source_application_entity_title.as_deref().map(str::trim), Some("CT1"));
        assert_eq!(usize::try_from(meta.information_group_length).unwrap(), bytes.len() - 132 - 12);
    }
}
