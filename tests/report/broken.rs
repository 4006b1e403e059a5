//! Files that are broken in one way each, and files cut short: none is let out.

use radiomicsd::report::documents;
use radiomicsd::report::verify::{Violation, verify};

use super::cases::{Plan, case};
use super::shared::reference;

/// A reference document broken in one way, and what we say of it.
type Broken = (&'static str, fn(&Violation) -> bool);

const BROKEN: [Broken; 9] = [
    ("b1_missing_type1.dcm", |v| matches!(v, Violation::Missing(_))),
    ("b2_wrong_relationship.dcm", |v| matches!(v, Violation::Template { template: "1411", .. })),
    ("b3_wrong_template_order.dcm", |v| matches!(v, Violation::Template { template: "1500", .. })),
    ("b3b_order_only.dcm", |v| matches!(v, Violation::Template { template: "1500", .. })),
    ("b4_bad_uid_ref.dcm", |v| matches!(v, Violation::Evidence(_))),
    ("b5_unit_missing.dcm", |v| matches!(v, Violation::Content(_))),
    ("b6_ds_too_long.dcm", |v| matches!(v, Violation::Value(_))),
    ("b7_wrong_unit.dcm", |v| matches!(v, Violation::Unit(_))),
    ("b8_malformed_uid.dcm", |v| matches!(v, Violation::Uid(_))),
];

#[test]
fn a_file_broken_in_each_of_eight_ways_is_caught_and_the_whole_ones_are_not() {
    let Some(folder) = reference().map(|folder| folder.join("reference/sr")) else { return };
    for whole in ["reference_sr.dcm", "reference_sr_fusion.dcm"] {
        assert_eq!(verify(&std::fs::read(folder.join(whole)).unwrap()), [], "{whole}");
    }
    for (name, is_expected) in BROKEN {
        let violations = verify(&std::fs::read(folder.join("broken").join(name)).unwrap());
        assert!(violations.iter().any(is_expected), "{name}: {violations:?}");
    }
}

#[test]
fn a_document_cut_short_anywhere_is_caught() {
    let plan = Plan { roles: vec![("CT", "CT")], lesions: 1, features: 3, ..Plan::default() };
    for document in documents(&case(&plan)).unwrap() {
        assert_eq!(verify(&document.bytes), []);
        let length = document.bytes.len();
        for cut in (0..length).step_by(length / 97) {
            assert!(!verify(&document.bytes[..cut]).is_empty(), "{} cut at {cut} of {length}", document.name);
        }
    }
}
