//! What a site writes, and what it is told.

use super::*;
use crate::case::{AtDeadline, Prefer};
use crate::features::Discretise;
use crate::finding::{FindingKind, Policy};
use crate::image::Modality;
use crate::normalise::Method;
use crate::register::{SameFrame, TransformKind};
use std::time::Duration;

/// The example of the design, with every section.
const FULL: &str = r#"
[dicom]
ae_title = "RADIOMICSD"
listen = "0.0.0.0:11112"
accept_unknown_peers = false
max_associations = 64
max_pdu_bytes = 262144
idle_timeout = "60s"
[[dicom.peer]]
ae_title = "PACS"
networks = ["10.1.0.0/16"]
address = "10.1.0.5:104"
max_associations = 8
retrieve = false
[dicom.tls]
certificate = "/etc/radiomicsd/tls/cert.pem"
key = "tls/key.pem"
client_ca = "/etc/radiomicsd/tls/ca.pem"
[storage]
directory = "/var/lib/radiomicsd"
reserve_bytes = 5_000_000_000
retention = "30d"
parked_retention = "90d"
durability = "full"
[http]
listen = "127.0.0.1:8042"
token_file = "/etc/radiomicsd/token"
[case]
series_settle = "10s"
case_settle = "60s"
case_deadline = "2h"
link_window = "30d"
[[protocol]]
name = "pet-ct-mr"
reference = "CT"
at_deadline = "process"
match = { BodyPartExamined = "EXTREMITY" }
roi = { names = ["^GTV"], automatic = "none" }
finding = { type = "108369006|SCT|Neoplasm", site = "from-roi" }
registration = { transform = "rigid", same_frame_of_reference = "verify" }
resolution = { match = true }
grid = { spacing_mm = 1.0 }
features = { space = ["native", "aligned"], families = ["morphology", "intensity", "histogram", "ivh", "local", "glcm", "glrlm", "glszm", "gldzm", "ngtdm", "ngldm", "cross"] }
harmonise = { model = "none" }
fusion = { bundle = "none" }
  [[protocol.input]]
  role = "CT"
  modality = "CT"
  required = true
  exclude = { ImageType = "LOCALIZER" }
  prefer = ["thinnest", "newest"]
  fwhm_mm = [0.8, 0.8, 3.0]
  normalise = { method = "hu", window = [-500.0, 400.0] }
  discretise = { bin_width = 25.0 }
  [[protocol.input]]
  role = "PT"
  modality = "PT"
  required = true
  normalise = { method = "suv", kind = "bw", log = false }
  discretise = { bin_width = 0.25 }
  [[protocol.input]]
  role = "MR_T1"
  modality = "MR"
  match = { SeriesDescription = "T1" }
  normalise = { method = "zscore" }
  discretise = { bins = 32 }
[[destination]]
ae_title = "PACS"
address = "10.1.0.5:104"
calling_ae_title = "RADIOMICSD"
send = ["sr", "seg"]
sr_classes = ["comprehensive-3d", "comprehensive", "enhanced"]
retry = { first = "5s", max = "10m", give_up_after = "7d" }
storage_commitment = false
[findings]
gantry_tilt = "regularise"
[psf]
table = "/etc/radiomicsd/psf.csv"
[batch]
rules = "/etc/radiomicsd/batch.toml"
[clinical]
table = "/etc/radiomicsd/clinical.csv"
[audit]
file = "/var/log/radiomicsd/audit.xml"
syslog = "tls://audit.hospital:6514"
tls = { ca = "tls/audit-ca.pem" }
"#;

const LEAST: &str = "[storage]\ndirectory = \"data\"\n";

fn config(text: &str) -> Config {
    Config::from_toml(text, "/etc/radiomicsd/test.toml").unwrap_or_else(|error| panic!("{error}"))
}

fn refused(text: &str) -> String {
    Config::from_toml(text, "site.toml").unwrap_err().to_string()
}

/// What is said of the least configuration with these lines below.
fn refused_with(lines: &str) -> String {
    refused(&format!("{LEAST}{lines}"))
}

/// What is said of a protocol with one CT input and these further lines.
fn refused_input(lines: &str) -> String {
    refused_with(&format!("[[protocol]]\nname = \"p\"\n[[protocol.input]]\nrole = \"CT\"\nmodality = \"CT\"\n{lines}"))
}

#[test]
fn every_key_of_the_design_is_read() {
    let config = config(FULL);
    assert_eq!(config.dicom.peer("PACS").unwrap().address.as_ref().unwrap().port(), 104);
    assert_eq!(config.dicom.tls.as_ref().unwrap().key, Path::new("/etc/radiomicsd/tls/key.pem"));
    assert_eq!(config.case.case_settle, Duration::from_secs(60));
    assert_eq!(config.findings.of(FindingKind::GantryTilt), Policy::Regularise);
    assert_eq!(config.audit.syslog.as_ref().unwrap().transport, SyslogTransport::Tls);
    let protocol = config.protocol("pet-ct-mr").unwrap();
    assert_eq!(protocol.at_deadline, AtDeadline::Process);
    assert_eq!(protocol.finding.kind.given().unwrap().meaning, "Neoplasm");
    assert_eq!(protocol.finding.site, CodeSource::FromRoi);
    assert_eq!(protocol.registration.transform, TransformKind::Rigid);
    assert_eq!(protocol.registration.same_frame_of_reference, SameFrame::Verify);
    let ct = protocol.input("CT").unwrap();
    assert_eq!(ct.prefer, [Prefer::Thinnest, Prefer::Newest]);
    assert_eq!(ct.fwhm_mm, Fwhm::Given([0.8, 0.8, 3.0]));
    assert_eq!(ct.normalise, Method::Hounsfield { window: Some((-500.0, 400.0)) });
    let mr = protocol.input("MR_T1").unwrap();
    assert_eq!((mr.modality, mr.required, mr.discretise), (Modality::Mr, false, Discretise::Bins(32)));
    let keywords: Vec<String> = config.keywords().into_iter().collect();
    assert_eq!(keywords, ["BodyPartExamined", "ImageType", "SeriesDescription"]);
    assert_eq!(protocol.rules().inputs[1].modality, "PT");
}

#[test]
fn the_installed_example_is_valid_and_says_the_defaults_that_are_in_force() {
    let least = "[storage]\ndirectory = \"/var/lib/radiomicsd\"\n";
    assert_eq!(config(Config::example()), config(least));
    // With every comment that is a setting turned into one, it is still valid, and what is a default is the default.
    let text: String = Config::example()
        .lines()
        .filter(|line| !line.starts_with("##") && (!line.starts_with("# ") || line.starts_with("#  ")))
        .map(|line| format!("{}\n", line.strip_prefix('#').unwrap_or(line)))
        .collect();
    let all = config(&text);
    let defaults = config(least);
    assert_eq!((all.case, all.findings.of(FindingKind::GantryTilt)), (defaults.case, Policy::Reject));
    for kind in FindingKind::ALL {
        assert_eq!(all.findings.of(*kind), kind.default_policy(), "{}", kind.name());
    }
    assert_eq!(all.dicom.listen, defaults.dicom.listen);
    assert_eq!(all.dicom.max_associations, defaults.dicom.max_associations);
    assert_eq!(all.dicom.max_pdu_bytes, defaults.dicom.max_pdu_bytes);
    assert_eq!(all.dicom.idle_timeout, defaults.dicom.idle_timeout);
    assert_eq!(all.storage, defaults.storage);
    assert_eq!(all.http.listen, defaults.http.listen);
    let bare = config(&format!(
        "{least}[[protocol]]\nname = \"pet-ct-mr\"\n[[protocol.input]]\nrole = \"CT\"\nmodality = \"CT\"\n\
         [[protocol.input]]\nrole = \"PT\"\nmodality = \"PT\"\n[[protocol.input]]\nrole = \"MR_T1\"\nmodality = \"MR\"\n\
         [[destination]]\nae_title = \"PACS\"\naddress = \"10.1.0.5:104\"\n"
    ));
    let (shown, default) = (&all.protocols[0], &bare.protocols[0]);
    assert_eq!(shown.reference, default.reference);
    assert_eq!(shown.at_deadline, default.at_deadline);
    assert_eq!(shown.registration, default.registration);
    assert_eq!(shown.resolution, default.resolution);
    assert_eq!(shown.grid, default.grid);
    assert_eq!(shown.features, default.features);
    assert_eq!(shown.harmonise, default.harmonise);
    assert_eq!(shown.fusion, default.fusion);
    for (shown, default) in shown.inputs.iter().zip(&default.inputs) {
        assert_eq!(shown.discretise, default.discretise);
        assert_eq!(shown.grid, default.grid);
    }
    assert_eq!(shown.inputs[2].normalise, default.inputs[2].normalise);
    let shown = Destination { tls: None, ..all.destinations[0].clone() };
    assert_eq!([shown].as_slice(), bare.destinations);
    assert!(all.dicom.tls.is_some() && all.audit.syslog.is_some() && all.psf.table.is_some());
}

#[test]
fn a_site_that_only_stores_needs_a_folder_and_nothing_else() {
    let config = config(LEAST);
    assert_eq!(config.storage.directory, Path::new("/etc/radiomicsd/data"));
    assert!(config.protocols.is_empty() && config.destinations.is_empty());
    assert_eq!(config.unsupported(), Vec::<String>::new());
    assert_eq!(refused(""), "site.toml: storage.directory: is missing, expected the folder where everything is kept");
}

#[test]
fn tests_may_listen_on_any_port() {
    let config = config(&format!("{LEAST}[dicom]\nlisten = \"127.0.0.1:0\"\n[http]\nlisten = \"[::1]:0\"\n"));
    assert_eq!(config.dicom.listen.port(), 0);
    assert!(config.http.listen.ip().is_loopback());
}

#[test]
fn the_effective_settings_read_back_to_the_same_configuration() {
    for text in [FULL, LEAST, Config::example()] {
        let config = config(text);
        let effective = config.effective();
        let again = Config::from_toml(&effective, "x").unwrap_or_else(|error| panic!("{error}\n{effective}"));
        assert_eq!(again, Config { findings: again.findings.clone(), ..config.clone() });
        assert_eq!(again.effective(), effective);
        for kind in FindingKind::ALL {
            assert_eq!(again.findings.of(*kind), config.findings.of(*kind));
        }
    }
    assert!(config(LEAST).effective().contains("max_pdu_bytes = 262144"));
    assert!(config(LEAST).effective().contains("case_deadline = \"2h\""));
}

#[test]
fn a_model_belongs_to_what_is_measured_not_to_how_series_are_named() {
    let before = config(FULL);
    let renamed = config(&FULL.replace("SeriesDescription = \"T1\"", "SeriesDescription = \"t1_vibe\""));
    let activated = config(&FULL.replace("bundle = \"none\"", "bundle = \"sarcoma-3\""));
    let coarser = config(&FULL.replace("spacing_mm = 1.0", "spacing_mm = 2.0"));
    let tolerant = config(&FULL.replace("gantry_tilt = \"regularise\"", "gantry_tilt = \"accept\""));
    let settings = |config: &Config| config.settings_json(&config.protocols[0]);
    let (before, renamed, activated) = (settings(&before), settings(&renamed), settings(&activated));
    assert_eq!(before["measurement"], renamed["measurement"]);
    assert_ne!(before["selection"], renamed["selection"]);
    assert_eq!(before["measurement"], activated["measurement"]);
    assert_eq!(activated["model"]["fusion"]["bundle"], "sarcoma-3");
    assert_ne!(before["measurement"], settings(&coarser)["measurement"]);
    assert_ne!(before["measurement"], settings(&tolerant)["measurement"]);
    assert_eq!(before["measurement"]["input"][0]["fwhm_mm"][2], 3.0);
    assert_eq!(before["measurement"]["findings"]["missing_slice"], "reject");
}

#[test]
fn no_setting_of_a_protocol_is_left_out_of_the_provenance() {
    let config = config(FULL);
    let whole = serde_json::to_value(&config.protocols[0]).unwrap();
    let settings = config.settings_json(&config.protocols[0]);
    for key in whole.as_object().unwrap().keys() {
        let parts = settings.as_object().unwrap().values();
        assert!(parts.filter(|part| part.get(key).is_some()).count() >= 1, "{key}");
    }
    for key in whole["input"][0].as_object().unwrap().keys() {
        let kept = |part: &str| settings[part]["input"][0].get(key).is_some();
        assert!(kept("selection") || kept("measurement"), "{key}");
    }
}

const FUSED: &str =
    "[[protocol.fused]]\nrole = \"pet_ct_fused\"\nof = [\"PT\", \"CT\"]\nrange = [[0, 20], [-160, 240]]\n";

#[test]
fn images_are_fused_where_a_protocol_says_so_and_what_is_wrong_with_it_is_told() {
    let with = |lines: &str| FULL.replace("[[destination]]", &format!("{lines}[[destination]]"));
    let (before, fused) = (config(FULL), config(&with(FUSED)));
    let one = &fused.protocols[0].fused[0];
    assert_eq!((one.of[0].as_str(), one.average.weight, one.average.detail_weight), ("PT", 0.5, 0.5));
    assert_eq!(one.discretise, Discretise::Bins(32));
    // It belongs to what is measured; a protocol without it has the settings that it always had.
    let settings = |config: &Config| config.settings_json(&config.protocols[0])["measurement"].clone();
    assert_ne!(settings(&before), settings(&fused));
    assert!(settings(&before).get("fused").is_none());
    let again = Config::from_toml(&fused.effective(), "x").unwrap();
    assert_eq!(again.protocols, fused.protocols);
    for (from, to, told) in [
        ("of = [\"PT\", \"CT\"]", "of = [\"PT\", \"PT\"]", "expected two different roles"),
        ("of = [\"PT\", \"CT\"]", "of = [\"PT\", \"US\"]", "expected two different roles"),
        ("range = [[0, 20], [-160, 240]]", "range = [[20, 0], [-160, 240]]", "the lower one first"),
        ("range = [[0, 20], [-160, 240]]", "", "what becomes 0 and what becomes 1"),
        ("pet_ct_fused", "CT", "a name that no input has"),
        ("range", "weight = 1.5\nrange", "weight from 0 to 1"),
        ("range", "levels = 9\nrange", "levels from 1 to 3"),
        ("range", "wavelet = \"db99\"\nrange", "db99"),
    ] {
        let text = refused(&with(&FUSED.replace(from, to)));
        assert!(text.contains(told), "{text}");
    }
    let native = with(FUSED).replace("space = [\"native\", \"aligned\"]", "space = [\"native\"]");
    assert!(refused(&native).contains("measured on the common grid"));
    assert!(refused(&with(&format!("{FUSED}{FUSED}"))).contains("every role once"));
}

#[test]
fn an_unknown_key_is_an_error_with_its_line_and_a_guess() {
    assert_eq!(
        refused_with("[dicom]\nae_tilte = \"X\"\n"),
        "site.toml:4:1: dicom.ae_tilte: unknown key, expected one of ae_title, listen, accept_unknown_peers, \
         max_associations, max_pdu_bytes, idle_timeout, users, storage_commitment, peer, tls; did you mean \"ae_title\"?"
    );
    assert!(refused_with("[protocols]\n").contains("did you mean \"protocol\"?"));
    assert!(refused_input("discretise = { binwidth = 25 }\n").contains("protocol[0].input[0].discretise.binwidth"));
}

#[test]
fn a_value_of_the_wrong_type_is_named_with_its_key() {
    let said = refused_with("[dicom]\nlisten = 11112\n");
    assert_eq!(said, "site.toml:4:10: dicom.listen: invalid type: integer `11112`, expected a string");
    assert!(refused("storage = 1\n[dicom\n").starts_with("site.toml:2:"));
}

#[test]
fn everything_that_is_wrong_is_said_at_once_in_the_order_of_the_file() {
    let said = refused(
        "[dicom]\nae_title = \"much too long for a title\"\nidle_timeout = \"soon\"\nmax_associations = 0\n\
         [storage]\ndirectory = \"/d\"\ndurability = \"ful\"\n[http]\nlisten = \"localhost:80\"\n",
    );
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 5, "{said}");
    assert_eq!(
        lines[0],
        "site.toml:2:1: dicom.ae_title: found \"much too long for a title\", expected an AE title: 1 to 16 printable \
         ASCII characters, no backslash"
    );
    assert_eq!(
        lines[1],
        "site.toml:3:1: dicom.idle_timeout: found \"soon\", expected a duration such as \"10s\", \"2h\" or \"30d\""
    );
    assert_eq!(lines[2], "site.toml:4:1: dicom.max_associations: found 0, expected 1 to 4096");
    assert_eq!(
        lines[3],
        "site.toml:7:1: storage.durability: found \"ful\", expected one of \"full\", \"file\", \"none\"; did you mean \
         \"full\"?"
    );
    assert!(lines[4].starts_with("site.toml:9:1: http.listen: found \"localhost:80\", expected an IP address"));
}

#[test]
fn the_reference_is_a_role_that_every_case_needs() {
    let protocol = |lines: &str, input: &str| {
        refused_with(&format!(
            "[[protocol]]\nname = \"p\"\n{lines}[[protocol.input]]\nrole = \"CT\"\nmodality = \"CT\"\n{input}"
        ))
    };
    let said = protocol("reference = \"CTX\"\n", "");
    assert_eq!(
        said,
        "site.toml:5:1: protocol[0].reference: found \"CTX\", expected a role of this protocol: \"CT\"; did you mean \
         \"CT\"?"
    );
    assert!(
        protocol("", "required = false\n").contains("protocol[0].input[0].required: found false for the reference")
    );
    assert!(refused_with("[[protocol]]\nname = \"p\"\n").contains("protocol[0].input: is empty"));
    let implied =
        config(&format!("{LEAST}[[protocol]]\nname = \"p\"\n[[protocol.input]]\nrole = \"PT\"\nmodality = \"PT\"\n"));
    assert_eq!(implied.protocols[0].reference, "PT");
    assert!(implied.protocols[0].inputs[0].required);
}

#[test]
fn names_are_given_once() {
    let twice = "[[protocol]]\nname = \"p\"\n[[protocol.input]]\nrole = \"CT\"\nmodality = \"CT\"\n";
    assert!(
        refused_with(&twice.repeat(2)).contains("protocol[1].name: found \"p\", expected every protocol name once")
    );
    assert!(
        refused_input("[[protocol.input]]\nrole = \"CT\"\nmodality = \"MR\"\n")
            .contains("protocol[0].input[1].role: found \"CT\", expected every role once")
    );
    let peer = "[[dicom.peer]]\nae_title = \"A\"\n";
    assert!(
        refused_with(&peer.repeat(2)).contains("dicom.peer[1].ae_title: found \"A\", expected every AE title once")
    );
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    for (lines, key) in [
        (
            "normalise = { method = \"suv\" }\n",
            "input[0].normalise.method: found \"suv\", expected \"hu\" for modality CT",
        ),
        ("normalise = { kind = \"bw\" }\n", "input[0].normalise.kind: belongs to method \"suv\""),
        ("normalise = { window = [400.0, -500.0] }\n", "input[0].normalise.window: found [400, -500]"),
        ("discretise = { bins = 32, bin_width = 25.0 }\n", "input[0].discretise: expected one of bin_width and bins"),
        ("discretise = { bin_width = nan }\n", "input[0].discretise.bin_width: found NaN"),
        ("fwhm_mm = [0.8, -0.8, 3.0]\n", "input[0].fwhm_mm[1]: found -0.8"),
        ("fwhm_mm = \"estimate\"\n", "input[0].fwhm_mm: found \"estimate\""),
        ("exclude = { ImageTyp = \"X\" }\n", "input[0].exclude.ImageTyp: is no DICOM attribute"),
        (
            "match = { SeriesDescription = \"(\" }\n",
            "input[0].match.SeriesDescription: found \"(\", expected a regular",
        ),
        ("prefer = [\"newest\", \"newest\"]\n", "input[0].prefer[1]: found \"newest\", expected every name once"),
    ] {
        let said = refused_input(lines);
        assert!(said.contains(key), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let modality = refused_with("[[protocol]]\nname = \"p\"\n[[protocol.input]]\nrole = \"U\"\nmodality = \"US\"\n");
    assert!(modality.contains("modality: found \"US\", expected one of \"CT\", \"PT\", \"MR\""), "{modality}");
}

#[test]
fn something_must_be_measured() {
    let with = |roi: &str| {
        format!("{LEAST}[[protocol]]\nname = \"p\"\n{roi}\n[[protocol.input]]\nrole = \"A\"\nmodality = \"CT\"\n")
    };
    assert!(refused(&with("roi = { names = [] }")).contains("protocol[0].roi.names: is empty"));
    assert!(refused(&with("roi = { automatic = \"pet-41-percent\" }")).contains("an input of modality \"PT\""));
    assert!(refused(&with("roi = { automatic = \"pet-half\" }")).contains("or a rule such as"));
    let all = config(&with(""));
    assert!(all.protocols[0].rules().roi.takes("anything at all") && all.protocols[0].rules().roi.required);
    let pet = config(&with("roi = { automatic = \"pet-41-percent\" }").replace("CT", "PT"));
    assert!(!pet.protocols[0].rules().roi.required && !pet.protocols[0].rules().roi.takes("GTV"));
}

#[test]
fn policies_are_for_findings_that_exist() {
    let said = refused_with("[findings]\ngantry_tlit = \"accept\"\nmissing_slice = \"ignore\"\n");
    assert!(said.contains("findings.gantry_tlit: is no finding"), "{said}");
    assert!(said.contains("did you mean \"gantry_tilt\"?"), "{said}");
    assert!(said.contains("findings.missing_slice: found \"ignore\", expected one of \"reject\""), "{said}");
}

#[test]
fn a_deadline_is_never_before_a_case_can_settle() {
    let said = refused_with("[case]\ncase_settle = \"1h\"\ncase_deadline = \"10m\"\n");
    assert!(said.contains("case.case_deadline: found 10m, expected at least series_settle and case_settle (1h)"));
}

#[test]
fn key_objects_point_to_something_and_to_reports_of_one_class() {
    let destination = |lines: &str| format!("[[destination]]\nae_title = \"A\"\naddress = \"h:1\"\n{lines}\n");
    let alone = refused_with(&destination("send = [\"key-objects\"]"));
    assert!(alone.contains("key-objects alone point to nothing"), "{alone}");
    let classes = refused_with(&destination("send = [\"sr\", \"key-objects\"]"));
    assert!(classes.contains("lists 3 classes, expected one where key-objects point to the reports"), "{classes}");
    let one = "send = [\"sr\", \"key-objects\"]\nsr_classes = [\"enhanced\"]";
    assert_eq!(config(&format!("{LEAST}{}", destination(one))).destinations.len(), 1);
}

#[test]
fn every_setting_that_is_read_is_followed() {
    let all = "[[destination]]\nae_title = \"A\"\naddress = \"h:1\"\nsend = [\"sr\", \"seg\", \"reg\", \"picture\", \"pdf\"]\n";
    assert_eq!(config(&format!("{LEAST}{all}")).unsupported(), Vec::<String>::new());
}

#[test]
fn a_server_on_the_web_is_a_destination_and_what_would_give_its_token_away_is_refused() {
    let with = |keys: &str| format!("{LEAST}[[destination]]\n{keys}");
    let tls = "tls = { ca = \"ca.pem\" }\n";
    let whole = "name = \"ARCHIVE\"\nurl = \"https://archive.hospital/dicom-web/\"\ntoken_file = \"token\"\n";
    let read = config(&with(&format!("{whole}{tls}")));
    let Receiver::Web { name, url, token_file } = &read.destinations[0].to else { panic!("a server") };
    assert_eq!((name.as_str(), url.to_string().as_str()), ("ARCHIVE", "https://archive.hospital/dicom-web"));
    assert_eq!(token_file.as_deref(), Some(Path::new("/etc/radiomicsd/token")));
    assert!(read.missing_files().iter().any(|sentence| sentence.starts_with("destination.token_file: ")));
    assert_eq!(config(&read.effective()).destinations, read.destinations);
    for (keys, said) in [
        (whole.to_owned(), "destination[0].tls: is missing"),
        (format!("{whole}{tls}ae_title = \"A\"\n"), "destination[0].ae_title: is given with a url"),
        (
            format!("{whole}{tls}storage_commitment = true\n"),
            "destination[0].storage_commitment: found true with a url",
        ),
        (whole.replace("https", "http"), "destination[0].token_file: is given with http://"),
        (format!("{}{tls}", whole.replace("https", "http")), "destination[0].tls: is given with http://"),
        (format!("url = \"https://h\"\n{tls}"), "destination[0].name: is missing"),
        (format!("name = \"A\"\nurl = \"archive\"\n{tls}"), "destination[0].url: found \"archive\""),
        (
            "ae_title = \"A\"\naddress = \"h:1\"\nname = \"B\"\n".to_owned(),
            "destination[0].name: is given without a url",
        ),
    ] {
        let refused = refused(&with(&keys));
        assert!(refused.contains(said), "{said}: {refused}");
    }
    let on_this_machine = "name = \"A\"\nurl = \"http://127.0.0.1:8042/dicom-web\"\ntoken_file = \"token\"\n";
    assert_eq!(config(&with(on_this_machine)).destinations[0].name(), "A");
    let node = "ae_title = \"A\"\naddress = \"h:1\"\n";
    let twice = refused(&with(&format!("{node}[[destination]]\n{node}")));
    assert!(twice.contains("destination[1]: found \"A\""), "{twice}");
}

#[test]
fn a_protocol_may_say_the_side_and_nothing_else_in_its_place() {
    let with = |side: &str| {
        let finding = format!("finding = {{ site = \"61685007|SCT|Lower limb\"{side} }}");
        format!("{LEAST}[[protocol]]\nname = \"ct\"\n{finding}\n[[protocol.input]]\nrole = \"CT\"\nmodality = \"CT\"\n")
    };
    let left = config(&with(", laterality = \"7771000|SCT|Left\""));
    assert_eq!(left.protocols[0].finding.laterality.given().unwrap().meaning, "Left");
    assert_eq!(config(&left.effective()).protocols, left.protocols);
    let refused = refused(&with(", laterality = \"108369006|SCT|Neoplasm\""));
    assert!(refused.contains("finding.laterality: found \"108369006\", expected a side"), "{refused}");
    // Settings without a side are what they were before a protocol could say one.
    let without = config(&with(""));
    let settings = without.settings_json(&without.protocols[0]);
    assert_eq!(settings["measurement"]["finding"].get("laterality"), None);
}

#[test]
fn files_that_are_named_and_absent_are_listed() {
    let said = config(&format!("{LEAST}[psf]\ntable = \"/nowhere/psf.csv\"\n")).missing_files();
    assert_eq!(said.len(), 1);
    assert!(said[0].starts_with("psf.table: /nowhere/psf.csv cannot be opened"));
}

#[test]
fn a_configuration_that_is_not_there_says_so() {
    let said = Config::load(Path::new("/nowhere/radiomicsd.toml")).unwrap_err().to_string();
    assert!(said.starts_with("/nowhere/radiomicsd.toml: the configuration cannot be read:"), "{said}");
}

#[test]
fn relative_paths_start_at_the_folder_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("site.toml");
    std::fs::write(&file, LEAST).unwrap();
    assert_eq!(Config::load(&file).unwrap().storage.directory, folder.path().join("data"));
}

#[test]
fn an_input_names_its_filters_and_what_is_wrong_with_them_is_told() {
    let input = |keys: &str| {
        format!("{LEAST}[[protocol]]\nname = \"ct\"\n[[protocol.input]]\nrole = \"CT\"\nmodality = \"CT\"\n{keys}")
    };
    let read = config(&input(
        "filter = [{ kind = \"log\", sigma_mm = 2.0 }, { kind = \"square\" }]\nresponse_discretise = { bins = 16 }",
    ));
    let labels: Vec<String> =
        read.protocols[0].inputs[0].filter.iter().map(crate::features::filters::Filter::label).collect();
    assert_eq!(labels, ["log-3d-2mm", "square"]);
    assert_eq!(read.protocols[0].inputs[0].response_discretise, Some(Discretise::Bins(16)));
    assert!(
        refused(&input("filter = [{ kind = \"log\", sigma_mm = -2.0 }]"))
            .contains("filter[0]: found log-3d--2mm, expected a positive sigma_mm")
    );
    assert!(
        refused(&input("filter = [{ kind = \"square\" }, { kind = \"square\" }]"))
            .contains("filter[1]: found square again")
    );
    assert!(refused(&input("filter = [{ kind = \"sobel\" }]")).contains("sobel"));
}
