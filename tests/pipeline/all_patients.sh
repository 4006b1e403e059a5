#!/usr/bin/env bash
# Every document of the ten sarcoma patients, in all three report classes, through every validator; the patients' names in ISO_IR 100,
# ISO_IR 192 and ISO 2022 IR 87 by turns. Prints a row for each patient: documents that passed, of how many, by kind.
# Usage: RADIOMICSD_REFERENCE=DIR [JOBS=2] tests/pipeline/all_patients.sh [PROGRAM]
set -euo pipefail
program=$(readlink -f "${1:-target/debug/radiomicsd}")
reference=${RADIOMICSD_REFERENCE:?the folder with data and tools}
cache=${VALIDATE_SR_CACHE:-$HOME/.cache/validate_sr}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export reference cache work TMPDIR="$work"
cat >"$work/site.toml" <<TOML
[storage]
directory = "$work/storage"
[[protocol]]
name = "sarcoma"
reference = "CT"
roi = { names = ["^GTV"] }
finding = { type = "108369006|SCT|Neoplasm", site = "61685007|SCT|Lower limb" }
registration = { error_draws = 0 }
features = { families = ["morphology", "intensity", "glcm"] }
  [[protocol.input]]
  role = "CT"
  modality = "CT"
  [[protocol.input]]
  role = "PT"
  modality = "PT"
  [[protocol.input]]
  role = "MR_T1"
  modality = "MR"
[[destination]]
ae_title = "PACS"
address = "127.0.0.1:104"
send = ["sr", "seg", "reg"]
TOML
cat >"$work/rename.py" <<'PY'
import pathlib, sys, warnings
import pydicom
warnings.filterwarnings("ignore")  # identifiers of these patients are longer than their VR allows
source, target, turn = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
charset, name = [
    ("ISO_IR 100", "Grün^Jürgen"),
    ("ISO_IR 192", "Łukasz^Grün"),
    (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
][turn % 3]
for file in source.rglob("*"):
    if file.is_file():
        try:
            ds = pydicom.dcmread(file)
        except pydicom.errors.InvalidDicomError:
            continue
        ds.SpecificCharacterSet, ds.PatientName = charset, name
        ds.save_as(target / f"{ds.SOPInstanceUID}.dcm")
PY
# Writes one line about one document: patient, kind, verdict. What a failing validator said goes to the log.
validate() {
    local file=$1 patient name kind verdict=PASS said
    patient=$(basename "$(dirname "$(dirname "$file")")") name=$(basename "$file" .dcm)
    kind=$(sed -E 's/.*(seg|reg|sr).*/\1/' <<<"$name")
    if [ "$kind" = reg ]; then
        said=$("$cache/venv/bin/dciodvfy" "$file" 2>&1)
        ! grep -qE '^(Error|Abort)' <<<"$said" || verdict=FAIL
    else
        said=$(LOGDIR="$work/logs/$patient-$name" "$reference/tools/validate_sr/validate_sr.sh" "$file" 2>&1) || verdict=FAIL
    fi
    [ "$verdict" = PASS ] || printf '%s %s\n%s\n' "$patient" "$name" "$said" >&2
    echo "$patient $kind $verdict"
}
export -f validate

charsets=("ISO_IR 100" "ISO_IR 192" "ISO 2022 IR 87") turn=0
for folder in "$reference"/data/sts/STS_*; do
    patient=$(basename "$folder")
    mkdir -p "$work/in/$patient" "$work/out/$patient"
    "$cache/venv/bin/python" "$work/rename.py" "$folder" "$work/in/$patient" "$turn"
    "$program" process "$work/in/$patient" --out "$work/out/$patient" --config "$work/site.toml" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
    rm -rf "$work/in/$patient"
    echo "$patient ${charsets[turn % 3]}" >>"$work/patients"
    turn=$((turn + 1))
done
find "$work/out" -name '*.dcm' -print0 | sort -z | xargs -0 -P "${JOBS:-2}" -I{} bash -c 'validate "$1"' _ {} >"$work/verdicts"
awk '
    FNR == NR { n[$1, $2]++; ok[$1, $2] += $3 == "PASS"; all++; passed += $3 == "PASS"; next }
    FNR == 1 { printf "%-8s  %-16s  %-14s  %-5s  %s\n", "patient", "patient name in", "SR (3 classes)", "SEG", "REG" }
    { patient = $1; sub(/^[^ ]* /, ""); incomplete += n[patient, "sr"] != 3 || n[patient, "seg"] != 3
      printf "%-8s  %-16s  %-14s  %-5s  %s\n", patient, $0, of("sr"), of("seg"), of("reg") }
    function of(kind) { return ok[patient, kind] + 0 "/" n[patient, kind] + 0 }
    END { print passed " of " all " documents passed every validator"; exit passed != all || all == 0 || incomplete }
' "$work/verdicts" "$work/patients"
