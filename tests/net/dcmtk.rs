//! dcmtk as the other side.

use std::collections::BTreeMap;

use radiomicsd::net::{NodeSettings, Peer};

use crate::support::{
    Server, data_set_offset, dcmtk, open_settings, reference, run, said, slice_uid, title, write_slices,
};

#[tokio::test(flavor = "multi_thread")]
async fn echoscu_is_answered_three_times() {
    let Some(mut echoscu) = dcmtk("echoscu") else { return };
    let server = Server::start(open_settings()).await;
    echoscu.args(["-v", "--repeat", "3", "-aec", "TEST", "127.0.0.1", &server.port()]);
    let output = run(echoscu).await;
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(said(&output).matches("Success").count(), 3, "{}", said(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn dcmsend_stores_every_slice_with_its_bytes() {
    let Some(mut dcmsend) = dcmtk("dcmsend") else { return };
    let mut server = Server::start(open_settings()).await;
    let directory = tempfile::tempdir().unwrap();
    let files = write_slices(directory.path(), 0..30, 128);
    dcmsend.args(["-v", "-aet", "CT1", "-aec", "TEST", "127.0.0.1", &server.port()]).args(&files);
    let output = run(dcmsend).await;
    assert!(output.status.success(), "{}", said(&output));
    for (number, file) in files.iter().enumerate() {
        let sent = std::fs::read(file).unwrap();
        let uid = slice_uid(u16::try_from(number).unwrap());
        assert_eq!(server.data_set(&uid), sent[data_set_offset(&sent)..], "{number}");
        let event = server.events.recv().await.unwrap();
        assert_eq!((event.facts.sop_instance.as_str(), event.calling_ae.as_str()), (uid.as_str(), "CT1"));
    }
    assert_eq!(server.n_parts(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_instances_from_four_senders_leave_one_file_each() {
    if dcmtk("dcmsend").is_none() {
        return;
    }
    let server = Server::start(open_settings()).await;
    let directory = tempfile::tempdir().unwrap();
    let files = write_slices(directory.path(), 0..10, 64);
    let mut senders = Vec::new();
    for number in 0..4 {
        let mut dcmsend = dcmtk("dcmsend").unwrap();
        dcmsend.args(["-v", "-aet", &format!("S{number}"), "-aec", "TEST", "127.0.0.1", &server.port()]).args(&files);
        senders.push(tokio::spawn(run(dcmsend)));
    }
    for sender in senders {
        let output = sender.await.unwrap();
        assert!(output.status.success(), "{}", said(&output));
    }
    let counts = server.node.counts();
    assert_eq!((counts.stored, counts.duplicates, counts.failed), (10, 30, 0));
    assert_eq!(server.store.counts().unwrap().instances, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn storescu_proposes_its_required_contexts_and_is_served() {
    let Some(mut storescu) = dcmtk("storescu") else { return };
    let server = Server::start(open_settings()).await;
    let directory = tempfile::tempdir().unwrap();
    write_slices(directory.path(), 0..3, 32);
    storescu.args(["-v", "-R", "+sd", "+r", "-aec", "TEST", "127.0.0.1", &server.port()]).arg(directory.path());
    let output = run(storescu).await;
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(server.store.counts().unwrap().instances, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_transfer_syntax_is_stored_as_it_is_sent() {
    let Some(reference) = reference() else { return };
    if dcmtk("storescu").is_none() {
        return;
    }
    // What storescu proposes by option; deflated needs none of its codecs either.
    let options = BTreeMap::from([
        ("1.2.840.10008.1.2.1.dcm", "-xe"),
        ("1.2.840.10008.1.2.2.dcm", "-xb"),
        ("1.2.840.10008.1.2.dcm", "-xi"),
        ("1.2.840.10008.1.2.1.99.dcm", "-xd"),
        ("1.2.840.10008.1.2.5.dcm", "-xr"),
        ("1.2.840.10008.1.2.4.50.dcm", "-xy"),
        ("1.2.840.10008.1.2.4.51.dcm", "-xx"),
        ("1.2.840.10008.1.2.4.70.dcm", "-xs"),
        ("1.2.840.10008.1.2.4.80.dcm", "-xt"),
        ("1.2.840.10008.1.2.4.81.dcm", "-xu"),
        ("1.2.840.10008.1.2.4.90.dcm", "-xv"),
        ("1.2.840.10008.1.2.4.91.dcm", "-xw"),
    ]);
    let mut n_sent = 0;
    for entry in std::fs::read_dir(reference.join("data/transfer_syntaxes")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Some(option) = options.iter().find(|(end, _)| name.ends_with(&format!("_{end}"))) else { continue };
        // One server each: the files are one instance in many encodings.
        let server = Server::start(open_settings()).await;
        let mut storescu = dcmtk("storescu").unwrap();
        storescu.args([option.1, "-R", "-aec", "TEST", "127.0.0.1", &server.port()]).arg(&path);
        let output = run(storescu).await;
        assert!(output.status.success(), "{name}: {}", said(&output));
        let mut stored = Vec::new();
        server.store.for_each_instance(&mut |instance| stored.push(instance)).unwrap();
        let [stored] = stored.as_slice() else { panic!("{name}: {} instances", stored.len()) };
        let end = format!("{}.dcm", stored.facts.transfer_syntax);
        assert_eq!(*option.0, end, "{name}");
        n_sent += 1;
    }
    assert_eq!(n_sent, options.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_rejected_and_told_so() {
    let Some(mut echoscu) = dcmtk("echoscu") else { return };
    let peer = Peer { networks: vec!["10.0.0.0/8".parse().unwrap()], ..Peer::new(title("PACS")) };
    let settings = NodeSettings { accept_unknown_peers: false, peers: vec![peer], ..open_settings() };
    let server = Server::start(settings).await;
    echoscu.args(["-aet", "PACS", "-aec", "TEST", "127.0.0.1", &server.port()]);
    let output = run(echoscu).await;
    assert!(!output.status.success());
    assert!(said(&output).contains("Calling AE Title Not Recognized"), "{}", said(&output));
}
