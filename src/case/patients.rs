//! Which studies of which patient lie near each other in time.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use jiff::civil::Date;

use super::identity::{Owner, Person, Traits};
use crate::dicom::uid::Uid;

/// Studies before, and as many after a study, with which it can be linked: more than a person has within weeks. A phantom that
/// is scanned every hour under one name has more, and must not slow everything down.
const LINKED_MAX: usize = 32;

/// The studies that have what is needed to link them, and what others say of the same Patient IDs.
#[derive(Debug, Default)]
pub(super) struct Patients {
    studies: BTreeMap<Person, BTreeSet<(Date, Uid)>>,
    /// By Patient ID and issuer: how many studies of a day say what of the patient.
    said: BTreeMap<(String, String), BTreeMap<Date, BTreeMap<Traits, usize>>>,
}

/// Where a study stands among those of its patient.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Place {
    /// Whose it is.
    pub owner: Owner,
    /// Study Date (0008,0020), the earliest where its instances differ. Without one it is linked with no other.
    pub date: Option<Date>,
}

impl Patients {
    /// Lists a study.
    pub(super) fn insert(&mut self, place: &Place, study: &Uid) {
        let Some(date) = place.date else { return };
        if let Some(id) = place.owner.id() {
            *self.said.entry(id).or_default().entry(date).or_default().entry(place.owner.traits()).or_default() += 1;
        }
        if let Some(person) = place.owner.person() {
            self.studies.entry(person).or_default().insert((date, study.clone()));
        }
    }

    /// Takes a study from the lists.
    pub(super) fn remove(&mut self, place: &Place, study: &Uid) {
        let Some(date) = place.date else { return };
        if let Some(id) = place.owner.id()
            && let Some(days) = self.said.get_mut(&id)
        {
            if let Some(said) = days.get_mut(&date) {
                said.entry(place.owner.traits()).and_modify(|n| *n = n.saturating_sub(1));
                said.retain(|_, n| *n > 0);
            }
            days.retain(|_, said| !said.is_empty());
            if days.is_empty() {
                self.said.remove(&id);
            }
        }
        if let Some(person) = place.owner.person()
            && let Some(studies) = self.studies.get_mut(&person)
        {
            studies.remove(&(date, study.clone()));
            if studies.is_empty() {
                self.studies.remove(&person);
            }
        }
    }

    /// The studies that can be linked with a study at that place: of the same person and within the window of study dates, the
    /// nearest ones where there are very many. If a study can be linked with another one, so can that with it.
    pub(super) fn linked(&self, place: &Place, study: &Uid, window: Duration) -> impl Iterator<Item = &Uid> {
        let here = place.date.map(|date| (date, study.clone()));
        let found = place.owner.person().and_then(|person| self.studies.get(&person)).zip(here);
        found.into_iter().flat_map(move |(studies, here)| {
            let days = around(here.0, window);
            let is_near = move |(date, _): &&(Date, Uid)| days.contains(date);
            let before = studies.range(..here.clone()).rev().take(LINKED_MAX).take_while(is_near.clone());
            let after = studies.range(here.clone()..).filter(move |other| **other != here).take(LINKED_MAX);
            before.chain(after.take_while(is_near)).map(|(_, uid)| uid)
        })
    }

    /// Whether another study within the window bears the same Patient ID and issuer, but another birth date or sex.
    pub(super) fn is_contradicted(&self, place: &Place, window: Duration) -> bool {
        let found = place.owner.id().and_then(|id| self.said.get(&id)).zip(place.date);
        let own = place.owner.traits();
        found.is_some_and(|(days, date)| {
            days.range(around(date, window)).flat_map(|(_, said)| said.keys()).any(|other| own.contradict(other))
        })
    }
}

fn around(date: Date, window: Duration) -> RangeInclusive<Date> {
    date.saturating_sub(window)..=date.saturating_add(window)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::facts::PatientIdentity;
    use jiff::civil::date;

    const DAY: Duration = Duration::from_secs(86_400);

    fn place(id: &str, birth_date: &str, date: Option<Date>) -> Place {
        let [id, birth_date, sex] = [id, birth_date, "F"].map(str::to_owned);
        let identity = PatientIdentity { id, birth_date, sex, issuer: String::new() };
        Place { owner: Owner::of([identity].iter()), date }
    }

    fn at(day: i8) -> Place {
        place("P1", "19600101", Some(date(2024, 3, day)))
    }

    fn uid(number: usize) -> Uid {
        Uid::parse(&format!("1.2.{number}")).unwrap()
    }

    #[test]
    fn the_window_counts_whole_days_to_both_sides() {
        let mut patients = Patients::default();
        for day in [1, 10, 11, 20] {
            patients.insert(&at(day), &uid(day.unsigned_abs().into()));
        }
        patients.insert(&place("P2", "19600101", Some(date(2024, 3, 10))), &uid(99));
        patients.insert(&place("P1", "19610101", Some(date(2024, 3, 10))), &uid(98));
        let linked = |days: u32| -> Vec<Uid> {
            let mut linked: Vec<Uid> = patients.linked(&at(10), &uid(10), DAY * days).cloned().collect();
            linked.sort();
            linked
        };
        assert_eq!(linked(0), []);
        assert_eq!(linked(9), [uid(1), uid(11)]);
        assert_eq!(linked(10), [uid(1), uid(11), uid(20)]);
        assert_eq!(linked(36_500_000), linked(10));
    }

    #[test]
    fn studies_without_id_or_birth_date_or_study_date_stand_alone_and_nothing_stays_behind() {
        let mut patients = Patients::default();
        let day = Some(date(2024, 3, 1));
        for (number, alone) in
            [place("", "19600101", day), place("P1", "", day), place("P1", "19600101", None)].iter().enumerate()
        {
            patients.insert(alone, &uid(number + 10));
            patients.insert(alone, &uid(number + 20));
            assert_eq!(patients.linked(alone, &uid(number + 10), Duration::MAX).count(), 0);
            patients.remove(alone, &uid(number + 10));
            patients.remove(alone, &uid(number + 20));
        }
        patients.insert(&at(1), &uid(1));
        patients.remove(&at(1), &uid(1));
        assert!(patients.studies.is_empty() && patients.said.is_empty());
    }

    #[test]
    fn the_same_id_with_another_birth_date_contradicts_within_the_window() {
        let mut patients = Patients::default();
        let other = place("P1", "19610101", Some(date(2024, 3, 5)));
        patients.insert(&at(1), &uid(1));
        assert!(!patients.is_contradicted(&at(1), DAY * 30));
        patients.insert(&other, &uid(2));
        assert!(patients.is_contradicted(&at(1), DAY * 4) && patients.is_contradicted(&other, DAY * 4));
        assert!(!patients.is_contradicted(&at(1), DAY * 3));
        patients.remove(&other, &uid(2));
        assert!(!patients.is_contradicted(&at(1), DAY * 30));
    }

    #[test]
    fn of_very_many_studies_the_nearest_are_linked_and_always_both_ways() {
        let mut patients = Patients::default();
        let places: Vec<(Place, Uid)> = (0..150).map(|n| (at(1 + i8::try_from(n / 6).unwrap()), uid(n))).collect();
        for (place, study) in &places {
            patients.insert(place, study);
        }
        let linked = |(place, study): &(Place, Uid)| -> BTreeSet<Uid> {
            patients.linked(place, study, DAY * 30).cloned().collect()
        };
        assert_eq!(linked(&places[75]).len(), 2 * LINKED_MAX);
        for one in &places {
            assert!(!linked(one).contains(&one.1));
            for other in &places {
                assert_eq!(linked(one).contains(&other.1), linked(other).contains(&one.1));
            }
        }
    }
}
