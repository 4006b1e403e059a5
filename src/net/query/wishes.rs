//! References that did not come yet, each once.

use std::collections::{HashSet, VecDeque};
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

/// A series that an object names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The series.
    pub series: Uid,
    /// The object that names it.
    pub instance: Uid,
    /// AE title of who sent the object.
    pub sender: String,
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
}

impl Wishes {
    /// Notes what an object names. It has some time to come by itself.
    pub fn add(&self, facts: &InstanceFacts, sender: &str, after: Duration) {
        let Some(named) = annotation(facts) else { return };
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        for series in &named.references {
            if WAITING_MAX <= inner.waiting.len() {
                break;
            }
            if KNOWN_MAX <= inner.known.len() {
                inner.known.clear();
            }
            if inner.known.insert((facts.sop_instance.clone(), series.clone())) {
                let wish =
                    Wish { series: series.clone(), instance: facts.sop_instance.clone(), sender: sender.to_owned() };
                inner.waiting.push_back((Instant::now() + after, wish));
            }
        }
        drop(inner);
        self.added.notify_one();
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
        assert_eq!(wishes.next().await.series.as_str(), "1.2.2");
        assert!(begun.elapsed() >= after);
        assert_eq!(wishes.next().await.series.as_str(), "1.2.3");
        assert!(tokio::time::timeout(2 * after, wishes.next()).await.is_err());
    }
}
