//! What the pipeline found in one case, ready to be written down. Documents are functions of this and nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use dicom_object::InMemDicomObject;
use serde::{Deserialize, Serialize};

use super::ChangeGroup;
use crate::clock::Timestamp;
use crate::dicom::uid::Uid;
use crate::finding::Finding;
use crate::image::{Geometry, Mask, Transform, Volume};
use crate::register::Quality;

/// Everything that the documents of one revision of one case are made from.
#[derive(Debug, Clone, Default)]
pub struct CaseResult {
    /// Names the installation: the first part of every derived UID.
    pub installation: String,
    /// The case.
    pub case_id: String,
    /// The revision, from 1.
    pub revision: u32,
    /// The protocol's name.
    pub protocol: String,
    /// The role whose space the others are brought into, and in whose study the results go.
    pub reference_role: String,
    /// When this revision was computed.
    pub created_at: Timestamp,
    /// Seconds that the wall clock of the site adds to UTC at that moment: DICOM dates and times are local.
    pub utc_offset_s: i32,
    /// The documents of the revision before this one, which these replace; empty for the first.
    pub previous: Vec<DocumentReference>,
    /// Every setting of every stage, as `check-config` prints them.
    pub settings: serde_json::Value,
    /// SHA-256 (hex) of the settings and the numerics version.
    pub settings_hash: String,
    /// SHA-256 (hex) over the digests of all source objects.
    pub inputs_digest: String,
    /// One per role that came, in protocol order.
    pub images: Vec<ImageSeries>,
    /// Regions, numbered from 1 as in `MeasurementGroup::lesion`.
    pub lesions: Vec<Lesion>,
    /// The measurements.
    pub groups: Vec<MeasurementGroup>,
    /// What changed since an earlier case of the same lesions.
    pub changes: Vec<ChangeGroup>,
    /// The maps between the reference and the other roles.
    pub registrations: Vec<RegistrationResult>,
    /// What predictive models said of lesions.
    pub models: Vec<ModelOutput>,
    /// Of which lesions predictive models said nothing, and why.
    pub refusals: Vec<ModelRefusal>,
    /// The images' values by role, in the units of the features, where pictures are wanted.
    pub volumes: BTreeMap<String, Arc<Volume<f32>>>,
    /// Remarks on the data and the processing.
    pub findings: Vec<Finding>,
    /// One sentence per stage that did nothing, such as "not harmonised: no model".
    pub notes: Vec<String>,
    /// Seconds and peak memory per stage, in order.
    pub timings: Vec<StageTiming>,
}

/// One role's image series as the documents refer to it.
#[derive(Debug, Clone)]
pub struct ImageSeries {
    /// The role.
    pub role: String,
    /// Modality (0008,0060).
    pub modality: String,
    /// Study Instance UID.
    pub study: Uid,
    /// Series Instance UID.
    pub series: Uid,
    /// Frame of Reference UID, where present.
    pub frame_of_reference: Option<Uid>,
    /// The slices in the order of the grid's z axis: SOP class and instance of each.
    pub slices: Vec<(Uid, Uid)>,
    /// Of each slice the frame (from 1) of its multi-frame instance; empty where every slice is an instance of its own.
    pub frames: Vec<u32>,
    /// The series' own grid.
    pub geometry: Geometry,
    /// The header of the first slice without its pixels: patient, study, series and equipment attributes.
    pub header: Arc<InMemDicomObject>,
}

/// One thing in the patient.
#[derive(Debug, Clone)]
pub struct Lesion {
    /// 1, 2, 3 …
    pub number: usize,
    /// The names it was drawn under.
    pub names: Vec<String>,
    /// What it is.
    pub finding: Option<Code>,
    /// Where it is.
    pub site: Option<Code>,
    /// Left or right.
    pub laterality: Option<Code>,
    /// Tracking UIDs of its drawings: what tells it from all others, over studies.
    pub tracking: Vec<Uid>,
}

/// A coded value (PS3.3 8.8).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    /// Code Value.
    pub value: String,
    /// Coding Scheme Designator.
    pub scheme: String,
    /// Code Meaning.
    pub meaning: String,
}

/// In which space a group was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Space {
    /// The role's own isotropic grid.
    Native,
    /// The common grid, after registration and resolution matching.
    Aligned,
}

/// The features of one role of one lesion in one space.
#[derive(Debug, Clone)]
pub struct MeasurementGroup {
    /// [`Lesion::number`].
    pub lesion: usize,
    /// [`ImageSeries::role`]; of an image that was fused of several, the name of its block.
    pub role: String,
    /// The roles that an image was fused of, the one whose grid the region is told on first; empty for a role's own image.
    pub made_of: Vec<String>,
    /// Native or aligned.
    pub space: Space,
    /// The region on the series' own grid (what the SEG holds). The same for native and aligned groups of one role.
    pub mask: Arc<Mask>,
    /// Whose drawing the region is: the role it was drawn on, and the ROI's name there.
    pub drawn_on: RoiOrigin,
    /// The values.
    pub values: Vec<Measured>,
    /// IBSI diagnostics (images and ROI before and after each step), as JSON for `report.json`.
    pub diagnostics: serde_json::Value,
    /// Processing of this block, one `key=value` line each, for TID 4019 Algorithm Parameters.
    pub parameters: Vec<String>,
}

impl MeasurementGroup {
    /// The role on whose images the region is shown: its own, else the first of those that its image was fused of.
    #[must_use]
    pub fn shown_on(&self) -> &str {
        self.made_of.first().unwrap_or(&self.role)
    }

    /// The roles whose images it was measured on.
    pub fn images(&self) -> impl Iterator<Item = &String> {
        let own = self.made_of.is_empty().then_some(&self.role);
        self.made_of.iter().chain(own)
    }
}

/// Where a region came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoiOrigin {
    /// The role on whose images it was drawn.
    pub role: String,
    /// Its name there.
    pub name: String,
    /// The object that holds it: SOP class and instance.
    pub object: Option<(Uid, Uid)>,
    /// The object's study and series.
    pub object_series: Option<(Uid, Uid)>,
    /// `true` when a rule made it.
    pub automatic: bool,
}

/// One feature value.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Column name in tables: IBSI tag with its aggregation suffix.
    pub tag: String,
    /// IBSI id ("4FUA"), or empty for the project's own features.
    pub ibsi_id: String,
    /// Name in words.
    pub name: String,
    /// IBSI family name, such as "intensity".
    pub family: String,
    /// Filter, `none` for the image itself.
    pub filter: String,
    /// Aggregation as spelled in the IBSI reference table, empty where it does not apply.
    pub aggregation: String,
    /// Discretisation in words such as "FBS 25", empty where it does not apply.
    pub discretisation: String,
    /// The value; always finite (what has no value is not in the list).
    pub value: f64,
    /// UCUM unit.
    pub unit: String,
    /// Its error from misregistration, where known.
    pub misregistration_error: Option<f64>,
    /// Its root mean square change when the image lies one millimetre off, along either direction of each axis.
    pub delta_mm: Option<f64>,
    /// Its standard deviation over the perturbations of image and region, where they were asked for.
    pub within_lesion_sd: Option<f64>,
    /// The value after ComBat, where a model applies.
    pub harmonised_value: Option<f64>,
}

/// The map between the reference and one other role, as it was used.
#[derive(Debug, Clone, PartialEq)]
pub struct RegistrationResult {
    /// The other role.
    pub role: String,
    /// From the reference's space to the role's, LPS mm.
    pub fixed_to_moving: Transform,
    /// Estimated from the images; else the common Frame of Reference or an object of the case.
    pub estimated: bool,
    /// Whether features were measured through it.
    pub trusted: bool,
    /// What was measured on it.
    pub quality: Quality,
    /// One sentence on how it came about.
    pub note: String,
}

/// What a predictive model said of one lesion.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelOutput {
    /// [`Lesion::number`].
    pub lesion: usize,
    /// The model's name.
    pub model: String,
    /// The model's version.
    pub version: String,
    /// What it predicts, in words such as "lung metastasis".
    pub endpoint: String,
    /// The blocks that it used.
    pub blocks: Vec<String>,
    /// The predicted probability of the endpoint, 0 to 1.
    pub probability: f64,
    /// Lower and upper limit of its 95 % interval.
    pub interval: Option<(f64, f64)>,
    /// For survival the hazard relative to the training median: above 1 is the group of high risk.
    pub relative_hazard: Option<f64>,
    /// Frobenius norm of the blocks' cross-covariance, where the model has several blocks.
    pub synergy: Option<f64>,
    /// What each block contributed, on the scale of the model's linear predictor.
    pub contributions: Vec<(String, f64)>,
    /// The model's identification and settings, one `key=value` line each.
    pub parameters: Vec<String>,
    /// What a reader must know: missing blocks, unharmonised scanners, values outside the training range.
    pub warnings: Vec<String>,
    /// The model card in short, for the PDF.
    pub card: String,
}

/// Why a predictive model said nothing of one lesion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelRefusal {
    /// [`Lesion::number`].
    pub lesion: usize,
    /// The model's name.
    pub model: String,
    /// The model's version.
    pub version: String,
    /// What it would predict.
    pub endpoint: String,
    /// The blocks that it was asked with.
    pub blocks: Vec<String>,
    /// The reason as a word for machines, such as `not_harmonised`.
    pub code: String,
    /// The reason as a sentence.
    pub reason: String,
    /// The model's identification, one `key=value` line each.
    pub parameters: Vec<String>,
}

/// What one stage took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageTiming {
    /// The stage's name.
    pub stage: String,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Peak resident memory of the process at its end, in bytes.
    pub peak_memory_bytes: u64,
}

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DocumentKind {
    /// TID 1500 measurements.
    Sr,
    /// Segmentation.
    Seg,
    /// Registration.
    Reg,
    /// Secondary capture.
    Picture,
    /// Encapsulated PDF.
    Pdf,
    /// Key object selection that points to the other documents.
    KeyObjects,
    /// Key object selection that takes documents back.
    Rejection,
}

impl DocumentKind {
    /// The published name, as in `destination.send`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sr => "sr",
            Self::Seg => "seg",
            Self::Reg => "reg",
            Self::Picture => "picture",
            Self::Pdf => "pdf",
            Self::KeyObjects => "key-objects",
            Self::Rejection => "rejection",
        }
    }
}

/// An encoded DICOM object: a whole Part-10 file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// What it is.
    pub kind: DocumentKind,
    /// What it is in the case, the same in every revision and fit for a file name: `sr`, `seg-CT`.
    pub name: String,
    /// Study Instance UID.
    pub study: Uid,
    /// Series Instance UID.
    pub series: Uid,
    /// SOP Class UID.
    pub sop_class: Uid,
    /// SOP Instance UID.
    pub sop_instance: Uid,
    /// Transfer syntax of the file.
    pub transfer_syntax: Uid,
    /// The file, byte for byte what is sent and kept.
    pub bytes: Vec<u8>,
}

impl Document {
    /// What a later revision needs to know of this document.
    #[must_use]
    pub fn reference(&self) -> DocumentReference {
        DocumentReference {
            kind: self.kind,
            name: self.name.clone(),
            study: self.study.clone(),
            series: self.series.clone(),
            sop_class: self.sop_class.clone(),
            sop_instance: self.sop_instance.clone(),
        }
    }
}

/// Where a document was put: what Predecessor Documents (PS3.3 C.17.2.3) says of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentReference {
    /// What it is.
    pub kind: DocumentKind,
    /// [`Document::name`].
    pub name: String,
    /// Study Instance UID.
    pub study: Uid,
    /// Series Instance UID.
    pub series: Uid,
    /// SOP Class UID.
    pub sop_class: Uid,
    /// SOP Instance UID.
    pub sop_instance: Uid,
}
