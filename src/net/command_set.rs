//! Command sets (PS3.7 6.3.1): group 0000 in implicit VR little endian, read and written by ourselves.
//!
//! A command set is a handful of short elements. Whatever comes is bounded by [`COMMAND_SET_BYTES_MAX`] before it gets
//! here, every length is checked against what is left, and nothing is allocated from a length that was only promised.

use std::collections::BTreeMap;

/// The largest command set that is taken. A real one has some 200 bytes; the largest legal ones (a C-STORE-RSP with an
/// offending element list) stay far below.
pub const COMMAND_SET_BYTES_MAX: usize = 64 * 1024;

/// The elements of group 0000 that are used here (PS3.7 E.1).
pub mod element {
    #![allow(missing_docs)] // Names are the keywords of PS3.7 table E.1-1.
    pub const COMMAND_GROUP_LENGTH: u16 = 0x0000;
    pub const AFFECTED_SOP_CLASS_UID: u16 = 0x0002;
    pub const REQUESTED_SOP_CLASS_UID: u16 = 0x0003;
    pub const COMMAND_FIELD: u16 = 0x0100;
    pub const MESSAGE_ID: u16 = 0x0110;
    pub const MESSAGE_ID_BEING_RESPONDED_TO: u16 = 0x0120;
    pub const MOVE_DESTINATION: u16 = 0x0600;
    pub const PRIORITY: u16 = 0x0700;
    pub const COMMAND_DATA_SET_TYPE: u16 = 0x0800;
    pub const STATUS: u16 = 0x0900;
    pub const ERROR_COMMENT: u16 = 0x0902;
    pub const AFFECTED_SOP_INSTANCE_UID: u16 = 0x1000;
    pub const REQUESTED_SOP_INSTANCE_UID: u16 = 0x1001;
    pub const EVENT_TYPE_ID: u16 = 0x1002;
    pub const ACTION_TYPE_ID: u16 = 0x1008;
    pub const NUMBER_OF_REMAINING_SUBOPERATIONS: u16 = 0x1020;
    pub const NUMBER_OF_COMPLETED_SUBOPERATIONS: u16 = 0x1021;
    pub const NUMBER_OF_FAILED_SUBOPERATIONS: u16 = 0x1022;
    pub const NUMBER_OF_WARNING_SUBOPERATIONS: u16 = 0x1023;
    pub const MOVE_ORIGINATOR_AE_TITLE: u16 = 0x1030;
    pub const MOVE_ORIGINATOR_MESSAGE_ID: u16 = 0x1031;
}

/// Command Data Set Type (0000,0800): no data set follows.
pub const NO_DATA_SET: u16 = 0x0101;

/// Why bytes are no command set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandSetError {
    /// Larger than any command set can be.
    #[error("the command set has {0} bytes or more, at most {COMMAND_SET_BYTES_MAX} are taken")]
    TooLarge(usize),
    /// The bytes end in the middle of an element.
    #[error("the command set ends within an element at byte {0}")]
    Truncated(usize),
    /// An element of another group.
    #[error("the command set holds an element of group {0:04X}, expected only group 0000")]
    ForeignGroup(u16),
    /// An element twice.
    #[error("the command set holds element (0000,{0:04X}) twice")]
    Repeated(u16),
    /// An element that must be there.
    #[error("the command set lacks element (0000,{0:04X})")]
    Missing(u16),
    /// An element whose value has the wrong size or characters.
    #[error("element (0000,{0:04X}) of the command set has a value of the wrong form")]
    Malformed(u16),
}

/// The elements of one command, by element number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandSet(BTreeMap<u16, Vec<u8>>);

impl CommandSet {
    /// Reads a whole command set.
    ///
    /// Elements may come in any order and the group length is not believed: both are wrong in the field and neither
    /// changes the meaning. Two values for one element do, and are refused.
    ///
    /// # Errors
    /// When the bytes are too many, end within an element, hold other groups or an element twice.
    pub fn decode(bytes: &[u8]) -> Result<Self, CommandSetError> {
        if COMMAND_SET_BYTES_MAX < bytes.len() {
            return Err(CommandSetError::TooLarge(bytes.len()));
        }
        let mut elements = BTreeMap::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let at = bytes.len() - rest.len();
            let (header, after) = rest.split_first_chunk::<8>().ok_or(CommandSetError::Truncated(at))?;
            let [g0, g1, e0, e1, l0, l1, l2, l3] = *header;
            let group = u16::from_le_bytes([g0, g1]);
            if group != 0 {
                return Err(CommandSetError::ForeignGroup(group));
            }
            let number = u16::from_le_bytes([e0, e1]);
            let length = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
            let (value, after) = after.split_at_checked(length).ok_or(CommandSetError::Truncated(at))?;
            if elements.insert(number, value.to_vec()).is_some() {
                return Err(CommandSetError::Repeated(number));
            }
            rest = after;
        }
        Ok(Self(elements))
    }

    /// The bytes of the command set, its group length first.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for (number, value) in self.0.iter().filter(|(number, _)| **number != element::COMMAND_GROUP_LENGTH) {
            put_element(&mut body, *number, value);
        }
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        let mut bytes = Vec::new();
        put_element(&mut bytes, element::COMMAND_GROUP_LENGTH, &length.to_le_bytes());
        bytes.extend_from_slice(&body);
        bytes
    }

    /// Sets a number.
    #[must_use]
    pub fn with_us(mut self, number: u16, value: u16) -> Self {
        self.0.insert(number, value.to_le_bytes().to_vec());
        self
    }

    /// Sets a UID, padded with NUL to an even length.
    #[must_use]
    pub fn with_uid(self, number: u16, uid: &str) -> Self {
        self.with_padded(number, uid, 0)
    }

    /// Sets a text (AE, LO), padded with a space to an even length.
    #[must_use]
    pub fn with_text(self, number: u16, text: &str) -> Self {
        self.with_padded(number, text, b' ')
    }

    fn with_padded(mut self, number: u16, text: &str, padding: u8) -> Self {
        let mut value = text.as_bytes().to_vec();
        if value.len() % 2 == 1 {
            value.push(padding);
        }
        self.0.insert(number, value);
        self
    }

    /// A number that may be absent.
    ///
    /// # Errors
    /// When it is there and has not two bytes.
    pub fn us(&self, number: u16) -> Result<Option<u16>, CommandSetError> {
        let Some(value) = self.0.get(&number) else { return Ok(None) };
        let value = <[u8; 2]>::try_from(value.as_slice()).map_err(|_| CommandSetError::Malformed(number))?;
        Ok(Some(u16::from_le_bytes(value)))
    }

    /// A number that must be there.
    ///
    /// # Errors
    /// When it is absent or has not two bytes.
    pub fn required_us(&self, number: u16) -> Result<u16, CommandSetError> {
        self.us(number)?.ok_or(CommandSetError::Missing(number))
    }

    /// A text (UI, AE, LO) without its padding, as it came: whether it is a UID is for the caller to say. Absent,
    /// empty and non-ASCII values are `None`: nothing can be done with them, and an answer is better than an abort.
    #[must_use]
    pub fn text(&self, number: u16) -> Option<String> {
        let text = std::str::from_utf8(self.0.get(&number)?).ok()?;
        let text = text.trim_matches([' ', '\0']);
        (!text.is_empty() && text.bytes().all(|byte| (0x20..0x7F).contains(&byte))).then(|| text.to_owned())
    }
}

fn put_element(bytes: &mut Vec<u8>, number: u16, value: &[u8]) {
    bytes.extend_from_slice(&[0, 0]);
    bytes.extend_from_slice(&number.to_le_bytes());
    // Every value here is far shorter than 4 GiB: it came through `decode` or is a UID or a comment.
    bytes.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_group_length_counts_what_follows_it() {
        let bytes = CommandSet::default().with_us(element::COMMAND_FIELD, 0x0030).encode();
        assert_eq!(bytes.len(), 12 + 10);
        assert_eq!(&bytes[..12], &[0, 0, 0, 0, 4, 0, 0, 0, 10, 0, 0, 0]);
    }

    #[test]
    fn a_length_that_promises_more_than_there_is_allocates_nothing() {
        let bytes = [0, 0, 2, 0, 0xF0, 0xFF, 0xFF, 0xFF, b'1'];
        assert_eq!(CommandSet::decode(&bytes), Err(CommandSetError::Truncated(0)));
        assert_eq!(CommandSet::decode(&[0; 70_000]), Err(CommandSetError::TooLarge(70_000)));
        assert_eq!(CommandSet::decode(&[8, 0, 2, 0, 0, 0, 0, 0]), Err(CommandSetError::ForeignGroup(8)));
    }

    #[test]
    fn an_element_that_comes_twice_is_refused() {
        let once = CommandSet::default().with_us(element::MESSAGE_ID, 7).encode();
        let twice = [once.as_slice(), &once[12..]].concat();
        assert_eq!(CommandSet::decode(&twice), Err(CommandSetError::Repeated(element::MESSAGE_ID)));
    }

    #[test]
    fn a_number_of_the_wrong_size_is_malformed_not_zero() {
        let mut bytes = CommandSet::default().encode();
        bytes.extend_from_slice(&[0, 0, 0x10, 0x01, 1, 0, 0, 0, 9]);
        let set = CommandSet::decode(&bytes).unwrap();
        assert_eq!(set.us(element::MESSAGE_ID), Err(CommandSetError::Malformed(element::MESSAGE_ID)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(set) = CommandSet::decode(&bytes) {
                let again = CommandSet::decode(&set.encode()).unwrap();
                for number in [element::COMMAND_FIELD, element::MESSAGE_ID] {
                    prop_assert_eq!(again.us(number), set.us(number));
                }
            }
        }

        #[test]
        fn what_is_encoded_is_decoded(id: u16, status: u16, uid in "[0-9.]{1,64}", comment in "[ -~]{1,64}") {
            let set = CommandSet::default()
                .with_us(element::MESSAGE_ID, id)
                .with_us(element::STATUS, status)
                .with_uid(element::AFFECTED_SOP_CLASS_UID, &uid)
                .with_text(element::ERROR_COMMENT, &comment);
            let bytes = set.encode();
            prop_assert_eq!(bytes.len() % 2, 0);
            let decoded = CommandSet::decode(&bytes).unwrap();
            prop_assert_eq!(decoded.required_us(element::MESSAGE_ID).unwrap(), id);
            prop_assert_eq!(decoded.required_us(element::STATUS).unwrap(), status);
            prop_assert_eq!(decoded.text(element::AFFECTED_SOP_CLASS_UID), Some(uid));
            let comment = comment.trim_matches(' ');
            prop_assert_eq!(decoded.text(element::ERROR_COMMENT).unwrap_or_default(), comment);
        }
    }
}
