//! Bytes that break the protocol, and bytes that stretch it.

use std::time::{Duration, Instant};

use dicom_core::VR;
use dicom_dictionary_std::tags;
use dicom_ul::pdu::{AssociationRJResult, Pdu, UserVariableItem};
use radiomicsd::net::command_set::{CommandSet, element};
use radiomicsd::net::dimse::{Command, field};
use radiomicsd::net::pdu::{Event, Part, data_header, encode, p_data};
use radiomicsd::net::{NodeSettings, Status};
use tokio::io::AsyncReadExt as _;

use crate::peer::{CT, Peer, VERIFICATION, request, store_command, store_request};
use crate::support::{Server, data_set_of, open_settings, slice, slice_uid, title, until};

/// Short waits, so that the tests of time-outs are quick.
fn impatient() -> NodeSettings {
    let wait = Duration::from_millis(300);
    NodeSettings { association_timeout: wait, idle_timeout: wait, ..open_settings() }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_request_is_answered_by_an_abort_and_the_node_goes_on() {
    let server = Server::start(open_settings()).await;
    let mut peer = Peer::connect(server.address).await;
    peer.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    peer.aborted(2, 1).await;
    for garbage in [vec![0xFF; 70_000], vec![0; 3], vec![0x16, 3, 1, 2, 0, 1]] {
        let mut peer = Peer::connect(server.address).await;
        peer.send(&garbage).await;
        peer.aborted(2, 1).await;
    }
    Peer::associated(server.address).await.echo().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_giant_length_is_an_invalid_parameter_in_every_state() {
    let server = Server::start(open_settings()).await;
    let giant = |kind| [kind, 0, 0xFF, 0xFF, 0xFF, 0xF0];
    let mut peer = Peer::connect(server.address).await;
    peer.send(&giant(1)).await;
    peer.aborted(2, 6).await;
    let mut peer = Peer::associated(server.address).await;
    peer.send(&giant(4)).await;
    peer.aborted(2, 6).await;
    let mut peer = Peer::associated(server.address).await;
    peer.send(&store_command(1, "1.2.3")).await;
    peer.send(&[4, 0, 0, 4, 0, 1]).await;
    peer.aborted(2, 6).await;
    server.idle().await;
    assert_eq!(server.n_parts(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn data_before_an_association_is_an_unexpected_pdu() {
    let server = Server::start(open_settings()).await;
    let mut peer = Peer::connect(server.address).await;
    peer.send(&store_command(1, "1.2.3")).await;
    peer.aborted(2, 2).await;
    let mut peer = Peer::associated(server.address).await;
    peer.send(&encode(&Pdu::AssociationRQ(request("PEER", "TEST"))).unwrap()).await;
    peer.aborted(2, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_ends_a_connection_and_an_association() {
    let server = Server::start(impatient()).await;
    let begun = Instant::now();
    let mut half = Peer::connect(server.address).await;
    half.send(&[1, 0, 0, 0]).await;
    let silent = Peer::connect(server.address).await;
    let idle = Peer::associated(server.address).await;
    half.aborted(2, 0).await;
    silent.aborted(2, 0).await;
    idle.aborted(2, 0).await;
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trickle_of_bytes_holds_no_association_open() {
    let server = Server::start(impatient()).await;
    let mut peer = Peer::associated(server.address).await;
    peer.send(&store_command(1, "1.2.3")).await;
    peer.send(&data_header(3, Part::DataSet, 10_000, false)).await;
    let begun = Instant::now();
    let mut byte = [0; 1];
    loop {
        assert!(begun.elapsed() < Duration::from_secs(5));
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(50)) => peer.send(&[0]).await,
            read = peer.stream.read(&mut byte) => {
                assert_eq!((read.unwrap(), byte), (1, [7]));
                break;
            }
        }
    }
    server.idle().await;
    assert_eq!(server.n_parts(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_or_a_cut_in_mid_instance_leaves_nothing_behind() {
    let mut server = Server::start(open_settings()).await;
    let data_set = data_set_of(&slice(1, 256));
    for cut in [false, true] {
        let mut peer = Peer::associated(server.address).await;
        peer.send(&store_command(1, &slice_uid(1))).await;
        let part = p_data(3, Part::DataSet, &data_set, 16_384);
        peer.send(&part[..100_000]).await;
        until(|| server.n_parts() == 1).await;
        if !cut {
            peer.send(&[7, 0, 0, 0, 0, 4, 0, 0, 0, 0]).await;
        }
        drop(peer);
        until(|| server.n_parts() == 0).await;
    }
    server.idle().await;
    assert_eq!(server.store.counts().unwrap().instances, 0);
    assert!(server.events.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_in_mid_instance_stores_nothing() {
    let server = Server::start(open_settings()).await;
    let mut peer = Peer::associated(server.address).await;
    peer.send(&store_command(1, &slice_uid(1))).await;
    let part = p_data(3, Part::DataSet, &data_set_of(&slice(1, 64)), 1_000);
    peer.send(&part[..2 * 1_006]).await;
    peer.release().await;
    server.idle().await;
    assert_eq!((server.n_parts(), server.store.counts().unwrap().instances), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_the_same_however_they_are_split_over_pdvs_and_pdus() {
    let server = Server::start(open_settings()).await;
    let mut peer = Peer::associated(server.address).await;
    let mut uids = Vec::new();
    // Tiny PDUs: command and data set in pieces of two bytes.
    let data_set = data_set_of(&slice(0, 8));
    let mut bytes = p_data(3, Part::Command, &store_request(1, &slice_uid(0)), 8);
    bytes.extend(p_data(3, Part::DataSet, &data_set, 8));
    peer.send(&bytes).await;
    assert_eq!(peer.store_response().await.status, Status::SUCCESS);
    uids.push((slice_uid(0), data_set));
    // Three whole messages, each of several PDVs, in one PDU.
    let mut body = Vec::new();
    for number in 1..=3 {
        let command = store_request(number, &slice_uid(number));
        let data_set = data_set_of(&slice(number, 8));
        let (first, second) = command.split_at(20);
        let (third, fourth) = data_set.split_at(300);
        for (part, piece, is_last) in [
            (Part::Command, first, false),
            (Part::Command, second, true),
            (Part::DataSet, third, false),
            (Part::DataSet, &[], false),
            (Part::DataSet, fourth, false),
            (Part::DataSet, &[], true),
        ] {
            body.extend_from_slice(&data_header(3, part, piece.len(), is_last)[6..]);
            body.extend_from_slice(piece);
        }
        uids.push((slice_uid(number), data_set));
    }
    let mut pdu = vec![4, 0];
    pdu.extend_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
    pdu.extend(body);
    peer.send(&pdu).await;
    for number in 1..=3 {
        let response = peer.store_response().await;
        assert_eq!((response.responded_to, response.status), (number, Status::SUCCESS));
        assert_eq!(response.sop_instance, Some(slice_uid(number)));
        assert_eq!(response.sop_class.as_deref(), Some(CT));
    }
    for (uid, data_set) in uids {
        assert_eq!(server.data_set(&uid), data_set);
    }
    peer.release().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_failure_has_its_status_and_the_association_lives_on() {
    let mut server = Server::start(open_settings()).await;
    let mut peer = Peer::associated(server.address).await;
    let uid = slice_uid(1);
    let good = data_set_of(&slice(1, 16));
    let mut no_series = slice(1, 16);
    no_series.remove_element(tags::SERIES_INSTANCE_UID);
    let mut path = slice(1, 16);
    path.put_str(tags::STUDY_INSTANCE_UID, VR::UI, "../../../etc/passwd");
    let mut other_class = slice(1, 16);
    other_class.put_str(tags::SOP_CLASS_UID, VR::UI, "1.2.840.10008.5.1.4.1.1.4");
    let long = format!("1.{}", "2".repeat(63));
    for (what, command_uid, data_set, status) in [
        ("another instance", slice_uid(2).as_str(), good.as_slice(), Status::DATA_SET_MISMATCH),
        ("another class", &uid, &data_set_of(&other_class), Status::DATA_SET_MISMATCH),
        ("no series", &uid, &data_set_of(&no_series), Status::CANNOT_UNDERSTAND),
        ("a path for a UID", &uid, &data_set_of(&path), Status::CANNOT_UNDERSTAND),
        ("a path in the command", "../../1.2.3", &good, Status::CANNOT_UNDERSTAND),
        ("a UID of 65 characters", &long, &good, Status::CANNOT_UNDERSTAND),
        ("garbage", &uid, &[0xAA; 5_000], Status::CANNOT_UNDERSTAND),
        ("nothing", &uid, &[], Status::CANNOT_UNDERSTAND),
        ("a cut header", &uid, &good[..100], Status::CANNOT_UNDERSTAND),
    ] {
        let response = peer.store(7, command_uid, data_set).await;
        assert_eq!((response.responded_to, response.status), (7, status), "{what}");
        assert!(response.comment.is_some_and(|comment| !comment.contains("PHANTOM")), "{what}");
        assert_eq!(server.n_parts(), 0, "{what}");
    }
    assert_eq!(peer.store(8, &uid, &good).await.status, Status::SUCCESS);
    assert_eq!(peer.store(9, &uid, &good).await.status, Status::SUCCESS);
    let mut changed = good.clone();
    *changed.last_mut().unwrap() ^= 1;
    assert_eq!(peer.store(10, &uid, &changed).await.status, Status::DUPLICATE_SOP_INSTANCE);
    assert_eq!(server.data_set(&uid), good);
    assert_eq!(server.events.try_recv().unwrap().facts.sop_instance.as_str(), uid);
    assert!(server.events.try_recv().is_err(), "a duplicate or a conflict is no new instance");
    let counts = server.node.counts();
    assert_eq!((counts.stored, counts.duplicates, counts.conflicts, counts.failed), (1, 1, 1, 10));
    peer.release().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_out_of_resources_before_anything_is_written() {
    let server = Server::start_with_reserve(open_settings(), u64::MAX).await;
    let mut peer = Peer::associated(server.address).await;
    let response = peer.store(1, &slice_uid(1), &data_set_of(&slice(1, 512))).await;
    assert_eq!(response.status, Status::OUT_OF_RESOURCES);
    assert_eq!(server.n_parts(), 0);
    peer.echo().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_offered_is_refused_in_its_own_terms() {
    let server = Server::start(open_settings()).await;
    let mut peer = Peer::associated(server.address).await;
    let find = Command::FindRq { message_id: 5, sop_class: Some(CT.into()) }.with_data_set();
    let bytes = [p_data(3, Part::Command, &find.encode(), 0), p_data(3, Part::DataSet, &[0; 600], 500)].concat();
    peer.send(&bytes).await;
    let (context_id, command) = peer.message().await;
    let Command::FindRsp(response) = command else { panic!("{command:?}") };
    assert_eq!((context_id, response.responded_to), (3, 5));
    assert_eq!(response.status, Status::UNRECOGNISED_OPERATION);
    let get = Command::OtherRq { command_field: field::C_GET_RQ, message_id: 6, sop_class: None }.alone();
    peer.send(&p_data(3, Part::Command, &get.encode(), 0)).await;
    let (_, command) = peer.message().await;
    let Command::OtherRsp { command_field: 0x8010, response } = command else { panic!("{command:?}") };
    assert_eq!(response.status, Status::UNRECOGNISED_OPERATION);
    // A store over the context of verification, and one without a data set.
    let on_verification = p_data(1, Part::Command, &store_request(7, "1.2.3"), 0);
    peer.send(&[on_verification, p_data(1, Part::DataSet, &[1; 50], 0)].concat()).await;
    let (context_id, command) = peer.message().await;
    let Command::StoreRsp(response) = command else { panic!("{command:?}") };
    assert_eq!((context_id, response.status), (1, Status::SOP_CLASS_NOT_SUPPORTED));
    peer.echo().await;
    let cancel = Command::CancelRq { responded_to: 5 }.alone();
    peer.send(&p_data(3, Part::Command, &cancel.encode(), 0)).await;
    peer.echo().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_cannot_be_answered_ends_its_association_alone() {
    let server = Server::start(open_settings()).await;
    let no_id = CommandSet::default()
        .with_us(element::COMMAND_FIELD, field::C_STORE_RQ)
        .with_us(element::COMMAND_DATA_SET_TYPE, 0);
    let huge = vec![0; 70_000];
    let other = Peer::associated(server.address).await;
    for command in [no_id.encode(), vec![], vec![0xFF; 40], huge] {
        let mut peer = Peer::associated(server.address).await;
        peer.send(&p_data(3, Part::Command, &command, 20_000)).await;
        peer.aborted(0, 0).await;
    }
    // Without its UIDs a request can be answered.
    let mut peer = other;
    let bare = no_id.with_us(element::MESSAGE_ID, 3).encode();
    peer.send(&[p_data(3, Part::Command, &bare, 0), p_data(3, Part::DataSet, &[0; 10], 0)].concat()).await;
    let response = peer.store_response().await;
    assert_eq!((response.responded_to, response.status), (3, Status::CANNOT_UNDERSTAND));
    peer.echo().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fragments_of_two_messages_may_not_alternate() {
    let server = Server::start(open_settings()).await;
    let command = store_request(1, "1.2.3");
    let half = [&data_header(3, Part::Command, 20, false)[..], &command[..20]].concat();
    for next in [
        p_data(3, Part::DataSet, &[0; 4], 0),
        p_data(1, Part::Command, &command[20..], 0),
        [&data_header(3, Part::Command, command.len() - 20, true)[..], &command[20..], &store_command(2, "1.2")]
            .concat(),
        p_data(5, Part::Command, &store_request(1, "1.2.3"), 0),
    ] {
        let mut peer = Peer::associated(server.address).await;
        peer.send(&[half.as_slice(), &next].concat()).await;
        peer.aborted(2, 2).await;
    }
    server.idle().await;
    assert_eq!(server.n_parts(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wrong_titles_are_rejected_for_good_and_a_full_node_only_for_now() {
    let peer = radiomicsd::net::Peer { max_associations: Some(1), ..radiomicsd::net::Peer::new(title("PEER")) };
    let settings = NodeSettings { peers: vec![peer], accept_unknown_peers: false, ..open_settings() };
    let server = Server::start(settings).await;
    let rejected = async |calling: &str, called: &str| {
        let mut peer = Peer::connect(server.address).await;
        peer.send(&encode(&Pdu::AssociationRQ(request(calling, called))).unwrap()).await;
        let event = peer.event().await;
        let Some(Event::AssociateRj(rejection)) = event else { panic!("{event:?}") };
        assert_eq!(peer.event().await, None);
        rejection
    };
    assert_eq!(rejected("STRANGER", "TEST").await.result, AssociationRJResult::Permanent);
    assert_eq!(rejected("PEER", "OTHER").await.result, AssociationRJResult::Permanent);
    let first = Peer::associated(server.address).await;
    assert_eq!(rejected("PEER", "TEST").await.result, AssociationRJResult::Transient);
    first.release().await;
    server.idle().await;
    Peer::associated(server.address).await.release().await;
    assert_eq!(server.node.counts().rejected, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_removed_from_the_configuration_is_refused_its_next_instance() {
    let server = Server::start(open_settings()).await;
    let mut peer = Peer::associated(server.address).await;
    assert_eq!(peer.store(1, &slice_uid(1), &data_set_of(&slice(1, 8))).await.status, Status::SUCCESS);
    server.node.reload(NodeSettings::new(title("TEST")));
    assert_eq!(peer.store(2, &slice_uid(2), &data_set_of(&slice(2, 8))).await.status, Status::NOT_AUTHORISED);
    peer.release().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_sockets_take_no_place_of_an_association() {
    let settings = NodeSettings { max_associations: 2, ..open_settings() };
    let server = Server::start(settings).await;
    let mut sockets = Vec::new();
    for _ in 0..100 {
        sockets.push(Peer::connect(server.address).await);
    }
    let mut peer = Peer::associated(server.address).await;
    peer.echo().await;
    peer.release().await;
    assert_eq!(server.node.counts().rejected, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_may_overlap_where_the_peer_negotiated_it() {
    let server = Server::start(open_settings()).await;
    let mut rq = request("PEER", "TEST");
    rq.user_variables.push(UserVariableItem::Unknown(0x53, vec![0, 4, 0, 1]));
    let mut peer = Peer::connect(server.address).await;
    peer.send(&encode(&Pdu::AssociationRQ(rq)).unwrap()).await;
    let Some(Event::AssociateAc(ac)) = peer.event().await else { panic!("not accepted") };
    assert!(ac.user_variables.contains(&UserVariableItem::Unknown(0x53, vec![0, 4, 0, 1])));
    let mut bytes = Vec::new();
    for number in 0..20 {
        bytes.extend(store_command(number, &slice_uid(number)));
        bytes.extend(p_data(3, Part::DataSet, &data_set_of(&slice(number, 32)), 16_384));
    }
    peer.send(&bytes).await;
    let mut answered = Vec::new();
    for _ in 0..20 {
        let response = peer.store_response().await;
        assert_eq!(response.status, Status::SUCCESS);
        assert_eq!(response.sop_instance, Some(slice_uid(response.responded_to)));
        answered.push(response.responded_to);
    }
    answered.sort_unstable();
    assert_eq!(answered, (0..20).collect::<Vec<_>>());
    peer.release().await;
    assert_eq!(server.store.counts().unwrap().instances, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stops_finishes_the_instance_it_is_receiving_and_answers_it() {
    let server = Server::start(open_settings()).await;
    let mut busy = Peer::associated(server.address).await;
    let idle = Peer::associated(server.address).await;
    let data_set = data_set_of(&slice(1, 128));
    let part = p_data(3, Part::DataSet, &data_set, 16_384);
    busy.send(&store_command(1, &slice_uid(1))).await;
    busy.send(&part[..10_000]).await;
    until(|| server.n_parts() == 1).await;
    server.begin_stop();
    idle.aborted(0, 0).await;
    busy.send(&part[10_000..]).await;
    assert_eq!(busy.store_response().await.status, Status::SUCCESS);
    busy.aborted(0, 0).await;
    let (store, mut events, _directory) = server.stop().await;
    assert_eq!(store.counts().unwrap().instances, 1);
    assert!(events.try_recv().is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn echoes_repeat_on_one_association() {
    let server = Server::start(open_settings()).await;
    let mut peer = Peer::associated(server.address).await;
    for _ in 0..3 {
        peer.echo().await;
    }
    let wrong = Command::EchoRq { message_id: 1, sop_class: Some(VERIFICATION.into()) }.alone();
    peer.send(&p_data(3, Part::Command, &wrong.encode(), 0)).await;
    let (_, command) = peer.message().await;
    let Command::EchoRsp(response) = command else { panic!("{command:?}") };
    assert_eq!(response.status, Status::SOP_CLASS_NOT_SUPPORTED);
    peer.release().await;
}
