//! Cases made of files, as grouping would make them.

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use crate::shared::reference;
use radiomicsd::case::{Annotation, AnnotationKind, CaseId, CaseSpec, RoleInput};
use radiomicsd::config::{Config, Protocol, code_of};
use radiomicsd::dicom::facts::{self, InstanceFacts, InstanceKind};
use radiomicsd::dicom::uid::Uid;
use radiomicsd::finding::FindingKind;
use radiomicsd::phantom::{Phantom, PhantomSettings, SyntheticPatient};
use radiomicsd::pipeline::{Job, PipelineError, SourceFile, run};
use radiomicsd::report::{CaseResult, MeasurementGroup, Space};
use radiomicsd::store::Digest;
use tempfile::TempDir;

/// A protocol for CT, PET and MR; `protocol` and `inputs` are lines of the protocol and of the inputs after their modality.
pub fn config(protocol: &str, inputs: [&str; 3]) -> Config {
    let [ct, pt, mr] = inputs;
    let text = format!(
        "[storage]\ndirectory = \"/nowhere\"\n[[protocol]]\nname = \"pet-ct-mr\"\nreference = \"CT\"\n{protocol}\n\
         [[protocol.input]]\nrole = \"CT\"\nmodality = \"CT\"\n{ct}\n\
         [[protocol.input]]\nrole = \"PT\"\nmodality = \"PT\"\n{pt}\n\
         [[protocol.input]]\nrole = \"MR_T1\"\nmodality = \"MR\"\n{mr}\n"
    );
    Config::from_toml(&text, "test.toml").unwrap()
}

/// Shared frames of reference are believed, so that what is tested here does not depend on an estimate.
pub const TRUST: &str = "registration = { transform = \"none\", same_frame_of_reference = \"trust\" }";

/// A case with its files.
pub struct Case {
    pub spec: CaseSpec,
    pub config: Config,
    pub files: BTreeMap<Uid, SourceFile>,
    _folder: Option<TempDir>,
}

impl Case {
    /// The files of a folder and its sub-folders.
    pub fn of_paths(paths: &[PathBuf], config: Config) -> Self {
        let mut files = BTreeMap::new();
        let mut facts = Vec::new();
        for path in paths {
            let bytes = std::fs::read(path).unwrap();
            let of_file = facts::from_bytes(&bytes, &[]).unwrap();
            let file =
                SourceFile { path: path.clone(), digest: Digest::of(&bytes), sop_class: of_file.sop_class.clone() };
            files.insert(of_file.sop_instance.clone(), file);
            facts.push(of_file);
        }
        let spec = spec(&facts, &config.protocols[0]);
        Self { spec, config, files, _folder: None }
    }

    /// The files of a synthetic patient.
    pub fn of_patient(patient: &SyntheticPatient, config: Config) -> Self {
        let folder = TempDir::new().unwrap();
        let paths = patient.write(folder.path()).unwrap();
        Self { _folder: Some(folder), ..Self::of_paths(&paths, config) }
    }

    pub fn job(&self) -> Job<'_> {
        Job {
            spec: &self.spec,
            config: &self.config,
            files: &self.files,
            installation: "test-installation",
            created_at: "2026-11-23T22:13:23.25Z".parse().unwrap(),
            utc_offset_s: 3600,
            previous: Vec::new(),
            keeps_images: true,
        }
    }

    pub fn try_run(&self) -> Result<CaseResult, PipelineError> {
        run(&self.job(), &|_| ())
    }

    pub fn run(&self) -> CaseResult {
        self.try_run().unwrap()
    }
}

/// A synthetic patient.
pub fn patient(settings: &PhantomSettings) -> (Phantom, SyntheticPatient) {
    let phantom = Phantom::new(settings).unwrap();
    let patient = SyntheticPatient::new(&phantom).unwrap();
    (phantom, patient)
}

/// One series per role by modality, every annotation.
fn spec(facts: &[InstanceFacts], protocol: &Protocol) -> CaseSpec {
    let mut inputs = Vec::new();
    for input in &protocol.inputs {
        let of_role =
            |f: &&InstanceFacts| f.modality == code_of(input.modality) && matches!(f.kind, InstanceKind::Image { .. });
        let Some(first) = facts.iter().find(of_role) else { continue };
        let of_series = facts.iter().filter(|f| f.series == first.series);
        let mut instances: Vec<Uid> = of_series.map(|f| f.sop_instance.clone()).collect();
        instances.sort();
        inputs.push(RoleInput {
            role: input.role.clone(),
            series: first.series.clone(),
            study: first.study.clone(),
            instances,
        });
    }
    let annotation = |f: &InstanceFacts| {
        let (kind, of) = match &f.kind {
            InstanceKind::StructureSet(of) => (AnnotationKind::StructureSet, of),
            InstanceKind::Segmentation(of) => (AnnotationKind::Segmentation, of),
            _ => return None,
        };
        Some(Annotation {
            instance: f.sop_instance.clone(),
            series: f.series.clone(),
            study: f.study.clone(),
            kind,
            references: of.references.clone(),
            approval: of.approval.clone(),
        })
    };
    CaseSpec {
        id: CaseId("case-1".to_owned()),
        revision: 1,
        protocol: protocol.name.clone(),
        inputs,
        annotations: facts.iter().filter_map(annotation).collect(),
        registrations: Vec::new(),
        findings: Vec::new(),
    }
}

/// The block of a role in a space; the only one.
pub fn block<'a>(result: &'a CaseResult, role: &str, space: Space) -> &'a MeasurementGroup {
    let mut groups = result.groups.iter().filter(|group| group.role == role && group.space == space);
    let group = groups.next().unwrap_or_else(|| panic!("no {space:?} block of {role}"));
    assert!(groups.next().is_none(), "several {space:?} blocks of {role}");
    group
}

/// The value of a feature.
pub fn value(group: &MeasurementGroup, tag: &str) -> f64 {
    group.values.iter().find(|measured| measured.tag == tag).unwrap_or_else(|| panic!("no {tag}")).value
}

/// The kinds of the findings about a subject.
pub fn findings_of(result: &CaseResult, subject: &str) -> Vec<FindingKind> {
    result.findings.iter().filter(|finding| finding.subject == subject).map(|finding| finding.kind).collect()
}
