//! Users who associate (PS3.7 D.3.3.7).

use std::time::Duration;

use dicom_ul::pdu::{
    AssociationRJ, AssociationRJResult, AssociationRJServiceProviderASCEReason, AssociationRJSource, AssociationRQ,
    UserIdentity, UserIdentityType, UserVariableItem,
};
use radiomicsd::net::pdu::Event;
use radiomicsd::net::users::Users;
use radiomicsd::net::{NodeSettings, Peer as PeerSettings};

use crate::peer::{Peer, request};
use crate::support::{Server, open_settings, title};

fn users() -> Users {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("users");
    std::fs::write(&path, format!("alice:{}\n", bcrypt::hash("wonderland", 4).unwrap())).unwrap();
    Users::load(&path).unwrap()
}

fn with_user(kind: UserIdentityType, name: &str, passcode: &str, wants_response: bool) -> AssociationRQ {
    let mut rq = request("PEER", "TEST");
    let identity = UserIdentity::new(wants_response, kind, name.into(), passcode.into());
    rq.user_variables.push(UserVariableItem::UserIdentityItem(identity));
    rq
}

async fn asked(server: &Server, rq: AssociationRQ) -> Event {
    Peer::connect(server.address).await.ask(rq).await.expect("an answer")
}

/// The server's response to the user's identity, where it gave one.
fn response(event: &Event) -> Option<Vec<u8>> {
    let Event::AssociateAc(ac) = event else { panic!("not accepted: {event:?}") };
    ac.user_variables.iter().find_map(|item| match item {
        UserVariableItem::Unknown(0x59, bytes) => Some(bytes.clone()),
        _ => None,
    })
}

fn refused(event: &Event) {
    let expected = AssociationRJ {
        result: AssociationRJResult::Permanent,
        source: AssociationRJSource::ServiceProviderASCE(AssociationRJServiceProviderASCEReason::NoReasonGiven),
    };
    assert_eq!(*event, Event::AssociateRj(expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_passcode_is_answered_where_an_answer_is_wanted() {
    let server = Server::start(NodeSettings { users: Some(users()), ..open_settings() }).await;
    let rq = |wants| with_user(UserIdentityType::UsernamePassword, "alice", "wonderland", wants);
    assert_eq!(response(&asked(&server, rq(true)).await), Some(vec![0, 0]));
    assert_eq!(response(&asked(&server, rq(false)).await), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_proven_is_refused_and_not_told_why() {
    let server = Server::start(NodeSettings { users: Some(users()), ..open_settings() }).await;
    for rq in [
        request("PEER", "TEST"),
        with_user(UserIdentityType::UsernamePassword, "alice", "looking glass", true),
        with_user(UserIdentityType::UsernamePassword, "bob", "wonderland", true),
        with_user(UserIdentityType::Username, "alice", "", true),
        with_user(UserIdentityType::Jwt, "eyJhbGciOiJub25lIn0", "", true),
    ] {
        refused(&asked(&server, rq).await);
    }
    assert_eq!(server.node.counts().rejected, 5);
    server.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_need_not_name_a_user_may_still_not_lie() {
    let peer = PeerSettings { require_user: false, ..PeerSettings::new(title("PEER")) };
    let server = Server::start(NodeSettings { users: Some(users()), peers: vec![peer], ..open_settings() }).await;
    assert_eq!(response(&asked(&server, request("PEER", "TEST")).await), None);
    refused(&asked(&server, with_user(UserIdentityType::UsernamePassword, "alice", "rabbit", false)).await);
    // Another title has to.
    refused(&asked(&server, request("OTHER", "TEST")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_users_are_configured_an_identity_is_neither_checked_nor_confirmed() {
    let server = Server::start(open_settings()).await;
    let rq = with_user(UserIdentityType::UsernamePassword, "alice", "wonderland", true);
    assert_eq!(response(&asked(&server, rq).await), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_wrong_passcodes_at_once_hold_nobody_up_for_long() {
    let settings = NodeSettings { association_timeout: Duration::from_secs(2), ..open_settings() };
    let server = Server::start(NodeSettings { users: Some(users()), ..settings }).await;
    let mut guesses = Vec::new();
    for number in 0..40 {
        let rq = with_user(UserIdentityType::UsernamePassword, "mallory", &number.to_string(), true);
        let address = server.address;
        guesses.push(tokio::spawn(async move { Peer::connect(address).await.ask(rq).await }));
    }
    for guess in guesses {
        assert!(matches!(guess.await.unwrap(), Some(Event::AssociateRj(_))));
    }
    let rq = with_user(UserIdentityType::UsernamePassword, "alice", "wonderland", true);
    assert_eq!(response(&asked(&server, rq).await), Some(vec![0, 0]));
}
