//! dcmtk's `storescp` as the PACS that results go to.

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use radiomicsd::dicom::codes::concepts;
use radiomicsd::dicom::part10::{Keep, Part10};
use radiomicsd::dicom::sr::{Content, Item, read_content};

use super::node::{collect, wait_for};
use super::shared::{dcmtk, free_port};

pub struct Pacs {
    child: Option<Child>,
    pub port: u16,
    directory: tempfile::TempDir,
}

impl Drop for Pacs {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Pacs {
    /// A receiver that runs; nothing where dcmtk is not installed.
    pub fn start() -> Option<Self> {
        let mut pacs = Self { child: None, port: free_port(), directory: tempfile::tempdir().unwrap() };
        std::fs::create_dir(pacs.directory.path().join("files")).unwrap();
        pacs.run().then_some(pacs)
    }

    fn received(&self) -> PathBuf {
        self.directory.path().join("received")
    }

    /// How many instances it received.
    pub fn n_received(&self) -> usize {
        std::fs::read_to_string(self.received()).unwrap_or_default().lines().count()
    }

    /// Starts the process, again or for the first time.
    pub fn run(&mut self) -> bool {
        let Some(mut storescp) = dcmtk("storescp") else { return false };
        // One child process for each association; files are named by their instances.
        storescp.args(["--fork", "-aet", "PACS", "+xa", "-od"]).arg(self.directory.path().join("files"));
        // One line for each instance that comes, also for one that comes again.
        let received = format!("echo '#f' >> {}", self.received().display());
        storescp.args(["--exec-on-reception", &received]).arg(self.port.to_string());
        self.child = Some(storescp.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        wait_for("storescp", || TcpStream::connect(("127.0.0.1", self.port)).ok());
        true
    }

    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// The configuration that makes it a destination.
    pub fn destination(&self) -> String {
        format!(
            "[[destination]]\nae_title = \"PACS\"\naddress = \"127.0.0.1:{}\"\nretry = {{ first = \"1s\", max = \"1s\" }}\n",
            self.port
        )
    }

    /// The files that came and are whole, those of this prefix (`SRd`, `SG`); dcmtk names them by kind.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        collect(&self.directory.path().join("files"), &mut files);
        files.retain(|file| Part10::open(file, Keep::Facts).is_ok());
        files.sort();
        files
    }

    pub fn reports(&self) -> Vec<Report> {
        self.files().iter().filter_map(|file| Report::read(file)).collect()
    }

    /// Waits for so many reports.
    pub fn wait_for_reports(&self, n: usize) -> Vec<Report> {
        wait_for(&format!("{n} reports"), || {
            let reports = self.reports();
            (reports.len() >= n).then_some(reports)
        })
    }
}

/// A Structured Report as a reader sees it.
pub struct Report {
    pub path: PathBuf,
    pub part10: Part10,
    pub root: Item,
}

impl Report {
    fn read(path: &std::path::Path) -> Option<Self> {
        let part10 = Part10::open(path, Keep::All).ok()?;
        let class = radiomicsd::dicom::attributes::text(&part10.object, dicom_dictionary_std::tags::SOP_CLASS_UID);
        radiomicsd::dicom::sr::SrClass::from_sop_class(&class)?;
        let root = read_content(&part10.object).ok()?;
        Some(Self { path: path.to_owned(), part10, root })
    }

    pub fn text(&self, tag: dicom_core::Tag) -> String {
        radiomicsd::dicom::attributes::text(&self.part10.object, tag)
    }

    /// The mean intensity of each measurement group: by its IBSI code, or as the mean of a quantity with its own code.
    pub fn means(&self) -> Vec<f64> {
        let is_mean = |item: &&Item| {
            let derivation = item.child(&concepts::DERIVATION).map(|child| &child.content);
            item.concept.value == "Q4LE" || matches!(derivation, Some(Content::Code(code)) if code.is(&concepts::MEAN))
        };
        let numbers = self.root.walk().filter(is_mean).filter_map(|item| match &item.content {
            Content::Num(number) => Some(number.value),
            _ => None,
        });
        numbers.collect()
    }

    /// The numbers of all measurement groups under this IBSI code, in order.
    pub fn values(&self, code: &str) -> Vec<f64> {
        let numbers = self.root.walk().filter(|item| item.concept.value == code);
        numbers
            .filter_map(|item| match &item.content {
                Content::Num(number) => Some(number.value),
                _ => None,
            })
            .collect()
    }
}
