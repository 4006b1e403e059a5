//! What others know, read at each scrape: the node's counts, the store's, the outbox, memory.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Unit;

use super::{NodeSnapshot, NodeView};
use crate::store::{DeliveryState, Durability, Store};

/// Reads store and node when it is asked.
pub(super) struct Scrape {
    store: Store,
    node: NodeView,
}

impl Scrape {
    pub(super) fn new(store: Store, node: NodeView) -> Self {
        Self { store, node }
    }
}

impl fmt::Debug for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scrape").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        encode_build(&mut encoder, self.store.durability())?;
        encode_node(&mut encoder, &(self.node)())?;
        encode_store(&mut encoder, &self.store)?;
        if let Some(bytes) = resident_bytes() {
            gauge(&mut encoder, "resident_memory", "Resident memory of the process", Some(&Unit::Bytes), bytes)?;
        }
        Ok(())
    }
}

fn encode_build(encoder: &mut DescriptorEncoder<'_>, durability: Durability) -> fmt::Result {
    let info = Info::new([("version", env!("CARGO_PKG_VERSION")), ("durability", durability.name())]);
    let metric = encoder.encode_descriptor("build", "Version, and what is synced", None, info.metric_type())?;
    info.encode(metric)
}

fn encode_node(encoder: &mut DescriptorEncoder<'_>, node: &NodeSnapshot) -> fmt::Result {
    gauge(encoder, "open_associations", "Associations that are open now", None, node.open_associations)?;
    counter(encoder, "connections", "TCP connections on the DICOM port", None, node.connections)?;
    let associations = [("accepted", node.accepted), ("rejected", node.rejected), ("aborted", node.aborted)];
    counters(encoder, "associations", "Associations by what became of them", "outcome", &associations)?;
    let instances = [
        ("stored", node.stored),
        ("duplicate", node.duplicates),
        ("corrected", node.corrected),
        ("conflict", node.conflicts),
        ("failed", node.failed),
    ];
    counters(encoder, "instances_received", "C-STORE requests by what became of them", "outcome", &instances)?;
    counter(encoder, "received", "Bytes of received instances", Some(&Unit::Bytes), node.received_bytes)?;
    let n_models = node.unusable_models.len() as u64;
    gauge(encoder, "unusable_models", "Models that the configuration names and that cannot be used", None, n_models)
}

fn encode_store(encoder: &mut DescriptorEncoder<'_>, store: &Store) -> fmt::Result {
    if let Ok(counts) = store.counts() {
        gauge(encoder, "stored_instances", "Instances in the store", None, counts.instances)?;
        let bytes = Some(&Unit::Bytes);
        gauge(encoder, "stored", "Bytes of the instances in the store", bytes, counts.bytes)?;
        gauge(encoder, "storage_available", "Free space of the storage", bytes, counts.available_bytes)?;
        gauge(encoder, "storage_reserve", "Free space below which nothing is taken", bytes, counts.reserve_bytes)?;
    }
    let cases = store.case_counts().map(|(state, n_cases)| (state.name(), n_cases));
    gauges(encoder, "cases", "Cases by state", "state", &cases)?;
    let outbox = store.outbox();
    let of = |state| outbox.iter().filter(|entry| entry.state == state).map(|_| 1_u64).sum();
    let entries = [("pending", of(DeliveryState::Pending)), ("given_up", of(DeliveryState::GivenUp))];
    gauges(encoder, "outbox_documents", "Documents that have not reached a destination", "state", &entries)
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, unit: Option<&Unit>, value: u64) -> fmt::Result {
    let gauge = ConstGauge::new(value);
    gauge.encode(encoder.encode_descriptor(name, help, unit, gauge.metric_type())?)
}

fn counter(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    value: u64,
) -> fmt::Result {
    let counter = ConstCounter::new(value);
    counter.encode(encoder.encode_descriptor(name, help, unit, counter.metric_type())?)
}

fn gauges(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: &str,
    values: &[(&str, u64)],
) -> fmt::Result {
    let kind = ConstGauge::new(0_u64).metric_type();
    let mut family = encoder.encode_descriptor(name, help, None, kind)?;
    for (value, count) in values {
        ConstGauge::new(*count).encode(family.encode_family(&[(label, *value)])?)?;
    }
    Ok(())
}

fn counters(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: &str,
    values: &[(&str, u64)],
) -> fmt::Result {
    let kind = ConstCounter::new(0_u64).metric_type();
    let mut family = encoder.encode_descriptor(name, help, None, kind)?;
    for (value, count) in values {
        ConstCounter::new(*count).encode(family.encode_family(&[(label, *value)])?)?;
    }
    Ok(())
}

/// Resident memory by the kernel's account (proc(5), `VmRSS` in kB).
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}
