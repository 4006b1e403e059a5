//! Facts of instances that never existed, protocols, and a grouper with its clock.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::case::{
    AtDeadline, AttributeRules, CaseChange, CaseSettings, CaseSpec, Grouper, InputRules, Pattern, Prefer,
    ProtocolRules, RoiRules, Standing,
};
use crate::clock::Timestamp;
use crate::dicom::facts::{AnnotationFacts, InstanceFacts, InstanceKind, PatientIdentity};
use crate::dicom::uid::Uid;
use crate::finding::{Finding, FindingKind};

pub const SERIES_SETTLE_S: i64 = 10;
pub const CASE_SETTLE_S: i64 = 60;
pub const DEADLINE_S: i64 = 7200;

pub fn settings() -> CaseSettings {
    let seconds = |n: i64| Duration::from_secs(n.unsigned_abs());
    CaseSettings {
        series_settle: seconds(SERIES_SETTLE_S),
        case_settle: seconds(CASE_SETTLE_S),
        case_deadline: seconds(DEADLINE_S),
        link_window: seconds(30 * 86_400),
    }
}

pub fn uid(text: &str) -> Uid {
    Uid::parse(text).unwrap()
}

/// A moment some seconds after the first one.
pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

pub fn rules(entries: &[(&str, &str)]) -> AttributeRules {
    let compile = |(key, text): &(&str, &str)| ((*key).to_owned(), Pattern::new(text).unwrap());
    AttributeRules(entries.iter().map(compile).collect())
}

pub fn input(role: &str, modality: &str, required: bool) -> InputRules {
    InputRules {
        role: role.to_owned(),
        modality: modality.to_owned(),
        required,
        matches: AttributeRules::default(),
        exclude: AttributeRules::default(),
        prefer: Vec::new(),
    }
}

/// CT and PET, and MR where there is one; a drawn region whose name begins with GTV.
pub fn protocol() -> ProtocolRules {
    ProtocolRules {
        name: "pet-ct-mr".to_owned(),
        reference: "CT".to_owned(),
        matches: AttributeRules::default(),
        inputs: vec![input("CT", "CT", true), input("PT", "PT", true), input("MR", "MR", false)],
        roi: RoiRules { names: vec![Pattern::new("^GTV").unwrap()], tissues: Vec::new(), required: true },
        at_deadline: AtDeadline::Process,
    }
}

/// The same, the CT alone.
pub fn ct_only() -> ProtocolRules {
    ProtocolRules { name: "ct".to_owned(), inputs: vec![input("CT", "CT", true)], ..protocol() }
}

pub fn preferring(mut protocol: ProtocolRules, role: &str, prefer: &[Prefer]) -> ProtocolRules {
    let input = protocol.inputs.iter_mut().find(|input| input.role == role).unwrap();
    input.prefer = prefer.to_vec();
    protocol
}

pub fn somebody() -> PatientIdentity {
    let [id, birth_date, sex] = ["P1", "19600101", "F"].map(str::to_owned);
    PatientIdentity { id, issuer: String::new(), birth_date, sex }
}

/// An instance of a study, of a series by its number, by its own number.
pub fn instance(study: &str, series: u32, number: u32) -> InstanceFacts {
    InstanceFacts {
        sop_class: uid("1.2.840.10008.5.1.4.1.1.2"),
        sop_instance: uid(&format!("{study}.{series}.{number}")),
        series: uid(&format!("{study}.{series}")),
        study: uid(study),
        transfer_syntax: uid("1.2.840.10008.1.2.1"),
        patient: somebody(),
        modality: String::new(),
        kind: InstanceKind::Other,
        frame_of_reference: Some(uid(&format!("{study}.999"))),
        made_at: "20240314093000.000000".to_owned(),
        study_date: "20240314".to_owned(),
        own_product: false,
        attributes: BTreeMap::new(),
    }
}

/// A series of so many images, 3 mm apart.
pub fn images(modality: &str, study: &str, series: u32, n: u32) -> Vec<InstanceFacts> {
    let image = |k: u32| {
        let mut facts = instance(study, series, k);
        modality.clone_into(&mut facts.modality);
        facts.kind = InstanceKind::Image {
            position_mm: Some([0.0, 0.0, 3.0 * f64::from(k)]),
            orientation: Some([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]),
            thickness_mm: Some(3.0),
            n_frames: 1,
        };
        facts.attributes.insert("InstanceNumber".to_owned(), k.to_string());
        facts.attributes.insert("Modality".to_owned(), modality.to_owned());
        facts
    };
    (0..n).map(image).collect()
}

/// The same series with something changed in each instance.
pub fn with(mut instances: Vec<InstanceFacts>, change: impl Fn(&mut InstanceFacts)) -> Vec<InstanceFacts> {
    instances.iter_mut().for_each(change);
    instances
}

pub fn described(instances: Vec<InstanceFacts>, description: &str) -> Vec<InstanceFacts> {
    with(instances, |facts| {
        facts.attributes.insert("SeriesDescription".to_owned(), description.to_owned());
    })
}

/// What a structure set says that names some series and holds one region.
pub fn drawn(references: &[&InstanceFacts], hour: u32) -> AnnotationFacts {
    AnnotationFacts {
        references: references.iter().map(|image| image.series.clone()).collect(),
        label: "GTV".to_owned(),
        drawn_at: format!("20240315{hour:02}0000.000000"),
        approval: "APPROVED".to_owned(),
        roi_names: vec!["GTV-1".to_owned()],
    }
}

/// A structure set in a study, in a series of its own.
pub fn structure_set(study: &str, series: u32, said: AnnotationFacts) -> InstanceFacts {
    let facts = instance(study, series, 1);
    InstanceFacts { modality: "RTSTRUCT".to_owned(), kind: InstanceKind::StructureSet(said), ..facts }
}

pub fn segmentation(study: &str, series: u32, said: AnnotationFacts) -> InstanceFacts {
    let said = AnnotationFacts { approval: String::new(), ..said };
    let facts = instance(study, series, 1);
    InstanceFacts { modality: "SEG".to_owned(), kind: InstanceKind::Segmentation(said), ..facts }
}

pub fn registration(study: &str, series: u32, references: &[&InstanceFacts]) -> InstanceFacts {
    let said = AnnotationFacts { roi_names: Vec::new(), approval: String::new(), ..drawn(references, 1) };
    let facts = instance(study, series, 1);
    InstanceFacts { modality: "REG".to_owned(), kind: InstanceKind::Registration(said), ..facts }
}

/// CT (series 1, 20 slices), PET (series 2, 15) and a structure set on the CT (series 9) of one study.
pub fn whole(study: &str) -> Vec<InstanceFacts> {
    let mut all = images("CT", study, 1, 20);
    all.extend(images("PT", study, 2, 15));
    let said = drawn(&[&all[0]], 8);
    all.push(structure_set(study, 9, said));
    all
}

/// A grouper and the changes that it reported.
pub struct Node {
    pub grouper: Grouper,
    pub changes: Vec<CaseChange>,
}

impl Node {
    pub fn new(protocol: ProtocolRules) -> Self {
        Self::with(vec![protocol])
    }

    pub fn with(protocols: Vec<ProtocolRules>) -> Self {
        Self { grouper: Grouper::new(settings(), protocols), changes: Vec::new() }
    }

    /// All at one moment.
    pub fn add<'a>(&mut self, instances: impl IntoIterator<Item = &'a InstanceFacts>, second: i64) {
        instances.into_iter().for_each(|facts| self.grouper.add(facts, at(second)));
    }

    pub fn poll(&mut self, second: i64) -> Vec<CaseChange> {
        let changes = self.grouper.poll(at(second));
        self.changes.extend(changes.iter().cloned());
        changes
    }

    pub fn finish(&mut self, second: i64) -> Vec<CaseChange> {
        let changes = self.grouper.finish(at(second));
        self.changes.extend(changes.iter().cloned());
        changes
    }

    /// Polls whenever it is asked for, until nothing is to come before that moment.
    pub fn run_until(&mut self, second: i64) -> Vec<CaseChange> {
        let mut changes = Vec::new();
        let mut now = Timestamp::MIN;
        for _ in 0..10_000 {
            match self.grouper.next_poll_at() {
                Some(next) if next <= at(second) => now = now.max(next),
                _ => return changes,
            }
            let found = self.grouper.poll(now);
            self.changes.extend(found.iter().cloned());
            changes.extend(found);
        }
        panic!("it is never done");
    }

    /// What became of a case, by its protocol and the order of the cases' first mention.
    pub fn last(&self, protocol: &str) -> &CaseChange {
        self.changes.iter().rfind(|change| change.protocol == protocol).unwrap()
    }
}

pub fn specs(changes: &[CaseChange]) -> Vec<&CaseSpec> {
    let ready = changes.iter().filter_map(|change| match &change.standing {
        Standing::Ready(spec) => Some(&**spec),
        _ => None,
    });
    ready.collect()
}

/// The one specification among the changes.
pub fn spec(changes: &[CaseChange]) -> &CaseSpec {
    let [spec] = specs(changes)[..] else { panic!("not one case is ready: {changes:#?}") };
    spec
}

/// The reason of the one case that is parked.
pub fn reason(changes: &[CaseChange]) -> &str {
    let mut reasons = changes.iter().filter_map(|change| match &change.standing {
        Standing::Parked { reason } => Some(reason),
        _ => None,
    });
    let reason = reasons.next().unwrap_or_else(|| panic!("nothing is parked: {changes:#?}"));
    assert_eq!(reasons.next(), None);
    reason
}

/// What the one case waits for that changed.
pub fn waits_for(changes: &[CaseChange]) -> &str {
    let [CaseChange { standing: Standing::Collecting { waits_for }, .. }] = changes else {
        panic!("not one case waits: {changes:#?}")
    };
    waits_for
}

/// The series of each role by its number.
pub fn cast(spec: &CaseSpec) -> Vec<(&str, &str)> {
    spec.inputs.iter().map(|input| (input.role.as_str(), input.series.as_str())).collect()
}

pub fn kinds(findings: &[Finding]) -> Vec<(FindingKind, &str)> {
    findings.iter().map(|finding| (finding.kind, finding.subject.as_str())).collect()
}
