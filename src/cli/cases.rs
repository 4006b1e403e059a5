//! `radiomicsd cases`, `case` and `retry`: what a running daemon knows, over its HTTP interface.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::de::DeserializeOwned;
use ureq::http::StatusCode;

use super::table::table;
use super::{CliError, say, say_json};
use crate::config::Config;
use crate::dicom::rejection::RejectionReason;
use crate::http::api::{CaseDetail, CaseList, CaseView, Message, RejectBody};
use crate::store::CaseState;

/// How long the daemon may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Where a daemon is found whose configuration cannot be read.
const DEFAULT_CONFIG: &str = "/etc/radiomicsd/radiomicsd.toml";

#[derive(Debug, Args)]
struct Target {
    /// Where the daemon's HTTP interface listens, such as 127.0.0.1:8042; default: as the configuration says
    #[arg(long, value_name = "ADDRESS")]
    http: Option<String>,
    /// The daemon's configuration: tells its address and its token file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct ListArguments {
    #[command(flatten)]
    target: Target,
    /// Only cases in this state
    #[arg(long, value_enum)]
    state: Option<State>,
    /// At most so many, those that changed last
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct CaseArguments {
    #[command(flatten)]
    target: Target,
    /// The case's id, as `radiomicsd cases` prints it
    id: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct RetryArguments {
    #[command(flatten)]
    target: Target,
    /// The case's id, as `radiomicsd cases` prints it
    id: String,
}

#[derive(Debug, Args)]
pub(super) struct RejectArguments {
    #[command(flatten)]
    target: Target,
    /// UIDs of instances or series, or ids of cases
    #[arg(required = true, value_name = "UID")]
    names: Vec<String>,
    /// Why; all but "retention" keep out what comes again
    #[arg(long, value_enum, default_value = "quality")]
    reason: Reason,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Reason {
    Quality,
    Safety,
    Worklist,
    Retention,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum State {
    Collecting,
    Ready,
    Processing,
    Done,
    Parked,
    Failed,
}

impl State {
    const fn name(self) -> &'static str {
        match self {
            Self::Collecting => CaseState::Collecting.name(),
            Self::Ready => CaseState::Ready.name(),
            Self::Processing => CaseState::Processing.name(),
            Self::Done => CaseState::Done.name(),
            Self::Parked => CaseState::Parked.name(),
            Self::Failed => CaseState::Failed.name(),
        }
    }
}

pub(super) fn list(arguments: &ListArguments) -> Result<(), CliError> {
    let daemon = Daemon::new(&arguments.target)?;
    let state = arguments.state.map(|state| format!("&state={}", state.name())).unwrap_or_default();
    let list: CaseList = daemon.get(&format!("/api/cases?limit={}{state}", arguments.limit))?;
    if arguments.json {
        return say_json(&list);
    }
    let rows: Vec<Vec<String>> = list.cases.iter().map(row).collect();
    say(&table(&["CASE", "STATE", "PROTOCOL", "REV", "UPDATED", "FINDINGS", "REASON"], &rows))?;
    let counts = list.counts.iter().filter(|count| count.count > 0);
    let counts: Vec<String> = counts.map(|count| format!("{} {}", count.count, count.state.name())).collect();
    say(&format!("{}\n", if counts.is_empty() { "no cases".to_owned() } else { counts.join(", ") }))
}

fn row(case: &CaseView) -> Vec<String> {
    let updated = case.updated_at.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
    vec![
        case.id.0.clone(),
        case.state.name().to_owned(),
        case.protocol.clone(),
        case.revision.to_string(),
        updated,
        case.findings.len().to_string(),
        case.reason.clone(),
    ]
}

pub(super) fn case(arguments: &CaseArguments) -> Result<(), CliError> {
    let daemon = Daemon::new(&arguments.target)?;
    let detail: CaseDetail = daemon.get(&format!("/api/cases/{}", path_segment(&arguments.id)?))?;
    if arguments.json {
        return say_json(&detail);
    }
    let case = &detail.case;
    let mut text =
        format!("case {}: {}, protocol {}, revision {}\n", case.id.0, case.state.name(), case.protocol, case.revision);
    if !case.reason.is_empty() {
        text += &format!("reason: {}\n", case.reason);
    }
    if let Some(at) = case.next_attempt_at {
        text += &format!("tried again at {at} (attempt {})\n", case.attempts + 1);
    }
    let rows = |rows: Vec<Vec<String>>, headings: &[&str]| match rows.as_slice() {
        [] => String::new(),
        rows => format!("\n{}", table(headings, rows)),
    };
    let inputs = detail.inputs.iter().map(|i| vec![i.role.clone(), i.series.clone(), i.instances.to_string()]);
    text += &rows(inputs.collect(), &["ROLE", "SERIES", "INSTANCES"]);
    let studies = case.studies.iter().map(|study| {
        let (held, received) = (study.held.to_string(), study.received.to_string());
        vec![study.study.clone(), received, study.peer.clone(), held, study.said_at.to_string()]
    });
    text += &rows(studies.collect(), &["STUDY", "RECEIVED", "PEER", "HOLDS", "SAID AT"]);
    let findings = case.findings.iter().map(|finding| {
        let policy = serde_json::to_value(finding.policy).ok().and_then(|value| value.as_str().map(str::to_owned));
        vec![
            finding.kind.name().to_owned(),
            finding.subject.clone(),
            policy.unwrap_or_default(),
            finding.detail.clone(),
        ]
    });
    text += &rows(findings.collect(), &["FINDING", "SUBJECT", "POLICY", "DETAIL"]);
    let predictions = detail.predictions.iter().map(|p| {
        let told = |text: &Option<String>| text.clone().unwrap_or_default();
        vec![p.lesion.to_string(), p.model.clone(), p.status.clone(), told(&p.code), told(&p.reason)]
    });
    text += &rows(predictions.collect(), &["LESION", "MODEL", "PREDICTION", "CODE", "REASON"]);
    let documents = detail.results.iter().flat_map(|result| {
        result.documents.iter().map(|d| vec![result.revision.to_string(), d.name.clone(), d.instance.clone()])
    });
    text += &rows(documents.collect(), &["REV", "DOCUMENT", "INSTANCE"]);
    let deliveries = detail.deliveries.iter().map(|delivery| {
        let state = serde_json::to_value(delivery.state).ok().and_then(|value| value.as_str().map(str::to_owned));
        vec![
            delivery.revision.to_string(),
            delivery.kind.name().to_owned(),
            delivery.destination.clone(),
            state.unwrap_or_default(),
            delivery.attempts.to_string(),
            delivery.reason.clone(),
        ]
    });
    text += &rows(deliveries.collect(), &["REV", "KIND", "DESTINATION", "STATE", "FAILED", "REASON"]);
    say(&text)
}

pub(super) fn retry(arguments: &RetryArguments) -> Result<(), CliError> {
    let daemon = Daemon::new(&arguments.target)?;
    let message = daemon.post(&format!("/api/cases/{}/retry", path_segment(&arguments.id)?))?;
    say(&format!("{}\n", message.message))
}

pub(super) fn reject(arguments: &RejectArguments) -> Result<(), CliError> {
    let daemon = Daemon::new(&arguments.target)?;
    let reason = match arguments.reason {
        Reason::Quality => RejectionReason::Quality,
        Reason::Safety => RejectionReason::PatientSafety,
        Reason::Worklist => RejectionReason::WrongWorklistEntry,
        Reason::Retention => RejectionReason::RetentionExpired,
    };
    let message = daemon.post_json("/api/reject", &RejectBody { names: arguments.names.clone(), reason })?;
    say(&format!("{}\n", message.message))
}

/// An id as a part of a path: ids are letters, digits, dots and dashes.
fn path_segment(id: &str) -> Result<&str, CliError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !id.is_empty() && id.chars().all(plain) {
        return Ok(id);
    }
    Err(CliError::Usage("ID is no case id, expected one as `radiomicsd cases` prints it".to_owned()))
}

/// The HTTP interface of a running daemon.
struct Daemon {
    agent: ureq::Agent,
    base: String,
    token: Option<String>,
}

impl Daemon {
    fn new(target: &Target) -> Result<Self, CliError> {
        let path = target.config.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_CONFIG));
        // Without an address the configuration has to tell; with one, it need not be there.
        let config = match Config::load(&path) {
            Ok(config) => Some(config),
            Err(_) if target.http.is_some() && target.config.is_none() => None,
            Err(error) => return Err(error.into()),
        };
        let address = match (&target.http, &config) {
            (Some(address), _) => address.clone(),
            (None, Some(config)) => config.http.listen.to_string(),
            (None, None) => return Err(CliError::Usage("--http or --config is needed".to_owned())),
        };
        let token_file = config.and_then(|config| config.http.token_file);
        let token = token_file.map(|path| {
            std::fs::read_to_string(&path)
                .map(|token| token.trim().to_owned())
                .map_err(|error| CliError::failed("the token file cannot be read", error))
        });
        let agent = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).http_status_as_error(false).build();
        Ok(Self { agent: agent.into(), base: format!("http://{address}"), token: token.transpose()? })
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CliError> {
        self.read(self.agent.get(format!("{}{path}", self.base)).call())
    }

    fn post(&self, path: &str) -> Result<Message, CliError> {
        let request = self.agent.post(format!("{}{path}", self.base));
        let request = match &self.token {
            Some(token) => request.header("Authorization", format!("Bearer {token}")),
            None => request,
        };
        self.read(request.send_empty())
    }

    fn post_json<T: serde::Serialize>(&self, path: &str, body: &T) -> Result<Message, CliError> {
        let request = self.agent.post(format!("{}{path}", self.base));
        let request = match &self.token {
            Some(token) => request.header("Authorization", format!("Bearer {token}")),
            None => request,
        };
        self.read(request.send_json(body))
    }

    fn read<T: DeserializeOwned>(
        &self,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<T, CliError> {
        let unreachable = |error| CliError::Failed(format!("no answer from the daemon at {}: {error}", self.base));
        let mut answer = answer.map_err(unreachable)?;
        if !matches!(answer.status(), StatusCode::OK | StatusCode::ACCEPTED) {
            let status = answer.status();
            let message: Result<Message, _> = answer.body_mut().read_json();
            let message = message.map_or_else(|_| status.to_string(), |message| message.message);
            return Err(CliError::Failed(message));
        }
        answer.body_mut().read_json().map_err(unreachable)
    }
}
