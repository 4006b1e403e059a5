#!/usr/bin/env bash
# Every document of the ten sarcoma patients, in all three report classes, through every validator; the patients' names in ISO_IR 100,
# ISO_IR 192 and ISO 2022 IR 87 by turns. Usage: RADIOMICSD_REFERENCE=DIR tests/pipeline/all_patients.sh [PROGRAM]
set -euo pipefail
program=$(readlink -f "${1:-target/debug/radiomicsd}")
reference=${RADIOMICSD_REFERENCE:?the folder with data and tools}
cache=${VALIDATE_SR_CACHE:-$HOME/.cache/validate_sr}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
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
import pathlib, sys
import pydicom
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
turn=0 failed=0 passed=0
for patient in "$reference"/data/sts/STS_*; do
    mkdir -p "$work/in" "$work/out"
    "$cache/venv/bin/python" "$work/rename.py" "$patient" "$work/in" "$turn"
    "$program" process "$work/in" --out "$work/out" --config "$work/site.toml" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
    for file in "$work"/out/*/*.dcm; do
        case $(basename "$file") in
            *-reg-*) verdict=$("$cache/venv/bin/dciodvfy" "$file" 2>&1 | grep -E '^(Error|Abort)' || true); [ -z "$verdict" ] && ok=1 || ok=0 ;;
            *) verdict=$("$reference/tools/validate_sr/validate_sr.sh" "$file" 2>&1) && ok=1 || ok=0 ;;
        esac
        if [ "$ok" = 1 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); printf '%s\n%s\n' "$(basename "$patient") $(basename "$file")" "$verdict"; fi
    done
    echo "$(basename "$patient"): $(find "$work/out" -name '*.dcm' | wc -l) documents, name of turn $((turn % 3))"
    rm -rf "$work/in" "$work/out"
    turn=$((turn + 1))
done
echo "$passed documents passed, $failed failed"
[ "$failed" = 0 ]
