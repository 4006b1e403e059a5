use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::fixture::{at, contents, data_set, facts, image_of, n_files, open, send, settings, uid};
use crate::case::CaseId;
use crate::store::{CaseRecord, CaseState, Recovery, Store, StoreError, Stored};

const N: u32 = 30;

fn fill(store: &Store) {
    for number in 0..N {
        let facts = facts(number % 3, number);
        assert_eq!(send(store, &facts, &data_set(&facts, 1, 500), i64::from(number)).unwrap(), Stored::New);
    }
    store.put_case(&case("c1", CaseState::Parked)).unwrap();
}

fn case(id: &str, state: CaseState) -> CaseRecord {
    CaseRecord {
        id: CaseId(id.to_owned()),
        state,
        protocol: "p".to_owned(),
        revision: 1,
        series: vec![uid("1.2.3.0")],
        reason: "a reason".to_owned(),
        findings: Vec::new(),
        attempts: 2,
        next_attempt_at: Some(at(9)),
        created_at: at(0),
        updated_at: at(1),
        lapsed: false,
        handed_at: None,
        spec: None,
    }
}

fn files_of_index(directory: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory.join("index")).unwrap().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(prefix))
        .collect()
}

#[test]
fn a_clean_end_is_taken_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let (store, report) = open(directory.path());
    assert_eq!(report.recovery, Recovery::Created);
    fill(&store);
    let before = contents(&store);
    let counts = store.counts().unwrap();
    drop(store);
    let (store, report) = open(directory.path());
    assert_eq!(report.recovery, Recovery::Clean);
    assert_eq!(report.instances, u64::from(N));
    assert_eq!(contents(&store), before);
    assert_eq!(store.counts().unwrap().bytes, counts.bytes);
    assert_eq!(store.case(&CaseId("c1".to_owned())).unwrap(), Some(case("c1", CaseState::Parked)));
}

#[test]
fn a_killed_process_loses_nothing_that_it_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    fill(&store);
    let mut unfinished = store.begin().unwrap();
    unfinished.write(&[0; 200_000]).unwrap();
    let image = image_of(directory.path());
    let (again, report) = open(image.path());
    assert_eq!(report.recovery, Recovery::Compared);
    assert_eq!((report.instances, report.leftovers, report.damaged, report.unreadable), (u64::from(N), 1, 0, 0));
    let expected: Vec<_> = contents(&store)
        .into_iter()
        .map(|mut instance| {
            instance.path = image.path().join(instance.path.strip_prefix(directory.path()).unwrap());
            instance
        })
        .collect();
    assert_eq!(contents(&again), expected);
    assert_eq!(again.cases().unwrap(), store.cases().unwrap());
    assert_eq!(again.counts().unwrap().bytes, store.counts().unwrap().bytes);
}

#[test]
fn the_rebuilt_index_equals_the_live_one() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    fill(&store);
    let (before, cases) = (contents(&store), store.cases().unwrap());
    let report = store.reindex().unwrap();
    assert_eq!((report.instances, report.added, report.removed), (u64::from(N), 0, 0));
    assert_eq!(contents(&store), before);
    drop(store);
    fs::remove_dir_all(directory.path().join("index")).unwrap();
    let (store, report) = open(directory.path());
    assert_eq!((report.instances, report.added), (u64::from(N), u64::from(N)));
    assert_eq!(contents(&store), before);
    assert_eq!(store.cases().unwrap(), cases);
    for series in ["1.2.3.0", "1.2.3.1", "1.2.3.2"] {
        assert_eq!(store.instances_of_series(&uid(series)).unwrap().len(), 10);
    }
}

#[test]
fn emptied_snapshots_of_the_engine_are_survived() {
    for cut in [0, 1, 100] {
        let directory = tempfile::tempdir().unwrap();
        let (store, _) = open(directory.path());
        fill(&store);
        drop(store);
        // The engine writes its snapshot when it starts on a log.
        drop(open(directory.path()));
        let snapshots = files_of_index(directory.path(), "snap.");
        assert!(!snapshots.is_empty());
        for path in snapshots {
            File::options().write(true).open(path).unwrap().set_len(cut).unwrap();
        }
        let (store, report) = open(directory.path());
        assert_ne!(report.recovery, Recovery::Clean, "cut at {cut}");
        assert_eq!(contents(&store).len(), N as usize, "cut at {cut}");
        assert_eq!(store.cases().unwrap().len(), 1);
    }
}

#[test]
fn a_cut_or_overwritten_log_of_the_engine_is_survived() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    fill(&store);
    drop(store);
    let whole = fs::read(directory.path().join("index/db")).unwrap();
    let cuts = [0, 1, 10, 511, 4096, whole.len() / 3, whole.len() / 2, whole.len() - 1];
    for (cut, keep_snapshots) in cuts.into_iter().flat_map(|cut| [(cut, true), (cut, false)]) {
        let image = image_of(directory.path());
        fs::write(image.path().join("index/db"), &whole[..cut]).unwrap();
        if !keep_snapshots {
            for path in files_of_index(image.path(), "snap.") {
                fs::remove_file(path).unwrap();
            }
        }
        let (store, report) = open(image.path());
        assert_ne!(report.recovery, Recovery::Clean, "cut at {cut}");
        assert_eq!(contents(&store).len(), N as usize, "cut at {cut}");
        assert_eq!(store.cases().unwrap().len(), 1, "cut at {cut}");
    }
    for fill in [0_u8, 0xA5] {
        let image = image_of(directory.path());
        fs::write(image.path().join("index/db"), vec![fill; whole.len() + 1]).unwrap();
        let (store, _) = open(image.path());
        assert_eq!(contents(&store).len(), N as usize);
    }
}

#[test]
fn an_index_file_that_is_no_index_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    fill(&store);
    drop(store);
    fs::write(directory.path().join("index/conf"), "segment_size: 7\nuse_compression: maybe\n").unwrap();
    let (store, report) = open(directory.path());
    assert_eq!(report.recovery, Recovery::Rebuilt);
    assert_eq!(contents(&store).len(), N as usize);
}

#[test]
fn a_file_that_the_power_cut_tore_is_set_aside_and_the_rest_stays() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    fill(&store);
    let image = image_of(directory.path());
    let torn = |number: u32| {
        let path = store.instance(&uid(&format!("1.2.3.{}.{number}", number % 3))).unwrap().unwrap().path;
        image.path().join(path.strip_prefix(directory.path()).unwrap())
    };
    for (number, length) in [(3, 0), (4, 100), (5, 300)] {
        File::options().write(true).open(torn(number)).unwrap().set_len(length).unwrap();
    }
    let (again, report) = open(image.path());
    assert_eq!((report.damaged, report.instances), (3, u64::from(N) - 3));
    assert_eq!(n_files(&image.path().join("damaged")), 3);
    assert_eq!(contents(&again).len(), N as usize - 3);
    // The sender was never told of success by the one who lost it; when it sends again, all is well.
    assert_eq!(send(&again, &facts(0, 3), &data_set(&facts(0, 3), 1, 500), 3).unwrap(), Stored::New);
}

#[test]
fn files_that_came_and_went_behind_our_back_are_found_by_reindex() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    fill(&store);
    fs::remove_file(&contents(&store)[0].path).unwrap();
    fs::write(directory.path().join("instances/readme"), "x").unwrap();
    fs::write(contents_directory(&store).join("note.txt"), "x").unwrap();
    let report = store.reindex().unwrap();
    assert_eq!((report.removed, report.unreadable, report.instances), (1, 1, u64::from(N) - 1));
    assert_eq!(contents(&store).len(), N as usize - 1);
}

fn contents_directory(store: &Store) -> PathBuf {
    let mut path = None;
    store.for_each_instance(&mut |instance| path = Some(instance.path)).unwrap();
    path.unwrap().parent().unwrap().to_owned()
}

#[test]
fn verify_names_what_is_missing_and_what_was_altered() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    fill(&store);
    let all = contents(&store);
    fs::remove_file(&all[0].path).unwrap();
    let mut bytes = fs::read(&all[1].path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&all[1].path, bytes).unwrap();
    let report = store.verify().unwrap();
    assert_eq!(report.checked, u64::from(N));
    assert_eq!((report.missing, report.altered), (vec![all[0].path.clone()], vec![all[1].path.clone()]));
}

#[test]
fn another_reader_of_facts_makes_all_facts_be_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    fill(&store);
    drop(store);
    let mut settings = settings(directory.path());
    let read = settings.read_facts.clone();
    settings.read_facts = std::sync::Arc::new(move |path| {
        let mut facts = read(path)?;
        facts.attributes.insert("Manufacturer".to_owned(), "M".to_owned());
        Ok(facts)
    });
    settings.facts_version = "2".to_owned();
    let (store, _) = Store::open(&settings).unwrap();
    assert!(contents(&store).iter().all(|instance| instance.facts.attributes["Manufacturer"] == "M"));
    assert_eq!(contents(&store).len(), N as usize);
}

#[test]
fn a_directory_of_a_newer_version_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("layout"), "radiomicsd storage 3\n").unwrap();
    assert!(matches!(Store::open(&settings(directory.path())), Err(StoreError::Layout { .. })));
}

#[test]
fn cases_are_counted_and_listed_newest_first_also_after_a_clean_end() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, _) = open(directory.path());
    for (id, state, second) in [("a", CaseState::Done, 3), ("b", CaseState::Parked, 9), ("c", CaseState::Done, 5)] {
        store.put_case(&CaseRecord { updated_at: at(second), ..case(id, state) }).unwrap();
    }
    for _ in 0..2 {
        let of = |state, n_max| -> Vec<String> {
            store.recent_cases(state, n_max).unwrap().into_iter().map(|record| record.id.0).collect()
        };
        assert_eq!(of(None, 2), ["b", "c"]);
        assert_eq!(of(Some(CaseState::Done), 9), ["c", "a"]);
        assert!(store.case_counts().contains(&(CaseState::Done, 2)));
        drop(store);
        store = open(directory.path()).0;
    }
}

#[test]
fn a_case_record_is_found_after_a_kill_and_an_unreadable_one_stops_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    for id in ["c1", "c2"] {
        store.put_case(&case(id, CaseState::Processing)).unwrap();
    }
    store.put_case(&case("c2", CaseState::Done)).unwrap();
    assert!(store.put_case(&case("../c3", CaseState::Done)).is_err());
    let image = image_of(directory.path());
    fs::write(image.path().join("cases/c1.json"), "{").unwrap();
    fs::write(image.path().join("cases/c9.json.tmp~"), "{").unwrap();
    let (again, report) = open(image.path());
    assert_eq!(report.unreadable, 1);
    assert_eq!(again.cases().unwrap(), [case("c2", CaseState::Done)]);
    assert_eq!(again.cases_in(CaseState::Done).unwrap().len(), 1);
    assert_eq!(again.case_counts().iter().map(|(_, n)| n).sum::<u64>(), 1);
    assert_eq!(n_files(&image.path().join("cases")), 2);
}
