//! The configuration in force, and what each part of the daemon takes from it.

use std::sync::{Arc, PoisonError, RwLock};

use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::Reload;
use crate::audit::{Audit, AuditSettings, SyslogServer, Transport};
use crate::config::{self, Config};
use crate::dicom::{facts, likeness};
use crate::net::deliver::{Backoff, Destination, Outlet, Receiver, Timeouts};
use crate::net::receive::Node;
use crate::net::stow::WebServer;
use crate::net::tls::{Identity, TlsClient, TlsError, TlsServer};
use crate::net::users::{Users, UsersError};
use crate::net::{AeTitle, AeTitleError, Corrections, NodeSettings, Peer};
use crate::store::{Durability, StoreSettings};
use crate::table::unusable_models;

/// Why a configuration that is well-formed cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Certificates, keys or authorities: nothing goes in clear that was to be encrypted.
    #[error("{key}: {source}")]
    Tls {
        /// The table in the configuration.
        key: &'static str,
        /// What is wrong.
        source: Box<TlsError>,
    },
    /// The file of users: nobody gets in unproven who was to be proven.
    #[error("dicom.users: {0}")]
    Users(#[from] UsersError),
    /// An AE title.
    #[error("the AE title {title:?} cannot be used: {source}")]
    AeTitle {
        /// As configured.
        title: String,
        /// Why not.
        source: AeTitleError,
    },
}

/// The configuration in force: one for the whole daemon, exchanged as a whole when it is read again.
#[derive(Debug)]
pub struct Live {
    config: RwLock<Arc<Config>>,
    /// What is said of models that cannot be used, as of the last look.
    unusable_models: RwLock<Vec<String>>,
    /// Notified when another configuration came into force.
    pub(super) changed: Notify,
}

impl Live {
    /// Puts a configuration in force.
    ///
    /// # Errors
    /// When it asks for what this version cannot do safely.
    pub fn new(config: Config) -> Result<Arc<Self>, SettingsError> {
        check(&config)?;
        let live =
            Self { config: RwLock::new(Arc::new(config)), unusable_models: RwLock::default(), changed: Notify::new() };
        live.look_at_models();
        Ok(Arc::new(live))
    }

    /// Looks again which models cannot be used; what is new is said in the log.
    pub(super) fn look_at_models(&self) {
        let config = self.config();
        let (combat, bundles) = config.models();
        let found = unusable_models(&config.storage.directory, combat, bundles);
        let mut known = self.unusable_models.write().unwrap_or_else(PoisonError::into_inner);
        for sentence in found.iter().filter(|sentence| !known.contains(sentence)) {
            warn!("{sentence}");
        }
        *known = found;
    }

    /// What was said of models that cannot be used when it was last looked.
    pub(super) fn unusable_models(&self) -> Vec<String> {
        self.unusable_models.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, config: Config) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        self.changed.notify_waiters();
    }
}

/// What may not be ignored in silence is refused; the rest is said.
fn check(config: &Config) -> Result<(), SettingsError> {
    for sentence in config.unsupported().into_iter().chain(config.missing_files()) {
        warn!("{sentence}");
    }
    node(config)?;
    outlets(config)?;
    audit(config)?;
    Ok(())
}

fn title(title: &config::AeTitle) -> Result<AeTitle, SettingsError> {
    AeTitle::parse(title.as_str()).map_err(|source| SettingsError::AeTitle { title: title.as_str().to_owned(), source })
}

/// The receiver's part.
pub(super) fn node(config: &Config) -> Result<NodeSettings, SettingsError> {
    let dicom = &config.dicom;
    let peers = dicom.peers.iter().map(|peer| {
        Ok(Peer {
            ae_title: title(&peer.ae_title)?,
            networks: peer.networks.clone(),
            address: peer.address.as_ref().map(ToString::to_string),
            max_associations: Some(peer.max_associations as usize),
            retrieve: peer.retrieve,
            require_user: peer.require_user,
            corrections: match peer.corrections {
                config::Corrections::Keep => Corrections::Keep,
                config::Corrections::Replace => Corrections::Replace,
            },
            tls: client_tls("dicom.peer.tls", peer.tls.as_ref())?,
        })
    });
    let tls = dicom.tls.as_ref().map(|tls| {
        let identity = Identity { certificate: &tls.certificate, key: &tls.key };
        let loaded = TlsServer::load(identity, tls.client_ca.as_deref());
        loaded.map_err(|source| SettingsError::Tls { key: "dicom.tls", source: Box::new(source) })
    });
    Ok(NodeSettings {
        peers: peers.collect::<Result<_, SettingsError>>()?,
        accept_unknown_peers: dicom.accept_unknown_peers,
        max_associations: dicom.max_associations as usize,
        max_pdu_bytes: dicom.max_pdu_bytes,
        idle_timeout: dicom.idle_timeout,
        match_keywords: config.keywords().into_iter().collect(),
        tls: tls.transpose()?,
        users: dicom.users.as_deref().map(Users::load).transpose()?,
        retrieve_after: config.case.series_settle,
        storage_commitment: dicom.storage_commitment,
        commitment_reports: config.destinations.iter().any(|destination| destination.storage_commitment),
        ..NodeSettings::new(title(&dicom.ae_title)?)
    })
}

/// Where results go, each with its schedule.
pub(super) fn outlets(config: &Config) -> Result<Vec<Outlet>, SettingsError> {
    config.destinations.iter().map(outlet).collect()
}

pub(super) fn outlet(destination: &config::Destination) -> Result<Outlet, SettingsError> {
    let config::RetrySettings { first, max, give_up_after } = destination.retry;
    let tls = client_tls("destination.tls", destination.tls.as_ref())?;
    let timeouts = Timeouts::default();
    let to = match &destination.to {
        config::Receiver::Dimse { ae_title, address, calling_ae_title } => Receiver::Dimse(Destination {
            ae_title: title(ae_title)?,
            address: address.to_string(),
            calling_ae_title: title(calling_ae_title)?,
            timeouts,
            tls,
        }),
        config::Receiver::Web { name, url, token_file } => Receiver::Web(WebServer {
            name: name.clone(),
            address: url.place().to_string(),
            host: url.host(),
            path: format!("{}/studies", url.path()),
            token_file: token_file.clone(),
            timeouts,
            tls: tls.map(|tls| tls.for_another_protocol()),
        }),
    };
    Ok(Outlet {
        to,
        backoff: Backoff { first, max, give_up_after },
        storage_commitment: destination.storage_commitment,
    })
}

fn client_tls(key: &'static str, tls: Option<&config::ClientTls>) -> Result<Option<TlsClient>, SettingsError> {
    let Some(tls) = tls else { return Ok(None) };
    let own = tls.certificate.as_deref().zip(tls.key.as_deref());
    let identity = own.map(|(certificate, key)| Identity { certificate, key });
    let loaded = TlsClient::load(&tls.ca, identity, tls.name.as_deref());
    loaded.map(Some).map_err(|source| SettingsError::Tls { key, source: Box::new(source) })
}

/// Where audit messages go.
pub(super) fn audit(config: &Config) -> Result<AuditSettings, SettingsError> {
    let syslog = config.audit.syslog.as_ref().map(|target| {
        let transport = match target.transport {
            config::SyslogTransport::Udp => Transport::Udp,
            config::SyslogTransport::Tcp => Transport::Tcp,
            config::SyslogTransport::Tls => {
                // Checked with the configuration: a tls:// server has its authority.
                match client_tls("audit.tls", config.audit.tls.as_ref())? {
                    Some(tls) => Transport::Tls(tls.for_another_protocol()),
                    None => Transport::Tcp,
                }
            }
        };
        Ok::<_, SettingsError>(SyslogServer { address: target.address.to_string(), transport })
    });
    Ok(AuditSettings { file: config.audit.file.clone(), syslog: syslog.transpose()? })
}

/// Where and how a configuration stores. The facts of an instance hold what the protocols match on: another list of
/// keywords is another version of the facts.
#[must_use]
pub fn store_settings(config: &Config) -> StoreSettings {
    let keywords: Vec<String> = config.keywords().into_iter().collect();
    let version = Sha256::digest(format!("{} {}", env!("CARGO_PKG_VERSION"), keywords.join(" ")));
    StoreSettings {
        directory: config.storage.directory.clone(),
        reserve_bytes: config.storage.reserve_bytes,
        durability: match config.storage.durability {
            config::Durability::Full => Durability::Full,
            config::Durability::File => Durability::File,
            config::Durability::None => Durability::None,
        },
        read_facts: Arc::new(move |path| facts::read(path, &keywords).map_err(|error| error.to_string())),
        facts_version: version.iter().take(8).map(|byte| format!("{byte:02x}")).collect(),
        compare: likeness::of,
    }
}

/// Reads the configuration again whenever somebody asks, until the shutdown. One that is wrong is refused, and the one in
/// force stays.
pub(super) async fn reload(
    reload: Option<Reload>,
    live: Arc<Live>,
    node: Arc<Node>,
    audit: Audit,
    shutdown: CancellationToken,
) {
    let Some(Reload { asked, read, path }) = reload else { return shutdown.cancelled().await };
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = asked.notified() => {}
        }
        let path = path.clone();
        match tokio::task::spawn_blocking(move || read(&path)).await {
            Ok(Ok(config)) => take(&live, &node, &audit, config),
            Ok(Err(error)) => error!(%error, "the new configuration is refused, the old one stays in force"),
            Err(_) => error!("the new configuration could not be read, the old one stays in force"),
        }
    }
}

fn take(live: &Live, node: &Node, audit: &Audit, config: Config) {
    for sentence in needs_restart(&live.config(), &config) {
        warn!("{sentence}: this change waits for a restart");
    }
    match check(&config).and_then(|()| Ok((self::node(&config)?, self::audit(&config)?))) {
        Ok((settings, places)) => {
            node.reload(settings);
            audit.reload(places);
            live.replace(config);
            live.look_at_models();
            info!("the new configuration is in force");
        }
        Err(error) => error!(%error, "the new configuration is refused, the old one stays in force"),
    }
}

/// What is bound or opened once.
fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let mut sentences = Vec::new();
    let mut say = |differs: bool, what| {
        if differs {
            sentences.push(what);
        }
    };
    say(old.dicom.listen != new.dicom.listen, "dicom.listen");
    say(old.http.listen != new.http.listen, "http.listen");
    say(old.http.token_file != new.http.token_file, "http.token_file");
    say(old.storage.directory != new.storage.directory, "storage.directory");
    say(old.storage.reserve_bytes != new.storage.reserve_bytes, "storage.reserve_bytes");
    say(old.storage.durability != new.storage.durability, "storage.durability");
    say(old.keywords() != new.keywords(), "protocols match on other attributes; instances that are stored already");
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        Config::from_toml(&format!("[storage]\ndirectory = \"/tmp/x\"\n{text}"), "test.toml").unwrap()
    }

    #[test]
    fn security_whose_files_are_missing_is_refused_and_never_ignored() {
        for asked in [
            "[dicom.tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n",
            "[dicom]\nusers = \"nobody\"\n",
            "[[dicom.peer]]\nae_title = \"A\"\naddress = \"h:1\"\ntls = { ca = \"ca.pem\" }\n",
            "[[destination]]\nae_title = \"A\"\naddress = \"h:1\"\ntls = { ca = \"ca.pem\" }\n",
            "[audit]\nsyslog = \"tls://h:1\"\ntls = { ca = \"ca.pem\" }\n",
        ] {
            let refused = Live::new(config(asked));
            assert!(matches!(refused, Err(SettingsError::Tls { .. } | SettingsError::Users(_))), "{asked}");
        }
    }

    #[test]
    fn another_list_of_matched_keywords_is_another_version_of_the_facts() {
        let protocol = |keyword: &str| {
            config(&format!(
                "[[protocol]]\nname = \"p\"\nmatch = {{ {keyword} = \"x\" }}\n[[protocol.input]]\nrole = \"CT\"\nmodality = \"CT\"\n"
            ))
        };
        let version = |config: &Config| store_settings(config).facts_version;
        assert_eq!(version(&protocol("StationName")), version(&protocol("StationName")));
        assert_ne!(version(&protocol("StationName")), version(&protocol("ProtocolName")));
    }

    #[test]
    fn a_changed_listener_is_said_to_wait_for_a_restart() {
        let (old, new) = (config(""), config("[dicom]\nlisten = \"127.0.0.1:4242\"\n"));
        assert_eq!(needs_restart(&old, &new), ["dicom.listen"]);
        assert!(needs_restart(&old, &old).is_empty());
    }
}
