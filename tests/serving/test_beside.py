"""A batch run and the endpoint on one cluster of two CPUs: both finish, neither waits for what the other holds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipelines.tables import read_table
from tests.serving.conftest import ROOT, Endpoint
from tests.serving.site import file_part, image_part, pdf, receipt
from tests.serving.test_replicas import picture

QUESTION = "What is the total?"


@contextmanager
def run_beside(endpoint: Endpoint, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A run over FOLDER/in with a question for the endpoint's decoder, on the endpoint's cluster."""
    command = [sys.executable, "-m", "pipelines.cli", "run", "in", "--out", "lake", "--prompt", QUESTION]
    command += [part for name, value in endpoint.decoder.items() for part in ("--set", f"{name}={value}")]
    environment = os.environ | {"RAY_ADDRESS": endpoint.ray, "PYTHONPATH": str(ROOT)}
    run = subprocess.Popen(
        command, cwd=folder, env=environment, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True
    )
    try:
        yield run
    finally:
        run.kill()
        run.wait()


def asked_meanwhile(run: subprocess.Popen[str], endpoint: Endpoint, document: Callable[[int], Any]) -> list[int]:
    """Chats, each about a document that nobody has read yet, for as long as the run lasts; what they were answered."""
    statuses: list[int] = []
    while run.poll() is None:
        asked = [{"type": "text", "text": QUESTION}, document(len(statuses))]
        statuses.append(endpoint.chat(asked, max_tokens=4)[0])
    return statuses


def answers(folder: Path) -> dict[str, str]:
    rows = read_table(str(folder / "lake"), "answers").to_table(columns=["uri", "answer"]).to_pylist()
    return {Path(row["uri"]).name: row["answer"] for row in rows}


@pytest.mark.full
def test_both_finish_on_two_cpus(endpoint: Endpoint, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(3):
        (tmp_path / "in" / f"{number}.txt").write_text(f"The total is {number}.\n")
    with run_beside(endpoint, tmp_path) as run:
        statuses = asked_meanwhile(run, endpoint, lambda n: file_part(f"The total is {n}.".encode(), f"{n}.txt"))
        assert run.stdout is not None and run.returncode == 0, run.stdout.read()
    assert len(statuses) > 3 and set(statuses) == {200}
    assert set(answers(tmp_path)) == {"0.txt", "1.txt", "2.txt"}


@pytest.mark.full
def test_both_finish_when_both_are_busy_and_share_the_decoder(endpoint: Endpoint, tmp_path: Path) -> None:
    """Pages through the OCR of both, for several clients, and what both answer about one page is the same."""
    (tmp_path / "in").mkdir()
    for number in range(12):
        (tmp_path / "in" / f"{number}.png").write_bytes(picture(1000 + number))
    (tmp_path / "in" / "receipt.png").write_bytes(receipt())
    (tmp_path / "in" / "report.pdf").write_bytes(pdf())

    def read() -> float:
        lines = endpoint.call("/metrics")[1].splitlines()
        found = [line for line in lines if line.startswith('interlace_decoder{figure="prompt_tokens"')]
        return sum(float(line.split()[1]) for line in found)

    assert endpoint.chat(max_tokens=2)[0] == 200
    before, decoders = read(), {p.pid for p in endpoint.processes("ServeReplica:decoder")}
    with run_beside(endpoint, tmp_path) as run, ThreadPoolExecutor(3) as pool:
        clients = [
            pool.submit(asked_meanwhile, run, endpoint, lambda n, c=client: image_part(picture(10_000 * c + n)))
            for client in range(1, 4)
        ]
        statuses = [status for client in clients for status in client.result()]
        assert run.stdout is not None and run.returncode == 0, run.stdout.read()
    assert len(statuses) > 6 and set(statuses) == {200}
    assert read() - before > 100 and {p.pid for p in endpoint.processes("ServeReplica:decoder")} == decoders
    answered = answers(tmp_path)
    assert len(answered) == 14
    for name, part in (("receipt.png", image_part()), ("report.pdf", file_part(pdf(), "report.pdf"))):
        _, body, _ = endpoint.chat([{"type": "text", "text": QUESTION}, part], max_tokens=64)
        assert body["choices"][0]["message"]["content"].strip() == answered[name]
