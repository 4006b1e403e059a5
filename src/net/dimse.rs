//! DIMSE messages (PS3.7 chapters 9, 10 and annex E) as types.
//!
//! Decoding asks of a command only what is needed to answer it: its Command Field and Message ID. What else a request
//! lacks is left to its handler, which can then say so by a status instead of dropping the association.

use super::command_set::{CommandSet, CommandSetError, NO_DATA_SET, element};
use super::status::Status;

/// A command with what follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The command.
    pub command: Command,
    /// Whether a data set follows.
    pub has_data_set: bool,
}

/// The commands of PS3.7 that this node sends or answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// C-STORE-RQ (9.3.1.1).
    StoreRq(StoreRq),
    /// C-STORE-RSP (9.3.1.2).
    StoreRsp(Response),
    /// C-ECHO-RQ (9.3.5.1).
    EchoRq {
        /// Message ID (0000,0110).
        message_id: u16,
        /// Affected SOP Class UID (0000,0002), as it came.
        sop_class: Option<String>,
    },
    /// C-ECHO-RSP (9.3.5.2).
    EchoRsp(Response),
    /// C-FIND-RQ (9.3.2.1).
    FindRq {
        /// Message ID (0000,0110).
        message_id: u16,
        /// Affected SOP Class UID (0000,0002).
        sop_class: Option<String>,
    },
    /// C-FIND-RSP (9.3.2.2).
    FindRsp(Response),
    /// C-MOVE-RQ (9.3.4.1).
    MoveRq {
        /// Message ID (0000,0110).
        message_id: u16,
        /// Affected SOP Class UID (0000,0002).
        sop_class: Option<String>,
        /// Move Destination (0000,0600).
        destination: Option<String>,
    },
    /// C-MOVE-RSP (9.3.4.2).
    MoveRsp(Response, SubOperations),
    /// C-CANCEL-RQ (9.3.2.3, 9.3.4.3): it is never answered.
    CancelRq {
        /// Message ID Being Responded To (0000,0120).
        responded_to: u16,
    },
    /// N-EVENT-REPORT-RQ (10.3.1.1).
    EventReportRq(NotificationRq),
    /// N-EVENT-REPORT-RSP (10.3.1.2).
    EventReportRsp(Response, Option<u16>),
    /// N-ACTION-RQ (10.3.4.1).
    ActionRq(NotificationRq),
    /// N-ACTION-RSP (10.3.4.2).
    ActionRsp(Response, Option<u16>),
    /// A request that this node does not know: it can still be refused in its own terms.
    OtherRq {
        /// Command Field (0000,0100).
        command_field: u16,
        /// Message ID (0000,0110).
        message_id: u16,
        /// Affected SOP Class UID (0000,0002).
        sop_class: Option<String>,
    },
    /// A response that this node does not know.
    OtherRsp {
        /// Command Field (0000,0100).
        command_field: u16,
        /// What every response has.
        response: Response,
    },
}

/// A C-STORE request. UIDs are as they came, unchecked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreRq {
    /// Message ID (0000,0110).
    pub message_id: u16,
    /// Affected SOP Class UID (0000,0002).
    pub sop_class: Option<String>,
    /// Affected SOP Instance UID (0000,1000).
    pub sop_instance: Option<String>,
    /// Move Originator AE title and Message ID (0000,1030), (0000,1031): this store serves a C-MOVE.
    pub move_originator: Option<(String, u16)>,
}

/// An N-ACTION or N-EVENT-REPORT request. UIDs are as they came, unchecked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NotificationRq {
    /// Message ID (0000,0110).
    pub message_id: u16,
    /// Requested (N-ACTION) or Affected (N-EVENT-REPORT) SOP Class UID.
    pub sop_class: Option<String>,
    /// Requested or Affected SOP Instance UID.
    pub sop_instance: Option<String>,
    /// Action Type ID (0000,1008) or Event Type ID (0000,1002).
    pub type_id: Option<u16>,
}

/// What every response has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Message ID Being Responded To (0000,0120).
    pub responded_to: u16,
    /// Status (0000,0900).
    pub status: Status,
    /// Affected SOP Class UID (0000,0002).
    pub sop_class: Option<String>,
    /// Affected SOP Instance UID (0000,1000).
    pub sop_instance: Option<String>,
    /// Error Comment (0000,0902), at most 64 characters are sent; never patient data.
    pub comment: Option<String>,
}

/// The counts of a C-MOVE-RSP; absent ones are `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SubOperations {
    /// (0000,1020)
    pub n_remaining: Option<u16>,
    /// (0000,1021)
    pub n_completed: Option<u16>,
    /// (0000,1022)
    pub n_failed: Option<u16>,
    /// (0000,1023)
    pub n_warning: Option<u16>,
}

/// Command Field (0000,0100) values (PS3.7 table E.1-1).
pub mod field {
    #![allow(missing_docs)] // Names are those of the standard.
    pub const C_STORE_RQ: u16 = 0x0001;
    pub const C_GET_RQ: u16 = 0x0010;
    pub const C_FIND_RQ: u16 = 0x0020;
    pub const C_MOVE_RQ: u16 = 0x0021;
    pub const C_ECHO_RQ: u16 = 0x0030;
    pub const N_EVENT_REPORT_RQ: u16 = 0x0100;
    pub const N_ACTION_RQ: u16 = 0x0130;
    pub const C_CANCEL_RQ: u16 = 0x0FFF;
    /// Set in every response.
    pub const RESPONSE: u16 = 0x8000;
}

impl Response {
    /// A response with no more than its status.
    #[must_use]
    pub fn new(responded_to: u16, status: Status) -> Self {
        Self { responded_to, status, sop_class: None, sop_instance: None, comment: None }
    }

    /// With the class and instance of the request repeated.
    #[must_use]
    pub fn about(mut self, sop_class: Option<&str>, sop_instance: Option<&str>) -> Self {
        self.sop_class = sop_class.map(str::to_owned);
        self.sop_instance = sop_instance.map(str::to_owned);
        self
    }

    /// With a comment on the error.
    #[must_use]
    pub fn with_comment(mut self, comment: impl Into<String>) -> Self {
        self.comment = Some(comment.into());
        self
    }

    fn decode(set: &CommandSet) -> Result<Self, CommandSetError> {
        Ok(Self {
            responded_to: set.required_us(element::MESSAGE_ID_BEING_RESPONDED_TO)?,
            status: Status(set.required_us(element::STATUS)?),
            sop_class: set.text(element::AFFECTED_SOP_CLASS_UID),
            sop_instance: set.text(element::AFFECTED_SOP_INSTANCE_UID),
            comment: set.text(element::ERROR_COMMENT),
        })
    }

    fn put(&self, set: CommandSet) -> CommandSet {
        let set = set.with_us(element::MESSAGE_ID_BEING_RESPONDED_TO, self.responded_to);
        let set = set.with_us(element::STATUS, self.status.0);
        let set = with_uid(set, element::AFFECTED_SOP_CLASS_UID, self.sop_class.as_deref());
        let set = with_uid(set, element::AFFECTED_SOP_INSTANCE_UID, self.sop_instance.as_deref());
        match &self.comment {
            // LO: 64 characters. Comments are ours and plain ASCII.
            Some(comment) => set.with_text(element::ERROR_COMMENT, &comment.chars().take(64).collect::<String>()),
            None => set,
        }
    }
}

/// A text longer than a UID can be is not repeated: the answer would be as illegal as the question.
fn with_uid(set: CommandSet, number: u16, uid: Option<&str>) -> CommandSet {
    match uid {
        Some(uid) if uid.len() <= 64 => set.with_uid(number, uid),
        _ => set,
    }
}

impl Message {
    /// Reads a message's command set.
    ///
    /// # Errors
    /// When the bytes are no command set, or lack what is needed to answer: Command Field, and Message ID or, in a
    /// response, Message ID Being Responded To and Status.
    pub fn decode(bytes: &[u8]) -> Result<Self, CommandSetError> {
        let set = CommandSet::decode(bytes)?;
        let command_field = set.required_us(element::COMMAND_FIELD)?;
        let has_data_set = set.required_us(element::COMMAND_DATA_SET_TYPE)? != NO_DATA_SET;
        let command = if command_field == field::C_CANCEL_RQ {
            Command::CancelRq { responded_to: set.required_us(element::MESSAGE_ID_BEING_RESPONDED_TO)? }
        } else if command_field & field::RESPONSE == 0 {
            request(&set, command_field)?
        } else {
            response(&set, command_field)?
        };
        Ok(Self { command, has_data_set })
    }

    /// The bytes of the command set.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let set = CommandSet::default();
        let set = match &self.command {
            Command::StoreRq(rq) => put_store(set, rq),
            Command::EchoRq { message_id, sop_class } | Command::FindRq { message_id, sop_class } => {
                let set = set.with_us(element::MESSAGE_ID, *message_id);
                with_uid(set, element::AFFECTED_SOP_CLASS_UID, sop_class.as_deref())
            }
            Command::OtherRq { message_id, sop_class, .. } => {
                let set = set.with_us(element::MESSAGE_ID, *message_id);
                with_uid(set, element::AFFECTED_SOP_CLASS_UID, sop_class.as_deref())
            }
            Command::MoveRq { message_id, sop_class, destination } => {
                let set = set.with_us(element::MESSAGE_ID, *message_id).with_us(element::PRIORITY, 0);
                let set = with_uid(set, element::AFFECTED_SOP_CLASS_UID, sop_class.as_deref());
                match destination {
                    Some(title) => set.with_text(element::MOVE_DESTINATION, title),
                    None => set,
                }
            }
            Command::CancelRq { responded_to } => set.with_us(element::MESSAGE_ID_BEING_RESPONDED_TO, *responded_to),
            Command::StoreRsp(r) | Command::EchoRsp(r) | Command::FindRsp(r) => r.put(set),
            Command::OtherRsp { response, .. } => response.put(set),
            Command::MoveRsp(response, counts) => put_counts(response.put(set), *counts),
            Command::EventReportRq(rq) => put_event(set, rq),
            Command::ActionRq(rq) => put_action(set, rq),
            Command::EventReportRsp(response, event) => put_type(response.put(set), element::EVENT_TYPE_ID, *event),
            Command::ActionRsp(response, action) => put_type(response.put(set), element::ACTION_TYPE_ID, *action),
        };
        let set = match self.command {
            // PS3.7 9.3.2.1: Priority is required.
            Command::FindRq { .. } => set.with_us(element::PRIORITY, 0),
            _ => set,
        };
        // Any other value than 0101H says that a data set follows.
        let data_set_type = if self.has_data_set { 0x0000 } else { NO_DATA_SET };
        set.with_us(element::COMMAND_FIELD, self.command.field())
            .with_us(element::COMMAND_DATA_SET_TYPE, data_set_type)
            .encode()
    }
}

impl Command {
    /// Command Field (0000,0100).
    #[must_use]
    pub const fn field(&self) -> u16 {
        match self {
            Self::StoreRq(_) => field::C_STORE_RQ,
            Self::StoreRsp(_) => field::C_STORE_RQ | field::RESPONSE,
            Self::EchoRq { .. } => field::C_ECHO_RQ,
            Self::EchoRsp(_) => field::C_ECHO_RQ | field::RESPONSE,
            Self::FindRq { .. } => field::C_FIND_RQ,
            Self::FindRsp(_) => field::C_FIND_RQ | field::RESPONSE,
            Self::MoveRq { .. } => field::C_MOVE_RQ,
            Self::MoveRsp(..) => field::C_MOVE_RQ | field::RESPONSE,
            Self::CancelRq { .. } => field::C_CANCEL_RQ,
            Self::EventReportRq(_) => field::N_EVENT_REPORT_RQ,
            Self::EventReportRsp(..) => field::N_EVENT_REPORT_RQ | field::RESPONSE,
            Self::ActionRq(_) => field::N_ACTION_RQ,
            Self::ActionRsp(..) => field::N_ACTION_RQ | field::RESPONSE,
            Self::OtherRq { command_field, .. } | Self::OtherRsp { command_field, .. } => *command_field,
        }
    }

    /// This command with nothing after it.
    #[must_use]
    pub const fn alone(self) -> Message {
        Message { command: self, has_data_set: false }
    }

    /// This command with a data set after it.
    #[must_use]
    pub const fn with_data_set(self) -> Message {
        Message { command: self, has_data_set: true }
    }
}

fn request(set: &CommandSet, command_field: u16) -> Result<Command, CommandSetError> {
    let message_id = set.required_us(element::MESSAGE_ID)?;
    let sop_class = set.text(element::AFFECTED_SOP_CLASS_UID);
    Ok(match command_field {
        field::C_STORE_RQ => Command::StoreRq(StoreRq {
            message_id,
            sop_class,
            sop_instance: set.text(element::AFFECTED_SOP_INSTANCE_UID),
            move_originator: set
                .text(element::MOVE_ORIGINATOR_AE_TITLE)
                .zip(set.us(element::MOVE_ORIGINATOR_MESSAGE_ID).ok().flatten()),
        }),
        field::C_ECHO_RQ => Command::EchoRq { message_id, sop_class },
        field::C_FIND_RQ => Command::FindRq { message_id, sop_class },
        field::C_MOVE_RQ => Command::MoveRq { message_id, sop_class, destination: set.text(element::MOVE_DESTINATION) },
        field::N_EVENT_REPORT_RQ => Command::EventReportRq(NotificationRq {
            message_id,
            sop_class,
            sop_instance: set.text(element::AFFECTED_SOP_INSTANCE_UID),
            type_id: set.us(element::EVENT_TYPE_ID).ok().flatten(),
        }),
        field::N_ACTION_RQ => Command::ActionRq(NotificationRq {
            message_id,
            sop_class: set.text(element::REQUESTED_SOP_CLASS_UID),
            sop_instance: set.text(element::REQUESTED_SOP_INSTANCE_UID),
            type_id: set.us(element::ACTION_TYPE_ID).ok().flatten(),
        }),
        _ => Command::OtherRq { command_field, message_id, sop_class },
    })
}

fn response(set: &CommandSet, command_field: u16) -> Result<Command, CommandSetError> {
    let response = Response::decode(set)?;
    Ok(match command_field & !field::RESPONSE {
        field::C_STORE_RQ => Command::StoreRsp(response),
        field::C_ECHO_RQ => Command::EchoRsp(response),
        field::C_FIND_RQ => Command::FindRsp(response),
        field::C_MOVE_RQ => {
            let counts = SubOperations {
                n_remaining: set.us(element::NUMBER_OF_REMAINING_SUBOPERATIONS)?,
                n_completed: set.us(element::NUMBER_OF_COMPLETED_SUBOPERATIONS)?,
                n_failed: set.us(element::NUMBER_OF_FAILED_SUBOPERATIONS)?,
                n_warning: set.us(element::NUMBER_OF_WARNING_SUBOPERATIONS)?,
            };
            Command::MoveRsp(response, counts)
        }
        field::N_EVENT_REPORT_RQ => Command::EventReportRsp(response, set.us(element::EVENT_TYPE_ID)?),
        field::N_ACTION_RQ => Command::ActionRsp(response, set.us(element::ACTION_TYPE_ID)?),
        _ => Command::OtherRsp { command_field, response },
    })
}

fn put_store(set: CommandSet, rq: &StoreRq) -> CommandSet {
    let set = set.with_us(element::MESSAGE_ID, rq.message_id).with_us(element::PRIORITY, 0);
    let set = with_uid(set, element::AFFECTED_SOP_CLASS_UID, rq.sop_class.as_deref());
    let set = with_uid(set, element::AFFECTED_SOP_INSTANCE_UID, rq.sop_instance.as_deref());
    match &rq.move_originator {
        Some((title, id)) => {
            set.with_text(element::MOVE_ORIGINATOR_AE_TITLE, title).with_us(element::MOVE_ORIGINATOR_MESSAGE_ID, *id)
        }
        None => set,
    }
}

fn put_event(set: CommandSet, rq: &NotificationRq) -> CommandSet {
    let set = set.with_us(element::MESSAGE_ID, rq.message_id);
    let set = with_uid(set, element::AFFECTED_SOP_CLASS_UID, rq.sop_class.as_deref());
    let set = with_uid(set, element::AFFECTED_SOP_INSTANCE_UID, rq.sop_instance.as_deref());
    put_type(set, element::EVENT_TYPE_ID, rq.type_id)
}

fn put_action(set: CommandSet, rq: &NotificationRq) -> CommandSet {
    let set = set.with_us(element::MESSAGE_ID, rq.message_id);
    let set = with_uid(set, element::REQUESTED_SOP_CLASS_UID, rq.sop_class.as_deref());
    let set = with_uid(set, element::REQUESTED_SOP_INSTANCE_UID, rq.sop_instance.as_deref());
    put_type(set, element::ACTION_TYPE_ID, rq.type_id)
}

fn put_type(set: CommandSet, number: u16, value: Option<u16>) -> CommandSet {
    value.into_iter().fold(set, |set, value| set.with_us(number, value))
}

fn put_counts(set: CommandSet, counts: SubOperations) -> CommandSet {
    [
        (element::NUMBER_OF_REMAINING_SUBOPERATIONS, counts.n_remaining),
        (element::NUMBER_OF_COMPLETED_SUBOPERATIONS, counts.n_completed),
        (element::NUMBER_OF_FAILED_SUBOPERATIONS, counts.n_failed),
        (element::NUMBER_OF_WARNING_SUBOPERATIONS, counts.n_warning),
    ]
    .into_iter()
    .fold(set, |set, (number, value)| put_type(set, number, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ct() -> Option<String> {
        Some("1.2.840.10008.5.1.4.1.1.2".to_owned())
    }

    #[test]
    fn every_command_survives_its_encoding() {
        let response = Response::new(7, Status::OUT_OF_RESOURCES)
            .about(ct().as_deref(), Some("1.2.3"))
            .with_comment("out of space");
        let notification =
            NotificationRq { message_id: 3, sop_class: ct(), sop_instance: Some("1.2.3".into()), type_id: Some(1) };
        let store = StoreRq {
            message_id: 1,
            sop_class: ct(),
            sop_instance: Some("1.2.3.4".into()),
            move_originator: Some(("US".into(), 9)),
        };
        let counts = SubOperations { n_remaining: Some(1), n_completed: Some(2), n_failed: Some(0), n_warning: None };
        for command in [
            Command::StoreRq(store),
            Command::StoreRsp(response.clone()),
            Command::EchoRq { message_id: 65535, sop_class: ct() },
            Command::EchoRsp(response.clone()),
            Command::FindRq { message_id: 2, sop_class: ct() },
            Command::FindRsp(response.clone()),
            Command::MoveRq { message_id: 2, sop_class: ct(), destination: Some("US".into()) },
            Command::MoveRsp(response.clone(), counts),
            Command::CancelRq { responded_to: 2 },
            Command::EventReportRq(notification.clone()),
            Command::EventReportRsp(response.clone(), Some(1)),
            Command::ActionRq(notification),
            Command::ActionRsp(response.clone(), None),
            Command::OtherRq { command_field: field::C_GET_RQ, message_id: 5, sop_class: ct() },
            Command::OtherRsp { command_field: 0x8010, response },
        ] {
            for message in [command.clone().alone(), command.with_data_set()] {
                assert_eq!(Message::decode(&message.encode()).unwrap(), message);
            }
        }
    }

    #[test]
    fn a_store_request_is_the_bytes_of_the_standard() {
        let message = Command::EchoRq { message_id: 1, sop_class: Some("1.2.840.10008.1.1".into()) }.alone();
        let mut expected = vec![0, 0, 0, 0, 4, 0, 0, 0, 56, 0, 0, 0];
        expected.extend_from_slice(&[0, 0, 2, 0, 18, 0, 0, 0]);
        expected.extend_from_slice(b"1.2.840.10008.1.1\0");
        expected.extend_from_slice(&[0, 0, 0, 1, 2, 0, 0, 0, 0x30, 0]);
        expected.extend_from_slice(&[0, 0, 0x10, 1, 2, 0, 0, 0, 1, 0]);
        expected.extend_from_slice(&[0, 0, 0, 8, 2, 0, 0, 0, 1, 1]);
        assert_eq!(message.encode(), expected);
    }

    #[test]
    fn a_request_without_its_message_id_cannot_be_answered() {
        let set = CommandSet::default().with_us(element::COMMAND_FIELD, field::C_STORE_RQ);
        let set = set.with_us(element::COMMAND_DATA_SET_TYPE, 0);
        assert_eq!(Message::decode(&set.encode()), Err(CommandSetError::Missing(element::MESSAGE_ID)));
        let set = set.with_us(element::MESSAGE_ID, 4);
        let message = Message::decode(&set.encode()).unwrap();
        assert_eq!(message.command, Command::StoreRq(StoreRq { message_id: 4, ..StoreRq::default() }));
    }

    #[test]
    fn a_uid_of_65_characters_is_seen_but_not_repeated() {
        let long = format!("1.{}", "2".repeat(63));
        let set = CommandSet::default()
            .with_us(element::COMMAND_FIELD, field::C_STORE_RQ)
            .with_us(element::COMMAND_DATA_SET_TYPE, 0)
            .with_us(element::MESSAGE_ID, 4)
            .with_uid(element::AFFECTED_SOP_INSTANCE_UID, &long);
        let Command::StoreRq(rq) = Message::decode(&set.encode()).unwrap().command else { panic!("no C-STORE-RQ") };
        assert_eq!(rq.sop_instance.as_deref(), Some(long.as_str()));
        let answer = Response::new(4, Status::CANNOT_UNDERSTAND).about(None, rq.sop_instance.as_deref());
        let answer = Message::decode(&Command::StoreRsp(answer).alone().encode()).unwrap();
        let Command::StoreRsp(answer) = answer.command else { panic!("no C-STORE-RSP") };
        assert_eq!((answer.responded_to, answer.sop_instance), (4, None));
    }
}
