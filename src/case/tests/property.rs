//! The order in which instances come decides nothing.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::catalogue::{PIECES, PROTOCOLS, piece, protocols};
use super::fixture::*;
use crate::case::{CaseId, CaseSpec, Grouper, Standing};
use crate::dicom::facts::InstanceFacts;

/// Long after every deadline.
const END_S: i64 = 1_000_000;

/// What became of each case: what it is made of, or why it is parked.
type Outcome = BTreeMap<CaseId, Result<CaseSpec, String>>;

fn outcome(node: &Node) -> Outcome {
    let mut outcome = Outcome::new();
    for change in &node.changes {
        // A case that stood for a study and was replaced.
        if change.series.is_empty() {
            outcome.remove(&change.id);
            continue;
        }
        let standing = match &change.standing {
            Standing::Collecting { waits_for } => Err(format!("waits for {waits_for}")),
            Standing::Parked { reason } => Err(reason.clone()),
            Standing::Ready(spec) => Ok((**spec).clone()),
        };
        outcome.insert(change.id.clone(), standing);
    }
    outcome
}

/// Without what tells by which way it came about: the number of the revision, and remarks that came after the last one.
fn bare(mut outcome: Outcome) -> Outcome {
    for spec in outcome.values_mut().flatten() {
        spec.revision = 0;
        spec.findings.clear();
    }
    outcome
}

/// All at once, then the end.
fn straight(instances: &[InstanceFacts], rules: usize) -> Outcome {
    let mut node = Node::with(protocols(rules));
    node.add(instances, 0);
    node.run_until(END_S);
    outcome(&node)
}

fn instances() -> impl Strategy<Value = Vec<InstanceFacts>> {
    let numbers: Vec<usize> = (0..PIECES).collect();
    // The conflict of identities parks everything: rarely.
    prop::sample::subsequence(numbers, 1..=PIECES).prop_flat_map(|mut numbers| {
        if numbers.len() % 4 != 1 {
            numbers.retain(|number| *number != PIECES - 1);
        }
        let all: Vec<InstanceFacts> = numbers.into_iter().flat_map(piece).collect();
        Just(all).prop_shuffle()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_and_any_interleaving_gives_the_same_cases(
        instances in instances(),
        rules in 0..PROTOCOLS,
        polls in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let mut sorted = instances.clone();
        sorted.sort_by(|a, b| a.sop_instance.cmp(&b.sop_instance));
        let expected = straight(&sorted, rules);
        prop_assert_eq!(&straight(&instances, rules), &expected);

        let mut node = Node::with(protocols(rules));
        let polls: Vec<usize> = polls.iter().map(|poll| poll.index(instances.len())).collect();
        for (n, facts) in instances.iter().enumerate() {
            // Ten a second, each twice.
            let second = i64::try_from(n).unwrap() / 10;
            node.add([facts, facts], second);
            if polls.contains(&n) {
                node.poll(second);
            }
        }
        node.run_until(END_S);
        prop_assert_eq!(&outcome(&node), &expected);
    }

    #[test]
    fn pauses_of_any_length_end_with_the_same_inputs(
        instances in instances(),
        rules in 0..PROTOCOLS,
        pauses in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(vec![5, 15, 100, 4000, 20_000])), 0..6),
    ) {
        let expected = bare(straight(&instances, rules));
        let mut node = Node::with(protocols(rules));
        let mut second = 0;
        for (n, facts) in instances.iter().enumerate() {
            node.add([facts], second);
            for (_, pause) in pauses.iter().filter(|(at, _)| at.index(instances.len()) == n) {
                second += pause;
                node.run_until(second);
            }
        }
        node.run_until(second + END_S);
        prop_assert_eq!(bare(outcome(&node)), expected);
    }

    #[test]
    fn polling_when_it_is_asked_for_misses_nothing_that_polling_every_second_finds(
        instances in instances(),
        rules in 0..PROTOCOLS,
    ) {
        let mut asked = Node::with(protocols(rules));
        let mut eager = Node::with(protocols(rules));
        asked.add(&instances, 0);
        eager.add(&instances, 0);
        asked.run_until(DEADLINE_S + 100);
        (0..DEADLINE_S + 100).filter(|second| *second < 200 || *second > DEADLINE_S - 50).for_each(|second| {
            eager.poll(second);
        });
        prop_assert_eq!(&asked.changes, &eager.changes);
    }

    #[test]
    fn offline_it_ends_at_once_as_it_would_have_ended(instances in instances(), rules in 0..PROTOCOLS) {
        let mut node = Node::with(protocols(rules));
        node.add(&instances, 0);
        node.finish(0);
        prop_assert_eq!(outcome(&node), straight(&instances, rules));
        prop_assert_eq!(node.grouper.next_poll_at(), None);
    }

    #[test]
    fn a_restart_at_any_moment_goes_on_where_it_was(
        instances in instances(),
        rules in 0..PROTOCOLS,
        cut in any::<prop::sample::Index>(),
        wait in prop::sample::select(vec![0, 70, 10_000]),
    ) {
        let cut = cut.index(instances.len());
        let mut through = Node::with(protocols(rules));
        through.add(&instances[..cut], 0);
        through.run_until(wait);

        let mut again = Node::with(protocols(rules));
        again.grouper = Grouper::new(settings(), protocols(rules));
        for change in &through.changes {
            let mut ready = through.changes.iter().filter(|other| other.id == change.id).filter_map(|other| match &other.standing {
                Standing::Ready(spec) => Some((**spec).clone()),
                _ => None,
            });
            again.grouper.remember(change.id.clone(), change.created_at, ready.next_back());
        }
        again.changes.clone_from(&through.changes);
        let mut stored: Vec<_> = instances[..cut].to_vec();
        stored.reverse();
        again.add(&stored, 0);
        for node in [&mut through, &mut again] {
            node.add(&instances[cut..], wait);
            node.run_until(wait + END_S);
        }
        prop_assert_eq!(outcome(&again), outcome(&through));
    }
}
