"""The command as a user types it: exit status, what goes where, and help with an example for every verb."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.outcome import Outcome

COMMANDS = ["run", "plan", "status", "search", "export", "report", "config", "models pull", "models list"]


def interlace(
    *arguments: str, timeout: float = 120, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipelines.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment, check=False)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command: str) -> None:
    from typer.testing import CliRunner

    from pipelines.cli import app

    result = CliRunner().invoke(app, [*command.split(), "--help"])
    words = " ".join(result.output.split())
    assert result.exit_code == 0 and "Example: " in words and words.count(f"interlace {command}") >= 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "/nowhere/at/all", "--out", "OUT"], "does not exist"),
        (["status", "OUT"], "holds no Interlace tables"),
        (["run", ".", "--out", "OUT", "--set", "ocr.opening.dpl=3"], "did you mean ocr.opening.dpi"),
        (["run", ".", "--out", "OUT", "--schema", "/nowhere.json"], "cannot read the JSON schema"),
        (["export", "OUT"], "--markdown"),
        (["plan", ".", "--sample", "much"], "not a share"),
    ],
)
def test_bad_usage_exits_2_and_says_what_to_do(tmp_path: Path, arguments: list[str], words: str) -> None:
    out = tmp_path / "out"
    result = interlace(*(str(out) if argument == "OUT" else argument for argument in arguments))
    assert result.returncode == 2, result.stderr
    assert words in result.stderr and "Traceback" not in result.stderr
    assert not list(tmp_path.rglob("*.parquet"))


def test_status_search_and_export_of_the_demo(demo: tuple[Outcome, str], tmp_path: Path) -> None:
    _, out = demo
    status = interlace("status", out)
    assert status.returncode == 0 and "password_required" in status.stdout
    hit = interlace("search", out, "FRAGILE")
    assert hit.returncode == 0 and "parcel.webp" in hit.stdout
    assert interlace("search", out, "hippopotamus").returncode == 1
    export = interlace("export", out, "--markdown", str(tmp_path / "md"), "--srt", str(tmp_path / "srt"))
    assert export.returncode == 0 and "left out" in export.stdout
    assert len(list((tmp_path / "srt").rglob("*.srt"))) == 2


def test_plan_counts_before_anything_starts(tmp_path: Path) -> None:
    from tests.pipelines.conftest import ARCHIVE

    result = interlace("plan", str(ARCHIVE), "--prompt", "What is it?")
    assert result.returncode == 0, result.stderr
    for words in ("document new", "image new", "audio new", "55 pages", "bottleneck:", "password_required", "answer"):
        assert words in result.stdout
    assert not (Path("/nonexistent")).exists()


def test_a_run_from_the_command_line(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Without an address its Ray is its own, whatever was started here: `ray start` leaves its address for every Ray of
    the machine, and a killed one leaves it for ever."""
    from tests.pipelines.conftest import ARCHIVE

    folder, out = tmp_path_factory.mktemp("r"), str(tmp_path / "lake")
    (folder / "ray").mkdir()
    (folder / "ray" / "ray_current_cluster").write_text("127.0.0.1:1")
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    environment["RAY_TMPDIR"] = str(folder)
    command = ["run", str(ARCHIVE / "inbox"), "--out", out, "--tasks", "ocr", "--strict"]
    strict = interlace(*command, timeout=280, environment=environment)
    assert strict.returncode == 1, strict.stderr
    assert "starting Ray" in strict.stderr and list(folder.glob("ray/session_*/logs/raylet.out"))
    assert "1 password_required" in strict.stdout and "does not balance" not in strict.stdout
    assert "ocr 1/1 parts" in strict.stderr and "WARNING" not in strict.stderr
    again = interlace("run", str(ARCHIVE / "inbox"), "--out", out, "--tasks", "ocr", timeout=280)
    assert again.returncode == 0 and "nothing new" in again.stdout and "starting Ray" not in again.stderr
