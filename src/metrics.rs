//! What the daemon counts about its own work, for Prometheus.
//!
//! Values that others know anyway (the store, the node) are read when they are asked for, in `http`; this module holds
//! what would be gone otherwise. No label holds a UID, a name or anything else of a patient.

use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::finding::FindingKind;

/// The prefix of every name.
const PREFIX: &str = "radiomicsd";

/// The daemon's own counters.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    stages: Family<StageLabel, Histogram>,
    findings: Family<FindingLabel, Counter>,
    cases_ended: Family<OutcomeLabel, Counter>,
    deliveries: Family<OutcomeLabel, Counter>,
    drift_means: Family<BatchLabel, Gauge<f64, AtomicU64>>,
    drift_p_values: Family<BatchLabel, Gauge<f64, AtomicU64>>,
}

/// How the processing of a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CaseOutcome {
    /// A result was saved.
    Done,
    /// It waits for other data or another configuration.
    Parked,
    /// It failed.
    Failed,
}

/// How an attempt at a delivery ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryOutcome {
    /// The destination has the document.
    Sent,
    /// It will be tried again.
    Failed,
    /// It will not.
    GivenUp,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabel {
    stage: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FindingLabel {
    kind: &'static str,
}

/// A scanner as the harmonisation knows it; models hold a bounded number of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BatchLabel {
    role: String,
    batch: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

impl CaseOutcome {
    const ALL: [Self; 3] = [Self::Done, Self::Parked, Self::Failed];

    const fn label(self) -> OutcomeLabel {
        OutcomeLabel {
            outcome: match self {
                Self::Done => "done",
                Self::Parked => "parked",
                Self::Failed => "failed",
            },
        }
    }
}

impl DeliveryOutcome {
    const ALL: [Self; 3] = [Self::Sent, Self::Failed, Self::GivenUp];

    const fn label(self) -> OutcomeLabel {
        OutcomeLabel {
            outcome: match self {
                Self::Sent => "sent",
                Self::Failed => "failed",
                Self::GivenUp => "given_up",
            },
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Everything at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        // 10 ms to 22 minutes.
        let stages = Family::<StageLabel, Histogram>::new_with_constructor(|| {
            Histogram::new(exponential_buckets(0.01, 3.0, 11))
        });
        registry.register_with_unit(
            "stage",
            "Wall-clock time of each stage of processing a case",
            Unit::Seconds,
            stages.clone(),
        );
        let findings = Family::<FindingLabel, Counter>::default();
        registry.register("findings", "Remarks on the data, by kind", findings.clone());
        let cases_ended = Family::<OutcomeLabel, Counter>::default();
        registry.register("cases_ended", "Cases whose processing ended, by outcome", cases_ended.clone());
        let deliveries = Family::<OutcomeLabel, Counter>::default();
        registry.register("deliveries", "Attempts to send a document to a destination", deliveries.clone());
        // Counters that are there from the start tell "never" from "not scraped".
        CaseOutcome::ALL.iter().for_each(|outcome| drop(cases_ended.get_or_create(&outcome.label())));
        DeliveryOutcome::ALL.iter().for_each(|outcome| drop(deliveries.get_or_create(&outcome.label())));
        let drift_means = Family::<BatchLabel, Gauge<f64, AtomicU64>>::default();
        registry.register(
            "harmonisation_moving_mean",
            "Largest moving mean of any feature over the last patients of a batch, in standard deviations",
            drift_means.clone(),
        );
        let drift_p_values = Family::<BatchLabel, Gauge<f64, AtomicU64>>::default();
        registry.register(
            "harmonisation_drift_p",
            "Smallest p value that the last patients of a batch are distributed as when the model was fitted",
            drift_p_values.clone(),
        );
        let registry = Mutex::new(registry);
        Self { registry, stages, findings, cases_ended, deliveries, drift_means, drift_p_values }
    }

    /// One stage of one case took so long.
    pub fn stage(&self, stage: &str, seconds: f64) {
        self.stages.get_or_create(&StageLabel { stage: stage.to_owned() }).observe(seconds);
    }

    /// A finding was made.
    pub fn finding(&self, kind: FindingKind) {
        self.findings.get_or_create(&FindingLabel { kind: kind.name() }).inc();
    }

    /// What the last patients of a batch show against the model in force.
    pub fn drift(&self, role: &str, batch: &str, mean: f64, p: f64) {
        let label = BatchLabel { role: role.to_owned(), batch: batch.to_owned() };
        self.drift_means.get_or_create(&label).set(mean);
        self.drift_p_values.get_or_create(&label).set(p);
    }

    /// The processing of a case ended.
    pub fn case_ended(&self, outcome: CaseOutcome) {
        self.cases_ended.get_or_create(&outcome.label()).inc();
    }

    /// An attempt at a delivery ended.
    pub fn delivery(&self, outcome: DeliveryOutcome) {
        self.deliveries.get_or_create(&outcome.label()).inc();
    }

    /// Adds values that are read at each scrape.
    pub fn add_collector(&self, collector: Box<dyn Collector>) {
        self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner).register_collector(collector);
    }

    /// Everything in the OpenMetrics text format.
    ///
    /// # Errors
    /// When a collector fails.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
        Ok(text)
    }
}
