#!/usr/bin/env python3
"""How fast storage SCPs take instances: those of dcmtk, dicom-rs and Orthanc, and this daemon, alternately on the same files.

    cargo build --release && python3 benches/receive.py [--files DIR] [--rounds 3] [--at DIR]

Needs dcmtk and Orthanc (Debian packages dcmtk, orthanc) and pydicom; dicom-rs takes part where `dicom-storescp` is on the
PATH (`cargo install dicom-storescp`). Without --files it makes 500 CT slices of 525 kB. Every receiver gets the same files
from 1, 4 and 8 `dcmsend` at once, each with its share; TCP_NODELAY is set on both sides. Printed are medians: instances a
second by the wall clock, CPU milliseconds of the receiver per instance, and its largest resident size; then the daemon's
rate by each other receiver's in the same round. The daemon syncs file and directory before each answer ("full"), Orthanc
its file, the others nothing; the disk's fsync latency is printed beside. --at chooses the disk.

What a receiver stored is emptied at once, so that the next one finds the same memory free, but removed at the very end:
ext4 without a journal looks past every inode that was freed a moment ago, and the next receiver would pay for that.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TICKS = os.sysconf("SC_CLK_TCK")
WIDTHS = (1, 4, 8)


def dcmtk(name):
    """A program of dcmtk; others install programs of the same names."""
    for directory in os.environ["PATH"].split(os.pathsep):
        path = os.path.join(directory, name)
        if os.access(path, os.X_OK):
            said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
            if "dcmtk" in said:
                return path
    sys.exit(f"{name} of dcmtk is not installed")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def make_slices(directory, n_slices=500, n=512):
    """CT slices with noise: 524,288 bytes of pixels and a header each."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    for number in range(n_slices):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        meta.MediaStorageSOPInstanceUID = generate_uid()
        slice_ = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        slice_.SOPClassUID, slice_.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        slice_.StudyInstanceUID, slice_.SeriesInstanceUID, slice_.FrameOfReferenceUID = study, series, frame
        slice_.Modality, slice_.PatientName, slice_.PatientID = "CT", "Bench^Receive", "BENCH"
        slice_.StudyDate, slice_.StudyTime, slice_.AccessionNumber, slice_.StudyID = "20240102", "101112", "", "1"
        slice_.PatientBirthDate, slice_.PatientSex, slice_.ReferringPhysicianName = "", "", ""
        slice_.SeriesNumber, slice_.InstanceNumber = 1, number + 1
        slice_.Rows = slice_.Columns = n
        slice_.ImagePositionPatient, slice_.ImageOrientationPatient = [0, 0, number], [1, 0, 0, 0, 1, 0]
        slice_.PixelSpacing, slice_.SliceThickness = [1, 1], 1
        slice_.RescaleIntercept, slice_.RescaleSlope = -1024, 1
        slice_.SamplesPerPixel, slice_.PhotometricInterpretation = 1, "MONOCHROME2"
        slice_.BitsAllocated, slice_.BitsStored, slice_.HighBit, slice_.PixelRepresentation = 16, 12, 11, 0
        noise = bytearray(os.urandom(n * n * 2))
        noise[1::2] = bytes(byte & 0x0F for byte in noise[1::2])
        slice_.PixelData = bytes(noise)
        slice_.save_as(os.path.join(directory, f"{number:04}.dcm"), enforce_file_format=True)


class Receiver:
    """A storage SCP that runs until it is stopped."""

    def __init__(self, name, arguments, port, directory):
        self.name, self.port, self.directory = name, port, directory
        environment = dict(os.environ, TCP_NODELAY="1")
        self.process = subprocess.Popen(
            arguments, env=environment, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                if time.monotonic() > until or self.process.poll() is not None:
                    sys.exit(f"{name} does not listen")
                time.sleep(0.05)

    def cpu_ms(self):
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return sum(int(field) for field in fields[11:15]) * 1000 / TICKS

    def peak_mb(self):
        with open(f"/proc/{self.process.pid}/status") as file:
            for line in file:
                if line.startswith("VmHWM"):
                    return int(line.split()[1]) / 1024
        return 0

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for top, _, names in os.walk(self.directory):
            for name in names:
                os.truncate(os.path.join(top, name), 0)


def storescp(at):
    port, directory = free_port(), tempfile.mkdtemp(dir=at)
    return Receiver("storescp", [dcmtk("storescp"), "--fork", "-aet", "BENCH", "-od", directory, str(port)], port, directory)


def dicom_rs(at):
    port, directory = free_port(), tempfile.mkdtemp(dir=at)
    program = shutil.which("dicom-storescp")
    return Receiver("dicom-rs", [program, "--non-blocking", "--promiscuous", "-o", directory, "-p", str(port)], port, directory)


def orthanc(at):
    port, directory = free_port(), tempfile.mkdtemp(dir=at)
    settings = {
        "StorageDirectory": directory,
        "IndexDirectory": directory,
        "HttpServerEnabled": False,
        "DicomAet": "BENCH",
        "DicomPort": port,
        "DicomAlwaysAllowStore": True,
        "DicomCheckCalledAet": False,
        "SyncStorageArea": True,
        "MaximumStorageSize": 0,
        "Plugins": [],
    }
    path = os.path.join(directory, "orthanc.json")
    with open(path, "w") as file:
        json.dump(settings, file)
    program = shutil.which("Orthanc") or "/usr/sbin/Orthanc"
    return Receiver("Orthanc", [program, path], port, directory)


def radiomicsd(at, program, durability="full"):
    port, directory = free_port(), tempfile.mkdtemp(dir=at)
    path = os.path.join(directory, "radiomicsd.toml")
    with open(path, "w") as file:
        file.write(
            f'[dicom]\nae_title = "BENCH"\nlisten = "127.0.0.1:{port}"\naccept_unknown_peers = true\n'
            f'[storage]\ndirectory = "data"\nreserve_bytes = 0\ndurability = "{durability}"\n'
            f'[http]\nlisten = "127.0.0.1:{free_port()}"\n'
        )
    return Receiver(f"radiomicsd {durability}", [program, "serve", "--config", path], port, directory)


def send(receiver, files, width):
    """Seconds until every sender is done."""
    environment = dict(os.environ, TCP_NODELAY="1")
    shares = [files[n::width] for n in range(width)]
    begun = time.monotonic()
    senders = [
        subprocess.Popen(
            [dcmtk("dcmsend"), "-aec", "BENCH", "127.0.0.1", str(receiver.port), *share],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for share in shares
    ]
    for sender in senders:
        _, said = sender.communicate()
        if sender.returncode != 0:
            sys.exit(f"dcmsend to {receiver.name} failed: {said.decode(errors='replace')}")
    return time.monotonic() - begun


def fsync_ms(at, n=200):
    """Median and 95th percentile of writing 4 KiB and syncing."""
    times = []
    with tempfile.NamedTemporaryFile(dir=at) as file:
        for _ in range(n):
            begun = time.monotonic()
            file.write(b"\0" * 4096)
            file.flush()
            os.fsync(file.fileno())
            times.append((time.monotonic() - begun) * 1000)
    times.sort()
    return times[n // 2], times[n * 95 // 100]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", help="folder of DICOM files to send, searched deeply; default: 500 slices made here")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--at", default=os.path.join(HERE, "..", "target"), help="where the receivers store")
    parser.add_argument("--program", default=os.path.join(HERE, "..", "target", "release", "radiomicsd"))
    parser.add_argument("--all-durabilities", action="store_true", help='also "file" and "none"')
    arguments = parser.parse_args()
    at, program = os.path.abspath(arguments.at), os.path.abspath(arguments.program)
    made = None
    if arguments.files:
        found = [os.path.join(top, name) for top, _, names in os.walk(arguments.files) for name in names]
        files = sorted(path for path in found if path.endswith(".dcm"))
    else:
        made = tempfile.mkdtemp(dir=at)
        make_slices(made)
        files = sorted(os.path.join(made, name) for name in os.listdir(made))
    # Once through the cache, so that no sender waits for the disk.
    n_bytes = sum(len(open(path, "rb").read()) for path in files)
    print(f"{len(files)} files, {n_bytes / len(files) / 1000:.0f} kB each; {os.cpu_count()} CPUs")
    print("fsync of 4 KiB: median {:.2f} ms, 95 % {:.2f} ms".format(*fsync_ms(at)))
    kinds = [storescp, orthanc, lambda at: radiomicsd(at, program)]
    if shutil.which("dicom-storescp"):
        kinds.insert(1, dicom_rs)
    else:
        print("dicom-storescp is not on the PATH: dicom-rs does not take part")
    if arguments.all_durabilities:
        kinds += [lambda at: radiomicsd(at, program, "file"), lambda at: radiomicsd(at, program, "none")]
    figures, stored = {}, []
    for _ in range(arguments.rounds):
        for width in WIDTHS:
            for start in kinds:
                receiver = start(at)
                cpu_before = receiver.cpu_ms()
                seconds = send(receiver, files, width)
                # storescp forks for each association: its children count when they have ended.
                time.sleep(0.3)
                cpu = (receiver.cpu_ms() - cpu_before) / len(files)
                figure = (len(files) / seconds, cpu, receiver.peak_mb())
                figures.setdefault((receiver.name, width), []).append(figure)
                receiver.stop()
                stored.append(receiver.directory)
    print(f"{'receiver':>16} {'senders':>8} {'instances/s':>12} {'CPU ms each':>12} {'RSS MB':>8}")
    for (name, width), rounds in sorted(figures.items(), key=lambda item: (item[0][1], item[0][0])):
        rate, cpu, peak = (statistics.median(column) for column in zip(*rounds))
        print(f"{name:>16} {width:>8} {rate:>12.0f} {cpu:>12.2f} {peak:>8.1f}")
    print("instances/s of the daemon (full) beside those of another in the same round, medians")
    for name in sorted({name for name, _ in figures if not name.startswith("radiomicsd")}):
        for width in WIDTHS:
            ours, theirs = figures["radiomicsd full", width], figures[name, width]
            ratio = statistics.median(our[0] / their[0] for our, their in zip(ours, theirs))
            print(f"{name:>16} {width:>8} {ratio:>12.2f}")
    for directory in [made, *stored]:
        if directory:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
