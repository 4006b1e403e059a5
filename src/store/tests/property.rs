//! Whatever is sent, dropped, cut off and opened again in whatever order: nothing that was acknowledged is lost.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;

use proptest::prelude::*;

use super::fixture::{contents, data_set, facts, image_of, n_files, send, settings};
use crate::dicom::uid::Uid;
use crate::store::{Digest, Durability, Store, Stored};

#[derive(Debug, Clone)]
enum Step {
    /// Send instance `number` of `series` with this content.
    Send {
        series: u32,
        number: u32,
        filler: u8,
    },
    /// Begin to send and break off after so many bytes.
    BreakOff {
        n_bytes: usize,
    },
    Checkpoint,
    Reindex,
    /// End properly and start again.
    Restart,
    /// Be killed and start again, the index as it is or damaged.
    Kill {
        damage: Damage,
    },
}

#[derive(Debug, Clone, Copy)]
enum Damage {
    None,
    SnapshotsEmptied,
    LogCut,
    IndexGone,
}

fn step() -> impl Strategy<Value = Step> {
    let damage = prop_oneof![
        3 => Just(Damage::None),
        1 => Just(Damage::SnapshotsEmptied),
        1 => Just(Damage::LogCut),
        1 => Just(Damage::IndexGone)
    ];
    prop_oneof![
        12 => (0..3_u32, 0..5_u32, 0..3_u8).prop_map(|(series, number, filler)| Step::Send { series, number, filler }),
        2 => (0..150_000_usize).prop_map(|n_bytes| Step::BreakOff { n_bytes }),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Reindex),
        1 => Just(Step::Restart),
        3 => damage.prop_map(|damage| Step::Kill { damage }),
    ]
}

fn apply(damage: Damage, directory: &Path) {
    let index = directory.join("index");
    match damage {
        Damage::None => {}
        Damage::SnapshotsEmptied => {
            for entry in fs::read_dir(&index).unwrap().flatten() {
                if entry.file_name().to_str().unwrap().starts_with("snap.") {
                    File::options().write(true).open(entry.path()).unwrap().set_len(0).unwrap();
                }
            }
        }
        Damage::LogCut => {
            let db = File::options().write(true).open(index.join("db")).unwrap();
            db.set_len(db.metadata().unwrap().len() / 2).unwrap();
        }
        Damage::IndexGone => fs::remove_dir_all(&index).unwrap(),
    }
}

fn check(store: &Store, acknowledged: &BTreeMap<Uid, Digest>) {
    let found: BTreeMap<Uid, Digest> =
        contents(store).into_iter().map(|instance| (instance.facts.sop_instance, instance.digest)).collect();
    assert_eq!(&found, acknowledged);
    assert_eq!(store.counts().unwrap().instances, acknowledged.len() as u64);
    assert_eq!(n_files(&store.directory().join("instances")), acknowledged.len());
    assert_eq!(n_files(&store.directory().join("incoming")), 0);
    let mut by_series = 0;
    for series in 0..3 {
        by_series += store.instances_of_series(&facts(series, 0).series).unwrap().len();
    }
    assert_eq!(by_series, acknowledged.len());
}

fn run(steps: Vec<Step>, durability: Durability) {
    let mut directory = tempfile::tempdir().unwrap();
    let settings = |directory: &Path| {
        let mut settings = settings(directory);
        settings.durability = durability;
        settings
    };
    let mut store = Some(Store::open(&settings(directory.path())).unwrap().0);
    let mut acknowledged = BTreeMap::new();
    for (second, step) in (0..).zip(steps) {
        let open = store.take().unwrap();
        store = Some(match step {
            Step::Send { series, number, filler } => {
                let facts = facts(series, number);
                let data = data_set(&facts, filler, 3000);
                let digest = Digest::of(&data);
                let expected = match acknowledged.get(&facts.sop_instance) {
                    None => Stored::New,
                    Some(known) if *known == digest => Stored::Duplicate,
                    Some(_) => Stored::Conflict,
                };
                assert_eq!(send(&open, &facts, &data, second).unwrap(), expected);
                acknowledged.entry(facts.sop_instance).or_insert(digest);
                open
            }
            Step::BreakOff { n_bytes } => {
                let mut incoming = open.begin().unwrap();
                incoming.write(&vec![0; n_bytes]).unwrap();
                drop(incoming);
                open
            }
            Step::Checkpoint => {
                open.checkpoint().unwrap();
                open
            }
            Step::Reindex => {
                open.reindex().unwrap();
                open
            }
            Step::Restart => {
                drop(open);
                Store::open(&settings(directory.path())).unwrap().0
            }
            Step::Kill { damage } => {
                let mut unfinished = open.begin().unwrap();
                unfinished.write(&[1; 100_000]).unwrap();
                let image = image_of(directory.path());
                drop((unfinished, open));
                directory = image;
                apply(damage, directory.path());
                Store::open(&settings(directory.path())).unwrap().0
            }
        });
        check(store.as_ref().unwrap(), &acknowledged);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_events_loses_what_was_acknowledged(steps in prop::collection::vec(step(), 1..40)) {
        run(steps, Durability::Full);
    }

    #[test]
    fn nor_does_it_where_nothing_is_synced_and_only_the_process_dies(steps in prop::collection::vec(step(), 1..40)) {
        run(steps, Durability::None);
    }
}
