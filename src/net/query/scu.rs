//! C-FIND and C-MOVE as SCU, study root (PS3.4 C.4.1, C.4.2; PS3.7 9.1.2, 9.1.4).

use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use crate::dicom::uid::Uid;
use crate::dicom::write::{self, WriteError};
use crate::dicom::{attributes, part10};
use crate::error::{Duty, Fault, Retry};
use crate::net::dimse::{Command, Message, SubOperations};
use crate::net::requestor::{
    Accepted, AssociationError, Destination, Proposal, Requestor, associate, standard_uid, uncompressed,
};
use crate::net::{AeTitle, Status, StatusClass, Stream};

/// Study Root Query/Retrieve Information Model - FIND.
pub const FIND: &str = uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_FIND;
/// Study Root Query/Retrieve Information Model - MOVE.
pub const MOVE: &str = uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_MOVE;

/// Answers to one query: a series has fewer instances. What comes beyond is cancelled.
const MATCHES_MAX: usize = 10_000;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The association.
    #[error(transparent)]
    Association(#[from] AssociationError),
    /// The peer does not want to, or cannot.
    #[error("the peer answered {0}")]
    Status(Status),
    /// An identifier that cannot be written.
    #[error("the query cannot be encoded: {0}")]
    Encode(#[from] WriteError),
}

impl Duty for QueryError {
    fn fault(&self) -> Fault {
        match self {
            Self::Association(error) => error.fault(),
            Self::Status(_) => Fault::Peer,
            Self::Encode(_) => Fault::Internal,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Association(error) => error.retry(),
            Self::Status(_) => Retry::Later,
            Self::Encode(_) => Retry::Never,
        }
    }
}

/// A series that a peer has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesFound {
    /// Study Instance UID.
    pub study: Uid,
    /// Series Instance UID.
    pub series: Uid,
    /// Number of Series Related Instances (0020,1209), where the peer says it.
    pub n_instances: Option<u64>,
}

/// Asks a peer what it has of a series.
///
/// # Errors
/// When there is no association, or the peer does not answer the query.
pub async fn find_series(peer: &Destination, study: &Uid, series: &Uid) -> Result<Vec<SeriesFound>, QueryError> {
    let (found, syntax) = query(peer, |syntax| series_keys(study, series, syntax)).await?;
    Ok(found.iter().filter_map(|found| series_found(found, &syntax, study)).collect())
}

/// Asks a peer how many instances it has of a study: Number of Study Related Instances (0020,1208), where it says it.
///
/// # Errors
/// As [`find_series`].
pub async fn find_study(peer: &Destination, study: &Uid) -> Result<Option<u64>, QueryError> {
    let (found, syntax) = query(peer, |syntax| study_keys(study, syntax)).await?;
    Ok(found.iter().find_map(|found| n_of_study(found, &syntax, study)))
}

/// Counts what a peer has of a series by asking for each instance: for peers that do not say it at the series level.
///
/// # Errors
/// As [`find_series`].
pub async fn count_instances(peer: &Destination, study: &Uid, series: &Uid) -> Result<u64, QueryError> {
    let (found, _) = query(peer, |syntax| instance_keys(study, series, syntax)).await?;
    Ok(found.len() as u64)
}

/// One query by an association of its own: the matches, and the transfer syntax in which they are.
async fn query(
    peer: &Destination,
    keys: impl FnOnce(&Uid) -> Result<Vec<u8>, WriteError>,
) -> Result<(Vec<Vec<u8>>, Uid), QueryError> {
    let (mut requestor, context) = open(peer, FIND).await?;
    let keys = keys(&context.transfer_syntax)?;
    match find(&mut requestor, &context, &keys).await {
        Ok(found) => {
            requestor.release().await;
            Ok((found, context.transfer_syntax))
        }
        Err(error) => {
            requestor.abort().await;
            Err(error)
        }
    }
}

/// Has a peer send a series to an AE title, by associations of its own.
///
/// # Errors
/// When there is no association, or the peer does not send all of it.
pub async fn move_series(
    peer: &Destination,
    study: &Uid,
    series: &Uid,
    to: &AeTitle,
) -> Result<SubOperations, QueryError> {
    let (mut requestor, context) = open(peer, MOVE).await?;
    match retrieve(&mut requestor, &context, study, series, to).await {
        Ok(counts) => {
            requestor.release().await;
            Ok(counts)
        }
        Err(error) => {
            requestor.abort().await;
            Err(error)
        }
    }
}

async fn open(peer: &Destination, sop_class: &str) -> Result<(Requestor<Stream>, Accepted), QueryError> {
    let proposal = Proposal { abstract_syntax: standard_uid(sop_class)?, transfer_syntaxes: uncompressed()? };
    let requestor = associate(peer, &[proposal], Vec::new()).await?;
    let context = requestor.accepted().first().cloned().ok_or(AssociationError::NothingAccepted)?;
    Ok((requestor, context))
}

/// The keys of a query at the series level, and what is wanted back.
///
/// # Errors
/// When the transfer syntax is none of messages.
pub(super) fn series_keys(study: &Uid, series: &Uid, transfer_syntax: &Uid) -> Result<Vec<u8>, WriteError> {
    let mut object = InMemDicomObject::new_empty();
    write::put_text(&mut object, tags::QUERY_RETRIEVE_LEVEL, "SERIES");
    write::put_uid(&mut object, tags::STUDY_INSTANCE_UID, study);
    write::put_uid(&mut object, tags::SERIES_INSTANCE_UID, series);
    write::put_empty(&mut object, tags::MODALITY);
    write::put_empty(&mut object, tags::NUMBER_OF_SERIES_RELATED_INSTANCES);
    write::data_set(&object, transfer_syntax)
}

/// The keys of a query at the study level, and what is wanted back.
///
/// # Errors
/// As [`series_keys`].
pub(super) fn study_keys(study: &Uid, transfer_syntax: &Uid) -> Result<Vec<u8>, WriteError> {
    let mut object = InMemDicomObject::new_empty();
    write::put_text(&mut object, tags::QUERY_RETRIEVE_LEVEL, "STUDY");
    write::put_uid(&mut object, tags::STUDY_INSTANCE_UID, study);
    write::put_empty(&mut object, tags::NUMBER_OF_STUDY_RELATED_INSTANCES);
    write::data_set(&object, transfer_syntax)
}

/// The keys of a query at the image level.
fn instance_keys(study: &Uid, series: &Uid, transfer_syntax: &Uid) -> Result<Vec<u8>, WriteError> {
    let mut object = InMemDicomObject::new_empty();
    write::put_empty(&mut object, tags::SOP_INSTANCE_UID);
    write::put_text(&mut object, tags::QUERY_RETRIEVE_LEVEL, "IMAGE");
    write::put_uid(&mut object, tags::STUDY_INSTANCE_UID, study);
    write::put_uid(&mut object, tags::SERIES_INSTANCE_UID, series);
    write::data_set(&object, transfer_syntax)
}

/// What a retrieval names: unique keys and nothing else (PS3.4 C.4.2.2.1).
fn unique_keys(study: &Uid, series: &Uid, transfer_syntax: &Uid) -> Result<Vec<u8>, WriteError> {
    let mut object = InMemDicomObject::new_empty();
    write::put_text(&mut object, tags::QUERY_RETRIEVE_LEVEL, "SERIES");
    write::put_uid(&mut object, tags::STUDY_INSTANCE_UID, study);
    write::put_uid(&mut object, tags::SERIES_INSTANCE_UID, series);
    write::data_set(&object, transfer_syntax)
}

/// Explicit VR little endian.
pub(super) fn explicit() -> Uid {
    Uid::parse(uids::EXPLICIT_VR_LITTLE_ENDIAN).unwrap_or_else(|_| Uid::random())
}

/// The identifiers of all matches.
async fn find(requestor: &mut Requestor<Stream>, context: &Accepted, keys: &[u8]) -> Result<Vec<Vec<u8>>, QueryError> {
    let message_id = requestor.next_message_id();
    let rq = Command::FindRq { message_id, sop_class: Some(FIND.to_owned()) }.with_data_set();
    requestor.send(context.id, &rq, Some(keys)).await?;
    let mut found = Vec::new();
    let mut n_answers = 0;
    loop {
        let (_, message, data_set) = requestor.receive().await?;
        let Message { command: Command::FindRsp(response), .. } = message else { return Err(another_message()) };
        if response.responded_to != message_id {
            return Err(another_message());
        }
        match (response.status.class(), data_set) {
            (StatusClass::Pending, Some(data_set)) => {
                n_answers += 1;
                if n_answers == MATCHES_MAX {
                    let cancel = Command::CancelRq { responded_to: message_id }.alone();
                    requestor.send(context.id, &cancel, None).await?;
                }
                if 2 * MATCHES_MAX < n_answers {
                    return Err(AssociationError::Protocol("it answers without an end").into());
                }
                if n_answers <= MATCHES_MAX {
                    found.push(data_set);
                }
            }
            (StatusClass::Success | StatusClass::Warning | StatusClass::Cancel, _) => return Ok(found),
            _ => return Err(QueryError::Status(response.status)),
        }
    }
}

fn another_message() -> QueryError {
    AssociationError::Protocol("its answer is another message").into()
}

/// A match; nothing where it cannot be read or is of another study.
fn series_found(data_set: &[u8], transfer_syntax: &Uid, study: &Uid) -> Option<SeriesFound> {
    let object = part10::data_set(data_set, transfer_syntax).ok()?;
    let series = attributes::uid(&object, tags::SERIES_INSTANCE_UID).ok()??;
    let named = attributes::uid(&object, tags::STUDY_INSTANCE_UID).ok().flatten();
    if named.is_some_and(|named| named != *study) {
        return None;
    }
    let n_instances = attributes::count(&object, tags::NUMBER_OF_SERIES_RELATED_INSTANCES).ok().flatten();
    Some(SeriesFound { study: study.clone(), series, n_instances: n_instances.map(u64::from) })
}

/// What a match says of the study's size; nothing where it says nothing, or is of another study.
fn n_of_study(data_set: &[u8], transfer_syntax: &Uid, study: &Uid) -> Option<u64> {
    let object = part10::data_set(data_set, transfer_syntax).ok()?;
    let named = attributes::uid(&object, tags::STUDY_INSTANCE_UID).ok()??;
    let n_instances = attributes::count(&object, tags::NUMBER_OF_STUDY_RELATED_INSTANCES).ok()??;
    (named == *study).then(|| u64::from(n_instances))
}

async fn retrieve(
    requestor: &mut Requestor<Stream>,
    context: &Accepted,
    study: &Uid,
    series: &Uid,
    to: &AeTitle,
) -> Result<SubOperations, QueryError> {
    let message_id = requestor.next_message_id();
    let destination = Some(to.to_string());
    let rq = Command::MoveRq { message_id, sop_class: Some(MOVE.to_owned()), destination }.with_data_set();
    let keys = unique_keys(study, series, &context.transfer_syntax)?;
    requestor.send(context.id, &rq, Some(&keys)).await?;
    loop {
        let (_, message, _) = requestor.receive().await?;
        let Message { command: Command::MoveRsp(response, counts), .. } = message else {
            return Err(another_message());
        };
        if response.responded_to != message_id {
            return Err(another_message());
        }
        match response.status.class() {
            StatusClass::Pending => {}
            // B000: some of it failed. What came is here.
            StatusClass::Success | StatusClass::Warning => return Ok(counts),
            StatusClass::Failure | StatusClass::Cancel => return Err(QueryError::Status(response.status)),
        }
    }
}
