//! The machine itself fails: no room, no memory to spare, thousands who connect and say nothing.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::node::{Daemon, PROTOCOL};
use super::pacs::Pacs;
use super::patient::{Patient, dcmsend, with_files};
use super::shared::{aloud, dcmtk, pynetdicom, run, said};

/// A file system of its own, in memory; `None`, aloud, where this may not be mounted.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, kilobytes: u64) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={kilobytes}k"), "tmpfs"]).arg(at);
        if mount.output().is_ok_and(|output| output.status.success()) {
            return Some(Self(at.to_owned()));
        }
        aloud("skipped: no file system may be mounted here; a limit on files is tested all the same");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_disk_that_fills_up_costs_nothing_that_was_acknowledged_and_goes_on_when_there_is_room() {
    let (Some(storescu), Some(pacs)) = (dcmtk("storescu"), Pacs::start()) else { return };
    let mut daemon = Daemon::start(&format!("{PROTOCOL}\n{}", pacs.destination()));
    daemon.kill();
    std::fs::remove_dir_all(daemon.path("storage")).unwrap();
    let Some(_disk) = SmallDisk::mount(&daemon.path("storage"), 24_000) else { return };
    daemon.run();
    let patient = Patient::tiny();
    dcmsend(&daemon, &patient.series("MR"));
    let before: Vec<_> = daemon.files("instances").iter().map(|path| std::fs::read(path).unwrap()).collect();
    assert_eq!(before.len(), patient.series("MR").len());

    // Everything but a few kilobytes is taken.
    let ballast = daemon.path("storage/ballast");
    let filled = Command::new("dd").args(["if=/dev/zero", "bs=1k"]).arg(format!("of={}", ballast.display())).output();
    assert!(said(&filled.unwrap()).contains("No space left"));
    let mut storescu = storescu;
    storescu.args(["-v", "-aet", "SCANNER", "-aec", "RADIOMICSD", "127.0.0.1", &daemon.dicom.to_string()]);
    let output = with_files(storescu, &patient.series("CT")).output().unwrap();
    assert!(said(&output).contains("OutOfResources"), "{}", said(&output));
    assert!(daemon.is_running());

    std::fs::remove_file(&ballast).unwrap();
    dcmsend(&daemon, &patient.all());
    daemon.wait_for_state("done");
    pacs.wait_for_reports(1);
    let after: Vec<_> = daemon.files("instances").iter().map(|path| std::fs::read(path).unwrap()).collect();
    assert!(before.iter().all(|bytes| after.contains(bytes)));
    assert_eq!(after.len(), patient.all().len());
}

/// Sends one CT slice with as many megabytes of pixels as asked for, and prints the status.
const LARGE: &str = r#"
import sys
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
port, file, megabytes = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
ae = AE(ae_title="SCANNER")
ae.maximum_pdu_size = 0
ae.add_requested_context("1.2.840.10008.5.1.4.1.1.2", ExplicitVRLittleEndian)
association = ae.associate("127.0.0.1", port, ae_title="RADIOMICSD")
ds = dcmread(file)
ds.SOPInstanceUID = ds.SOPInstanceUID + ".9"
ds.Rows, ds.Columns, ds.NumberOfFrames = 1024, 512, megabytes
ds.PixelData = bytes(megabytes << 20)
print("large %04X" % association.send_c_store(ds).Status)
print("small %04X" % association.send_c_store(dcmread(file)).Status)
association.release()
"#;

#[test]
fn a_file_that_may_not_grow_is_out_of_resources_and_not_the_end() {
    let Some(mut python) = pynetdicom(LARGE) else { return };
    let mut daemon = Daemon::start("");
    daemon.kill();
    // 32 MiB at least, whichever of the two sizes of a block the shell has.
    daemon.file_blocks_max = Some(65_536);
    daemon.run();
    let patient = Patient::tiny();
    python.arg(daemon.dicom.to_string()).arg(&patient.series("CT")[0]).arg("80");
    let said = run(python);
    assert!(said.contains("large A700") && said.contains("small 0000"), "{said}");
    assert_eq!(daemon.files("instances").len(), 1);
    assert!(daemon.files("incoming").is_empty());
}

fn resident_peak_kb(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

#[test]
fn memory_depends_neither_on_the_size_of_an_object_nor_on_how_many_send() {
    let Some(mut python) = pynetdicom(LARGE) else { return };
    if dcmtk("storescu").is_none() {
        return;
    }
    let daemon = Daemon::start("");
    let patient = Patient::tiny();
    let megabytes = std::env::var("RADIOMICSD_LARGE_MB").unwrap_or_else(|_| "200".to_owned());
    python.arg(daemon.dicom.to_string()).arg(&patient.series("CT")[0]).arg(&megabytes);
    let said = run(python);
    assert!(said.contains("large 0000"), "{said}");
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (daemon, patient) = (&daemon, &patient);
            scope.spawn(move || {
                let mut storescu = dcmtk("storescu").unwrap();
                let title = format!("S{number}");
                storescu.args(["--repeat", "5", "-aet", &title, "-aec", "RADIOMICSD", "127.0.0.1"]);
                storescu.arg(daemon.dicom.to_string());
                run(with_files(storescu, &patient.series("CT")));
            });
        }
    });
    let peak = resident_peak_kb(&daemon);
    println!("largest resident size: {peak} kB");
    assert!(peak < 64 << 10, "{peak} kB");
}

#[test]
fn a_thousand_silent_connections_keep_nobody_out() {
    let Some(mut echoscu) = dcmtk("echoscu") else { return };
    let mut daemon = Daemon::start("");
    let sockets: Vec<TcpStream> =
        (0..1_000).map_while(|_| TcpStream::connect(("127.0.0.1", daemon.dicom)).ok()).collect();
    assert!(sockets.len() > 900, "{} connections", sockets.len());
    echoscu.args(["-aec", "RADIOMICSD", "127.0.0.1", &daemon.dicom.to_string()]);
    run(echoscu);
    assert!(daemon.is_running());
    drop(sockets);
}
