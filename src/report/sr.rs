//! The measurements report: TID 1500 with one TID 1411 group per lesion, role, space and state of its values.

use std::collections::{BTreeSet, HashSet};

use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use serde_json::json;

use super::header::{self, Own};
use super::identity::{self, State};
use super::regions::RoleRegions;
use super::seg::{Segmentation, tracking_identifier};
use super::{CaseResult, ChangeGroup, Code, DocumentKind, ImageSeries, Lesion, MeasurementGroup, ReportError, Space};
use super::{evaluate, measure, model};
use crate::dicom::attributes;
use crate::dicom::codes::{Coded, concepts as c, scheme_item};
use crate::dicom::product;
use crate::dicom::sr::tid1001::DeviceObserver;
use crate::dicom::sr::tid1411::{VolumetricGroup, volumetric_group};
use crate::dicom::sr::tid1419::{Measurement, Site};
use crate::dicom::sr::tid1500::{MeasurementReport, measurement_report};
use crate::dicom::sr::tid1600::LibraryGroup;
use crate::dicom::sr::tid4019::AlgorithmIdentification;
use crate::dicom::sr::{Content, Evidence, ImageReference, Item, SrClass, put_content};
use crate::dicom::uid::Uid;
use crate::dicom::write::{plain_text, put_empty, put_items, put_text};
use crate::finding::Finding;

/// One SR, not yet encoded.
pub(super) struct Report {
    pub(super) name: &'static str,
    pub(super) object: InMemDicomObject,
    pub(super) series: Uid,
    pub(super) sop_instance: Uid,
}

/// Which of a case's reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    /// Measurements, TID 1411 groups.
    Measurements,
    /// Model output, TID 1501 groups.
    Model,
}

/// The name of a report in one class among a case's documents.
const fn name(subject: Subject, class: SrClass) -> &'static str {
    match (subject, class) {
        (Subject::Measurements, SrClass::Comprehensive3d) => "sr",
        (Subject::Measurements, SrClass::Comprehensive) => "sr-comprehensive",
        (Subject::Measurements, SrClass::Enhanced) => "sr-enhanced",
        (Subject::Model, SrClass::Comprehensive3d) => "sr-model",
        (Subject::Model, SrClass::Comprehensive) => "sr-model-comprehensive",
        (Subject::Model, SrClass::Enhanced) => "sr-model-enhanced",
    }
}

/// Builds the measurements report, and the model report where a model said something, over the segmentations of the same
/// result; once for each class: one content in several instances, of which a destination gets the first that it accepts.
///
/// # Errors
/// When a group has no segment, or a number is not finite.
pub(super) fn reports(
    case: &CaseResult,
    reference: &ImageSeries,
    roles: &[RoleRegions],
    segmentations: &[Segmentation],
    classes: &[SrClass],
) -> Result<Vec<Report>, ReportError> {
    let mut header = InMemDicomObject::new_empty();
    let mut findings = case.findings.clone();
    findings.extend(header::put_patient_and_study(&mut header, reference));
    findings.extend(segmentations.iter().flat_map(|seg| seg.findings.iter().cloned()));
    let mut seen = HashSet::new();
    findings.retain(|finding| seen.insert(format!("{finding}")));
    header::put_scanners(&mut header, &case.images);
    put_document(&mut header, &findings);
    evidence(case, roles, segmentations).put(&mut header, &reference.study);
    let mut subjects = vec![(Subject::Measurements, measurement_groups(case, roles, segmentations, &findings)?)];
    if !(case.models.is_empty() && case.refusals.is_empty()) {
        subjects.push((Subject::Model, model::groups(case, roles, segmentations)?));
    }
    let mut reports = Vec::with_capacity(subjects.len() * classes.len());
    for (subject, groups) in subjects {
        let mut object = header.clone();
        let content = measurement_report(MeasurementReport {
            observer: observer(case),
            library: case.images.iter().map(library_group).collect(),
            groups,
            evaluations: evaluate::evaluations(case, &findings),
        });
        put_content(&mut object, &content)?;
        let schemes: BTreeSet<&str> = content.walk().flat_map(schemes_of).collect();
        let schemes = schemes.into_iter().map(scheme_item).collect();
        put_items(&mut object, tags::CODING_SCHEME_IDENTIFICATION_SEQUENCE, schemes);
        // A long tree is copied only where it is needed again.
        if let Some((last, others)) = classes.split_last() {
            reports.extend(others.iter().map(|class| in_class(case, object.clone(), subject, *class)));
            reports.push(in_class(case, object, subject, *last));
        }
    }
    Ok(reports)
}

/// A document of its own with this content. Both reports of a class go into one series.
fn in_class(case: &CaseResult, mut object: InMemDicomObject, subject: Subject, class: SrClass) -> Report {
    let document = name(subject, class);
    let series = identity::series(case, name(Subject::Measurements, class));
    let sop_instance = identity::instance(case, document);
    let own = Own {
        sop_class: class.sop_class(),
        sop_instance: &sop_instance,
        series: &series,
        modality: "SR",
        series_number: 9100,
        series_description: "Radiomics measurements (research use)".to_owned(),
    };
    header::put_own(&mut object, case, &own);
    if subject == Subject::Model {
        put_text(&mut object, tags::INSTANCE_NUMBER, (MODEL_INSTANCE_NUMBERS + case.revision).to_string());
    }
    put_predecessors(&mut object, case, document);
    Report { name: document, object, series, sop_instance }
}

/// Model reports share a series with the measurements; their instance numbers start above those.
const MODEL_INSTANCE_NUMBERS: u32 = 1_000_000;

/// Every coding scheme that an item uses.
fn schemes_of(item: &Item) -> Vec<&str> {
    let mut schemes = vec![item.concept.scheme.as_ref()];
    match &item.content {
        Content::Code(code) => schemes.push(code.scheme.as_ref()),
        Content::Num(number) => schemes.push(number.unit.scheme.as_ref()),
        _ => {}
    }
    schemes
}

/// PS3.3 C.17.1, C.17.2: what the document is and how complete.
fn put_document(object: &mut InMemDicomObject, findings: &[Finding]) {
    put_empty(object, tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE);
    put_empty(object, tags::PERFORMED_PROCEDURE_CODE_SEQUENCE);
    put_text(object, tags::PRELIMINARY_FLAG, "PRELIMINARY");
    put_text(object, tags::VERIFICATION_FLAG, "UNVERIFIED");
    match evaluate::incomplete(findings) {
        None => put_text(object, tags::COMPLETION_FLAG, "COMPLETE"),
        Some(reason) => {
            put_text(object, tags::COMPLETION_FLAG, "PARTIAL");
            put_text(object, tags::COMPLETION_FLAG_DESCRIPTION, plain_text(&reason, 64));
        }
    }
}

/// What the document replaces (PS3.3 C.17.2.3): the one of the same name of the revision before.
fn put_predecessors(object: &mut InMemDicomObject, case: &CaseResult, name: &str) {
    let mut predecessors = Evidence::default();
    let previous = case.previous.iter().filter(|document| document.kind == DocumentKind::Sr && document.name == name);
    let mut any = false;
    for document in previous {
        predecessors.add(&document.study, &document.series, &document.sop_class, &document.sop_instance);
        any = true;
    }
    if any {
        predecessors.put_all(object, tags::PREDECESSOR_DOCUMENTS_SEQUENCE);
    }
}

/// The groups of the measurements report: native before aligned, raw before harmonised; what changed at the end.
fn measurement_groups(
    case: &CaseResult,
    roles: &[RoleRegions],
    segmentations: &[Segmentation],
    findings: &[Finding],
) -> Result<Vec<Item>, ReportError> {
    let mut groups = Vec::new();
    for space in [Space::Native, Space::Aligned] {
        for state in [State::Raw, State::Cross, State::Harmonised] {
            for group in case.groups.iter().filter(|group| group.space == space) {
                let measurements = measure::measurements(group, state);
                let made = Made { measurements, parameters: Vec::new(), state };
                groups.extend(group_item(case, group, made, (roles, segmentations), findings)?);
            }
        }
    }
    for change in &case.changes {
        let is_it = |group: &&MeasurementGroup| {
            group.lesion == change.lesion && group.role == change.role && group.space == change.space
        };
        let Some(group) = case.groups.iter().find(is_it) else { continue };
        let measurements = measure::changes(group, &change.values);
        let made = Made { measurements, parameters: since(change), state: State::Change };
        groups.extend(group_item(case, group, made, (roles, segmentations), findings)?);
    }
    Ok(groups)
}

/// This installation (TID 1004).
pub(super) fn observer(case: &CaseResult) -> DeviceObserver {
    DeviceObserver {
        uid: identity::device(case),
        name: "RADIOMICSD".to_owned(),
        manufacturer: product::MANUFACTURER.to_owned(),
        model: product::MODEL.to_owned(),
        serial_number: header::serial_number(case),
    }
}

/// What a group holds, in one state of its values.
struct Made {
    measurements: Vec<Measurement>,
    /// Parameters beside those of the chain.
    parameters: Vec<String>,
    state: State,
}

/// Since when something changed, and how it is known that the lesion is the same.
fn since(change: &ChangeGroup) -> Vec<String> {
    let since = &change.since;
    vec![
        format!("since_study_date={}", since.study_date),
        format!("since_case={}", since.case),
        format!("since_revision={}", since.revision),
        format!("same_lesion_by={}", since.known_by.name()),
        "error_of_change=root of the sum of the squares of both errors".to_owned(),
    ]
}

/// One group in one state; none where the state has no values (nothing harmonised).
fn group_item(
    case: &CaseResult,
    group: &MeasurementGroup,
    Made { measurements, parameters, state }: Made,
    (roles, segmentations): (&[RoleRegions], &[Segmentation]),
    findings: &[Finding],
) -> Result<Option<Item>, ReportError> {
    if measurements.is_empty() {
        return Ok(None);
    }
    let found = roles.iter().zip(segmentations).find(|(role, _)| role.image.role == group.shown_on());
    let (role, segmentation) = found.ok_or_else(|| ReportError::NoImages(group.role.clone()))?;
    let lesion = case.lesions.iter().find(|lesion| lesion.number == group.lesion);
    let lesion = lesion.ok_or(ReportError::NoLesion(group.lesion))?;
    let segment = role.segment_number(group.lesion).ok_or(ReportError::NoLesion(group.lesion))?;
    let aligned = if group.space == Space::Aligned { " aligned" } else { "" };
    let (suffix, method) = match state {
        State::Raw if aligned.is_empty() => ("", None),
        State::Raw if !group.made_of.is_empty() => ("", Some(c::IMAGE_FUSION_METHOD)),
        State::Raw => ("", Some(c::ALIGNED_METHOD)),
        State::Cross => (" cross-modality", Some(c::CROSS_METHOD)),
        State::Harmonised => (" ComBat-harmonised", Some(c::COMBAT_METHOD)),
        State::Change => (" change", Some(c::CHANGE)),
    };
    let mut algorithm = algorithm(case, group, state);
    algorithm.parameters.extend(parameters);
    Ok(Some(volumetric_group(VolumetricGroup {
        tracking_identifier: format!("{}{aligned}{suffix}", tracking_identifier(lesion.number, &group.role)),
        tracking_uid: identity::tracking(case, lesion, &group.role, group.space, state),
        finding: lesion.finding.as_ref().map(coded),
        method,
        site: site(lesion),
        algorithm,
        measurements,
        quality: Some(evaluate::quality(group, findings)),
        segment: ImageReference {
            sop_class: super::standard_uid(uids::SEGMENTATION_STORAGE)?,
            sop_instance: segmentation.sop_instance.clone(),
            segments: vec![segment],
        },
        source_series: role.image.series.clone(),
    })))
}

/// Where the lesion is, as its codes say; nothing where there are none.
pub(super) fn site(lesion: &Lesion) -> Option<Site> {
    let site = lesion.site.as_ref()?;
    Some(Site { site: coded(site), laterality: lesion.laterality.as_ref().map(coded) })
}

pub(super) fn coded(code: &Code) -> Coded {
    Coded::new(&code.value, &code.scheme, &code.meaning)
}

/// TID 4019: everything about the chain in one line of JSON first (some readers keep only the first parameter), then the
/// block's own settings line by line.
fn algorithm(case: &CaseResult, group: &MeasurementGroup, state: State) -> AlgorithmIdentification {
    let chain = json!({
        "protocol": case.protocol,
        "revision": case.revision,
        "role": group.role,
        "space": group.space,
        "roi": { "drawn_on": group.drawn_on.role, "name": group.drawn_on.name, "automatic": group.drawn_on.automatic },
        "settings_sha256": case.settings_hash,
        "inputs_sha256": case.inputs_digest,
        "settings": case.settings,
    });
    let mut parameters = vec![chain.to_string()];
    parameters.extend(group.parameters.iter().filter(|line| !line.is_empty()).cloned());
    let name = match state {
        State::Raw | State::Cross | State::Change => product::MODEL.to_owned(),
        State::Harmonised => format!("{} ComBat", product::MODEL),
    };
    AlgorithmIdentification { name, version: product::VERSION.to_owned(), parameters }
}

/// TID 1600: one series.
pub(super) fn library_group(image: &ImageSeries) -> LibraryGroup {
    let header = &image.header;
    let modality = match image.modality.as_str() {
        "CT" => c::CT,
        "PT" => c::PT,
        "MR" => c::MR,
        other => Coded::new(other, "DCM", other),
    };
    let region = attributes::first_item(header, tags::ANATOMIC_REGION_SEQUENCE);
    let date = attributes::text(header, tags::STUDY_DATE);
    let time = attributes::text(header, tags::STUDY_TIME);
    let radiopharmaceutical = attributes::first_item(header, tags::RADIOPHARMACEUTICAL_INFORMATION_SEQUENCE);
    let dose = radiopharmaceutical.and_then(|item| attributes::number(item, tags::RADIONUCLIDE_TOTAL_DOSE).ok()?);
    let mut seen = HashSet::new();
    let slices = image.slices.iter().filter(|(_, instance)| seen.insert(instance));
    LibraryGroup {
        modality,
        target_region: region.and_then(crate::dicom::codes::read_code_item),
        study_date: header::legal_date(&date).map(ToOwned::to_owned),
        study_time: header::legal_time(&time).map(ToOwned::to_owned),
        frame_of_reference: image.frame_of_reference.clone(),
        size_pixels: [image.geometry.size[1], image.geometry.size[0]],
        spacing_mm: image.geometry.spacing_mm,
        total_dose_bq: dose.filter(|dose| image.modality == "PT" && dose.is_finite() && *dose > 0.0),
        images: slices.map(|(class, instance)| ImageReference::whole(class.clone(), instance.clone())).collect(),
    }
}

/// Everything that the report refers to: images, segmentations, and the objects that the regions were drawn in.
fn evidence(case: &CaseResult, roles: &[RoleRegions], segmentations: &[Segmentation]) -> Evidence {
    let mut evidence = Evidence::default();
    for image in &case.images {
        for (class, instance) in &image.slices {
            evidence.add(&image.study, &image.series, class, instance);
        }
    }
    if let Ok(class) = super::standard_uid(uids::SEGMENTATION_STORAGE) {
        for (role, segmentation) in roles.iter().zip(segmentations) {
            evidence.add(&role.image.study, &segmentation.series, &class, &segmentation.sop_instance);
        }
    }
    for origin in case.groups.iter().map(|group| &group.drawn_on) {
        if let (Some((class, instance)), Some((study, series))) = (&origin.object, &origin.object_series) {
            evidence.add(study, series, class, instance);
        }
    }
    evidence
}
