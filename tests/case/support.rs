//! A configuration, a grouper, and what came of it.

use radiomicsd::case::{CaseChange, CaseSpec, Grouper, Standing};
use radiomicsd::clock::Timestamp;
use radiomicsd::config::Config;
use radiomicsd::dicom::facts::{InstanceFacts, from_bytes};
use radiomicsd::phantom::{Phantom, PhantomSettings, SyntheticPatient};

/// A protocol for CT and PET, and MR where there is one.
pub const PROTOCOL: &str = r#"
[storage]
directory = "/var/lib/radiomicsd"
[[protocol]]
name = "pet-ct-mr"
reference = "CT"
roi = { names = ["^GTV"] }
  [[protocol.input]]
  role = "CT"
  modality = "CT"
  exclude = { ImageType = "LOCALIZER", SeriesDescription = "(?i)\\bAC\\b" }
  [[protocol.input]]
  role = "PT"
  modality = "PT"
  required = true
  [[protocol.input]]
  role = "MR_T1"
  modality = "MR"
"#;

/// A grouper by the rules of the configuration.
pub fn grouper() -> Grouper {
    let config = Config::from_toml(PROTOCOL, "test.toml").unwrap();
    Grouper::new(config.case, config.protocols.iter().map(radiomicsd::config::Protocol::rules).collect())
}

/// A moment some seconds after the first one.
pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

/// The synthetic patient of these settings.
pub fn patient(settings: &PhantomSettings) -> SyntheticPatient {
    SyntheticPatient::new(&Phantom::new(settings).unwrap()).unwrap()
}

/// The facts of its files.
pub fn facts(patient: &SyntheticPatient) -> Vec<InstanceFacts> {
    patient.encode().unwrap().iter().map(|file| from_bytes(&file.bytes, &[]).unwrap()).collect()
}

/// What becomes of instances when all has come, in this order and backwards.
pub fn outcome(instances: &[InstanceFacts]) -> Vec<CaseChange> {
    let mut forwards = grouper();
    let mut backwards = grouper();
    instances.iter().for_each(|facts| forwards.add(facts, at(0)));
    instances.iter().rev().for_each(|facts| backwards.add(facts, at(0)));
    let changes = forwards.finish(at(1));
    assert_eq!(changes, backwards.finish(at(1)), "the order decides");
    changes
}

/// The specifications among changes.
pub fn specs(changes: &[CaseChange]) -> Vec<&CaseSpec> {
    let ready = changes.iter().filter_map(|change| match &change.standing {
        Standing::Ready(spec) => Some(&**spec),
        _ => None,
    });
    ready.collect()
}

/// The one specification.
pub fn spec(changes: &[CaseChange]) -> &CaseSpec {
    let [spec] = specs(changes)[..] else { panic!("not one case is ready: {changes:#?}") };
    spec
}

/// The names of the roles that are filled.
pub fn roles(spec: &CaseSpec) -> Vec<&str> {
    spec.inputs.iter().map(|input| input.role.as_str()).collect()
}
