//! How many instances a second become durable, by the number of concurrent senders and the size of an instance.
//!
//! `cargo bench --bench store [-- DIRECTORY]`: the directory decides which disk is measured. Prints instances a second
//! and CPU milliseconds per instance for each durability; three rounds, interleaved, medians.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use radiomicsd::clock;
use radiomicsd::dicom::facts::{InstanceFacts, InstanceKind, PatientIdentity};
use radiomicsd::dicom::likeness;
use radiomicsd::dicom::uid::Uid;
use radiomicsd::store::{Durability, Origin, Store, StoreSettings};

const N_INSTANCES: u32 = 300;
const ROUNDS: usize = 3;

fn main() -> Result<(), Failure> {
    let parent = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let parent = parent.map_or_else(|| PathBuf::from("target"), PathBuf::from);
    println!("{:>10} {:>8} {:>8} {:>12} {:>14}", "durability", "bytes", "senders", "instances/s", "CPU ms each");
    for size in [525_000, 45_000] {
        for senders in [1, 4, 8] {
            let mut figures = [(); 3].map(|()| Vec::new());
            for _ in 0..ROUNDS {
                for (durability, figures) in DURABILITIES.into_iter().zip(&mut figures) {
                    figures.push(measure(&parent, durability, size, senders)?);
                }
            }
            for (durability, figures) in DURABILITIES.into_iter().zip(&mut figures) {
                figures.sort_by(|a, b| a.0.total_cmp(&b.0));
                let (rate, cpu_ms) = figures[ROUNDS / 2];
                println!("{:>10} {size:>8} {senders:>8} {rate:>12.0} {cpu_ms:>14.2}", durability.name());
            }
        }
    }
    Ok(())
}

const DURABILITIES: [Durability; 3] = [Durability::Full, Durability::File, Durability::None];

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Instances a second, and CPU milliseconds of each.
fn measure(parent: &Path, durability: Durability, size: usize, senders: usize) -> Result<(f64, f64), Failure> {
    let directory = parent.join(format!("bench-store-{}", std::process::id()));
    let settings = StoreSettings {
        directory: directory.clone(),
        reserve_bytes: 0,
        durability,
        read_facts: Arc::new(|_| Err("nothing is read again".to_owned())),
        facts_version: String::new(),
        compare: likeness::of,
    };
    let (store, _) = Store::open(&settings)?;
    let data = vec![0x5A_u8; size];
    let next = AtomicU32::new(0);
    let (begun, cpu_begun) = (Instant::now(), cpu_time());
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..senders).map(|_| scope.spawn(|| send_all(&store, &next, &data))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a sender panicked")?)
    })?;
    let (elapsed, cpu) = (begun.elapsed(), cpu_time() - cpu_begun);
    drop(store);
    std::fs::remove_dir_all(&directory)?;
    let n_instances = f64::from(N_INSTANCES);
    Ok((n_instances / elapsed.as_secs_f64(), cpu.as_secs_f64() * 1000.0 / n_instances))
}

fn send_all(store: &Store, next: &AtomicU32, data: &[u8]) -> Result<(), Failure> {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= N_INSTANCES {
            return Ok(());
        }
        send(store, number, data)?;
    }
}

fn send(store: &Store, number: u32, data: &[u8]) -> Result<(), Failure> {
    let facts = InstanceFacts {
        sop_class: Uid::parse("1.2.840.10008.5.1.4.1.1.2")?,
        sop_instance: Uid::parse(&format!("1.2.3.4.{number}"))?,
        series: Uid::parse("1.2.3.4")?,
        study: Uid::parse("1.2.3")?,
        transfer_syntax: Uid::parse("1.2.840.10008.1.2.1")?,
        patient: PatientIdentity::default(),
        modality: "CT".to_owned(),
        kind: InstanceKind::Other,
        frame_of_reference: None,
        made_at: String::new(),
        study_date: String::new(),
        own_product: false,
        attributes: BTreeMap::new(),
    };
    let mut incoming = store.begin()?;
    incoming.write_meta(&[0; 300])?;
    for piece in data.chunks(64 << 10) {
        incoming.write(piece)?;
    }
    incoming.write(&number.to_le_bytes())?;
    incoming.commit(facts, Origin { calling_ae: "BENCH".to_owned(), received_at: clock::now(), may_correct: false })?;
    Ok(())
}

/// User and system time of this process (proc(5), `stat`, in ticks of 10 ms).
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace().collect();
    let ticks = |idx: usize| fields.get(idx).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis(10 * (ticks(11) + ticks(12)))
}
