//! DIMSE status codes (PS3.7 annex C, PS3.4 B.2.3): what we say, and how what we hear is to be taken.

/// A status (0000,0900).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Status(pub u16);

impl Status {
    /// Done, and durably so.
    pub const SUCCESS: Self = Self(0x0000);
    /// Something unforeseen on our side.
    pub const PROCESSING_FAILURE: Self = Self(0x0110);
    /// The UID is taken by other content: the object was kept aside as a conflict and success is not claimed.
    pub const DUPLICATE_SOP_INSTANCE: Self = Self(0x0111);
    /// No such object instance.
    pub const NO_SUCH_OBJECT_INSTANCE: Self = Self(0x0112);
    /// No such event type.
    pub const NO_SUCH_EVENT_TYPE: Self = Self(0x0113);
    /// An argument of a request is not valid.
    pub const INVALID_ARGUMENT_VALUE: Self = Self(0x0115);
    /// The SOP class is not one that can be stored.
    pub const SOP_CLASS_NOT_SUPPORTED: Self = Self(0x0122);
    /// No such SOP class.
    pub const NO_SUCH_SOP_CLASS: Self = Self(0x0118);
    /// No such action type.
    pub const NO_SUCH_ACTION: Self = Self(0x0123);
    /// The peer may not do this.
    pub const NOT_AUTHORISED: Self = Self(0x0124);
    /// A message with this Message ID is still being worked on.
    pub const DUPLICATE_INVOCATION: Self = Self(0x0210);
    /// An operation that this node does not offer.
    pub const UNRECOGNISED_OPERATION: Self = Self(0x0211);
    /// Too much is waiting.
    pub const RESOURCE_LIMITATION: Self = Self(0x0213);
    /// No room: less than the reserve is free, or the disk is full.
    pub const OUT_OF_RESOURCES: Self = Self(0xA700);
    /// The data set names another SOP class or instance than the command.
    pub const DATA_SET_MISMATCH: Self = Self(0xA900);
    /// The data set cannot be read, or lacks a UID, or one is malformed.
    pub const CANNOT_UNDERSTAND: Self = Self(0xC000);
    /// Sub-operations or matches go on.
    pub const PENDING: Self = Self(0xFF00);
    /// The operation was cancelled.
    pub const CANCEL: Self = Self(0xFE00);

    /// How a status is to be taken.
    #[must_use]
    pub const fn class(self) -> StatusClass {
        match self.0 {
            0x0000 => StatusClass::Success,
            0x0001 | 0x0107 | 0x0116 | 0xB000..=0xBFFF => StatusClass::Warning,
            0xFE00 => StatusClass::Cancel,
            0xFF00 | 0xFF01 => StatusClass::Pending,
            _ => StatusClass::Failure,
        }
    }

    /// Whether a failed C-STORE may go better later without any change to the object: the peer was out of resources,
    /// or failed in a way that it does not explain.
    #[must_use]
    pub const fn may_pass_later(self) -> bool {
        matches!(self.0, 0xA700..=0xA7FF | 0x0110 | 0x0124 | 0x0210 | 0x0213)
    }
}

/// What a C-STORE request may be answered with, and when.
pub const STORE_STATUSES: &[(Status, &str)] = &[
    (
        Status::SUCCESS,
        "stored and durable; or there already in this or another encoding; or rejected before and kept aside",
    ),
    (Status::OUT_OF_RESOURCES, "less than the reserve is free, or too much waits to be grouped: try again"),
    (Status::DATA_SET_MISMATCH, "the data set names another SOP class or instance than the command"),
    (Status::CANNOT_UNDERSTAND, "the data set cannot be read, or a UID is absent or malformed"),
    (Status::DUPLICATE_SOP_INSTANCE, "other content is stored under this UID: the newcomer is kept aside"),
    (Status::PROCESSING_FAILURE, "the disk refused: try again"),
    (Status::SOP_CLASS_NOT_SUPPORTED, "the SOP class is not that of the presentation context"),
    (Status::NOT_AUTHORISED, "the peer was taken from the configuration meanwhile"),
    (Status::DUPLICATE_INVOCATION, "a message with this Message ID is still being worked on"),
];

/// The classes of PS3.7 annex C.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusClass {
    /// Done.
    Success,
    /// Done, with a remark.
    Warning,
    /// Not done.
    Failure,
    /// Stopped on request.
    Cancel,
    /// More is to come.
    Pending,
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04X}H", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_warnings_are_success_with_a_note_and_everything_unknown_is_failure() {
        for warning in [0xB000, 0xB006, 0xB007, 0x0107] {
            assert_eq!(Status(warning).class(), StatusClass::Warning);
        }
        for failure in [0xA700, 0xA900, 0xC000, 0xCFFF, 0x0110, 0x0111, 0x0122, 0x0124, 0x0211, 0x1234] {
            assert_eq!(Status(failure).class(), StatusClass::Failure);
        }
        assert!(Status(0xA701).may_pass_later());
        assert!(!Status::DATA_SET_MISMATCH.may_pass_later());
    }
}
