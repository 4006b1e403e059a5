//! Protocol data units (PS3.8 9.3) taken from, and put on, the wire.
//!
//! Association PDUs are read and written by `dicom-ul`. P-DATA-TF is read by ourselves, piece by piece as it arrives: an
//! object is never held, not even one whole PDU of it, so that memory depends neither on the size of objects nor on the
//! number of peers that stopped in the middle of one.

use bytes::{Buf as _, Bytes, BytesMut};
use dicom_ul::pdu::{
    AbortRQServiceProviderReason as Reason, AbortRQSource, AssociationAC, AssociationRJ, AssociationRQ, Pdu,
};

/// An A-ASSOCIATE PDU of 128 presentation contexts with 45 transfer syntaxes each fits.
pub const ASSOCIATE_PDU_BYTES_MAX: u32 = 262_144;
/// The header of a PDU: type, reserved, length.
const PDU_HEADER_BYTES: usize = 6;
/// The header of a PDV: length, presentation context, message control header.
const PDV_HEADER_BYTES: usize = 6;
/// What `dicom-ul` wants to be told at least.
const DICOM_UL_PDU_BYTES_MIN: u32 = 1_024;

/// What comes from the other side.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A-ASSOCIATE-RQ.
    AssociateRq(Box<AssociationRQ>),
    /// A-ASSOCIATE-AC.
    AssociateAc(Box<AssociationAC>),
    /// A-ASSOCIATE-RJ.
    AssociateRj(AssociationRJ),
    /// A piece of a PDV of a P-DATA-TF.
    Fragment(Fragment),
    /// A-RELEASE-RQ.
    ReleaseRq,
    /// A-RELEASE-RP.
    ReleaseRp,
    /// A-ABORT, by its source and reason.
    Abort {
        /// 0 user, 2 provider.
        source: u8,
        /// PS3.8 9.3.8.
        reason: u8,
    },
}

/// A piece of a command set or data set, in the order of the wire. Never empty unless it is the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// Presentation Context ID.
    pub context_id: u8,
    /// What it is a piece of.
    pub part: Part,
    /// The bytes.
    pub bytes: Bytes,
    /// Whether the command set or data set ends with it.
    pub is_last: bool,
}

/// The two parts of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The command set.
    Command,
    /// The data set.
    DataSet,
}

/// What came is not the protocol. Each has its A-ABORT reason (PS3.8 9.3.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PduError {
    /// The first byte is no PDU type: another protocol, or garbage.
    #[error("the bytes are no DICOM protocol data unit: type {0:02X}H")]
    UnknownType(u8),
    /// Longer than was agreed.
    #[error("a protocol data unit of {length} bytes, at most {max} were agreed")]
    TooLong {
        /// Its length field.
        length: u32,
        /// What was agreed.
        max: u32,
    },
    /// The inner lengths do not fit the outer one, or a field cannot be read.
    #[error("a protocol data unit of type {0:02X}H is malformed")]
    Malformed(u8),
}

impl PduError {
    /// The A-ABORT that answers it.
    #[must_use]
    pub const fn reason(self) -> AbortReason {
        match self {
            Self::UnknownType(_) => AbortReason::UnrecognisedPdu,
            Self::TooLong { .. } | Self::Malformed(_) => AbortReason::InvalidParameter,
        }
    }
}

/// Why we abort (PS3.8 9.3.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbortReason {
    /// The user of the service wants it: on shutdown, or when the other side breaks DIMSE.
    User,
    /// Provider, reason not specified: a timer ran out.
    NotSpecified,
    /// Provider: unrecognised PDU.
    UnrecognisedPdu,
    /// Provider: a PDU that may not come now.
    UnexpectedPdu,
    /// Provider: a field of a PDU has a value that it may not have.
    InvalidParameter,
}

/// Cuts a stream of bytes into events.
#[derive(Debug)]
pub struct PduReader {
    buffer: BytesMut,
    state: State,
    pdu_bytes_max: u32,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Before a PDU.
    Header,
    /// Inside a P-DATA-TF, before a PDV.
    Pdv { pdu_left: u32 },
    /// Inside a PDV.
    Fragment { pdu_left: u32, pdv_left: u32, context_id: u8, part: Part, is_last: bool },
}

const P_DATA_TF: u8 = 0x04;

impl PduReader {
    /// A reader that takes P-DATA-TF PDUs up to this length (the length field, as negotiated).
    #[must_use]
    pub fn new(pdu_bytes_max: u32) -> Self {
        Self { buffer: BytesMut::new(), state: State::Header, pdu_bytes_max }
    }

    /// Where received bytes are appended.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// How many bytes are known to be missing of what was begun: a hint for how much to read at once.
    #[must_use]
    pub fn missing(&self) -> usize {
        match self.state {
            State::Header => 0,
            State::Pdv { pdu_left } | State::Fragment { pdu_left, .. } => usize::try_from(pdu_left).unwrap_or(0),
        }
    }

    /// Whether nothing is held and nothing was begun.
    #[must_use]
    pub fn is_between_pdus(&self) -> bool {
        matches!(self.state, State::Header) && self.buffer.is_empty()
    }

    /// The next event, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// When the bytes break the protocol. The reader must not be used after that.
    pub fn next_event(&mut self) -> Result<Option<Event>, PduError> {
        loop {
            match self.state {
                State::Header => match self.header()? {
                    Step::Again => {}
                    Step::Wait => return Ok(None),
                    Step::Event(event) => return Ok(Some(event)),
                },
                State::Pdv { pdu_left: 0 } => self.state = State::Header,
                State::Pdv { pdu_left } => {
                    if !self.pdv_header(pdu_left)? {
                        return Ok(None);
                    }
                }
                State::Fragment { .. } => match self.fragment() {
                    Step::Again => {}
                    Step::Wait => return Ok(None),
                    Step::Event(event) => return Ok(Some(event)),
                },
            }
        }
    }

    fn header(&mut self) -> Result<Step, PduError> {
        let Some(&kind) = self.buffer.first() else { return Ok(Step::Wait) };
        // As soon as the first byte is there: a stranger to the protocol may never send six.
        if !(0x01..=0x07).contains(&kind) {
            return Err(PduError::UnknownType(kind));
        }
        let Some(&[_, _, l0, l1, l2, l3]) = self.buffer.first_chunk::<PDU_HEADER_BYTES>() else {
            return Ok(Step::Wait);
        };
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        let max = match kind {
            P_DATA_TF => self.pdu_bytes_max,
            0x01 | 0x02 => ASSOCIATE_PDU_BYTES_MAX,
            // A-ASSOCIATE-RJ, A-RELEASE and A-ABORT have four bytes.
            _ => 4,
        };
        if max < length {
            return Err(PduError::TooLong { length, max });
        }
        if kind == P_DATA_TF {
            self.buffer.advance(PDU_HEADER_BYTES);
            self.state = State::Pdv { pdu_left: length };
            return Ok(Step::Again);
        }
        let whole = PDU_HEADER_BYTES.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
        if self.buffer.len() < whole {
            return Ok(Step::Wait);
        }
        let bytes = self.buffer.split_to(whole);
        control_event(kind, &bytes).map(Step::Event)
    }

    /// Whether the header was there.
    fn pdv_header(&mut self, pdu_left: u32) -> Result<bool, PduError> {
        let Some(&[l0, l1, l2, l3, context_id, control]) = self.buffer.first_chunk::<PDV_HEADER_BYTES>() else {
            // Fewer bytes than a header are left in this PDU: they will never become one.
            return if pdu_left < 6 { Err(PduError::Malformed(P_DATA_TF)) } else { Ok(false) };
        };
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        let fits = pdu_left.checked_sub(4).is_some_and(|left| length <= left);
        if length < 2 || !fits {
            return Err(PduError::Malformed(P_DATA_TF));
        }
        self.buffer.advance(PDV_HEADER_BYTES);
        self.state = State::Fragment {
            pdu_left: pdu_left - 6,
            pdv_left: length - 2,
            context_id,
            part: if control & 1 == 1 { Part::Command } else { Part::DataSet },
            is_last: control & 2 == 2,
        };
        Ok(true)
    }

    fn fragment(&mut self) -> Step {
        let State::Fragment { pdu_left, pdv_left, context_id, part, is_last } = self.state else { return Step::Again };
        let available = u32::try_from(self.buffer.len()).unwrap_or(u32::MAX).min(pdv_left);
        if available == 0 && 0 < pdv_left {
            return Step::Wait;
        }
        let bytes = self.buffer.split_to(usize::try_from(available).unwrap_or(0)).freeze();
        let (pdu_left, pdv_left) = (pdu_left - available, pdv_left - available);
        if 0 < pdv_left {
            self.state = State::Fragment { pdu_left, pdv_left, context_id, part, is_last };
            return Step::Event(Event::Fragment(Fragment { context_id, part, bytes, is_last: false }));
        }
        self.state = State::Pdv { pdu_left };
        if bytes.is_empty() && !is_last {
            return Step::Again;
        }
        Step::Event(Event::Fragment(Fragment { context_id, part, bytes, is_last }))
    }
}

enum Step {
    Again,
    Wait,
    Event(Event),
}

/// A whole PDU other than P-DATA-TF.
fn control_event(kind: u8, bytes: &[u8]) -> Result<Event, PduError> {
    let malformed = PduError::Malformed(kind);
    if kind == 0x07 {
        // Read here: `dicom-ul` refuses reasons that it does not know, and an abort needs no more reasons.
        let Some(&[source, reason]) = bytes.get(8..10) else { return Err(malformed) };
        return Ok(Event::Abort { source, reason });
    }
    let known = known_items(kind, bytes).ok_or(malformed)?;
    let max = u32::try_from(known.len()).unwrap_or(u32::MAX).max(DICOM_UL_PDU_BYTES_MIN);
    match dicom_ul::pdu::read_pdu(known.as_slice(), max, true) {
        Ok(Some(Pdu::AssociationRQ(rq))) => Ok(Event::AssociateRq(Box::new(rq))),
        Ok(Some(Pdu::AssociationAC(ac))) => Ok(Event::AssociateAc(Box::new(ac))),
        Ok(Some(Pdu::AssociationRJ(rj))) => Ok(Event::AssociateRj(rj)),
        Ok(Some(Pdu::ReleaseRQ)) => Ok(Event::ReleaseRq),
        Ok(Some(Pdu::ReleaseRP)) => Ok(Event::ReleaseRp),
        _ => Err(malformed),
    }
}

/// An A-ASSOCIATE PDU in the form that `dicom-ul` reads. It fails on two things that the standard allows: items of
/// unknown type, which shall be skipped (PS3.8 9.3.1), and rejected contexts without transfer syntax, whose value is
/// not significant (9.3.3.2). The former are left out here, the latter get an empty one. Other PDUs stay as they are.
fn known_items(kind: u8, bytes: &[u8]) -> Option<Vec<u8>> {
    const FIXED_BYTES: usize = PDU_HEADER_BYTES + 68;
    if kind != 0x01 && kind != 0x02 {
        return Some(bytes.to_vec());
    }
    let (fixed, mut items) = bytes.split_at_checked(FIXED_BYTES)?;
    let mut known = fixed.to_vec();
    while !items.is_empty() {
        let &[item_kind, _, l0, l1] = items.first_chunk::<4>()?;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let (item, rest) = items.split_at_checked(4 + length)?;
        match (kind, item_kind) {
            (0x02, 0x21) if length == 4 => {
                known.extend_from_slice(&[0x21, 0, 0, 8]);
                known.extend_from_slice(item.get(4..)?);
                known.extend_from_slice(&[0x40, 0, 0, 0]);
            }
            (_, 0x10 | 0x50) | (0x01, 0x20) | (0x02, 0x21) => known.extend_from_slice(item),
            _ => {}
        }
        items = rest;
    }
    let length = u32::try_from(known.len() - PDU_HEADER_BYTES).ok()?;
    known.get_mut(2..6)?.copy_from_slice(&length.to_be_bytes());
    Some(known)
}

/// The bytes of a PDU other than P-DATA-TF.
///
/// # Errors
/// When a field does not fit its place (an AE title of more than 16 characters).
pub fn encode(pdu: &Pdu) -> Result<Vec<u8>, dicom_ul::pdu::WriteError> {
    let mut bytes = Vec::new();
    dicom_ul::pdu::write_pdu(&mut bytes, pdu)?;
    Ok(bytes)
}

/// The bytes of an A-ABORT.
#[must_use]
pub fn abort(reason: AbortReason) -> Vec<u8> {
    let source = match reason {
        AbortReason::User => AbortRQSource::ServiceUser,
        AbortReason::NotSpecified => AbortRQSource::ServiceProvider(Reason::ReasonNotSpecified),
        AbortReason::UnrecognisedPdu => AbortRQSource::ServiceProvider(Reason::UnrecognizedPdu),
        AbortReason::UnexpectedPdu => AbortRQSource::ServiceProvider(Reason::UnexpectedPdu),
        AbortReason::InvalidParameter => AbortRQSource::ServiceProvider(Reason::InvalidPduParameter),
    };
    encode(&Pdu::AbortRQ { source }).unwrap_or_default()
}

/// The bytes of the P-DATA-TF PDUs that carry one part of a message, each of at most `pdu_bytes_max` (0: no limit).
///
/// For commands and small data sets; a large data set is sent by [`data_header`] in front of each piece of it.
#[must_use]
pub fn p_data(context_id: u8, part: Part, bytes: &[u8], pdu_bytes_max: u32) -> Vec<u8> {
    let piece = fragment_bytes_max(pdu_bytes_max);
    let mut out = Vec::new();
    let mut rest = bytes;
    loop {
        let (now, later) = rest.split_at(rest.len().min(piece));
        out.extend_from_slice(&data_header(context_id, part, now.len(), later.is_empty()));
        out.extend_from_slice(now);
        rest = later;
        if rest.is_empty() {
            return out;
        }
    }
}

/// How much of a message one PDU can carry: an even number (PS3.8 annex E.1), at most 256 KiB at a time.
#[must_use]
pub fn fragment_bytes_max(pdu_bytes_max: u32) -> usize {
    const AT_MOST: u32 = 262_144;
    let pdu = if pdu_bytes_max == 0 { AT_MOST } else { pdu_bytes_max.min(AT_MOST) };
    // A peer that takes less than one PDV header and two bytes takes nothing: it gets the smallest legal PDU.
    usize::try_from(pdu.saturating_sub(6).max(2) & !1).unwrap_or(2)
}

/// The headers of a P-DATA-TF with one PDV of `length` bytes.
#[must_use]
pub fn data_header(context_id: u8, part: Part, length: usize, is_last: bool) -> [u8; 12] {
    // `length` is at most `fragment_bytes_max`.
    let length = u32::try_from(length).unwrap_or(u32::MAX - 6);
    let [p0, p1, p2, p3] = (length + 6).to_be_bytes();
    let [v0, v1, v2, v3] = (length + 2).to_be_bytes();
    let control = u8::from(part == Part::Command) | (u8::from(is_last) << 1);
    [P_DATA_TF, 0, p0, p1, p2, p3, v0, v1, v2, v3, context_id, control]
}

#[cfg(test)]
#[path = "pdu_tests.rs"]
mod tests;
