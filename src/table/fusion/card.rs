//! The model card of a bundle, as Markdown for people and JSON for machines: the items of TRIPOD+AI (Collins et al. 2024)
//! that the program itself can tell. What it cannot know stands there as a line to be filled.

use serde::Serialize;

use super::files::BundleFile;
use super::repeatable::Repeatable;
use super::train::TrainOptions;
use crate::fuse::{Dataset, EVENTS_MIN, Evaluation, Pattern, Synergy, Trained};

/// A model card.
#[derive(Debug, Clone, Serialize)]
pub struct Card {
    /// The bundle's id.
    pub id: String,
    /// When it was trained.
    pub created_at: String,
    /// The program and its version.
    pub program: String,
    /// What is predicted.
    pub endpoint: String,
    /// `binary` or `survival`.
    pub outcome: &'static str,
    /// Patients.
    pub n: usize,
    /// Those with the event.
    pub events: usize,
    /// Events per chosen feature.
    pub events_per_variable: f64,
    /// The model that is shipped.
    pub model: String,
    /// The blocks.
    pub blocks: Vec<CardBlock>,
    /// The covariates that harmonisation keeps.
    pub protect: Vec<String>,
    /// Which features could be learned from, where not all.
    pub repeatable: Option<Repeatable>,
    /// The settings under which the features were measured.
    pub settings_sha256: Option<String>,
    /// How it was validated, in a sentence.
    pub validation: String,
    /// Every model, baseline and the control.
    pub evaluations: Vec<Evaluation>,
    /// Performance by the blocks that are there.
    pub patterns: Vec<Pattern>,
    /// What blocks share.
    pub synergy: Vec<Synergy>,
    /// Under how many events it was trained all the same.
    pub forced: bool,
}

/// One block of the card.
#[derive(Debug, Clone, Serialize)]
pub struct CardBlock {
    /// Its name.
    pub name: String,
    /// Patients who have it.
    pub n: usize,
    /// Its features.
    pub n_features: usize,
    /// Those that the model uses, each with its training range.
    pub chosen: Vec<(String, [f64; 2])>,
    /// The scanners that it can be harmonised from; empty where it is not harmonised.
    pub batches: Vec<String>,
}

impl Card {
    pub(super) fn new(file: &BundleFile, data: &Dataset, trained: &Trained, options: &TrainOptions) -> Self {
        let blocks = file.bundle.fitted.parts.iter().zip(&data.blocks).map(|(part, block)| CardBlock {
            name: part.block.clone(),
            n: block.n_present(),
            n_features: part.features.len(),
            chosen: part.chosen.features.iter().map(|feature| (feature.name.clone(), feature.range)).collect(),
            batches: part
                .harmonisation
                .as_ref()
                .map_or_else(Vec::new, |model| model.batches.iter().map(|batch| batch.label.clone()).collect()),
        });
        let validate = &options.settings.validate;
        let validation = format!(
            "{} repetitions of {}-fold cross-validation, stratified by event and grouped by patient; harmonisation, \
             imputation, scaling, removal of redundant features, choice of features and penalty were learned within each \
             fold, with {} inner folds (seed {})",
            validate.n_repeats, validate.n_folds, validate.nest.n_inner, validate.nest.seed
        );
        Self {
            id: file.id.clone(),
            created_at: file.created_at.to_string(),
            program: file.program.clone(),
            endpoint: file.bundle.endpoint.clone(),
            outcome: if options.time.is_some() { "survival" } else { "binary" },
            n: data.patients.len(),
            events: data.outcome.n_events(),
            events_per_variable: trained.events_per_variable,
            model: format!("{} fusion, {}", trained.method.fusion(), trained.method.name()),
            blocks: blocks.collect(),
            protect: options.protect.clone(),
            repeatable: options.repeatable.clone(),
            settings_sha256: file.settings_sha256.clone(),
            validation,
            evaluations: trained.evaluations.clone(),
            patterns: file.bundle.patterns.clone(),
            synergy: trained.synergy.clone(),
            forced: data.outcome.n_events() < EVENTS_MIN,
        }
    }

    /// The card as Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = format!("# Model card: {}\n\nFor research use only.\n\n", self.endpoint);
        let measure = if self.outcome == "binary" { "AUC" } else { "C-index" };
        let mut line = |name: &str, value: &str| text.push_str(&format!("- **{name}**: {value}\n"));
        line("Bundle", &format!("{}, trained {} by radiomicsd {}", self.id, self.created_at, self.program));
        line("Outcome", &format!("{} ({})", self.endpoint, self.outcome));
        line("Patients", &format!("{}, {} with the event", self.n, self.events));
        line("Model", &self.model);
        line("Events per variable", &format!("{:.1}", self.events_per_variable));
        line("Settings", self.settings_sha256.as_deref().unwrap_or("not known: they are not checked"));
        let protect = if self.protect.is_empty() { "none".to_owned() } else { self.protect.join(", ") };
        line("Covariates kept by harmonisation", &protect);
        if let Some(Repeatable { icc_min, .. }) = &self.repeatable {
            line(
                "Features",
                &format!(
                    "those whose ICC(2,1) over perturbations is {icc_min} or more, by the lower end of its 95 % interval, and those it is not known of"
                ),
            );
        }
        line("Source of data, setting, dates, eligibility", "to be filled by who trained it");
        line("Intended use and users", "research; to be filled by who trained it");
        if self.forced {
            line("Few events", &format!("fewer than {EVENTS_MIN}: trained by --force"));
        }
        text.push_str(&self.predictors());
        text.push_str(&format!(
            "\n## Validation\n{}.\n\n{}",
            self.validation,
            evaluation_table(&self.evaluations, measure)
        ));
        text.push_str(
            "\nThe shipped model is the one with the best estimate of those tried: its own estimate is a little too good \
             for that. Pairs of patients are compared within folds; intervals are of 1000 resamples of patients within \
             classes. ![ROC](roc.svg) ![calibration](calibration.svg) ![decision curve](decision.svg) \
             ![contributions](contributions.svg)\n",
        );
        text.push_str(&self.by_pattern(measure));
        text.push_str(&self.shared());
        text.push_str(
            "\n## Limits\n- Missing values are replaced by training medians, a missing block as the method says.\n\
             - No prediction outside the training data: a robust z over 6 of a chosen feature, or a block's Mahalanobis \
             distance beyond the 99.9th percentile.\n- No prediction for features of other settings, for scanners that the \
             frozen harmonisation does not know, and for blocks that were not validated alone.\n\
             - Fairness between groups of patients was not assessed by the program.\n\
             - Validated internally; performance elsewhere is not known until `fusion evaluate` is run there.\n",
        );
        text
    }

    fn predictors(&self) -> String {
        let mut text = "\n## Predictors\n".to_owned();
        for block in &self.blocks {
            text.push_str(&format!(
                "\n### {}\n{} patients, {} features, {} used",
                block.name,
                block.n,
                block.n_features,
                block.chosen.len()
            ));
            match block.batches.is_empty() {
                true => text.push_str("; not harmonised\n\n"),
                false => text.push_str(&format!("; harmonised (ComBat) over {}\n\n", block.batches.join(", "))),
            }
            text.push_str("| feature | training range |\n|---|---|\n");
            for (name, [low, high]) in &block.chosen {
                text.push_str(&format!("| {name} | {low:.4} to {high:.4} |\n"));
            }
        }
        text
    }

    fn by_pattern(&self, measure: &str) -> String {
        let mut text = format!(
            "\n## By the blocks that are there\n| blocks | patients | events | {measure} | 95 % interval | may be asked |\n\
             |---|---|---|---|---|---|\n"
        );
        for pattern in &self.patterns {
            text.push_str(&format!(
                "| {} | {} | {} | {} | {} | {} |\n",
                pattern.blocks.join(" + "),
                pattern.n,
                pattern.events,
                number(pattern.auc),
                interval(pattern.auc_low, pattern.auc_high),
                if pattern.validated { "yes" } else { "no" }
            ));
        }
        text
    }

    fn shared(&self) -> String {
        if self.synergy.is_empty() {
            return String::new();
        }
        let mut text = "\n## What blocks share\nShared information, not gain in prediction.\n\n\
                        | blocks | norm of the cross-covariance | z | p | p without volume | RV | first canonical correlation (p) |\n\
                        |---|---|---|---|---|---|---|\n"
            .to_owned();
        for pair in &self.synergy {
            text.push_str(&format!(
                "| {} | {:.2} | {:.1} | {:.3} | {} | {:.2} | {:.2} ({:.3}) |\n",
                pair.blocks.join(", "),
                pair.frobenius,
                pair.z,
                pair.p,
                pair.without_volume.map_or_else(|| "-".to_owned(), |shared| format!("{:.3}", shared.p)),
                pair.rv,
                pair.canonical.first().copied().unwrap_or(0.0),
                pair.canonical_p
            ));
        }
        text
    }
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
}

fn interval(low: Option<f64>, high: Option<f64>) -> String {
    low.zip(high).map_or_else(|| "-".to_owned(), |(low, high)| format!("{low:.3} to {high:.3}"))
}

/// Every model as a row.
fn evaluation_table(evaluations: &[Evaluation], measure: &str) -> String {
    let mut text = format!(
        "| fusion | model | blocks | {measure} | 95 % interval | Brier | slope | intercept | n | events |\n\
         |---|---|---|---|---|---|---|---|---|---|\n"
    );
    for e in evaluations {
        let optimism = e.auc_632_plus.map_or_else(String::new, |auc| format!(" (.632+ {auc:.3})"));
        text.push_str(&format!(
            "| {} | {} | {} | {}{optimism} | {} | {} | {} | {} | {} | {} |\n",
            e.fusion,
            e.model,
            e.blocks.join(" + "),
            number(e.auc),
            interval(e.auc_low, e.auc_high),
            number(e.brier),
            number(e.calibration_slope),
            number(e.calibration_intercept),
            e.n,
            e.events
        ));
    }
    text
}
