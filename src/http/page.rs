//! The status page: plain HTML that loads itself again, readable without a script.

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use super::api::{CaseList, CaseView, DeliveryView, StudyView, blocking, list_with_studies};
use super::limit::Peer;
use super::{HttpState, NodeSnapshot, access, probe};
use crate::case::CaseId;
use crate::clock::{self, Timestamp};
use crate::finding::Finding;
use crate::store::{CaseState, Counts, DeliveryState, Durability, StoreError};

/// Cases on the page; the rest is under `/api/cases`.
const CASES_SHOWN: usize = 100;
/// Documents of the outbox on the page.
const OUTBOX_SHOWN: usize = 50;
/// Seconds between two loads.
const REFRESH_SECONDS: u32 = 10;

/// What the page shows.
struct Shown {
    now: Timestamp,
    not_ready: Option<String>,
    /// Whether this browser may ask for a retry.
    may_retry: bool,
    node: NodeSnapshot,
    counts: Counts,
    durability: Durability,
    list: CaseList,
    outbox: Vec<DeliveryView>,
}

pub(super) async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("style.css"))
}

pub(super) async fn status(
    State(state): State<HttpState>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
) -> Response {
    let not_ready = probe::why_not_ready(&state).await;
    // A page cannot show a token, so its buttons are for those who need none.
    let may_retry = state.token.is_none() && access::may_change(None, peer.0, &headers).is_ok();
    let node = (state.node)();
    let store = state.store;
    let read = blocking(move || -> Result<Shown, StoreError> {
        Ok(Shown {
            now: clock::now(),
            not_ready,
            may_retry,
            node,
            counts: store.counts()?,
            durability: store.durability(),
            list: list_with_studies(&store, CASES_SHOWN)?,
            outbox: store
                .outbox()
                .into_iter()
                .filter(|entry| entry.state != DeliveryState::Sent)
                .map(DeliveryView::from)
                .collect(),
        })
    });
    match read.await {
        Ok(shown) => (StatusCode::OK, page(&shown)).into_response(),
        Err(failure) => failure,
    }
}

fn page(shown: &Shown) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="refresh" content=(REFRESH_SECONDS);
                title { "radiomicsd" }
                link rel="stylesheet" href="/style.css";
            }
            body {
                header {
                    h1 { "radiomicsd" }
                    @match &shown.not_ready {
                        None => span.pill.good { "receiving" },
                        Some(reason) => span.pill.bad { (reason) },
                    }
                    span.quiet.right {
                        "version " (env!("CARGO_PKG_VERSION")) " · " (time(shown.now))
                    }
                }
                main {
                    (figures(shown))
                    (models(shown))
                    (associations(shown))
                    (cases(shown))
                    (outbox(shown))
                }
                footer { "Results are for research use only. No patient data on this page: UIDs are short hashes." }
            }
        }
    }
}

fn figures(shown: &Shown) -> Markup {
    let counts = &shown.counts;
    let is_short = counts.available_bytes < counts.reserve_bytes;
    html! {
        section.figures {
            (figure("Open associations", &shown.node.open_associations.to_string(), "", false))
            (figure("Stored instances", &grouped(counts.instances), &bytes(counts.bytes), false))
            (figure(
                "Free space", &bytes(counts.available_bytes), &format!("{} kept back", bytes(counts.reserve_bytes)), is_short,
            ))
            (figure("Durability", shown.durability.name(), synced(shown.durability), false))
        }
        section.figures {
            @for count in &shown.list.counts {
                (figure(
                    &format!("Cases {}", count.state.name()), &grouped(count.count), "",
                    count.count > 0 && count.state == CaseState::Failed,
                ))
            }
        }
    }
}

fn models(shown: &Shown) -> Markup {
    html! {
        @if !shown.node.unusable_models.is_empty() {
            section {
                h2 { "Models" }
                @for sentence in &shown.node.unusable_models { p { span.pill.warn { "unusable" } " " (sentence) } }
            }
        }
    }
}

const fn synced(durability: Durability) -> &'static str {
    match durability {
        Durability::Full => "file and folder synced",
        Durability::File => "file synced",
        Durability::None => "nothing synced",
    }
}

fn figure(name: &str, value: &str, note: &str, is_bad: bool) -> Markup {
    html! {
        div.figure.bad[is_bad] {
            span.quiet { (name) }
            strong { (value) }
            @if !note.is_empty() { span.quiet { (note) } }
        }
    }
}

fn associations(shown: &Shown) -> Markup {
    let node = &shown.node;
    html! {
        section {
            h2 { "Associations" }
            p.quiet {
                (grouped(node.accepted)) " accepted, " (grouped(node.rejected)) " rejected, "
                (grouped(node.aborted)) " aborted since the start. Instances: " (grouped(node.stored)) " stored, "
                (grouped(node.duplicates)) " duplicates, " (grouped(node.corrected)) " corrected, " (grouped(node.conflicts)) " conflicts, "
                (grouped(node.failed)) " failed; " (bytes(node.received_bytes)) " received."
            }
            @if !node.associations.is_empty() {
                div.wide { table {
                    thead { tr { th { "Calling AE title" } th { "Since" } th.number { "Instances" } } }
                    tbody {
                        @for association in &node.associations {
                            tr {
                                td { (association.calling_ae) }
                                td { (ago(shown.now, association.since)) }
                                td.number { (grouped(association.instances)) }
                            }
                        }
                    }
                } }
            }
        }
    }
}

fn cases(shown: &Shown) -> Markup {
    let total: u64 = shown.list.counts.iter().map(|count| count.count).sum();
    html! {
        section {
            h2 { "Cases" }
            @if shown.list.cases.is_empty() {
                p.quiet { "None yet." }
            } @else {
                div.wide { table {
                    thead { tr {
                        th { "Case" } th { "State" } th { "Protocol" } th.number { "Revision" } th { "Changed" }
                        th { "Reason and findings" } th {}
                    } }
                    tbody { @for case in &shown.list.cases { (case_row(shown, case)) } }
                } }
                @if (shown.list.cases.len() as u64) < total {
                    p.quiet { "The " (shown.list.cases.len()) " that changed last, of " (grouped(total)) "." }
                }
            }
        }
    }
}

fn case_row(shown: &Shown, case: &CaseView) -> Markup {
    let can_retry = shown.may_retry && matches!(case.state, CaseState::Parked | CaseState::Failed);
    html! {
        tr {
            td.code { a href={ "/api/cases/" (case.id.0) } { (case.id.0) } }
            td { span class={ "pill " (state_class(case.state)) } { (case.state.name()) } }
            td { (case.protocol) }
            td.number { @if case.revision > 0 { (case.revision) } }
            td title=(time(case.updated_at)) { (ago(shown.now, case.updated_at)) }
            td {
                @if !case.reason.is_empty() { div.reason { (case.reason) } }
                @if let Some(at) = case.next_attempt_at {
                    div.quiet { "attempt " (case.attempts + 1) " at " (time(at)) }
                }
                @for study in case.studies.iter().filter(|study| study.held != study.received) {
                    div.quiet { (held(study)) }
                }
                @if !case.findings.is_empty() { ul.findings { @for finding in &case.findings { (finding_item(finding)) } } }
            }
            td {
                @if can_retry { (retry_button(&case.id)) }
            }
        }
    }
}

/// A remark, no alarm: not every series of a study is routed here.
fn held(study: &StudyView) -> String {
    let (there, here) = (grouped(study.held), grouped(study.received));
    format!("{} holds {there} instances of study {}, {here} received", study.peer, study.study)
}

fn retry_button(case: &CaseId) -> Markup {
    html! { form method="post" action={ "/api/cases/" (case.0) "/retry" } { button { "Retry" } } }
}

fn finding_item(finding: &Finding) -> Markup {
    html! {
        li {
            span.code { (finding.kind.name()) }
            @if !finding.subject.is_empty() { " " (finding.subject) }
            @if !finding.detail.is_empty() { span.quiet { ": " (finding.detail) } }
        }
    }
}

fn outbox(shown: &Shown) -> Markup {
    html! {
        section {
            h2 { "Outbox" }
            @if shown.outbox.is_empty() {
                p.quiet { "Everything is delivered." }
            } @else {
                div.wide { table {
                    thead { tr {
                        th { "Case" } th.number { "Revision" } th { "Document" } th { "Destination" } th { "State" }
                        th.number { "Attempts" } th { "Next attempt" } th { "Last failure" } th {}
                    } }
                    tbody {
                        @for entry in shown.outbox.iter().take(OUTBOX_SHOWN) { (outbox_row(shown, entry)) }
                    }
                } }
                @if shown.outbox.len() > OUTBOX_SHOWN {
                    p.quiet { "The first " (OUTBOX_SHOWN) " of " (shown.outbox.len()) "." }
                }
            }
        }
    }
}

fn outbox_row(shown: &Shown, entry: &DeliveryView) -> Markup {
    html! {
        tr {
            td.code { (entry.case.0) }
            td.number { (entry.revision) }
            td { (entry.kind.name()) " " span.code.quiet { (entry.instance) } }
            td { (entry.destination) }
            td {
                @match entry.state {
                    DeliveryState::Pending => span.pill.busy { "pending" },
                    DeliveryState::Sent => span.pill.good { "sent" },
                    DeliveryState::GivenUp => span.pill.bad { "given up" },
                }
            }
            td.number { (entry.attempts) }
            td { @if let Some(at) = entry.next_attempt_at { @if at <= shown.now { "now" } @else { (time(at)) } } }
            td { (entry.reason) }
            td { @if shown.may_retry && entry.state == DeliveryState::GivenUp { (retry_button(&entry.case)) } }
        }
    }
}

const fn state_class(state: CaseState) -> &'static str {
    match state {
        CaseState::Collecting | CaseState::Ready | CaseState::Processing => "busy",
        CaseState::Done => "good",
        CaseState::Parked => "warn",
        CaseState::Failed => "bad",
    }
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn ago(now: Timestamp, then: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(then.as_second()).max(0);
    match seconds {
        0..60 => format!("{seconds} s ago"),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..86_400 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

/// 1234567 as "1 234 567", with narrow spaces that do not break.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (idx, digit) in digits.chars().enumerate() {
        if idx > 0 && (digits.len() - idx).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// Bytes in the unit that a person reads, one decimal.
fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if count < 1000 {
        return format!("{count} B");
    }
    // Tenths of the unit, rounded to the nearest.
    let mut unit_bytes = 1000_u64;
    for (idx, unit) in UNITS.iter().enumerate() {
        let tenths = (u128::from(count) * 10 + u128::from(unit_bytes) / 2) / u128::from(unit_bytes);
        if tenths < 10_000 || idx + 1 == UNITS.len() {
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
        unit_bytes *= 1000;
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_a_person_writes_them() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_000), "1.0 kB");
        assert_eq!(bytes(999_960), "1.0 MB");
        assert_eq!(bytes(5_250_000_000), "5.3 GB");
        assert_eq!(bytes(u64::MAX), "18446.7 PB");
    }

    #[test]
    fn a_time_in_the_future_is_now() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let at = |seconds: i64| ago(now, Timestamp::from_second(1_000_000 - seconds).unwrap());
        assert_eq!(
            [at(-5), at(59), at(60), at(7_200), at(200_000)],
            ["0 s ago", "59 s ago", "1 min ago", "2 h ago", "2 d ago"]
        );
    }
}
