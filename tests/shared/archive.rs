//! dcmtk's `dcmqrscp` and Orthanc as archives.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{dcmtk, free_port, skipped};

/// An archive called ARCHIVE that has what it is sent and moves it to one other node; it ends with this value.
pub struct Archive {
    child: Child,
    pub port: u16,
    _directory: tempfile::TempDir,
}

impl Drop for Archive {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Archive {
    /// An archive that moves to the node of this title and port; nothing where dcmtk is not installed.
    pub fn start(mover: &str, mover_port: u16) -> Option<Self> {
        let mut dcmqrscp = dcmtk("dcmqrscp")?;
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let files = directory.path().join("files");
        std::fs::create_dir(&files).unwrap();
        let configuration = format!(
            "NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n\
             HostTable BEGIN\nmover = ({mover}, 127.0.0.1, {mover_port})\nHostTable END\n\
             VendorTable BEGIN\nVendorTable END\n\
             AETable BEGIN\nARCHIVE {} RW (200, 1024mb) ANY\nAETable END\n",
            files.display()
        );
        let file = directory.path().join("dcmqrscp.cfg");
        std::fs::write(&file, configuration).unwrap();
        dcmqrscp.arg("-c").arg(&file);
        Some(Self::await_listening(dcmqrscp, port, directory))
    }

    /// The same by Orthanc, which says how many instances of a study it has; nothing where it is not installed.
    pub fn start_orthanc(mover: &str, mover_port: u16) -> Option<Self> {
        let there = Command::new("Orthanc").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if there.is_err() {
            skipped("Orthanc is not installed");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let configuration = serde_json::json!({
            "Name": "ARCHIVE", "DicomAet": "ARCHIVE", "DicomPort": port, "DicomCheckCalledAet": false,
            "DicomAlwaysAllowStore": true, "DicomAlwaysAllowFind": true, "DicomAlwaysAllowMove": true,
            "DicomModalities": { mover: [mover, "127.0.0.1", mover_port] },
            "StorageDirectory": directory.path(), "IndexDirectory": directory.path(),
            "HttpServerEnabled": false, "Plugins": [],
        });
        let file = directory.path().join("orthanc.json");
        std::fs::write(&file, configuration.to_string()).unwrap();
        let mut orthanc = Command::new("Orthanc");
        orthanc.arg(&file).current_dir(directory.path()).stdin(Stdio::null());
        Some(Self::await_listening(orthanc, port, directory))
    }

    fn await_listening(mut program: Command, port: u16, directory: tempfile::TempDir) -> Self {
        program.stdout(Stdio::null()).stderr(Stdio::null());
        let archive = Self { child: program.spawn().unwrap(), port, _directory: directory };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60), "waited for {program:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
        archive
    }
}
