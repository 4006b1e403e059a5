//! Which studies of which patient lie near each other in time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::civil::Date;

use super::identity::Owner;
use crate::dicom::uid::Uid;

/// The studies by Patient ID and issuer, then by study date. Studies without an ID or a date are in no list: they stand alone.
#[derive(Debug, Default)]
pub(super) struct Patients(BTreeMap<(String, String), BTreeMap<Date, BTreeSet<Uid>>>);

/// Where a study stands among those of its patient.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Place {
    /// Whose it is.
    pub owner: Owner,
    /// Study Date (0008,0020), the earliest where its instances differ.
    pub date: Option<Date>,
}

impl Place {
    fn key(&self) -> Option<((String, String), Date)> {
        let (id, issuer) = self.owner.key()?;
        Some(((id.to_owned(), issuer.to_owned()), self.date?))
    }
}

impl Patients {
    /// Lists a study.
    pub(super) fn insert(&mut self, place: &Place, study: &Uid) {
        if let Some((key, date)) = place.key() {
            self.0.entry(key).or_default().entry(date).or_default().insert(study.clone());
        }
    }

    /// Takes a study from its list.
    pub(super) fn remove(&mut self, place: &Place, study: &Uid) {
        let Some((key, date)) = place.key() else { return };
        let Some(dates) = self.0.get_mut(&key) else { return };
        if let Some(studies) = dates.get_mut(&date) {
            studies.remove(study);
            if studies.is_empty() {
                dates.remove(&date);
            }
        }
        if dates.is_empty() {
            self.0.remove(&key);
        }
    }

    /// The studies under the same Patient ID and issuer within so much time of a place; its own study is among them.
    pub(super) fn near(&self, place: &Place, window: Duration) -> impl Iterator<Item = &Uid> {
        let dates = place.key().and_then(|(key, date)| Some((self.0.get(&key)?, date)));
        dates.into_iter().flat_map(move |(dates, date)| {
            dates.range(date.saturating_sub(window)..=date.saturating_add(window)).flat_map(|(_, studies)| studies)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::facts::PatientIdentity;
    use jiff::civil::date;

    fn place(id: &str, date: Option<Date>) -> Place {
        let identity = PatientIdentity { id: id.to_owned(), ..PatientIdentity::default() };
        Place { owner: Owner::of([identity].iter()), date }
    }

    #[test]
    fn the_window_counts_whole_days_to_both_sides() {
        let mut patients = Patients::default();
        let at = |day| place("P1", Some(date(2024, 3, day)));
        let uid = |day| Uid::parse(&format!("1.2.{day}")).unwrap();
        for day in [1, 10, 11, 20] {
            patients.insert(&at(day), &uid(day));
        }
        patients.insert(&place("P2", Some(date(2024, 3, 10))), &Uid::parse("1.2.99").unwrap());
        let near =
            |days: u64| -> Vec<Uid> { patients.near(&at(10), Duration::from_secs(days * 86_400)).cloned().collect() };
        assert_eq!(near(0), [uid(10)]);
        assert_eq!(near(9), [uid(1), uid(10), uid(11)]);
        assert_eq!(near(10), [uid(1), uid(10), uid(11), uid(20)]);
        assert_eq!(near(36_500_000), near(10));
    }

    #[test]
    fn studies_without_id_or_date_are_near_to_none_and_nothing_stays_behind() {
        let mut patients = Patients::default();
        let study = Uid::parse("1.2.3").unwrap();
        for alone in [place("", Some(date(2024, 3, 1))), place("P1", None)] {
            patients.insert(&alone, &study);
            assert_eq!(patients.near(&alone, Duration::MAX).count(), 0);
        }
        let there = place("P1", Some(date(2024, 3, 1)));
        patients.insert(&there, &study);
        patients.remove(&there, &study);
        assert!(patients.0.is_empty());
    }
}
