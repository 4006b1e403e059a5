//! From reports of perturbed lesions to intraclass correlations of each feature.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::math::agreement::{Icc, intraclass};

/// Role, space, filter and tag.
type Column = (String, String, String, String);

/// The draws of every lesion, by feature.
#[derive(Debug, Default)]
pub struct Agreements {
    draws: BTreeMap<Column, Vec<Vec<f64>>>,
    lesions: BTreeSet<(usize, String, u64)>,
    n_reports: usize,
}

/// How well draws agree on one feature.
#[derive(Debug, Clone, PartialEq)]
pub struct Agreement {
    /// Role, space, filter and tag.
    pub column: (String, String, String, String),
    /// Lesions with a value in every draw.
    pub lesions: usize,
    /// Draws of each.
    pub draws: usize,
    /// Draws unrelated between lesions.
    pub one_way: Icc,
    /// The k-th draw of all lesions as one rater.
    pub two_way: Icc,
}

impl Agreements {
    /// Takes the lesions of a report, of a list of them, or of the summary of a folder.
    pub fn add(&mut self, report: &Value) {
        if let Some(reports) = report.as_array().or_else(|| report["cases"].as_array()) {
            return reports.iter().for_each(|report| self.add(report));
        }
        self.n_reports += 1;
        let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
        for block in report["blocks"].as_array().into_iter().flatten() {
            let (role, space) = (text(block, "role"), text(block, "space"));
            for feature in block["diagnostics"]["perturbations"]["features"].as_array().into_iter().flatten() {
                let lesion = block["lesion"].as_u64().unwrap_or_default();
                self.lesions.insert((self.n_reports, text(report, "case"), lesion));
                let values: Option<Vec<f64>> =
                    feature["values"].as_array().into_iter().flatten().map(Value::as_f64).collect();
                // A draw without a value makes the lesion say nothing of this feature.
                let Some(values) = values.filter(|values| values.len() > 1) else { continue };
                let column = (role.clone(), space.clone(), text(feature, "filter"), text(feature, "tag"));
                self.draws.entry(column).or_default().push(values);
            }
        }
    }

    /// How many lesions were measured under perturbations.
    #[must_use]
    pub fn n_lesions(&self) -> usize {
        self.lesions.len()
    }

    /// The correlations of all features of at least two lesions; of lesions with other numbers of draws than most, none count.
    #[must_use]
    pub fn all(&self) -> Vec<Agreement> {
        let mut found = Vec::with_capacity(self.draws.len());
        for (column, rows) in &self.draws {
            let mut lengths: BTreeMap<usize, usize> = BTreeMap::new();
            rows.iter().for_each(|row| *lengths.entry(row.len()).or_default() += 1);
            let Some((draws, _)) = lengths.into_iter().max_by_key(|(_, n)| *n) else { continue };
            let rows: Vec<Vec<f64>> = rows.iter().filter(|row| row.len() == draws).cloned().collect();
            let Some((one_way, two_way)) = intraclass(&rows) else { continue };
            found.push(Agreement { column: column.clone(), lesions: rows.len(), draws, one_way, two_way });
        }
        found
    }
}

/// The correlations as CSV.
#[must_use]
pub fn write_agreements(agreements: &[Agreement]) -> String {
    let heads =
        "role,space,filter,tag,lesions,draws,icc_1_1,icc_1_1_low,icc_1_1_high,icc_2_1,icc_2_1_low,icc_2_1_high\n";
    let mut text = heads.to_owned();
    for Agreement { column: (role, space, filter, tag), lesions, draws, one_way, two_way } in agreements {
        let [a, b] = [one_way, two_way].map(|icc| format!("{:.6},{:.6},{:.6}", icc.value, icc.low, icc.high));
        text.push_str(&format!("{role},{space},{filter},{tag},{lesions},{draws},{a},{b}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn report(case: &str, values: &[f64]) -> Value {
        let feature = json!({ "filter": "none", "tag": "stat_mean", "values": values });
        let gap = json!({ "filter": "none", "tag": "stat_cov", "values": [1.0, null] });
        let perturbations = json!({ "features": [feature, gap] });
        let diagnostics = json!({ "perturbations": perturbations });
        json!({ "case": case, "blocks": [{ "role": "CT", "space": "native", "lesion": 1, "diagnostics": diagnostics }] })
    }

    #[test]
    fn lesions_of_several_reports_are_rows_and_their_draws_columns() {
        let mut agreements = Agreements::default();
        let reports = [("a", [9.0, 2.0, 5.0, 8.0]), ("b", [6.0, 1.0, 3.0, 2.0]), ("c", [8.0, 4.0, 6.0, 8.0])];
        agreements.add(&Value::Array(reports[..2].iter().map(|(case, values)| report(case, values)).collect()));
        agreements.add(&report(reports[2].0, &reports[2].1));
        agreements.add(&json!({ "blocks": [{ "role": "CT", "diagnostics": { "perturbations": null } }] }));
        assert_eq!(agreements.n_lesions(), 3);
        let all = agreements.all();
        assert_eq!(all.len(), 1);
        let rows: Vec<Vec<f64>> = reports.iter().map(|(_, values)| values.to_vec()).collect();
        assert_eq!((all[0].one_way, all[0].two_way), intraclass(&rows).unwrap());
        let text = write_agreements(&all);
        assert_eq!(text.lines().count(), 2);
        assert!(text.contains("\nCT,native,none,stat_mean,3,4,"), "{text}");
    }
}
