//! Which instances a document refers to, by study and series (PS3.3 C.17.2.2, table 10-3b, table C.17-3).

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use crate::dicom::uid::Uid;
use crate::dicom::write::{put_items, put_uid, reference_item};

/// The instances of a document's references, each once, in the order in which they were added.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    studies: Vec<Study>,
}

#[derive(Debug, Clone)]
struct Study {
    uid: Uid,
    series: Vec<Series>,
}

#[derive(Debug, Clone)]
struct Series {
    uid: Uid,
    instances: Vec<(Uid, Uid)>,
    seen: std::collections::HashSet<Uid>,
}

impl Evidence {
    /// Adds an instance (SOP class, SOP instance), unless it is there already.
    pub fn add(&mut self, study: &Uid, series: &Uid, sop_class: &Uid, sop_instance: &Uid) {
        let study = match self.studies.iter().position(|known| known.uid == *study) {
            Some(index) => self.studies.get_mut(index),
            None => {
                self.studies.push(Study { uid: study.clone(), series: Vec::new() });
                self.studies.last_mut()
            }
        };
        let Some(study) = study else { return };
        let series = match study.series.iter().position(|known| known.uid == *series) {
            Some(index) => study.series.get_mut(index),
            None => {
                let (instances, seen) = (Vec::new(), std::collections::HashSet::new());
                study.series.push(Series { uid: series.clone(), instances, seen });
                study.series.last_mut()
            }
        };
        if let Some(series) = series
            && series.seen.insert(sop_instance.clone())
        {
            series.instances.push((sop_class.clone(), sop_instance.clone()));
        }
    }

    /// Puts the instances of the document's own study into Current Requested Procedure Evidence Sequence (0040,A375),
    /// those of all others into Pertinent Other Evidence Sequence (0040,A385).
    pub fn put(&self, document: &mut InMemDicomObject, own_study: &Uid) {
        let (own, others): (Vec<&Study>, Vec<&Study>) = self.studies.iter().partition(|study| study.uid == *own_study);
        for (tag, studies) in [
            (tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE, own),
            (tags::PERTINENT_OTHER_EVIDENCE_SEQUENCE, others),
        ] {
            if !studies.is_empty() {
                put_items(document, tag, studies.into_iter().map(study_item).collect());
            }
        }
    }

    /// Puts the instances under a sequence such as Predecessor Documents Sequence (0040,A360), all studies together.
    pub fn put_all(&self, document: &mut InMemDicomObject, tag: dicom_core::Tag) {
        put_items(document, tag, self.studies.iter().map(study_item).collect());
    }
}

fn study_item(study: &Study) -> InMemDicomObject {
    let mut item = InMemDicomObject::new_empty();
    put_uid(&mut item, tags::STUDY_INSTANCE_UID, &study.uid);
    let series = study.series.iter().map(|series| {
        let mut item = InMemDicomObject::new_empty();
        put_uid(&mut item, tags::SERIES_INSTANCE_UID, &series.uid);
        let instances = series.instances.iter().map(|(class, instance)| reference_item(class, instance));
        put_items(&mut item, tags::REFERENCED_SOP_SEQUENCE, instances.collect());
        item
    });
    put_items(&mut item, tags::REFERENCED_SERIES_SEQUENCE, series.collect());
    item
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uid(name: &str) -> Uid {
        Uid::derived(&[name])
    }

    #[test]
    fn evidence_names_each_instance_once_under_its_series_and_study() {
        let mut evidence = Evidence::default();
        for (study, series, instance) in
            [("a", "1", "x"), ("a", "1", "x"), ("a", "1", "y"), ("b", "2", "z"), ("a", "3", "w")]
        {
            evidence.add(&uid(study), &uid(series), &uid("class"), &uid(instance));
        }
        let mut document = InMemDicomObject::new_empty();
        evidence.put(&mut document, &uid("a"));
        let items = |object: &InMemDicomObject, tag| object.element(tag).unwrap().items().unwrap().to_vec();
        let own = items(&document, tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE);
        assert_eq!(own.len(), 1);
        let series = items(&own[0], tags::REFERENCED_SERIES_SEQUENCE);
        assert_eq!(series.iter().map(|s| items(s, tags::REFERENCED_SOP_SEQUENCE).len()).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(items(&document, tags::PERTINENT_OTHER_EVIDENCE_SEQUENCE).len(), 1);
    }
}
