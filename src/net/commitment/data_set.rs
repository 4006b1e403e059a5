//! The data sets of storage commitment (PS3.4 J.3.2, J.3.3).

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use crate::dicom::attributes::{self, AttributeError};
use crate::dicom::part10::{self, FormatError};
use crate::dicom::uid::Uid;
use crate::dicom::write::{self, WriteError};
use crate::store::{Commitment, SopReference};

/// Why a data set is none of storage commitment.
#[derive(Debug, thiserror::Error)]
pub enum CommitmentError {
    /// No data set.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// It lacks something.
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    /// It names no instance.
    #[error("it names no instance")]
    Empty,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Transaction UID (0008,1195).
    pub transaction: Uid,
    /// Referenced SOP Sequence (0008,1199).
    pub references: Vec<SopReference>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Transaction UID (0008,1195).
    pub transaction: Uid,
    /// What is kept: Referenced SOP Sequence (0008,1199).
    pub committed: Vec<Uid>,
    /// What is not: Failed SOP Sequence (0008,1198).
    pub failed: Vec<Uid>,
}

impl Request {
    /// Reads the data set of an N-ACTION.
    ///
    /// # Errors
    /// When it is none, or lacks a transaction or references.
    pub fn decode(bytes: &[u8], transfer_syntax: &Uid) -> Result<Self, CommitmentError> {
        let object = part10::data_set(bytes, transfer_syntax)?;
        let transaction = attributes::required_uid(&object, tags::TRANSACTION_UID)?;
        let references = attributes::items(&object, tags::REFERENCED_SOP_SEQUENCE).iter().map(|item| {
            Ok(SopReference {
                sop_class: attributes::required_uid(item, tags::REFERENCED_SOP_CLASS_UID)?,
                sop_instance: attributes::required_uid(item, tags::REFERENCED_SOP_INSTANCE_UID)?,
            })
        });
        let references: Vec<_> = references.collect::<Result<_, AttributeError>>()?;
        if references.is_empty() {
            return Err(CommitmentError::Empty);
        }
        Ok(Self { transaction, references })
    }

    /// The data set of an N-ACTION.
    ///
    /// # Errors
    /// When the transfer syntax is none of messages.
    pub fn encode(&self, transfer_syntax: &Uid) -> Result<Vec<u8>, WriteError> {
        let mut object = InMemDicomObject::new_empty();
        write::put_uid(&mut object, tags::TRANSACTION_UID, &self.transaction);
        put_references(&mut object, &self.references);
        write::data_set(&object, transfer_syntax)
    }
}

impl Report {
    /// Reads the data set of an N-EVENT-REPORT.
    ///
    /// # Errors
    /// When it is none, or names no transaction.
    pub fn decode(bytes: &[u8], transfer_syntax: &Uid) -> Result<Self, CommitmentError> {
        let object = part10::data_set(bytes, transfer_syntax)?;
        let instances = |sequence| {
            let items = attributes::items(&object, sequence).iter();
            let uids = items.map(|item| attributes::required_uid(item, tags::REFERENCED_SOP_INSTANCE_UID));
            uids.collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            transaction: attributes::required_uid(&object, tags::TRANSACTION_UID)?,
            committed: instances(tags::REFERENCED_SOP_SEQUENCE)?,
            failed: instances(tags::FAILED_SOP_SEQUENCE)?,
        })
    }
}

/// The data set of the N-EVENT-REPORT that reports a commitment. Sequences without items are left out.
///
/// # Errors
/// When the transfer syntax is none of messages.
pub fn encode_report(commitment: &Commitment, transfer_syntax: &Uid) -> Result<Vec<u8>, WriteError> {
    let mut object = InMemDicomObject::new_empty();
    write::put_uid(&mut object, tags::TRANSACTION_UID, &commitment.transaction);
    if !commitment.committed.is_empty() {
        put_references(&mut object, &commitment.committed);
    }
    if !commitment.failed.is_empty() {
        let items = commitment.failed.iter().map(|(reference, failure)| {
            let mut item = write::reference_item(&reference.sop_class, &reference.sop_instance);
            write::put_u16s(&mut item, tags::FAILURE_REASON, [failure.code()]);
            item
        });
        write::put_items(&mut object, tags::FAILED_SOP_SEQUENCE, items.collect());
    }
    write::data_set(&object, transfer_syntax)
}

fn put_references(object: &mut InMemDicomObject, references: &[SopReference]) {
    let items = references.iter().map(|reference| write::reference_item(&reference.sop_class, &reference.sop_instance));
    write::put_items(object, tags::REFERENCED_SOP_SEQUENCE, items.collect());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::net::sop_class::UNCOMPRESSED;
    use crate::store::CommitFailure;

    fn uid(text: &str) -> Uid {
        Uid::parse(text).unwrap()
    }

    fn reference(text: &str) -> SopReference {
        SopReference { sop_class: uid("1.2.840.10008.5.1.4.1.1.2"), sop_instance: uid(text) }
    }

    #[test]
    fn a_request_and_a_report_survive_their_encoding() {
        for syntax in UNCOMPRESSED {
            let syntax = uid(syntax);
            let request =
                Request { transaction: uid("1.2.9"), references: vec![reference("1.2.3"), reference("1.2.4")] };
            let bytes = request.encode(&syntax).unwrap();
            assert_eq!(Request::decode(&bytes, &syntax).unwrap(), request);
            let commitment = Commitment {
                transaction: uid("1.2.9"),
                peer: "PACS".into(),
                requested_at: Timestamp::UNIX_EPOCH,
                committed: vec![reference("1.2.3")],
                failed: vec![(reference("1.2.4"), CommitFailure::NoSuchInstance)],
                attempts: 0,
                next_attempt_at: Timestamp::UNIX_EPOCH,
                reported_at: None,
            };
            let bytes = encode_report(&commitment, &syntax).unwrap();
            let expected =
                Report { transaction: uid("1.2.9"), committed: vec![uid("1.2.3")], failed: vec![uid("1.2.4")] };
            assert_eq!(Report::decode(&bytes, &syntax).unwrap(), expected);
        }
    }

    #[test]
    fn a_request_without_transaction_or_instances_is_none() {
        let syntax = uid(UNCOMPRESSED[0]);
        let empty = Request { transaction: uid("1.2.9"), references: vec![] };
        assert!(matches!(Request::decode(&empty.encode(&syntax).unwrap(), &syntax), Err(CommitmentError::Empty)));
        assert!(matches!(Request::decode(&[], &syntax), Err(CommitmentError::Attribute(_))));
        assert!(matches!(Request::decode(&[0xAA; 30], &syntax), Err(CommitmentError::Format(_))));
    }
}
