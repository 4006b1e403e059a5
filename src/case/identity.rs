//! Whose a study is, and which studies may be put together.
//!
//! A wrong match mixes two people, a missed one leaves a case for a person to look at: so everything must be there and equal.

use jiff::civil::Date;

use crate::dicom::facts::PatientIdentity;
use crate::dicom::time;

/// What the instances of a study say together of the patient. An attribute that some of them leave out is that of the others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Owner {
    id: Option<String>,
    issuer: Option<String>,
    birth_date: Option<Date>,
    sex: Option<String>,
    is_ambiguous: bool,
}

impl Owner {
    /// From what the instances say, in any order.
    pub(super) fn of<'a>(identities: impl Iterator<Item = &'a PatientIdentity>) -> Self {
        let mut owner = Self::default();
        for identity in identities {
            let differ = [
                take(&mut owner.id, text(&identity.id)),
                take(&mut owner.issuer, text(&identity.issuer)),
                take(&mut owner.sex, sex(&identity.sex)),
                take(&mut owner.birth_date, time::date(&identity.birth_date)),
            ];
            owner.is_ambiguous |= differ.contains(&true);
        }
        owner
    }

    /// Whether the instances of the study contradict each other: it holds two people, or one of them wrongly.
    pub(super) const fn is_ambiguous(&self) -> bool {
        self.is_ambiguous
    }

    /// Patient ID and issuer.
    pub(super) fn id(&self) -> Option<(String, String)> {
        let id = self.id.clone().filter(|_| !self.is_ambiguous)?;
        Some((id, self.issuer.clone().unwrap_or_default()))
    }

    /// The person, where that is sure: studies whose persons are equal may be put together.
    ///
    /// Patient ID, birth date and sex must be there. Two absent issuers are equal: within one hospital nobody writes them. One
    /// absent issuer equals no other: that one says that IDs of several hospitals meet here.
    pub(super) fn person(&self) -> Option<Person> {
        Some(Person { id: self.id()?, birth_date: self.birth_date?, sex: self.sex.clone()? })
    }

    /// What must not differ between studies under one Patient ID.
    pub(super) fn traits(&self) -> Traits {
        Traits { birth_date: self.birth_date, sex: self.sex.clone() }
    }
}

/// A person that studies can be linked by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Person {
    id: (String, String),
    birth_date: Date,
    sex: String,
}

/// Birth date and sex, as far as they are known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Traits {
    birth_date: Option<Date>,
    sex: Option<String>,
}

impl Traits {
    /// Whether both cannot be of one person.
    pub(super) fn contradict(&self, other: &Self) -> bool {
        let born = self.birth_date.zip(other.birth_date).is_some_and(|(a, b)| a != b);
        born || self.sex.as_ref().zip(other.sex.as_ref()).is_some_and(|(a, b)| a != b)
    }
}

/// Takes a value over; `true` where another one was there. The lesser one stays, so that the order of arrival leaves no trace.
fn take<T: Ord + Clone>(known: &mut Option<T>, found: Option<T>) -> bool {
    let differ = known.is_some() && found.is_some() && *known != found;
    *known = known.take().into_iter().chain(found).min();
    differ
}

fn text(value: &str) -> Option<String> {
    Some(value.trim().to_owned()).filter(|value| !value.is_empty())
}

/// Patient's Sex (PS3.3 C.7.1.1): M, F or O. Anything else says nothing.
fn sex(value: &str) -> Option<String> {
    Some(value.trim().to_ascii_uppercase()).filter(|sex| matches!(sex.as_str(), "M" | "F" | "O"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(id: &str, issuer: &str, birth_date: &str, sex: &str) -> PatientIdentity {
        let [id, issuer, birth_date, sex] = [id, issuer, birth_date, sex].map(str::to_owned);
        PatientIdentity { id, issuer, birth_date, sex }
    }

    fn agree(a: &Owner, b: &Owner) -> bool {
        a.person().is_some() && a.person() == b.person()
    }

    fn owner(id: &str, issuer: &str, birth_date: &str, sex: &str) -> Owner {
        Owner::of([identity(id, issuer, birth_date, sex)].iter())
    }

    #[test]
    fn studies_agree_when_all_is_there_and_equal() {
        let patient = owner("P1", "", "19600101", "F");
        assert!(agree(&patient, &owner("P1 ", "", "1960.01.01", "f")));
        for other in [
            owner("P2", "", "19600101", "F"),
            owner("P1", "HOSPITAL", "19600101", "F"),
            owner("P1", "", "19600102", "F"),
            owner("P1", "", "19600101", "M"),
            owner("P1", "", "", "F"),
            owner("P1", "", "19600101", ""),
        ] {
            assert!(!agree(&patient, &other), "{other:?}");
        }
    }

    #[test]
    fn what_is_absent_on_both_sides_does_not_agree_except_the_issuer() {
        for patient in [owner("", "", "19600101", "F"), owner("P1", "", "", "F"), owner("P1", "", "19600101", "")] {
            assert!(!agree(&patient, &patient), "{patient:?}");
        }
        // Neither does what says nothing.
        let unknown = owner("P1", "", "00000000", "F");
        assert!(!agree(&unknown, &unknown));
        let unknown = owner("P1", "", "19600101", "UNKNOWN");
        assert!(!agree(&unknown, &unknown));
    }

    #[test]
    fn a_structure_set_without_a_birth_date_is_still_of_its_study() {
        let study = [identity("P1", "", "19600101", "F"), identity("P1", "", "", "")];
        assert_eq!(Owner::of(study.iter()), owner("P1", "", "19600101", "F"));
        assert_eq!(Owner::of(study.iter().rev()), owner("P1", "", "19600101", "F"));
    }

    #[test]
    fn a_study_under_two_patient_ids_belongs_to_nobody() {
        let study = [identity("P2", "", "19600101", "F"), identity("P1", "", "19600101", "F")];
        let found = Owner::of(study.iter());
        assert!(found.is_ambiguous() && found.id().is_none() && found.person().is_none());
        assert_eq!(found, Owner::of(study.iter().rev()));
    }

    #[test]
    fn another_birth_date_or_sex_contradicts_and_an_absent_one_does_not() {
        let traits = |birth_date, sex| owner("P1", "", birth_date, sex).traits();
        let patient = traits("19600101", "F");
        assert!(patient.contradict(&traits("19610101", "F")) && patient.contradict(&traits("", "M")));
        assert!(!patient.contradict(&traits("", "F")) && !patient.contradict(&patient));
    }
}
