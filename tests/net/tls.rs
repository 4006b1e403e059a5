//! TLS: who gets through, who does not, and what is said of it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use radiomicsd::net::deliver::{AssociationError, Destination, Timeouts, echo};
use radiomicsd::net::tls::{Identity, TlsClient, TlsServer};
use radiomicsd::net::{NodeSettings, Status};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::peer::Peer;
use crate::support::{Server, data_set_of, dcmtk, open_settings, run, said, slice, slice_uid, title, until};

/// An authority and what it signed, as PEM files.
pub struct Authority {
    pub directory: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "hospital authority");
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { directory, issuer: Issuer::new(params, key) }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A certificate for these names, valid until that year: the files `NAME.pem` and `NAME.key`.
    pub fn sign(&self, name: &str, names: &[&str], until_year: i32) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(until_year, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.path(&format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    pub fn server(&self, name: &str, client_authority: Option<&Self>) -> TlsServer {
        let (certificate, key) = (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
        let authorities = client_authority.map(|authority| authority.path("ca.pem"));
        TlsServer::load(Identity { certificate: &certificate, key: &key }, authorities.as_deref()).unwrap()
    }

    /// A client that believes this authority and shows that certificate of that one.
    pub fn client(&self, shown: Option<(&Self, &str)>) -> TlsClient {
        let files = shown.map(|(of, name)| (of.path(&format!("{name}.pem")), of.path(&format!("{name}.key"))));
        let identity = files.as_ref().map(|(certificate, key)| Identity { certificate, key });
        TlsClient::load(&self.path("ca.pem"), identity, None).unwrap()
    }
}

fn hospital() -> Authority {
    let hospital = Authority::new();
    hospital.sign("node", &["127.0.0.1", "localhost"], 4000);
    hospital.sign("modality", &["modality"], 4000);
    hospital
}

fn mutual(hospital: &Authority) -> NodeSettings {
    NodeSettings { tls: Some(hospital.server("node", Some(hospital))), ..open_settings() }
}

fn destination(address: SocketAddr, tls: Option<TlsClient>) -> Destination {
    let wait = Duration::from_secs(3);
    Destination {
        ae_title: title("TEST"),
        address: address.to_string(),
        calling_ae_title: title("CLIENT"),
        timeouts: Timeouts { connect: wait, association: wait, response: wait, write: wait },
        tls,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_valid_certificate_of_the_right_authority_gets_through() {
    let (hospital, stranger) = (hospital(), Authority::new());
    stranger.sign("modality", &["modality"], 4000);
    hospital.sign("expired", &["modality"], 2024);
    let server = Server::start(mutual(&hospital)).await;
    let ask = async |tls| echo(&destination(server.address, tls)).await;
    ask(Some(hospital.client(Some((&hospital, "modality"))))).await.unwrap();
    for (what, tls) in [
        ("wrong", Some(hospital.client(Some((&stranger, "modality"))))),
        ("expired", Some(hospital.client(Some((&hospital, "expired"))))),
        ("missing", Some(hospital.client(None))),
        ("no TLS", None),
    ] {
        let error = ask(tls).await.unwrap_err();
        assert!(matches!(error, AssociationError::Wire(_) | AssociationError::Tls(_)), "{what}: {error}");
    }
    until(|| server.node.counts().aborted == 4).await;
    assert_eq!(server.node.counts().associations, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn we_give_nothing_to_a_server_that_is_not_the_one_it_should_be() {
    let (hospital, stranger) = (hospital(), Authority::new());
    stranger.sign("node", &["127.0.0.1"], 4000);
    hospital.sign("elsewhere", &["elsewhere.hospital"], 4000);
    hospital.sign("expired", &["127.0.0.1"], 2024);
    for (authority, name) in [(&stranger, "node"), (&hospital, "elsewhere"), (&hospital, "expired")] {
        let server = Server::start(NodeSettings { tls: Some(authority.server(name, None)), ..open_settings() }).await;
        let error = echo(&destination(server.address, Some(hospital.client(None)))).await.unwrap_err();
        assert!(matches!(error, AssociationError::Tls(_)), "{name}: {error}");
        assert!(error.to_string().contains("certificate"), "{name}: {error}");
    }
    // The name may be said where the address has another.
    let tls = Some(hospital.server("elsewhere", None));
    let server = Server::start(NodeSettings { tls, ..open_settings() }).await;
    let named = TlsClient::load(&hospital.path("ca.pem"), None, Some("elsewhere.hospital")).unwrap();
    echo(&destination(server.address, Some(named))).await.unwrap();
    // A server without TLS gets no bytes that it could take for an association.
    let plain = Server::start(open_settings()).await;
    let error = echo(&destination(plain.address, Some(hospital.client(None)))).await.unwrap_err();
    assert!(matches!(error, AssociationError::Tls(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_handshake_ends_with_the_association_time_out_and_a_port_check_is_free() {
    let hospital = hospital();
    let settings = NodeSettings { association_timeout: Duration::from_millis(300), ..mutual(&hospital) };
    let server = Server::start(settings).await;
    for n in 0..20 {
        drop(TcpStream::connect(server.address).await.unwrap());
        until(|| server.node.counts().connections > n).await;
    }
    let begun = Instant::now();
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let mut half = Peer::connect(server.address).await;
    // The head of a ClientHello, and no more.
    half.send(&[0x16, 3, 1, 2, 0, 1, 0]).await;
    let mut byte = [0; 1];
    assert_eq!(silent.read(&mut byte).await.unwrap_or(0), 0);
    assert_eq!(half.stream.read(&mut byte).await.unwrap_or(0), 0);
    assert!(begun.elapsed() < Duration::from_secs(3));
    until(|| server.node.counts().aborted == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_certificates_are_for_new_connections_and_open_associations_go_on() {
    let (old, new) = (hospital(), hospital());
    let server = Server::start(NodeSettings { tls: Some(old.server("node", None)), ..open_settings() }).await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let stream = old.client(None).connect(stream, "127.0.0.1:1").await.unwrap();
    let mut open = Peer::over(stream);
    open.associate().await;
    server.node.reload(NodeSettings { tls: Some(new.server("node", None)), ..open_settings() });
    echo(&destination(server.address, Some(new.client(None)))).await.unwrap();
    assert!(echo(&destination(server.address, Some(old.client(None)))).await.is_err());
    let data_set = data_set_of(&slice(1, 1024));
    assert_eq!(open.store(1, &slice_uid(1), &data_set).await.status, Status::SUCCESS);
    assert_eq!(server.data_set(&slice_uid(1)), data_set);
    open.release().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dcmtk_sends_over_tls_with_its_certificate_and_not_without() {
    let Some(mut echoscu) = dcmtk("echoscu") else { return };
    let hospital = hospital();
    let server = Server::start(mutual(&hospital)).await;
    let trust = ["+cf".to_owned(), hospital.path("ca.pem").to_string_lossy().into_owned()];
    let ends = ["-aec".to_owned(), "TEST".to_owned(), "127.0.0.1".to_owned(), server.port()];
    echoscu.arg("+tls").args([hospital.path("modality.key"), hospital.path("modality.pem")]);
    echoscu.args(&trust).args(&ends);
    let output = run(echoscu).await;
    assert!(output.status.success(), "{}", said(&output));
    let mut anonymous = dcmtk("echoscu").unwrap();
    anonymous.arg("+tla").args(&trust).args(&ends);
    let output = run(anonymous).await;
    assert!(!output.status.success(), "{}", said(&output));
}

/// A program that ends with the value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn results_go_over_tls_to_dcmtk_which_checks_our_certificate() {
    let Some(mut storescp) = dcmtk("storescp") else { return };
    let hospital = hospital();
    hospital.sign("pacs", &["127.0.0.1"], 4000);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    storescp.arg("+tls").args([hospital.path("pacs.key"), hospital.path("pacs.pem")]);
    storescp.arg("+cf").arg(hospital.path("ca.pem")).args(["-rc", &port.port().to_string()]);
    let _receiver = Running(storescp.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    until(|| std::net::TcpStream::connect(port).is_ok()).await;
    echo(&destination(port, Some(hospital.client(Some((&hospital, "modality")))))).await.unwrap();
    let error = echo(&destination(port, Some(hospital.client(None)))).await.unwrap_err();
    assert!(matches!(error, AssociationError::Tls(_) | AssociationError::Wire(_)), "{error}");
}
