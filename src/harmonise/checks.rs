//! The rules that protect: what a design would do to the biology, told before it does it.

use std::collections::BTreeSet;

use super::coding::levels;
use super::data::{Covariate, Values};
use super::design::Dependence;
use super::remark::{Remark, Rule};
use crate::math::contingency::Contingency;
use crate::math::eigen::symmetric_eigen;
use crate::math::qr::{Orthogonal, dot};
use crate::math::stats::{mean, sum_of_squares};

/// From these strengths of association on a design is refused (E4).
pub const CRAMERS_V_REFUSED: f64 = 0.8;
/// R2 of a continuous covariate on the batch.
pub const R2_REFUSED: f64 = 0.8;
/// First canonical correlation of all covariates with the batches.
pub const CANONICAL_REFUSED: f64 = 0.95;
/// From these on it is warned of (W1, W2).
pub const CRAMERS_V_WARNED: f64 = 0.3;
/// R2 of a continuous covariate on the batch.
pub const R2_WARNED: f64 = 0.3;
/// p value of independence, below which is warned.
pub const P_WARNED: f64 = 0.05;
/// Fewer residual degrees of freedom than these are warned of (W4).
pub const DEGREES_OF_FREEDOM_MIN: usize = 10;

/// What is checked: the rows that take part.
pub(super) struct Checked<'a> {
    pub batch_column: &'a str,
    pub labels: &'a [String],
    pub batch_of: &'a [usize],
    pub covariates: &'a [Covariate],
    pub undeclared: &'a [Covariate],
    pub features: &'a [String],
    /// The covariates' columns of the design, each with its name.
    pub columns: &'a [(String, Vec<f64>)],
}

/// What the rules say; E1 and E3 are found where the design is made.
pub(super) fn check(design: &Checked<'_>) -> Vec<Remark> {
    let mut remarks: Vec<Remark> = modality(design).into_iter().collect();
    for covariate in design.covariates {
        if is_outcome(&covariate.name) {
            let sentence = format!(
                "covariate \"{}\" is named like an outcome: the outcome is never protected, a model would learn it from \
                 the harmonised features",
                covariate.name
            );
            remarks.push(Remark::new(Rule::E5, sentence));
        }
        remarks.extend(declared(design, covariate));
        remarks.extend(empty_cells(design, covariate));
    }
    remarks.extend(canonical(design));
    remarks.extend(design.undeclared.iter().filter_map(|covariate| undeclared(design, covariate)));
    remarks.extend(degrees_of_freedom(design));
    remarks
}

/// How strongly a covariate goes with the batch.
enum Association {
    Categorical { v: f64, p: f64 },
    Continuous { r2: f64, disjoint: Option<(usize, usize)> },
}

impl Association {
    fn refused(&self) -> bool {
        match self {
            Self::Categorical { v, .. } => *v >= CRAMERS_V_REFUSED,
            Self::Continuous { r2, .. } => *r2 >= R2_REFUSED,
        }
    }

    fn warned(&self) -> bool {
        match self {
            Self::Categorical { v, p } => *v >= CRAMERS_V_WARNED || *p < P_WARNED,
            Self::Continuous { r2, disjoint } => *r2 >= R2_WARNED || disjoint.is_some(),
        }
    }

    fn words(&self, labels: &[String]) -> String {
        match self {
            Self::Categorical { v, p } => format!("Cramer's V {v:.2}, p {}", short_p(*p)),
            Self::Continuous { r2, disjoint: None } => format!("R2 {r2:.2}"),
            Self::Continuous { r2, disjoint: Some((low, high)) } => {
                format!("R2 {r2:.2}, its values in \"{}\" are all below those in \"{}\"", labels[*low], labels[*high])
            }
        }
    }
}

fn short_p(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_owned() } else { format!("{p:.3}") }
}

fn declared(design: &Checked<'_>, covariate: &Covariate) -> Option<Remark> {
    let association = associate(design, covariate)?;
    let (name, column) = (&covariate.name, design.batch_column);
    let words = association.words(design.labels);
    if association.refused() {
        let sentence = format!(
            "covariate \"{name}\" is confounded with batch column \"{column}\" ({words}): what belongs to the batch and \
             what to the covariate cannot be told apart"
        );
        return Some(Remark::new(Rule::E4, sentence));
    }
    association.warned().then(|| {
        Remark::new(Rule::W1, format!("covariate \"{name}\" is associated with batch column \"{column}\" ({words})"))
    })
}

fn undeclared(design: &Checked<'_>, covariate: &Covariate) -> Option<Remark> {
    let association = associate(design, &by_levels_if_few(covariate))?;
    let (name, column) = (&covariate.name, design.batch_column);
    let advice = if is_outcome(name) {
        "an outcome is never protected: part of what it shows in the features is removed with the batch"
    } else {
        "its effect on the features is removed with the batch unless it is protected"
    };
    association.warned().then(|| {
        let words = association.words(design.labels);
        let sentence =
            format!("\"{name}\" is not protected and is associated with batch column \"{column}\" ({words}): {advice}");
        Remark::new(Rule::W2, sentence)
    })
}

/// A column of numbers that takes few values is also a matter of levels.
fn by_levels_if_few(covariate: &Covariate) -> Covariate {
    const FEW: usize = 5;
    let Values::Continuous(values) = &covariate.values else { return covariate.clone() };
    let texts: Vec<String> =
        values.iter().map(|value| if value.is_nan() { String::new() } else { value.to_string() }).collect();
    let distinct: BTreeSet<&String> = texts.iter().filter(|text| !text.is_empty()).collect();
    if distinct.len() > FEW {
        return covariate.clone();
    }
    Covariate { name: covariate.name.clone(), values: Values::Categorical(texts) }
}

/// The association of a covariate with the batch over the rows in which it is known; none where it has one value, or so many
/// levels that it names its rows.
fn associate(design: &Checked<'_>, covariate: &Covariate) -> Option<Association> {
    let known: Vec<usize> = (0..design.batch_of.len()).filter(|row| covariate.is_known(*row)).collect();
    let batch_of: Vec<usize> = known.iter().map(|row| design.batch_of[*row]).collect();
    match &covariate.values {
        Values::Categorical(values) => {
            let values: Vec<String> = known.iter().map(|row| values[*row].clone()).collect();
            let levels = levels(&values);
            if levels.len() < 2 || 2 * levels.len() > values.len() {
                return None;
            }
            let table = Contingency::of(&places(&values, &levels), &batch_of);
            (table.shape().1 > 1).then(|| Association::Categorical { v: table.cramers_v(), p: table.p_value() })
        }
        Values::Continuous(values) => {
            let values: Vec<f64> = known.iter().map(|row| values[*row]).collect();
            let groups = by_batch(&values, &batch_of, design.labels.len());
            let total = if values.is_empty() { 0.0 } else { sum_of_squares(&values) };
            if total <= 0.0 || groups.iter().filter(|group| !group.is_empty()).count() < 2 {
                return None;
            }
            let within: f64 = groups.iter().filter(|group| !group.is_empty()).map(|group| sum_of_squares(group)).sum();
            Some(Association::Continuous { r2: 1.0 - within / total, disjoint: disjoint(&groups) })
        }
    }
}

fn places(values: &[String], levels: &[String]) -> Vec<usize> {
    // A level that is spelled in two ways stands in the list by its first spelling; equal numbers meet there.
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let same = |level: &String, value: &String| {
        level == value || matches!((number(level), number(value)), (Some(a), Some(b)) if (a - b).abs() <= 0.0)
    };
    values.iter().map(|value| levels.iter().position(|level| same(level, value)).unwrap_or(0)).collect()
}

fn by_batch(values: &[f64], batch_of: &[usize], n_batches: usize) -> Vec<Vec<f64>> {
    let mut groups = vec![Vec::new(); n_batches];
    values.iter().zip(batch_of).for_each(|(value, batch)| groups[*batch].push(*value));
    groups
}

/// Two batches, the first with all its values below the second's; the pair that lies furthest apart.
fn disjoint(groups: &[Vec<f64>]) -> Option<(usize, usize)> {
    let ranges: Vec<Option<(f64, f64)>> = groups
        .iter()
        .map(|group| {
            let low = group.iter().copied().fold(f64::INFINITY, f64::min);
            let high = group.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            (!group.is_empty()).then_some((low, high))
        })
        .collect();
    let lowest = |a: &usize, b: &usize| {
        let end = |idx: usize| ranges[idx].map_or(f64::INFINITY, |(_, high)| high);
        end(*a).total_cmp(&end(*b))
    };
    let highest = |a: &usize, b: &usize| {
        let end = |idx: usize| ranges[idx].map_or(f64::NEG_INFINITY, |(low, _)| low);
        end(*a).total_cmp(&end(*b))
    };
    let below = (0..ranges.len()).min_by(lowest)?;
    let above = (0..ranges.len()).max_by(highest)?;
    let ((_, end), (begin, _)) = (ranges[below]?, ranges[above]?);
    (end < begin).then_some((below, above))
}

/// E4: the covariates together.
#[allow(clippy::cast_precision_loss)]
fn canonical(design: &Checked<'_>) -> Option<Remark> {
    let correlation = first_canonical_correlation(design)?;
    if correlation < CANONICAL_REFUSED {
        return None;
    }
    let names: Vec<String> = design.covariates.iter().map(|covariate| format!("\"{}\"", covariate.name)).collect();
    let sentence = format!(
        "covariates {} together tell batch column \"{}\" (first canonical correlation {correlation:.3})",
        names.join(", "),
        design.batch_column
    );
    Some(Remark::new(Rule::E4, sentence))
}

/// The largest correlation between a combination of the covariates and a combination of the batches.
#[allow(clippy::cast_precision_loss)]
fn first_canonical_correlation(design: &Checked<'_>) -> Option<f64> {
    let centred: Vec<Vec<f64>> = design
        .columns
        .iter()
        .map(|(_, column)| {
            let mean = mean(column);
            column.iter().map(|value| value - mean).collect()
        })
        .collect();
    let basis = Orthogonal::new(&centred, &[], 1e-9).q;
    let mut sizes = vec![0.0f64; design.labels.len()];
    design.batch_of.iter().for_each(|batch| sizes[*batch] += 1.0);
    let projected: Vec<Vec<f64>> = basis
        .iter()
        .map(|q| {
            let mut sums = vec![0.0; sizes.len()];
            q.iter().zip(design.batch_of).for_each(|(value, batch)| sums[*batch] += value);
            sums.iter().zip(&sizes).map(|(sum, n)| sum / n.sqrt()).collect()
        })
        .collect();
    let gram: Vec<Vec<f64>> = projected.iter().map(|a| projected.iter().map(|b| dot(a, b)).collect()).collect();
    symmetric_eigen(&gram).values.first().map(|value| value.clamp(0.0, 1.0).sqrt())
}

/// W3: levels that some batch does not have.
fn empty_cells(design: &Checked<'_>, covariate: &Covariate) -> Option<Remark> {
    const NAMED: usize = 3;
    let Values::Categorical(values) = &covariate.values else { return None };
    let levels = levels(values);
    let places = places(values, &levels);
    let there: BTreeSet<(usize, usize)> = places.into_iter().zip(design.batch_of.iter().copied()).collect();
    let mut absent = Vec::new();
    for (level, name) in levels.iter().enumerate() {
        for (batch, label) in design.labels.iter().enumerate() {
            if !there.contains(&(level, batch)) {
                absent.push(format!("\"{name}\" in batch \"{label}\""));
            }
        }
    }
    if absent.is_empty() {
        return None;
    }
    let more = if absent.len() > NAMED { format!(" and {} more", absent.len() - NAMED) } else { String::new() };
    let shown = absent.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    let sentence =
        format!("covariate \"{}\" has levels that do not occur together with a batch: {shown}{more}", covariate.name);
    Some(Remark::new(Rule::W3, sentence))
}

/// W4, and E1 where nothing is left.
fn degrees_of_freedom(design: &Checked<'_>) -> Option<Remark> {
    let used = design.labels.len() + design.columns.len();
    let n = design.batch_of.len();
    if n <= used {
        let sentence =
            format!("{n} samples do not determine {used} columns of the design: no degree of freedom is left");
        return Some(Remark::new(Rule::E1, sentence));
    }
    let left = n - used;
    (left < DEGREES_OF_FREEDOM_MIN).then(|| {
        let sentence = format!(
            "{left} residual degrees of freedom are left, fewer than {DEGREES_OF_FREEDOM_MIN}: estimates are loose"
        );
        Remark::new(Rule::W4, sentence)
    })
}

/// E1 in words: a column, what it is made of.
pub(super) fn combination(found: &Dependence, columns: &[(String, Vec<f64>)], labels: &[String]) -> String {
    let name = |column: usize| columns.get(column).map_or("?", |(name, _)| name.as_str());
    let factor = |factor: f64| {
        let rounded = (factor * 1e6).round() / 1e6;
        if (rounded - 1.0).abs() <= 0.0 { String::new() } else { format!("{rounded} x ") }
    };
    let covariates = found.on.iter().map(|(column, by)| format!("{}\"{}\"", factor(*by), name(*column)));
    let batches = found.batches.iter().map(|(batch, by)| format!("{}batch \"{}\"", factor(*by), labels[*batch]));
    let parts: Vec<String> = covariates.chain(batches).collect();
    let column = name(found.column);
    if parts.is_empty() {
        return format!("covariate column \"{column}\" is constant: leave it out");
    }
    format!(
        "the design has no unique solution: covariate column \"{column}\" = {} + a constant; leave one of them out",
        parts.join(" + ")
    )
}

/// E2: the batch is a modality, or the block holds several.
fn modality(design: &Checked<'_>) -> Option<Remark> {
    let column = design.batch_column;
    let refuse = |sentence: String| Some(Remark::new(Rule::E2, sentence));
    if is_modality_name(column) {
        return refuse(format!("batch column \"{column}\" is the modality: a batch is a scanner, never a modality"));
    }
    let whole: Vec<Option<&str>> = design.labels.iter().map(|label| modality_of(label)).collect();
    if whole.iter().all(Option::is_some) {
        return refuse(format!(
            "the batches in column \"{column}\" are modalities ({}): a batch is a scanner, never a modality",
            design.labels.join(", ")
        ));
    }
    let first = |text: &str| modality_of(text.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default());
    let begun: BTreeSet<&str> = design.labels.iter().filter_map(|label| first(label)).collect();
    if begun.len() > 1 {
        let found: Vec<&str> = begun.into_iter().collect();
        return refuse(format!(
            "batch column \"{column}\" holds several modalities ({}) in one block",
            found.join(", ")
        ));
    }
    let prefixes: BTreeSet<&str> = design
        .features
        .iter()
        .filter(|name| name.starts_with(|c: char| c.is_ascii_uppercase()))
        .filter_map(|name| first(name))
        .filter(|modality| matches!(*modality, "CT" | "MR" | "PT"))
        .collect();
    if prefixes.len() > 1 {
        let found: Vec<&str> = prefixes.into_iter().collect();
        return refuse(format!(
            "the features are of several modalities ({}): harmonise each block by itself",
            found.join(", ")
        ));
    }
    let several = design.covariates.iter().chain(design.undeclared).find(|covariate| {
        is_modality_name(&covariate.name)
            && matches!(&covariate.values, Values::Categorical(values) if levels(values).iter().filter(|l| !l.is_empty()).count() > 1)
    });
    let covariate = several?;
    refuse(format!("column \"{}\" holds several modalities: harmonise each block by itself", covariate.name))
}

fn is_modality_name(name: &str) -> bool {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    plain.eq_ignore_ascii_case("modality") || plain == "00080060"
}

/// The modality that a text is, in the words of Modality (0008,0060) or of every day.
fn modality_of(text: &str) -> Option<&'static str> {
    const NAMES: &[(&str, &str)] = &[
        ("CT", "CT"),
        ("MR", "MR"),
        ("MRI", "MR"),
        ("PT", "PT"),
        ("PET", "PT"),
        ("NM", "NM"),
        ("SPECT", "NM"),
        ("US", "US"),
        ("CR", "CR"),
        ("DX", "DX"),
        ("MG", "MG"),
        ("XA", "XA"),
    ];
    let plain = text.trim();
    NAMES.iter().find(|(name, _)| plain.eq_ignore_ascii_case(name)).map(|(_, modality)| *modality)
}

/// Names under which tables hold what happened to patients later.
fn is_outcome(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "outcome",
        "event",
        "endpoint",
        "death",
        "dead",
        "deceased",
        "survival",
        "os",
        "pfs",
        "dfs",
        "efs",
        "recurrence",
        "relapse",
        "progression",
        "metastasis",
        "metastases",
        "vitalstatus",
        "ostime",
        "osevent",
        "pfstime",
        "pfsevent",
        "timetoevent",
    ];
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    NAMES.contains(&plain.as_str())
}
