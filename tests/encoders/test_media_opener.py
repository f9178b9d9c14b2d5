"""The child process: faults are contained, categorised and attributed, and nothing is left behind."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from encoders.base import MediaInput
from encoders.failures import Failure, FailureCategory, MediaError
from encoders.media.config import OpeningConfig, OpeningLimits
from encoders.media.opened import AudioWindow, OpenedPage
from encoders.media.opener import RESTARTS_PER_PART, MediaOpener
from tests.encoders.media_files import item, noise, pdf, sound, spinning_pdf

HOSTILE = "tests.encoders.media_hostile_child"
SHORT = OpeningLimits(page_seconds=2.5)


def outcome(values: Iterator[OpenedPage | Failure]) -> list[int | tuple[int | None, FailureCategory]]:
    """Page numbers, and (page, category) of failures, in order."""
    return [value.page if isinstance(value, OpenedPage) else (value.page, value.category) for value in values]


FAULTS = {
    "segfault": FailureCategory.CRASHED,
    "abort": FailureCategory.CRASHED,
    "exit": FailureCategory.CRASHED,
    "killed": FailureCategory.OUT_OF_MEMORY,
    "stopped": FailureCategory.TIMED_OUT,
}


def test_a_page_that_kills_its_child_costs_one_page(tmp_path: Path) -> None:
    path = pdf(tmp_path / "a.pdf", 4)
    with MediaOpener(limits=SHORT, _child_module=HOSTILE) as opener:
        for fault, category in FAULTS.items():
            assert outcome(opener.pages(item(path, uri=f"{fault}@2"))) == [1, (2, category), 3, 4]
            successor = opener._child
            assert outcome(opener.pages(item(path))) == [1, 2, 3, 4]  # its neighbour sees nothing of it
            assert opener._child is successor


def test_a_spin_in_native_code_ends_by_the_wall_clock_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = spinning_pdf(tmp_path / "spin.pdf")
    files = len(list(Path("/proc/self/fd").iterdir()))
    with MediaOpener(limits=SHORT) as opener:
        assert outcome(opener.pages(item(path))) == [1, (2, FailureCategory.TIMED_OUT), 3]
        assert opener._child is not None
        pid = opener._child.pid
        maps = Path(f"/proc/{pid}/maps").read_text()
        assert "interlace-media" in maps and "/dev/shm" not in maps
    assert not psutil.pid_exists(pid)
    assert len(list(Path("/proc/self/fd").iterdir())) == files


def test_a_spin_in_native_code_ends_by_cpu_seconds(tmp_path: Path) -> None:
    path = spinning_pdf(tmp_path / "spin.pdf")
    with MediaOpener(limits=OpeningLimits(page_seconds=60, cpu_seconds=1)) as opener:
        values = list(opener.pages(item(path)))
        assert outcome(iter(values)) == [1, (2, FailureCategory.TIMED_OUT), (3, FailureCategory.TIMED_OUT)]
        assert isinstance(values[1], Failure) and "CPU seconds" in values[1].message


def test_a_part_that_keeps_killing_children_is_given_up_with_every_page_accounted_for(tmp_path: Path) -> None:
    path = pdf(tmp_path / "a.pdf", RESTARTS_PER_PART + 3)
    with MediaOpener(limits=SHORT, _child_module=HOSTILE) as opener:
        values = list(opener.pages(item(path, uri="segfault@every")))
    crashed = [(page, FailureCategory.CRASHED) for page in range(1, RESTARTS_PER_PART + 4)]
    assert outcome(iter(values)) == crashed
    assert "not opened" in values[-1].message  # type: ignore[union-attr]


def test_a_hang_while_the_file_is_opened_fails_the_file(tmp_path: Path) -> None:
    path = pdf(tmp_path / "a.pdf")
    with MediaOpener(limits=SHORT, _child_module=HOSTILE) as opener:
        opener.probe(item(path))
        with pytest.raises(MediaError) as caught:
            opener.probe(item(path, uri="hang@open"))
        assert outcome(opener.pages(item(path))) == [1, 2, 3]
    assert caught.value.category is FailureCategory.TIMED_OUT


def test_a_crash_in_a_recording_costs_one_window(tmp_path: Path) -> None:
    path = sound(tmp_path / "a.wav", "wav", "pcm_s16le", 16000, noise(70, 16000, 1))
    with MediaOpener(_child_module=HOSTILE) as opener:
        values = list(opener.audio(item(path, uri="segfault@30.0")))
        whole = [value for value in opener.audio(item(path)) if isinstance(value, AudioWindow)]
    assert [v.start if isinstance(v, AudioWindow) else v.category for v in values] == [0, FailureCategory.CRASHED, 60]
    assert "at 30 s" in values[1].message  # type: ignore[union-attr]
    assert np.array_equal(values[2].samples, whole[2].samples)  # type: ignore[union-attr]


def test_memory_is_limited_and_the_next_part_is_unaffected(tmp_path: Path) -> None:
    path = pdf(tmp_path / "a.pdf")
    with MediaOpener(limits=OpeningLimits(memory_gib=0.25), _child_module=HOSTILE) as opener:
        assert outcome(opener.pages(item(path, uri="memory@open"))) == [(None, FailureCategory.OUT_OF_MEMORY)]
        assert outcome(opener.pages(item(path))) == [1, 2, 3]


def test_an_iterator_dropped_half_way_leaves_the_child_ready(tmp_path: Path) -> None:
    path = pdf(tmp_path / "a.pdf", 9)
    with MediaOpener() as opener:
        pages = opener.pages(item(path))
        next(pages)
        child = opener._child
        pages.close()
        assert outcome(opener.pages(item(path, 3, 5))) == [4, 5]
        assert opener._child is child
        abandoned = opener.pages(item(path))
        next(abandoned)
        assert outcome(opener.pages(item(path, 0, 1))) == [1]
        with pytest.raises(RuntimeError, match="has ended"):
            next(abandoned)


def test_pages_stay_valid_and_a_slow_caller_is_not_a_timeout(tmp_path: Path) -> None:
    path = pdf(tmp_path / "a.pdf", 9)
    with MediaOpener(OpeningConfig(ocr="always"), OpeningLimits(page_seconds=2.0)) as opener:
        opener.probe(item(path))
        pages = []
        for page in opener.pages(item(path)):
            assert isinstance(page, OpenedPage) and page.image is not None
            if page.page == 2:
                time.sleep(2.5)  # the child meanwhile fills its slots and waits
            pages.append((page.image, page.image.copy()))
    assert len(pages) == 9
    assert all(np.array_equal(image, copy) for image, copy in pages)


def test_children_are_replaced_after_their_share_of_parts(tmp_path: Path) -> None:
    path = pdf(tmp_path / "a.pdf")
    with MediaOpener(limits=OpeningLimits(parts_per_child=2)) as opener:
        pids = []
        for _ in range(4):
            assert outcome(opener.pages(item(path))) == [1, 2, 3]
            assert opener._child is not None
            pids.append(opener._child.pid)
    assert pids[0] == pids[1] != pids[2] == pids[3]


def test_bytes_in_place_of_a_path(tmp_path: Path) -> None:
    data = pdf(tmp_path / "a.pdf").read_bytes()
    with MediaOpener() as opener:
        for part in (MediaInput("p", "memory", "application/pdf", data=data), item(tmp_path / "a.pdf")):
            assert opener.probe(part).pages == 3
            assert outcome(opener.pages(part)) == [1, 2, 3]
        empty = MediaInput("p", "memory", "application/pdf", data=b"")
        assert outcome(opener.pages(empty)) == [(None, FailureCategory.EMPTY)]
        gone = item(tmp_path / "gone.pdf")
        assert outcome(opener.pages(gone)) == [(None, FailureCategory.DOWNLOAD_FAILED)]


def test_the_child_dies_with_its_parent_even_while_it_spins(tmp_path: Path) -> None:
    path = spinning_pdf(tmp_path / "spin.pdf", page=1)
    script = (
        "import os, signal, sys, threading, time; from pathlib import Path\n"
        "from encoders.base import MediaInput; from encoders.media.opener import MediaOpener\n"
        "opener = MediaOpener(); opener.start(); print(opener._child.pid, flush=True)\n"
        "threading.Timer(1.5, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()\n"
        "list(opener.pages(MediaInput('p', 'u', '', Path(sys.argv[1]))))\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    assert parent.wait(60) == -9
    parent.stdout.close()
    child.wait(10)  # raises when it lives on


def test_a_child_that_cannot_start_says_why(tmp_path: Path) -> None:
    with MediaOpener(_child_module="encoders.media.no_such_module") as opener, pytest.raises(MediaError) as caught:
        opener.probe(item(pdf(tmp_path / "a.pdf")))
    assert caught.value.category is FailureCategory.CRASHED
    assert "no_such_module" in str(caught.value)
