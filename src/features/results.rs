//! Values as the families compute them.

use super::filters::Filter;
use super::table::{Feature, Row};
use super::{Family, Omission};

/// The label of the image itself.
pub(super) const UNFILTERED: &str = "none";

/// The value of one feature.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureValue {
    /// The row of the table.
    pub feature: &'static Feature,
    /// The filter's label; `none` for features of the image itself.
    pub filter: String,
    /// The feature's tag with its aggregation suffix, such as `cm_joint_max_3D_avg`.
    pub tag: String,
    /// Aggregation as in the IBSI reference tables, such as `3D avg`; empty where there is none.
    pub aggregation: String,
    /// Discretisation such as `FBS 25`; empty where there is none.
    pub discretisation: String,
    /// The value; finite.
    pub value: f64,
    /// Whether intensities are in the unit of the image; a filter may give them none.
    pub in_image_unit: bool,
}

impl FeatureValue {
    /// The UCUM expression of the value's unit, for an image in the unit `image`.
    #[must_use]
    pub fn ucum(&self, image: &str) -> String {
        self.feature.unit.ucum(if self.in_image_unit { image } else { "1" })
    }
}

/// Values, and what has none.
#[derive(Default)]
pub(super) struct Results {
    pub(super) values: Vec<FeatureValue>,
    pub(super) omitted: Vec<Omission>,
}

impl Results {
    /// What families found apart, after what is there.
    pub(super) fn append(&mut self, families: Vec<(Family, Self)>) {
        for (_, results) in families {
            self.values.extend(results.values);
            self.omitted.extend(results.omitted);
        }
    }

    /// What was found on the response map of a filter, after what is there.
    pub(super) fn append_filtered(&mut self, found: Self, filter: &Filter) {
        let label = filter.label();
        self.values.extend(found.values.into_iter().map(|value| FeatureValue {
            filter: label.clone(),
            in_image_unit: filter.keeps_unit(),
            ..value
        }));
        self.omitted.extend(found.omitted.into_iter().map(|Omission { tag, reason }| {
            let tag = if tag.is_empty() { label.clone() } else { format!("{label}.{tag}") };
            Omission { tag, reason }
        }));
    }

    /// Leaves out everything.
    pub(super) fn omit_all(&mut self, reason: &dyn std::fmt::Display) {
        self.omitted.push(Omission { tag: String::new(), reason: reason.to_string() });
    }

    /// Leaves out a family.
    pub(super) fn omit(&mut self, family: Family, reason: &dyn std::fmt::Display) {
        self.omitted.push(Omission { tag: family.name().to_owned(), reason: reason.to_string() });
    }

    /// Every row of a family that is neither aggregated nor of grey levels.
    pub(super) fn add_plain<T>(&mut self, rows: &'static [Row<T>], from: &T) {
        self.add(rows, from, "", "", "");
    }

    /// Every row of a family; values that are not finite are omissions with the row's reason.
    pub(super) fn add<T>(
        &mut self,
        rows: &'static [Row<T>],
        from: &T,
        suffix: &str,
        aggregation: &str,
        discretisation: &str,
    ) {
        self.add_mean(rows, std::slice::from_ref(from), suffix, aggregation, discretisation);
    }

    /// Every row of a family as the mean over what several matrices give; where one of them gives no finite value, or there
    /// is none, the feature is an omission with the row's reason.
    pub(super) fn add_mean<T>(
        &mut self,
        rows: &'static [Row<T>],
        from: &[T],
        suffix: &str,
        aggregation: &str,
        discretisation: &str,
    ) {
        for row in rows {
            let value = from.iter().map(row.eval).sum::<f64>() / from.len() as f64;
            let tag = format!("{}{suffix}", row.feature.tag);
            if value.is_finite() {
                let (aggregation, discretisation) = (aggregation.to_owned(), discretisation.to_owned());
                self.values.push(FeatureValue {
                    feature: &row.feature,
                    filter: UNFILTERED.to_owned(),
                    tag,
                    aggregation,
                    discretisation,
                    value,
                    in_image_unit: true,
                });
            } else {
                self.omitted.push(Omission { tag, reason: row.undefined.to_owned() });
            }
        }
    }
}
