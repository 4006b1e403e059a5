//! References that did not come yet, each once.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::annotation;
use crate::dicom::facts::InstanceFacts;
use crate::dicom::uid::Uid;

/// References that wait, at most; what is beyond comes, or does not, without us.
const WAITING_MAX: usize = 10_000;
/// References that are remembered as asked for.
const KNOWN_MAX: usize = 100_000;
/// Studies that are remembered as asked about.
const STUDIES_MAX: usize = 10_000;
/// A study is not asked about again within this time: many segmentations of one study come one after the other.
const STUDY_AGAIN: Duration = Duration::from_secs(3_600);

/// What is asked on account of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// About what.
    pub about: About,
    /// The object that names something.
    pub instance: Uid,
    /// AE title of who sent the object.
    pub sender: String,
}

/// What a peer is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// A series that the object names: it is sent if it is missing.
    Series(Uid),
    /// How much there is of the studies that the object has to do with, after its series.
    Studies,
}

/// What waits, and what was asked for before.
#[derive(Debug, Default)]
pub struct Wishes {
    inner: Mutex<Inner>,
    added: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: VecDeque<(Instant, Wish)>,
    /// Object and series: once per reference.
    known: HashSet<(Uid, Uid)>,
    /// When a study was asked about.
    studies: HashMap<Uid, Instant>,
}

impl Wishes {
    /// Notes what an object names. It has some time to come by itself.
    pub fn add(&self, facts: &InstanceFacts, sender: &str, after: Duration) {
        let Some(named) = annotation(facts) else { return };
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let due_at = Instant::now() + after;
        let wish = |about| Wish { about, instance: facts.sop_instance.clone(), sender: sender.to_owned() };
        let mut is_new = false;
        for series in &named.references {
            if WAITING_MAX <= inner.waiting.len() {
                break;
            }
            if KNOWN_MAX <= inner.known.len() {
                inner.known.clear();
            }
            if inner.known.insert((facts.sop_instance.clone(), series.clone())) {
                inner.waiting.push_back((due_at, wish(About::Series(series.clone()))));
                is_new = true;
            }
        }
        if is_new {
            inner.waiting.push_back((due_at, wish(About::Studies)));
        }
        drop(inner);
        self.added.notify_one();
    }

    /// Whether a study was not asked about for a while; from now on it was.
    pub fn may_ask_about(&self, study: &Uid, now: Instant) -> bool {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.studies.get(study).is_some_and(|asked_at| now < *asked_at + STUDY_AGAIN) {
            return false;
        }
        if STUDIES_MAX <= inner.studies.len() {
            inner.studies.clear();
        }
        inner.studies.insert(study.clone(), now);
        true
    }

    /// The next one whose time has come.
    pub async fn next(&self) -> Wish {
        loop {
            let due_at = {
                let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
                match inner.waiting.front() {
                    Some((due_at, _)) if *due_at <= Instant::now() => {
                        if let Some((_, wish)) = inner.waiting.pop_front() {
                            return wish;
                        }
                        None
                    }
                    Some((due_at, _)) => Some(*due_at),
                    None => None,
                }
            };
            match due_at {
                Some(due_at) => tokio::time::sleep_until(due_at).await,
                None => self.added.notified().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::facts::{AnnotationFacts, InstanceKind};

    fn structure_set(instance: &str, references: &[&str]) -> InstanceFacts {
        let uid = |text: &str| Uid::parse(text).unwrap();
        let references = references.iter().map(|text| uid(text)).collect();
        InstanceFacts {
            sop_class: uid("1.2.840.10008.5.1.4.1.1.481.3"),
            sop_instance: uid(instance),
            series: uid("1.2.1"),
            study: uid("1.2"),
            transfer_syntax: uid("1.2.840.10008.1.2"),
            patient: Default::default(),
            modality: "RTSTRUCT".into(),
            kind: InstanceKind::StructureSet(AnnotationFacts { references, ..Default::default() }),
            frame_of_reference: None,
            made_at: String::new(),
            study_date: String::new(),
            own_product: false,
            attributes: Default::default(),
        }
    }

    #[tokio::test]
    async fn each_reference_of_an_object_is_wished_for_once_and_not_before_its_time() {
        let wishes = Wishes::default();
        let after = Duration::from_millis(60);
        let begun = Instant::now();
        for _ in 0..3 {
            wishes.add(&structure_set("1.9", &["1.2.2", "1.2.3"]), "PACS", after);
        }
        wishes.add(&InstanceFacts { own_product: true, ..structure_set("1.8", &["1.2.2"]) }, "PACS", after);
        wishes.add(&structure_set("1.7", &[]), "PACS", after);
        let series = |text: &str| About::Series(Uid::parse(text).unwrap());
        assert_eq!(wishes.next().await.about, series("1.2.2"));
        assert!(begun.elapsed() >= after);
        assert_eq!(wishes.next().await.about, series("1.2.3"));
        assert_eq!(wishes.next().await.about, About::Studies);
        assert!(tokio::time::timeout(2 * after, wishes.next()).await.is_err());
    }

    #[test]
    fn a_study_is_asked_about_once_an_hour() {
        let (wishes, study, now) = (Wishes::default(), Uid::parse("1.2").unwrap(), Instant::now());
        assert!(wishes.may_ask_about(&study, now));
        assert!(!wishes.may_ask_about(&study, now + STUDY_AGAIN / 2));
        assert!(wishes.may_ask_about(&Uid::parse("1.3").unwrap(), now));
        assert!(wishes.may_ask_about(&study, now + STUDY_AGAIN));
    }
}
