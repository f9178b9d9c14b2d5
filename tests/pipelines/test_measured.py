"""Times that earlier runs measured: `plan` and `run` size pools by them, each device by its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from cluster.pools import Pool, PoolPlan, Resources, Work
from cluster.service_times import DEFAULTS, measured_time
from encoders.registry import ENCODERS as ENTRIES
from pipelines.figures import RunFigures
from pipelines.fingerprints import encoder_fingerprints
from pipelines.forecast import print_forecast
from pipelines.manifest import LISTING, MANIFEST, Manifest
from pipelines.measured import measured_times, plan_line
from pipelines.progress import Progress
from pipelines.row_file import RowFile
from pipelines.run import Run
from pipelines.runfiles import RunFiles, list_runs
from pipelines.settings import load_settings
from pipelines.storage import Storage
from pipelines.view import newest_figures

UNITS = 4.0


ENCODERS = {"ocr": "one", "object_detection": "two"}


def told(
    out: Path,
    name: str,
    seconds: float,
    batches: int,
    device: str = "cpu",
    task: str = "ocr",
    encoders: Mapping[str, str] = ENCODERS,
) -> None:
    """A run that an actor read so many batches in, after a first one that took a minute to load."""
    pool = Pool(task, device, 1, 1, 1.0, 0.0, UNITS, 1.0, DEFAULTS[task, device], "pages")
    figures = RunFigures.begin(name, "run")
    figures.plan([Work(task, batches, batches * UNITS, "pages")], PoolPlan((pool,), Resources(1)), encoders)
    row = {"units": UNITS, "status": "ok", "pages": 4, "audio_seconds": 0.0, "failures": [], "answered": False}
    for number in range(batches + 1):
        loading = {"node": "here", "since_join": 9.0, "loading": 50.0} if not number else {}
        call = {"task": task, "seconds": 60.0 if not number else seconds * UNITS, "gpu_busy": None, "networks": []}
        figures.advance([row | {"calls": [call | loading]}])
    files = RunFiles(Storage(str(out)), name)
    files.freeze(Manifest(RowFile(LISTING), RowFile(MANIFEST)))
    files.write_state({"run_id": name, "finished": "yes"})
    files.write_live(json.dumps(figures.snapshot()).encode())


def seconds(out: Path) -> dict[tuple[str, str], float]:
    return {key: time.seconds for key, time in measured_times(list_runs(Storage(str(out))), ENCODERS).items()}


def test_the_newest_runs_that_had_enough_batches_are_the_measure(tmp_path: Path) -> None:
    told(tmp_path, "1", 9.0, 50)
    told(tmp_path, "2", 0.5, 2)
    assert seconds(tmp_path)["ocr", "cpu"] == pytest.approx((9.0 * 50 + 0.5 * 2) / 52)
    told(tmp_path, "3", 0.3, 4)
    told(tmp_path, "4", 0.02, 5, "cuda")
    told(tmp_path, "5", 0.7, 2, task="object_detection")  # too few
    assert seconds(tmp_path) == {("ocr", "cpu"): pytest.approx(0.3), ("ocr", "cuda"): pytest.approx(0.02)}


def test_another_checkpoint_has_times_of_its_own(tmp_path: Path) -> None:
    told(tmp_path, "1", 0.3, 5)
    told(tmp_path, "2", 9.0, 50, encoders={"ocr": "another"})
    assert seconds(tmp_path) == {("ocr", "cpu"): pytest.approx(0.3)}


def test_what_an_older_version_told_has_no_device_and_no_times(tmp_path: Path) -> None:
    told(tmp_path, "1", 0.3, 5)
    files = RunFiles(Storage(str(tmp_path)), "1")
    value = files.live()
    assert value is not None
    for name in ("device", "timed_batches", "timed_seconds", "timed_units"):
        del value["pools"]["ocr"][name]
    files.write_live(json.dumps(value).encode())
    assert seconds(tmp_path) == {}


def test_what_cannot_be_read_is_no_measure(tmp_path: Path) -> None:
    told(tmp_path, "1", 0.3, 5)
    told(tmp_path, "2", 9.0, 5)
    told(tmp_path, "3", 9.0, 5)
    RunFiles(Storage(str(tmp_path)), "2").write_live(b"")  # power went before it was on the disk
    newer = RunFiles(Storage(str(tmp_path)), "3")
    newer.write_live(json.dumps((newer.live() or {}) | {"what a newer version tells": 1}).encode())
    assert seconds(tmp_path) == {("ocr", "cpu"): pytest.approx(0.3)}
    figures = newest_figures(Storage(str(tmp_path)), ["1", "2", "3"])
    assert figures is not None and figures.pools["ocr"].timed_batches == 5


def test_a_measured_time_leaves_the_share_of_a_card_as_it_was() -> None:
    default = DEFAULTS["ocr", "cuda"]
    measured = measured_time("ocr", "cuda", default.seconds / 2, "here")
    assert default.gpu_seconds and measured.gpu_seconds == pytest.approx(default.gpu_seconds / 2)


def test_plan_and_run_plan_with_what_the_lake_measured(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "lake"
    source.mkdir()
    (source / "a.txt").write_text("a letter\n")
    settings = load_settings(None, {"cluster.num_cpus": 2, "cluster.num_gpus": 0}, {}).settings
    told(out, "1", 0.125, 5, encoders=encoder_fingerprints({"ocr": ENTRIES["ocr"]}, {"ocr": settings.encoder("ocr")}))
    printed = StringIO()
    print_forecast(Console(file=printed, width=200), Console(file=StringIO()), settings, [str(source)], str(out))
    assert "0.125 s" in printed.getvalue() and "this lake" in printed.getvalue()
    run = Run(settings, [str(source)], str(out), Progress(Console(file=StringIO())))
    plan = run.planner.plan([Work("ocr", 1, 1.0, "pages")], Resources(2), 0)
    assert plan_line(plan) == "pools: ocr 1 on cpu at 0.125 s per page (this lake)"
