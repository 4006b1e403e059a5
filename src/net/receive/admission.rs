//! Who may open an association, and how many at once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dicom_ul::pdu::{
    AssociationRJ, AssociationRJResult, AssociationRJServiceProviderASCEReason as AsceReason,
    AssociationRJServiceProviderPresentationReason as PresentationReason, AssociationRJServiceUserReason as UserReason,
    AssociationRJSource, AssociationRQ, UserIdentity, UserIdentityType, UserVariableItem,
};

use super::negotiate::APPLICATION_CONTEXT;
use crate::net::AeTitle;
use crate::net::settings::{Caller, NodeSettings};

/// Why an association is rejected (PS3.8 9.3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// Another version of the protocol.
    #[error("the protocol version is not 1")]
    ProtocolVersion,
    /// Another application context than DICOM's.
    #[error("the application context is not DICOM's")]
    ApplicationContext,
    /// Not our AE title.
    #[error("the called AE title is not ours")]
    CalledAeTitle,
    /// No peer of that title, or not from that network.
    #[error("the calling AE title is not that of a peer at this address")]
    CallingAeTitle,
    /// No user where one has to be named, or not with this passcode.
    #[error("the user is not named, or not with the right passcode")]
    User,
    /// As many associations as may be at once.
    #[error("as many associations as are allowed are open")]
    Full,
    /// As many associations of this peer as may be at once.
    #[error("as many associations of this peer as are allowed are open")]
    PeerFull,
}

impl Refusal {
    /// The A-ASSOCIATE-RJ that says so. Fullness passes: its rejection is transient, the peer comes again.
    #[must_use]
    pub fn reject(self) -> AssociationRJ {
        let (result, source) = match self {
            Self::ProtocolVersion => (
                AssociationRJResult::Permanent,
                AssociationRJSource::ServiceProviderASCE(AsceReason::ProtocolVersionNotSupported),
            ),
            Self::ApplicationContext => (
                AssociationRJResult::Permanent,
                AssociationRJSource::ServiceUser(UserReason::ApplicationContextNameNotSupported),
            ),
            Self::CalledAeTitle => (
                AssociationRJResult::Permanent,
                AssociationRJSource::ServiceUser(UserReason::CalledAETitleNotRecognized),
            ),
            Self::CallingAeTitle => (
                AssociationRJResult::Permanent,
                AssociationRJSource::ServiceUser(UserReason::CallingAETitleNotRecognized),
            ),
            // PS3.7 D.3.3.7: what is wrong is not said.
            Self::User => {
                (AssociationRJResult::Permanent, AssociationRJSource::ServiceProviderASCE(AsceReason::NoReasonGiven))
            }
            Self::Full | Self::PeerFull => (
                AssociationRJResult::Transient,
                AssociationRJSource::ServiceProviderPresentation(PresentationReason::LocalLimitExceeded),
            ),
        };
        AssociationRJ { result, source }
    }
}

/// Checks a request in the order of PS3.8: protocol, application context, whom it calls, who calls, and whether there
/// is room. The returned place is held until it is dropped.
///
/// # Errors
/// The reason of the rejection.
pub fn admit(
    settings: &NodeSettings,
    places: &Arc<Places>,
    rq: &AssociationRQ,
    address: IpAddr,
) -> Result<(AeTitle, Place), Refusal> {
    if rq.protocol_version & 1 == 0 {
        return Err(Refusal::ProtocolVersion);
    }
    if rq.application_context_name.trim_end_matches(['\0', ' ']) != APPLICATION_CONTEXT {
        return Err(Refusal::ApplicationContext);
    }
    if AeTitle::parse(&rq.called_ae_title).as_ref() != Ok(&settings.ae_title) {
        return Err(Refusal::CalledAeTitle);
    }
    let calling = AeTitle::parse(&rq.calling_ae_title).map_err(|_| Refusal::CallingAeTitle)?;
    let peer_max = match settings.caller(&calling, address) {
        Caller::Refused => return Err(Refusal::CallingAeTitle),
        Caller::Peer(peer) => peer.max_associations,
        Caller::Unknown => None,
    };
    let place = places.take(&calling, settings.max_associations, peer_max)?;
    Ok((calling, place))
}

/// Checks the user that a request names (PS3.7 D.3.3.7): the name of who is verified, and whether the peer wants to be
/// told; nothing where nobody has to be named and nobody is.
///
/// A wrong passcode is refused also where none was needed. Tickets and assertions prove nothing here.
///
/// # Errors
/// [`Refusal::User`].
pub async fn identify(
    settings: &NodeSettings,
    calling: &AeTitle,
    address: IpAddr,
    rq: &AssociationRQ,
) -> Result<Option<Identified>, Refusal> {
    let Some(users) = &settings.users else { return Ok(None) };
    let required = match settings.caller(calling, address) {
        Caller::Peer(peer) => peer.require_user,
        Caller::Unknown | Caller::Refused => true,
    };
    let identity = rq.user_variables.iter().find_map(|item| match item {
        UserVariableItem::UserIdentityItem(identity) => Some(identity),
        _ => None,
    });
    let proven = identity.filter(|identity| identity.identity_type() == UserIdentityType::UsernamePassword);
    let Some(identity) = proven else { return if required { Err(Refusal::User) } else { Ok(None) } };
    let name = String::from_utf8(identity.primary_field()).map_err(|_| Refusal::User)?;
    if !users.verify(&name, &identity.secondary_field()).await {
        return Err(Refusal::User);
    }
    Ok(Some(Identified { name, wants_response: UserIdentity::positive_response_requested(identity) }))
}

/// A user whose passcode was right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identified {
    /// The name.
    pub name: String,
    /// Whether the peer asked to be told that it was accepted.
    pub wants_response: bool,
}

/// The associations that are open.
#[derive(Debug, Default)]
pub struct Places {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    n_all: usize,
    n_by_title: HashMap<AeTitle, usize>,
}

/// One open association; given back when dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    title: AeTitle,
}

impl Places {
    /// How many associations are open.
    #[must_use]
    pub fn n_open(&self) -> usize {
        self.lock().n_all
    }

    fn take(self: &Arc<Self>, title: &AeTitle, max: usize, peer_max: Option<usize>) -> Result<Place, Refusal> {
        let mut open = self.lock();
        if max <= open.n_all {
            return Err(Refusal::Full);
        }
        let n_title = open.n_by_title.get(title).copied().unwrap_or(0);
        if peer_max.is_some_and(|peer_max| peer_max <= n_title) {
            return Err(Refusal::PeerFull);
        }
        open.n_all += 1;
        open.n_by_title.insert(title.clone(), n_title + 1);
        Ok(Place { places: Arc::clone(self), title: title.clone() })
    }

    /// A poisoned lock guards two counters that are still right.
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.places.lock();
        open.n_all = open.n_all.saturating_sub(1);
        match open.n_by_title.get_mut(&self.title) {
            Some(n_title) if 1 < *n_title => *n_title -= 1,
            // A title without associations is forgotten: strangers may come under any number of them.
            _ => drop(open.n_by_title.remove(&self.title)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Peer;

    fn title(text: &str) -> AeTitle {
        AeTitle::parse(text).unwrap()
    }

    fn settings() -> NodeSettings {
        let networks = vec!["127.0.0.0/8".parse().unwrap()];
        let peer = Peer { networks, max_associations: Some(2), ..Peer::new(title("PACS")) };
        let settings = NodeSettings::new(title("RADIOMICSD"));
        NodeSettings { peers: vec![peer], accept_unknown_peers: true, max_associations: 3, ..settings }
    }

    fn request(calling: &str, called: &str) -> AssociationRQ {
        AssociationRQ {
            protocol_version: 1,
            calling_ae_title: calling.into(),
            called_ae_title: called.into(),
            application_context_name: APPLICATION_CONTEXT.into(),
            presentation_contexts: vec![],
            user_variables: vec![],
        }
    }

    #[test]
    fn fullness_is_a_transient_rejection_per_peer_and_in_total() {
        let (settings, places) = (settings(), Arc::new(Places::default()));
        let from = |calling| admit(&settings, &places, &request(calling, "RADIOMICSD"), [127, 0, 0, 1].into());
        let first = from("PACS").unwrap();
        let _second = from("PACS").unwrap();
        assert_eq!(from("PACS").unwrap_err(), Refusal::PeerFull);
        let _third = from("OTHER").unwrap();
        assert_eq!(from("OTHER").unwrap_err(), Refusal::Full);
        assert_eq!(Refusal::Full.reject().result, AssociationRJResult::Transient);
        drop(first);
        assert!(from("PACS").is_ok());
        assert_eq!(places.n_open(), 2);
    }

    #[test]
    fn a_wrong_title_is_a_permanent_rejection_that_says_which() {
        let (settings, places) = (settings(), Arc::new(Places::default()));
        let from = |rq: &AssociationRQ, address: [u8; 4]| admit(&settings, &places, rq, address.into()).unwrap_err();
        assert_eq!(from(&request("PACS", "ANYONE"), [127, 0, 0, 1]), Refusal::CalledAeTitle);
        assert_eq!(from(&request("PACS", "RADIOMICSD"), [10, 0, 0, 1]), Refusal::CallingAeTitle);
        assert_eq!(from(&request("", "RADIOMICSD"), [127, 0, 0, 1]), Refusal::CallingAeTitle);
        let old = AssociationRQ { protocol_version: 2, ..request("PACS", "RADIOMICSD") };
        assert_eq!(from(&old, [127, 0, 0, 1]), Refusal::ProtocolVersion);
        let other = AssociationRQ { application_context_name: "1.2.3".into(), ..request("PACS", "RADIOMICSD") };
        assert_eq!(from(&other, [127, 0, 0, 1]), Refusal::ApplicationContext);
        assert_eq!(Refusal::CalledAeTitle.reject().result, AssociationRJResult::Permanent);
        assert_eq!(places.n_open(), 0);
    }
}
