//! Pieces of an archive in which everything happens, to be put together at random.

use super::fixture::*;
use crate::case::{AtDeadline, Pattern, Prefer, ProtocolRules, RoiRules};
use crate::dicom::facts::{AnnotationFacts, InstanceFacts, InstanceKind};

/// The study that most is about, and its patient's others: a linked MR study, a second one, a follow-up, one of a drawing.
const STUDY: &str = "1.2.3";

pub const PIECES: usize = 24;

/// One piece: a series or an object.
pub fn piece(number: usize) -> Vec<InstanceFacts> {
    let ct = &images("CT", STUDY, 1, 1)[0];
    let pt = &images("PT", STUDY, 2, 1)[0];
    let mr = &mr_study("1.2.4", "20240320", 1)[0];
    let one = |facts: InstanceFacts| vec![facts];
    match number {
        0 => images("CT", STUDY, 1, 6),
        1 => images("PT", STUDY, 2, 5),
        2 => one(structure_set(STUDY, 11, drawn(&[ct], 8))),
        3 => one(structure_set(STUDY, 12, drawn(&[ct, pt], 9))),
        4 => one(structure_set(STUDY, 13, AnnotationFacts { approval: "REJECTED".into(), ..drawn(&[ct], 10) })),
        5 => mr_study("1.2.4", "20240320", 4),
        6 => mr_study("1.2.6", "20240310", 4),
        7 => images("PT", STUDY, 3, 7),
        8 => described(images("CT", STUDY, 4, 6), "low dose"),
        9 => one(structure_set(STUDY, 14, AnnotationFacts { references: vec![uid("1.2.99")], ..drawn(&[], 11) })),
        10 => one(registration(STUDY, 15, &[ct, pt])),
        11 => one(registration(STUDY, 16, &[ct, mr])),
        12 => dated(images("CT", "1.2.5", 1, 6), "20240401"),
        13 => dated(images("PT", "1.2.5", 2, 6), "20240401"),
        14 => dated(one(structure_set("1.2.5", 11, drawn(&[&images("CT", "1.2.5", 1, 1)[0]], 12))), "20240401"),
        15 => with(mr_study("1.2.8", "20240315", 4), |facts| facts.patient.birth_date = "19701231".into()),
        16 => of_another(with_hole(images("CT", "1.2.20", 1, 8))),
        17 => of_another(one(structure_set("1.2.20", 2, drawn(&[&images("CT", "1.2.20", 1, 1)[0]], 7)))),
        18 => one(segmentation(STUDY, 17, segments(drawn(&[ct], 13), &["GTV-a", "GTV-b"]))),
        19 => one(segmentation(STUDY, 18, segments(drawn(&[ct], 14), &["GTV-b"]))),
        20 => one(instance(STUDY, 19, 1)),
        21 => {
            dated(one(structure_set("1.2.9", 1, AnnotationFacts { label: "X".into(), ..drawn(&[ct], 15) })), "20240316")
        }
        22 => with(images("PT", STUDY, 20, 2), |facts| facts.own_product = true),
        _ => of_another(one(instance(STUDY, 21, 1))),
    }
}

/// Protocols of every temper.
pub fn protocols(number: usize) -> Vec<ProtocolRules> {
    let mut basic = protocol();
    basic.inputs[0].exclude = rules(&[("SeriesDescription", "low dose")]);
    let parking = ProtocolRules { name: "parking".to_owned(), at_deadline: AtDeadline::Park, ..basic.clone() };
    let choosing = preferring(basic.clone(), "PT", &[Prefer::Thinnest, Prefer::Largest]);
    let choosing = preferring(choosing, "MR", &[Prefer::Newest]);
    let automatic = ProtocolRules {
        name: "automatic".to_owned(),
        roi: RoiRules { names: vec![Pattern::new("GTV").unwrap()], tissues: Vec::new(), required: false },
        ..choosing.clone()
    };
    match number {
        0 => vec![basic],
        1 => vec![parking],
        2 => vec![choosing],
        3 => vec![automatic, parking],
        _ => vec![choosing, automatic, ct_only()],
    }
}

pub const PROTOCOLS: usize = 5;

fn mr_study(study: &str, date: &str, n: u32) -> Vec<InstanceFacts> {
    with(dated(images("MR", study, 3, n), date), |facts| facts.made_at = format!("{date}100000.000000"))
}

fn dated(instances: Vec<InstanceFacts>, date: &str) -> Vec<InstanceFacts> {
    with(instances, |facts| date.clone_into(&mut facts.study_date))
}

fn of_another(instances: Vec<InstanceFacts>) -> Vec<InstanceFacts> {
    with(instances, |facts| facts.patient.id = "P2".to_owned())
}

fn with_hole(mut instances: Vec<InstanceFacts>) -> Vec<InstanceFacts> {
    instances.remove(4);
    instances
}

fn segments(said: AnnotationFacts, names: &[&str]) -> AnnotationFacts {
    AnnotationFacts { roi_names: names.iter().map(|name| (*name).to_owned()).collect(), label: "SEG".into(), ..said }
}

#[test]
fn every_piece_is_there_and_no_instance_is_in_two() {
    let all: Vec<_> = (0..PIECES).flat_map(piece).collect();
    let mut uids: Vec<_> = all.iter().map(|facts| &facts.sop_instance).collect();
    uids.sort();
    uids.dedup();
    assert_eq!(uids.len(), all.len());
    assert!(all.iter().any(|facts| matches!(facts.kind, InstanceKind::Registration(_))));
}
