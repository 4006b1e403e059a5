//! A job, and its way through the stages.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::aligned::{self, Target};
use super::carry::Scene;
use super::error::PipelineError;
use super::lesions::Lesion;
use super::measure::Scaled;
use super::regions::Region;
use super::remarks::Remarks;
use super::roles::Role;
use super::timing::{Stage, Watch};
use super::{
    agree, automatic, fuse, given, harmonise, lesions, maps, measure, native, provenance, regions, roles, side,
};
use crate::case::CaseSpec;
use crate::clock::Timestamp;
use crate::config::{Config, Protocol};
use crate::dicom::uid::Uid;
use crate::features::Family;
use crate::image::Volume;
use crate::report::{CaseResult, DocumentReference, ImageSeries, MeasurementGroup, Space};
use crate::store::Digest;

/// One case with everything that its result depends on.
#[derive(Debug, Clone)]
pub struct Job<'a> {
    /// The case as grouping left it.
    pub spec: &'a CaseSpec,
    /// The settings; the protocol is the one that the case names.
    pub config: &'a Config,
    /// Every instance that the case names, by SOP Instance UID.
    pub files: &'a BTreeMap<Uid, SourceFile>,
    /// Names the installation in derived UIDs.
    pub installation: &'a str,
    /// The moment that the documents carry.
    pub created_at: Timestamp,
    /// Seconds that the site's wall clock adds to UTC at that moment.
    pub utc_offset_s: i32,
    /// The documents of the revision before this one.
    pub previous: Vec<DocumentReference>,
    /// Whether the result keeps the images, for documents that show them.
    pub keeps_images: bool,
}

/// One stored instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its Part-10 file.
    pub path: PathBuf,
    /// Of its data set.
    pub digest: Digest,
    /// SOP Class UID.
    pub sop_class: Uid,
}

impl<'a> Job<'a> {
    pub(super) fn protocol(&self) -> Result<&'a Protocol, PipelineError> {
        let name = &self.spec.protocol;
        self.config.protocol(name).ok_or_else(|| PipelineError::Protocol(name.clone()))
    }

    /// The file of an instance; `owner` says in an error whose it is.
    pub(super) fn file(&self, instance: &Uid, owner: &str) -> Result<&'a SourceFile, PipelineError> {
        let missing = || PipelineError::FileMissing { owner: owner.to_owned(), uid: instance.short_hash() };
        self.files.get(instance).ok_or_else(missing)
    }

    pub(super) fn path(&self, instance: &Uid, owner: &str) -> Result<PathBuf, PipelineError> {
        self.file(instance, owner).map(|file| file.path.clone())
    }
}

/// Runs a case through all stages. `progress` is told of each change of the stage.
///
/// # Errors
/// When the reference or a required role cannot be used, nothing at all can be measured, or a file cannot be read now. A
/// role or a region that fails alone is a finding of the result.
pub fn run(job: &Job<'_>, progress: &(dyn Fn(Stage) + Sync)) -> Result<CaseResult, PipelineError> {
    let protocol = job.protocol()?;
    let inputs_digest = provenance::inputs_digest(job)?;
    let mut watch = Watch::new(progress);
    let mut remarks = Remarks::new(&job.config.findings, &job.spec.findings);
    let Came { roles, mut regions, tissues } = watch.time(Stage::Volume, || read(job, protocol, &mut remarks))?;
    let given = given::read(job, &mut remarks)?;
    let (maps, lesions) = watch.time(Stage::Register, || {
        let maps = maps::between(&roles, &given, protocol, &mut remarks);
        let lesions = lesions::of_regions(&mut regions, &roles, &maps, protocol, &mut remarks);
        (maps, lesions)
    });
    side::check(&lesions, &regions, &roles, &mut remarks)?;
    let series: Vec<&ImageSeries> = roles.iter().map(|role| &role.series).collect();
    agree::check(&series, &protocol.reference, &mut remarks);
    note_what_is_not_used(protocol, &mut remarks);
    let standards = job.config.storage.directory.join("standards");
    let scaled = watch.time(Stage::Normalise, || measure::normalise(&roles, &tissues, &standards, &mut remarks))?;
    let scene = Scene { protocol, roles: &roles, maps: &maps, regions: &regions };
    let mut groups = measure_all(&scene, &lesions, &scaled, &mut watch, &mut remarks);
    if groups.is_empty() {
        return Err(PipelineError::NothingMeasured { findings: remarks.findings });
    }
    let settings = job.config.settings_json(protocol);
    let settings_hash = provenance::settings_hash(&settings);
    let images: Vec<ImageSeries> = roles.iter().map(|role| role.series.clone()).collect();
    watch.time(Stage::Harmonise, || {
        harmonise::harmonise(&mut groups, &images, job, protocol, &settings_hash, &mut remarks);
    });
    let fused = watch.time(Stage::Fuse, || fuse::fuse(&groups, &images, job, protocol, &settings_hash, &mut remarks));
    Ok(CaseResult {
        installation: job.installation.to_owned(),
        case_id: job.spec.id.0.clone(),
        revision: job.spec.revision,
        protocol: protocol.name.clone(),
        reference_role: protocol.reference.clone(),
        created_at: job.created_at,
        utc_offset_s: job.utc_offset_s,
        previous: job.previous.clone(),
        settings_hash,
        settings,
        inputs_digest,
        lesions: lesions.into_iter().map(|lesion| lesion.told).collect(),
        registrations: maps::results(&roles, &maps, protocol),
        volumes: pictured(job, &roles, &scaled),
        images,
        groups,
        changes: Vec::new(),
        models: fused.models,
        refusals: fused.refusals,
        findings: remarks.findings,
        notes: remarks.notes,
        timings: watch.into_timings(),
    })
}

/// What came, as images and regions.
struct Came<'a> {
    roles: Vec<Role<'a>>,
    /// To be measured.
    regions: Vec<Region>,
    /// Of reference tissues.
    tissues: Vec<Region>,
}

/// Series to volumes, drawings to regions and reference tissues; where no region was drawn, the protocol's rule.
fn read<'a>(job: &Job<'_>, protocol: &'a Protocol, remarks: &mut Remarks<'_>) -> Result<Came<'a>, PipelineError> {
    let roles = roles::read(job, protocol, remarks)?;
    let mut regions = regions::read(job, protocol, &roles, remarks)?;
    let tissues = regions::tissues(&mut regions, &roles, protocol);
    if regions.is_empty() {
        regions.extend(automatic::region(protocol, &roles, remarks));
    }
    Ok(Came { roles, regions, tissues })
}

/// Every lesion in every space that the protocol asks for. The common grid of one lesion is gone before that of the next
/// is made: memory is that of the largest lesion.
fn measure_all(
    scene: &Scene<'_>,
    lesions: &[Lesion],
    scaled: &[Option<Scaled>],
    watch: &mut Watch<'_>,
    remarks: &mut Remarks<'_>,
) -> Vec<MeasurementGroup> {
    let spaces = &scene.protocol.features.space;
    let target = if spaces.contains(&Space::Aligned) { Target::of(scene, scaled, remarks) } else { None };
    let mut groups = Vec::new();
    for lesion in lesions {
        let placed: Vec<_> = watch
            .time(Stage::Register, || (0..scene.roles.len()).map(|role| scene.place(lesion, role, remarks)).collect());
        if spaces.contains(&Space::Native) {
            groups.extend(watch.time(Stage::Extract, || native::measure(scene, lesion, &placed, scaled, remarks)));
        }
        if let Some(target) = &target {
            groups.extend(aligned::measure(scene, target, lesion, &placed, scaled, watch, remarks));
        }
    }
    groups.retain(|group| !group.values.is_empty());
    groups
}

/// What the case or the protocol holds and no stage looks at.
fn note_what_is_not_used(protocol: &Protocol, remarks: &mut Remarks<'_>) {
    let several = protocol.inputs.len() > 1 && protocol.features.families.contains(&Family::Cross);
    if several && !protocol.features.space.contains(&Space::Aligned) {
        remarks.note("no cross-modality features: the protocol measures nothing in aligned space");
    }
}

/// The images in the units of their features, where pictures of them are wanted.
fn pictured(job: &Job<'_>, roles: &[Role<'_>], scaled: &[Option<Scaled>]) -> BTreeMap<String, Arc<Volume<f32>>> {
    let both = roles.iter().zip(scaled).filter(|_| job.keeps_images);
    both.filter_map(|(role, scaled)| Some((role.name().to_owned(), scaled.as_ref()?.volume.clone()))).collect()
}
