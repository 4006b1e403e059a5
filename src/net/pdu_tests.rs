use super::*;
use dicom_ul::pdu::{
    PresentationContextProposed, PresentationContextResult, PresentationContextResultReason, UserVariableItem,
};
use proptest::prelude::*;

fn request() -> AssociationRQ {
    AssociationRQ {
        protocol_version: 1,
        calling_ae_title: "PACS".into(),
        called_ae_title: "RADIOMICSD".into(),
        application_context_name: "1.2.840.10008.3.1.1.1".into(),
        presentation_contexts: vec![PresentationContextProposed {
            id: 1,
            abstract_syntax: "1.2.840.10008.1.1".into(),
            transfer_syntaxes: vec!["1.2.840.10008.1.2".into()],
        }],
        user_variables: vec![UserVariableItem::MaxLength(16384)],
    }
}

/// Everything that comes out when the bytes arrive in pieces of these sizes.
fn events(bytes: &[u8], pieces: impl IntoIterator<Item = usize>) -> Result<Vec<Event>, PduError> {
    let mut reader = PduReader::new(262_144);
    let mut all = Vec::new();
    let mut rest = bytes;
    for size in pieces.into_iter().chain([usize::MAX]) {
        let (now, later) = rest.split_at(rest.len().min(size));
        reader.buffer().extend_from_slice(now);
        rest = later;
        while let Some(event) = reader.next_event()? {
            all.push(event);
        }
    }
    Ok(all)
}

/// The messages that fragments make up: context, part, bytes.
fn joined(events: &[Event]) -> Vec<(u8, Part, Vec<u8>)> {
    let mut messages = Vec::new();
    let mut open = Vec::new();
    for event in events {
        let Event::Fragment(fragment) = event else { continue };
        open.extend_from_slice(&fragment.bytes);
        if fragment.is_last {
            messages.push((fragment.context_id, fragment.part, std::mem::take(&mut open)));
        }
    }
    assert!(open.is_empty());
    messages
}

#[test]
fn an_http_request_is_known_for_what_it_is_by_its_first_byte() {
    assert_eq!(events(b"G", []), Err(PduError::UnknownType(b'G')));
    assert_eq!(PduError::UnknownType(b'G').reason(), AbortReason::UnrecognisedPdu);
}

#[test]
fn a_giant_length_is_refused_before_anything_is_held() {
    for kind in 1..=7 {
        let bytes = [kind, 0, 0xFF, 0xFF, 0xFF, 0xFF];
        assert!(matches!(events(&bytes, []), Err(PduError::TooLong { length: u32::MAX, .. })));
    }
}

#[test]
fn a_pdv_may_not_reach_out_of_its_pdu() {
    for (pdu, pdv) in [(7_u32, 4_u32), (10, 7), (10, 1), (5, 0), (10, u32::MAX)] {
        let mut bytes = vec![4, 0];
        bytes.extend_from_slice(&pdu.to_be_bytes());
        bytes.extend_from_slice(&pdv.to_be_bytes());
        bytes.extend_from_slice(&[1, 3, 0, 0, 0, 0, 0, 0]);
        assert_eq!(events(&bytes, []), Err(PduError::Malformed(4)), "{pdu} {pdv}");
    }
}

#[test]
fn an_association_request_with_unknown_items_is_read_without_them() {
    let mut bytes = encode(&Pdu::AssociationRQ(request())).unwrap();
    bytes.extend_from_slice(&[0x77, 0, 0, 3, 1, 2, 3]);
    let length = u32::try_from(bytes.len() - 6).unwrap();
    bytes[2..6].copy_from_slice(&length.to_be_bytes());
    assert_eq!(events(&bytes, [3, 50]), Ok(vec![Event::AssociateRq(Box::new(request()))]));
}

#[test]
fn a_rejected_context_may_come_without_a_transfer_syntax() {
    let rq = request();
    let ac = AssociationAC {
        protocol_version: 1,
        calling_ae_title: rq.calling_ae_title,
        called_ae_title: rq.called_ae_title,
        application_context_name: rq.application_context_name,
        presentation_contexts: vec![PresentationContextResult {
            id: 1,
            reason: PresentationContextResultReason::AbstractSyntaxNotSupported,
            transfer_syntax: String::new(),
        }],
        user_variables: rq.user_variables,
    };
    let bytes = encode(&Pdu::AssociationAC(ac.clone())).unwrap();
    let with_empty = [0x21, 0, 0, 8, 1, 0, 3, 0, 0x40, 0, 0, 0];
    let at = bytes.windows(12).position(|window| window == with_empty).unwrap();
    let mut without = [&bytes[..at], &[0x21, 0, 0, 4, 1, 0, 3, 0], &bytes[at + 12..]].concat();
    let length = u32::try_from(without.len() - 6).unwrap();
    without[2..6].copy_from_slice(&length.to_be_bytes());
    assert_eq!(events(&without, []), Ok(vec![Event::AssociateAc(Box::new(ac))]));
}

#[test]
fn an_abort_is_an_abort_whatever_its_reason() {
    let bytes = [7, 0, 0, 0, 0, 4, 0, 0, 9, 99];
    assert_eq!(events(&bytes, []), Ok(vec![Event::Abort { source: 9, reason: 99 }]));
    assert_eq!(abort(AbortReason::UnrecognisedPdu), [7, 0, 0, 0, 0, 4, 0, 0, 2, 1]);
}

#[test]
fn an_empty_last_fragment_ends_its_part() {
    let mut bytes = p_data(3, Part::DataSet, b"", 0);
    bytes.extend_from_slice(&[4, 0, 0, 0, 0, 0]);
    let fragment = Fragment { context_id: 3, part: Part::DataSet, bytes: Bytes::new(), is_last: true };
    assert_eq!(events(&bytes, []), Ok(vec![Event::Fragment(fragment)]));
}

proptest! {
    #[test]
    fn however_the_bytes_arrive_the_messages_are_the_same(
        command in proptest::collection::vec(any::<u8>(), 0..300),
        data in proptest::collection::vec(any::<u8>(), 0..3000),
        pdu_bytes_max in 8_u32..500,
        sizes in proptest::collection::vec(1_usize..40, 0..100),
    ) {
        let mut bytes = p_data(1, Part::Command, &command, pdu_bytes_max);
        bytes.extend(p_data(1, Part::DataSet, &data, pdu_bytes_max));
        let got = joined(&events(&bytes, sizes).unwrap());
        prop_assert_eq!(got, vec![(1, Part::Command, command), (1, Part::DataSet, data)]);
    }

    #[test]
    fn several_pdvs_of_several_messages_may_sit_in_one_pdu(
        parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 1..6),
        sizes in proptest::collection::vec(1_usize..9, 0..100),
    ) {
        let mut body = Vec::new();
        for part in &parts {
            body.extend_from_slice(&data_header(5, Part::Command, part.len(), true)[6..]);
            body.extend_from_slice(part);
        }
        let mut bytes = vec![4, 0];
        bytes.extend_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
        bytes.extend(body);
        let expected: Vec<_> = parts.into_iter().map(|part| (5, Part::Command, part)).collect();
        prop_assert_eq!(joined(&events(&bytes, sizes).unwrap()), expected);
    }

    #[test]
    fn any_bytes_give_events_or_an_error_and_nothing_larger_than_they_are(
        kind in 0_u8..9,
        length in 0_u32..600,
        tail in proptest::collection::vec(any::<u8>(), 0..600),
        sizes in proptest::collection::vec(1_usize..60, 0..20),
    ) {
        let mut bytes = vec![kind, 0];
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend(tail);
        if let Ok(events) = events(&bytes, sizes) {
            let total: usize = events
                .iter()
                .map(|event| if let Event::Fragment(fragment) = event { fragment.bytes.len() } else { 0 })
                .sum();
            prop_assert!(total <= bytes.len());
        }
    }
}
