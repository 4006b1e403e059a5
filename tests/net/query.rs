//! What an object names and did not come is asked of a PACS: dcmtk's `dcmqrscp`, pynetdicom, and (on demand) Orthanc.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use radiomicsd::dicom::facts;
use radiomicsd::net::query::{count_instances, find_series, find_study, move_series};
use radiomicsd::net::receive::Node;
use radiomicsd::net::{NodeSettings, Peer};
use tokio_util::sync::CancellationToken;

use crate::deliver::destination;
use crate::shared::archive::Archive;
use crate::shared::{free_port, pynetdicom};
use crate::support::{Server, dcmtk, open_settings, run, said, slice_uid, title, uid, until, write_slices};

/// An archive that has these files and moves them to a node called TEST.
async fn archive_with(test: SocketAddr, files: &[PathBuf]) -> Option<Archive> {
    filled(Archive::start("TEST", test.port())?, files).await
}

async fn filled(archive: Archive, files: &[PathBuf]) -> Option<Archive> {
    let mut storescu = dcmtk("storescu")?;
    storescu.args(["-R", "-aec", "ARCHIVE", "127.0.0.1", &archive.port.to_string()]).args(files);
    let output = run(storescu).await;
    assert!(output.status.success(), "{}", said(&output));
    Some(archive)
}

fn peer(archive: &Archive) -> Peer {
    let address = Some(format!("127.0.0.1:{}", archive.port));
    Peer { address, retrieve: true, ..Peer::new(title("ARCHIVE")) }
}

/// A node that retrieves, until the token is cancelled.
fn retrieving(server: &Server, archive: &Archive) -> CancellationToken {
    server.node.reload(NodeSettings {
        peers: vec![peer(archive)],
        retrieve_after: Duration::from_millis(100),
        ..open_settings()
    });
    let stop = CancellationToken::new();
    let (node, stopped): (Arc<Node>, _) = (Arc::clone(&server.node), stop.clone());
    tokio::spawn(async move { node.retrieve_missing(stopped).await });
    stop
}

fn fixture(name: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/patient").join(name);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

async fn send(server: &Server, files: &[PathBuf]) {
    let mut storescu = dcmtk("storescu").unwrap();
    storescu.args(["-R", "-aet", "STATION", "-aec", "TEST", "127.0.0.1", &server.port()]).args(files);
    let output = run(storescu).await;
    assert!(output.status.success(), "{}", said(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_structure_set_that_comes_alone_brings_its_images_once() {
    let server = Server::start(open_settings()).await;
    let images = fixture("CT");
    let Some(archive) = archive_with(server.address, &images).await else { return };
    let stop = retrieving(&server, &archive);
    let structure_set = fixture("RTSTRUCT1");
    send(&server, &structure_set).await;
    let n_all = (images.len() + structure_set.len()) as u64;
    until(|| server.store.counts().unwrap().instances == n_all).await;
    // It comes again: nothing is asked again.
    let associations = server.node.counts().associations;
    send(&server, &structure_set).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(server.node.counts().associations, associations + 1);
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_series_that_came_in_part_is_completed_and_a_whole_one_is_left_alone() {
    let server = Server::start(open_settings()).await;
    let images = fixture("CT");
    let Some(archive) = archive_with(server.address, &images).await else { return };
    send(&server, &images[..images.len() - 2]).await;
    let stop = retrieving(&server, &archive);
    send(&server, &fixture("RTSTRUCT1")).await;
    until(|| server.store.counts().unwrap().instances == images.len() as u64 + 1).await;
    stop.cancel();
    let whole = Server::start(open_settings()).await;
    let Some(archive) = archive_with(whole.address, &images).await else { return };
    send(&whole, &images).await;
    let stop = retrieving(&whole, &archive);
    send(&whole, &fixture("RTSTRUCT1")).await;
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert_eq!(whole.node.counts().associations, 2);
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_that_was_open_at_a_stop_is_taken_up_at_the_next_start() {
    let server = Server::start(open_settings()).await;
    let images = fixture("CT");
    let Some(archive) = archive_with(server.address, &images).await else { return };
    // Nobody retrieves while it comes.
    send(&server, &fixture("RTSTRUCT1")).await;
    let stop = retrieving(&server, &archive);
    until(|| server.store.counts().unwrap().instances == images.len() as u64 + 1).await;
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_peer_has_is_found_and_moved_or_told_why_not() {
    let directory = tempfile::tempdir().unwrap();
    let files = write_slices(directory.path(), 0..5, 16);
    let server = Server::start(open_settings()).await;
    let Some(archive) = archive_with(server.address, &files).await else { return };
    let mut archive_at = destination(archive.port);
    archive_at.ae_title = title("ARCHIVE");
    archive_at.calling_ae_title = title("TEST");
    let (study, series) = (uid("1.2.3.1"), uid("1.2.3.2"));
    let found = find_series(&archive_at, &study, &series).await.unwrap();
    assert_eq!((found.len(), &found[0].series), (1, &series));
    assert_eq!(count_instances(&archive_at, &study, &series).await.unwrap(), 5);
    // dcmqrscp leaves Number of Study Related Instances out: no error, and nothing to tell.
    assert_eq!(find_study(&archive_at, &study).await.unwrap(), None);
    assert!(find_series(&archive_at, &study, &uid("1.2.99")).await.unwrap().is_empty());
    let counts = move_series(&archive_at, &study, &series, &title("TEST")).await.unwrap();
    assert_eq!((counts.n_completed, counts.n_failed), (Some(5), Some(0)));
    assert!(server.store.instance(&uid(&slice_uid(4))).unwrap().is_some());
    // A destination that the archive does not know.
    let error = move_series(&archive_at, &study, &series, &title("NOBODY")).await.unwrap_err();
    assert!(error.to_string().contains("A801H"), "{error}");
    // Our own node offers no queries.
    let error = find_series(&destination(server.address.port()), &study, &series).await.unwrap_err();
    assert!(error.to_string().contains("none of the presentation contexts"), "{error}");
}

/// An archive that tells of another study first, then how much it has of the study that is asked for, and refuses `1.2.99`.
const COUNTING: &str = r#"
import sys
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
def find(event):
    keys = event.identifier
    assert keys.QueryRetrieveLevel == "STUDY" and "NumberOfStudyRelatedInstances" in keys
    if keys.StudyInstanceUID == "1.2.99":
        yield 0xA700, None
        return
    for study, number in (("1.2.3", 7), (keys.StudyInstanceUID, 4321)):
        found = Dataset()
        found.QueryRetrieveLevel = "STUDY"
        found.StudyInstanceUID = study
        found.NumberOfStudyRelatedInstances = number
        yield 0xFF00, found
ae = AE(ae_title="TEST")
ae.add_supported_context("1.2.840.10008.5.1.4.1.2.2.1")
ae.start_server(("127.0.0.1", int(sys.argv[1])), evt_handlers=[(evt.EVT_C_FIND, find)])
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_counts_says_how_much_it_has_of_the_study_that_is_asked_for() {
    let Some(mut python) = pynetdicom(COUNTING) else { return };
    let port = free_port();
    let mut child = python.arg(port.to_string()).spawn().unwrap();
    until(|| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()).await;
    let answer = find_study(&destination(port), &uid("1.2.77")).await;
    let refused = find_study(&destination(port), &uid("1.2.99")).await;
    let _ = child.kill();
    let _ = child.wait();
    assert_eq!(answer.unwrap(), Some(4321));
    assert!(refused.unwrap_err().to_string().contains("A700"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "asks an Orthanc: tests/net/orthanc.sh runs it"]
async fn what_orthanc_has_of_the_study_is_told_and_what_nothing_names_of_it_is_not_retrieved() {
    let server = Server::start(open_settings()).await;
    let Some(archive) = Archive::start_orthanc("TEST", server.address.port()) else { return };
    // The structure set names the CT and the PET.
    let (images, unnamed) = ([fixture("CT"), fixture("PT")].concat(), fixture("MR"));
    let archive = filled(archive, &[images.clone(), unnamed.clone()].concat()).await.unwrap();
    let stop = retrieving(&server, &archive);
    send(&server, &fixture("RTSTRUCT1")).await;
    let named = facts::read(&images[0], &[]).unwrap();
    let held = || server.store.held_of(std::slice::from_ref(&named.series)).unwrap();
    until(|| !held().is_empty()).await;
    let told = held().remove(0);
    let n_there = (images.len() + unnamed.len()) as u64;
    assert_eq!((&told.study, told.there.peer.as_str(), told.there.n_instances), (&named.study, "ARCHIVE", n_there));
    assert_eq!(told.n_here, images.len() as u64 + 1);
    stop.cancel();
    let mut archive_at = destination(archive.port);
    archive_at.ae_title = title("ARCHIVE");
    assert_eq!(find_study(&archive_at, &named.study).await.unwrap(), Some(n_there));
    assert_eq!(find_study(&archive_at, &uid("1.2.99")).await.unwrap(), None);
    let found = find_series(&archive_at, &named.study, &named.series).await.unwrap();
    assert_eq!(found[0].n_instances, Some(fixture("CT").len() as u64));
}
