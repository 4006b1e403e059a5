//! Synthetic results: up to three roles, several lesions, names in other scripts, images of more than one study.

use std::sync::Arc;

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use radiomicsd::clock::Timestamp;
use radiomicsd::dicom::uid::Uid;
use radiomicsd::dicom::write::{put_items, put_text};
use radiomicsd::finding::{Finding, FindingKind};
use radiomicsd::image::{Geometry, Mask, Transform};
use radiomicsd::report::{
    CaseResult, Code, ImageSeries, Lesion, Measured, MeasurementGroup, ModelOutput, ModelRefusal, RegistrationResult,
    RoiOrigin, Space, StageTiming,
};

pub fn uid(name: &str) -> Uid {
    Uid::derived(&["test", name])
}

/// What a synthetic case is made of.
pub struct Plan {
    pub roles: Vec<(&'static str, &'static str)>,
    pub lesions: usize,
    pub features: usize,
    pub spaces: Vec<Space>,
    pub patient_name: &'static str,
    /// PET of another study than the rest.
    pub other_study: bool,
    pub harmonised: bool,
    /// A model's output for each lesion, and an estimated registration of the PET.
    pub outputs: bool,
    /// The model says nothing of the last lesion.
    pub refused: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            roles: vec![("CT", "CT"), ("PT", "PT"), ("MR_T1", "MR")],
            lesions: 2,
            features: 40,
            spaces: vec![Space::Native, Space::Aligned],
            patient_name: "Grün^Jürgen",
            other_study: false,
            harmonised: true,
            outputs: true,
            refused: false,
        }
    }
}

pub fn case(plan: &Plan) -> CaseResult {
    let images: Vec<_> = plan.roles.iter().map(|(role, modality)| image(plan, role, modality)).collect();
    let lesions: Vec<_> = (1..=plan.lesions).map(lesion).collect();
    let mut groups = Vec::new();
    for image in &images {
        for lesion in &lesions {
            let mask = Arc::new(mask(image.geometry, lesion.number));
            groups.extend(plan.spaces.iter().map(|space| group(plan, image, lesion, mask.clone(), *space)));
        }
    }
    let (predicted, refused) = match (plan.outputs, plan.refused) {
        (false, _) => (&lesions[..0], &lesions[..0]),
        (true, false) => (&lesions[..], &lesions[..0]),
        (true, true) => lesions.split_at(lesions.len() - 1),
    };
    CaseResult {
        installation: "test-installation".into(),
        case_id: "case-1".into(),
        revision: 1,
        protocol: "pet-ct-mr".into(),
        reference_role: "CT".into(),
        created_at: "2026-11-23T22:13:23.25Z".parse::<Timestamp>().unwrap(),
        utc_offset_s: 3600,
        settings: serde_json::json!({ "grid": { "spacing_mm": 1.0 }, "discretise": { "bin_width": 25.0 } }),
        settings_hash: "0".repeat(64),
        inputs_digest: "1".repeat(64),
        images,
        groups,
        findings: vec![
            Finding::new(FindingKind::GantryTilt, "MR_T1", "tilt of 3.0 degrees"),
            Finding::new(FindingKind::ContourOffSlice, "lesion 2", "1 contour lies 0.7 slices off"),
        ],
        registrations: if plan.outputs && plan.roles.len() > 1 { vec![registration()] } else { Vec::new() },
        models: predicted.iter().map(model).collect(),
        refusals: refused.iter().map(refusal).collect(),
        notes: vec!["not harmonised: no model".into(), "not fused: no bundle".into()],
        timings: vec![StageTiming { stage: "extract".into(), seconds: 1.5, peak_memory_bytes: 1 << 30 }],
        lesions: lesions.clone(),
        ..CaseResult::default()
    }
}

/// A small turn and a shift.
fn registration() -> RegistrationResult {
    RegistrationResult {
        role: "PT".into(),
        fixed_to_moving: Transform::rigid([0.01, -0.02, 0.03], [5.0, 6.0, 7.0], [1.0, -2.0, 3.0]),
        estimated: true,
        trusted: true,
        quality: radiomicsd::register::Quality::default(),
        note: "mutual information, overlap 0.97".into(),
    }
}

fn model(lesion: &Lesion) -> ModelOutput {
    ModelOutput {
        lesion: lesion.number,
        model: "late fusion".into(),
        version: "2026.1".into(),
        endpoint: "lung metastasis".into(),
        blocks: vec!["CT".into(), "PT".into()],
        probability: 0.371_234_567_890_123_4,
        interval: Some((0.29, 0.46)),
        relative_hazard: None,
        synergy: Some(0.412),
        contributions: vec![("CT".into(), -0.3), ("PT".into(), 1.0 / 3.0)],
        parameters: vec!["model_sha256=0000".into()],
        warnings: if lesion.number == 1 { vec!["block MR_T1 was missing".into()] } else { Vec::new() },
        card: "Trained on a synthetic cohort.".into(),
    }
}

fn refusal(lesion: &Lesion) -> ModelRefusal {
    ModelRefusal {
        lesion: lesion.number,
        model: "late fusion".into(),
        version: "2026.1".into(),
        endpoint: "lung metastasis".into(),
        blocks: vec!["CT".into(), "PT".into()],
        code: "pattern_not_validated".into(),
        reason: "the model was not validated with CT, PT alone".into(),
        parameters: vec!["bundle_sha256=0000".into()],
    }
}

fn geometry(modality: &str) -> Geometry {
    let (s, c) = 0.1f64.sin_cos();
    let oblique = [[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]];
    let (size, spacing) = match modality {
        "PT" => ([21, 23, 12], [4.6875, 4.6875, 3.27]),
        _ => ([41, 37, 12], [0.976_562_5, 0.976_562_5, 1.0 / 0.3]),
    };
    Geometry::new(size, spacing, [-100.123_456_789_012_3, 20.0, -300.0], oblique).unwrap()
}

fn image(plan: &Plan, role: &str, modality: &str) -> ImageSeries {
    let geometry = geometry(modality);
    let class = match modality {
        "CT" => uids::CT_IMAGE_STORAGE,
        "PT" => uids::POSITRON_EMISSION_TOMOGRAPHY_IMAGE_STORAGE,
        _ => uids::MR_IMAGE_STORAGE,
    };
    let study = if plan.other_study && modality == "PT" { uid("study 2") } else { uid("study") };
    let slices = (0..geometry.size[2]).map(|z| (Uid::parse(class).unwrap(), uid(&format!("{role} slice {z}"))));
    ImageSeries {
        role: role.into(),
        modality: modality.into(),
        study,
        series: uid(&format!("{role} series")),
        frame_of_reference: Some(uid("frame of reference")),
        slices: slices.collect(),
        frames: Vec::new(),
        geometry,
        header: Arc::new(header(plan, modality)),
    }
}

fn header(plan: &Plan, modality: &str) -> InMemDicomObject {
    let mut header = InMemDicomObject::new_empty();
    let texts: [(Tag, &str); 17] = [
        (tags::SPECIFIC_CHARACTER_SET, "ISO_IR 192"),
        (tags::PATIENT_NAME, plan.patient_name),
        (tags::PATIENT_ID, "P-001"),
        (tags::ISSUER_OF_PATIENT_ID, "HOSPITAL"),
        (tags::PATIENT_BIRTH_DATE, "19610203"),
        (tags::PATIENT_SEX, "F"),
        (tags::PATIENT_AGE, "064Y"),
        (tags::PATIENT_WEIGHT, "71.0"),
        (tags::STUDY_DATE, "20261120"),
        (tags::STUDY_TIME, "101142.860000"),
        (tags::STUDY_ID, "a study id of more than 16"),
        (tags::ACCESSION_NUMBER, "ACC1"),
        (tags::STUDY_DESCRIPTION, "Thigh"),
        (tags::MODALITY, modality),
        (tags::MANUFACTURER, "ACME"),
        (tags::MANUFACTURER_MODEL_NAME, "Scanner 1"),
        (tags::REFERRING_PHYSICIAN_NAME, ""),
    ];
    for (tag, text) in texts {
        put_text(&mut header, tag, text);
    }
    if modality == "PT" {
        let mut tracer = InMemDicomObject::new_empty();
        put_text(&mut tracer, tags::RADIONUCLIDE_TOTAL_DOSE, "388777472.0");
        put_items(&mut header, tags::RADIOPHARMACEUTICAL_INFORMATION_SEQUENCE, vec![tracer]);
    }
    header
}

fn lesion(number: usize) -> Lesion {
    let code = |value: &str, meaning: &str| Code { value: value.into(), scheme: "SCT".into(), meaning: meaning.into() };
    let known = number == 1;
    Lesion {
        number,
        names: vec![format!("GTV{number}")],
        finding: known.then(|| code("108369006", "Neoplasm")),
        site: known.then(|| code("68367000", "Thigh")),
        laterality: known.then(|| code("7771000", "Left")),
        tracking: Vec::new(),
    }
}

/// A box that moves with the lesion's number; boxes of neighbouring numbers overlap.
pub fn mask(geometry: Geometry, lesion: usize) -> Mask {
    let mut mask = Mask::filled(geometry, false);
    for ((z, y, x), voxel) in mask.voxels.indexed_iter_mut() {
        let shift = lesion - 1;
        *voxel = (2 + shift..7 + shift).contains(&z) && (3..11).contains(&y) && (5 + shift..12).contains(&x);
    }
    mask
}

fn group(plan: &Plan, image: &ImageSeries, lesion: &Lesion, mask: Arc<Mask>, space: Space) -> MeasurementGroup {
    let (unit, offset) = match image.modality.as_str() {
        "CT" => ("[hnsf'U]", 1.0),
        "PT" => ("g/ml{SUVbw}", 2.0),
        _ => ("[arb'U]", 3.0),
    };
    let offset = offset * 10.0 + lesion.number as f64 + if space == Space::Aligned { 0.5 } else { 0.0 };
    let mut values: Vec<_> = FEATURES.iter().map(|row| measured(plan, row, unit, offset)).collect();
    let wanted = plan.features;
    values.truncate(wanted);
    for n in values.len()..wanted {
        values.push(texture(n, offset));
    }
    MeasurementGroup {
        lesion: lesion.number,
        role: image.role.clone(),
        made_of: Vec::new(),
        space,
        mask,
        drawn_on: RoiOrigin {
            role: if image.modality == "MR" { "CT".into() } else { image.role.clone() },
            name: format!("GTV{}", lesion.number),
            object: Some((Uid::parse(uids::RT_STRUCTURE_SET_STORAGE).unwrap(), uid("rtstruct"))),
            object_series: Some((uid("study"), uid("rtstruct series"))),
            automatic: lesion.number == 2,
        },
        values,
        diagnostics: serde_json::json!({ "initial": { "roi": { "intensity_voxels": 280 } } }),
        parameters: vec!["interpolation=trilinear".into(), "discretisation=FBS 25".into()],
    }
}

/// Id, tag, name, family, aggregation, discretisation, unit ("=" is the image's), filter.
type Row =
    (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str, &'static str, &'static str);

const FEATURES: &[Row] = &[
    ("YEKZ", "morph_vol_approx", "Volume (voxel counting)", "morphology", "", "", "mm3", "none"),
    ("RNU0", "morph_volume", "Volume (mesh)", "morphology", "", "", "mm3", "none"),
    ("C0JK", "morph_area_mesh", "Surface area (mesh)", "morphology", "", "", "mm2", "none"),
    ("2PR5", "morph_av", "Surface to volume ratio", "morphology", "", "", "/mm", "none"),
    ("L0JK", "morph_diam", "Maximum 3D diameter", "morphology", "", "", "mm", "none"),
    ("Q4LE", "stat_mean", "Mean intensity", "intensity", "", "", "=", "none"),
    ("84IY", "stat_max", "Maximum intensity", "intensity", "", "", "=", "none"),
    ("1GSF", "stat_min", "Minimum intensity", "intensity", "", "", "=", "none"),
    ("Y12H", "stat_median", "Median intensity", "intensity", "", "", "=", "none"),
    ("ECT3", "stat_var", "Intensity variance", "intensity", "", "", "=.=", "none"),
    ("KE2A", "stat_skew", "Intensity skewness", "intensity", "", "", "1", "none"),
    ("Q4LE", "stat_mean", "Mean intensity", "intensity", "", "", "=", "log_3mm"),
    ("X6K6", "ih_mean", "Mean discretised intensity", "histogram", "", "FBS 25", "1", "none"),
    ("BC2M", "ivh_v10", "Volume at intensity fraction 10 %", "ivh", "", "", "1", "none"),
    ("BC2M", "ivh_v90", "Volume at intensity fraction 90 %", "ivh", "", "", "1", "none"),
    ("", "habitat_entropy_of_kinetic_classes", "Entropy of habitats", "cross", "", "", "1", "none"),
    ("8ZQL", "cm_energy_3D_comb", "Angular second moment", "glcm", "3D merged", "FBS 25", "1", "none"),
    ("8ZQL", "cm_energy_3D_avg", "Angular second moment", "glcm", "3D avg", "FBS 25", "1", "none"),
    ("48P8", "szm_lze_3D", "Large zone emphasis", "glszm", "3D", "FBN 32", "1", "none"),
];

fn measured(plan: &Plan, row: &Row, image_unit: &str, offset: f64) -> Measured {
    let (id, tag, name, family, aggregation, discretisation, unit, filter) = *row;
    // Numbers with all their bits: none is a short decimal.
    let value = (offset + tag.len() as f64 + filter.len() as f64).sqrt() * 1e3 / 7.0;
    Measured {
        tag: tag.into(),
        ibsi_id: id.into(),
        name: name.into(),
        family: family.into(),
        filter: filter.into(),
        aggregation: aggregation.into(),
        discretisation: discretisation.into(),
        value,
        unit: unit.replace('=', image_unit),
        delta_mm: None,
        within_lesion_sd: (family == "glcm" || id == "Q4LE").then_some(value / 30.0),
        misregistration_error: (id == "Q4LE" && filter == "none").then_some(value / 100.0),
        harmonised_value: (plan.harmonised && family == "glcm").then_some(value * 0.98),
    }
}

/// One of many textures, no two with the same codes.
fn texture(n: usize, offset: f64) -> Measured {
    let id = TEXTURES[n % TEXTURES.len()];
    let spellings = ["3D merged", "3D avg", "2.5D merged", "2.5D direction-merged", "2D avg", "2D slice-merged"];
    let aggregation = spellings[n / TEXTURES.len() % spellings.len()];
    let filter = ["none", "log_3mm"][n / (TEXTURES.len() * spellings.len()) % 2];
    Measured {
        tag: format!("texture_{}_{}", id.to_lowercase(), aggregation.replace(' ', "_")),
        ibsi_id: id.into(),
        name: format!("Texture {n}"),
        family: "glcm".into(),
        filter: filter.into(),
        aggregation: aggregation.into(),
        discretisation: "FBN 32".into(),
        value: (offset + n as f64).ln() / 3.0 - 1.0,
        unit: "1".into(),
        misregistration_error: None,
        delta_mm: None,
        within_lesion_sd: None,
        harmonised_value: None,
    }
}

const TEXTURES: &[&str] = &[
    "GYBY", "60VM", "UR99", "TU9B", "TF7R", "D3YU", "NTRS", "ZGXS", "OEEB", "P6QZ", "8ZQL", "ACUI", "8S9J", "IB1Z",
    "NDRX", "WF0Z", "1QCO", "E8JP", "NI2N", "QWB0", "DG8W", "7NFM", "AE86", "R8DG", "JN9H", "22OV", "W4KF", "V3SW",
    "G3QZ", "HTZT", "GD3A", "IVPO", "3KUM", "R5YN", "OVBL", "W92Y", "IC23", "9ZK5", "8CE5", "SXLW", "HJ9O",
];
