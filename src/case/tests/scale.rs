//! Years of operation: time and memory.

use std::time::Instant;

use super::fixture::*;

const STUDIES: u32 = 2000;
const SLICES: u32 = 50;

/// CT and PET of fifty slices each and a drawing, of as many patients as there are studies.
fn study(number: u32) -> Vec<crate::dicom::facts::InstanceFacts> {
    let study = format!("1.2.840.113619.2.{number}");
    let mut all = images("CT", &study, 1, SLICES);
    all.extend(images("PT", &study, 2, SLICES));
    all.push(structure_set(&study, 9, drawn(&[&all[0]], 8)));
    with(all, |facts| facts.patient.id = format!("P{number}"))
}

#[test]
fn two_thousand_studies_of_a_hundred_instances_take_seconds_with_a_poll_after_each_instance() {
    let studies: Vec<_> = (0..STUDIES).map(study).collect();
    let mut node = Node::new(protocol());
    let begin = Instant::now();
    let mut second = 0;
    for study in &studies {
        for facts in study {
            node.add([facts], second);
            node.poll(second);
        }
        second += 5;
    }
    node.run_until(second + 10_000);
    let spent = begin.elapsed();
    assert_eq!(specs(&node.changes).len(), STUDIES as usize);
    println!("{} instances in {spent:.2?}", STUDIES * (2 * SLICES + 1));
    // Measured: 1.1 s on two cores of 2.5 GHz. The bound is for machines that are slow and busy.
    assert!(spent.as_secs() < 60, "{spent:?}");

    // A year later nothing is to be done, and finding that out costs nothing.
    let begin = Instant::now();
    for _ in 0..10_000 {
        assert_eq!(node.poll(second + 31_536_000), []);
        assert_eq!(node.grouper.next_poll_at(), None);
    }
    assert!(begin.elapsed().as_secs() < 5, "{:?}", begin.elapsed());

    // What expires leaves its cases' numbers behind and nothing else.
    for facts in studies.iter().flat_map(|study| [&study[0], &study[50], &study[100]]) {
        node.grouper.remove_series(&facts.series);
    }
    assert_eq!(node.poll(second + 31_536_000), []);
    let left = format!("{:?}", node.grouper);
    assert!(left.contains("studies: {}") && left.contains("places: {}"), "something stays");
}

#[test]
fn a_test_patient_with_hundreds_of_studies_in_one_month_slows_nothing_down() {
    let mut node = Node::new(protocol());
    let begin = Instant::now();
    for number in 0..200 {
        let all = with(study(number), |facts| facts.patient.id = "PHANTOM".to_owned());
        for facts in all.iter().step_by(10) {
            node.add([facts], i64::from(number));
            node.poll(i64::from(number));
        }
    }
    let changes = node.finish(10_000);
    println!("200 studies of one patient in {:.2?}", begin.elapsed());
    assert!(changes.iter().all(|change| change.protocol == "pet-ct-mr"));
    assert!(begin.elapsed().as_secs() < 60, "{:?}", begin.elapsed());
}
