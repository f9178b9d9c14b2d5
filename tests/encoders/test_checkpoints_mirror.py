"""Weights from an object store: once for each node, checked, and never more than the lock names."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from encoders.checkpoints import HashMismatch, bucket, pull, resolve
from encoders.checkpoints.home import files_under
from pipelines.cli import app
from pipelines.storage import s3_client
from tests.faults.bad_proxy import bad_proxy

NODES = {"a": 10, "b": 2}  # actors of each
NAME = "ocr_detection:onnx"


@pytest.fixture
def mirror(s3: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A mirror that holds one default checkpoint, as `interlace models push` leaves it."""
    pushed = CliRunner().invoke(app, ["models", "push", f"{s3}/weights", NAME])
    assert pushed.exit_code == 0 and pushed.stdout.startswith("copied"), pushed.output
    assert CliRunner().invoke(app, ["models", "push", f"{s3}/weights", NAME]).stdout.startswith("there")
    monkeypatch.setenv("INTERLACE_MIRROR", f"{s3}/weights")
    return f"{s3}/weights"


def objects(ref: str) -> list[str]:
    name, prefix = bucket.split(ref)
    return [item["Key"] for item in s3_client().list_objects_v2(Bucket=name, Prefix=prefix)["Contents"]]


@pytest.mark.parametrize("kind", ["default", "s3"])
def test_the_actors_of_a_node_pull_once(tmp_path: Path, s3_server: str, mirror: str, kind: str) -> None:
    """Two nodes with several actors each, which all want the same weights at the same moment."""
    folder = pull([NAME])[0]
    ref = NAME if kind == "default" else f"{mirror}/{folder.name}"
    together = multiprocessing.get_context("forkserver")
    together.set_forkserver_preload([__name__])
    with bad_proxy(s3_server, None) as proxy:
        actors = [
            together.Process(target=act, args=(tmp_path / node, number, proxy.endpoint, dict(os.environ), ref))
            for node, count in NODES.items()
            for number in range(count)
        ]
        for actor in actors:
            actor.start()
        for actor in actors:
            actor.join(120)
        assert {actor.exitcode for actor in actors} == {0}
    for node, count in NODES.items():
        found = [Path(note.read_text()) for note in tmp_path.glob(f"{node}/*.note")]
        assert len(found) == count and len(set(found)) == 1 and found[0].is_relative_to(tmp_path / node)
        assert files_under(found[0]).keys() == files_under(folder).keys()
    got = Counter((path, piece) for method, path, piece in proxy.asked if method == "GET" and path.endswith(".onnx"))
    assert got and set(got.values()) == {len(NODES)}, got  # every piece once for each node


def act(home: Path, number: int, endpoint: str, environment: dict[str, str], ref: str) -> None:
    """One actor of a node, which has no package index."""
    os.environ.update(environment)
    os.environ.update({"INTERLACE_HOME": str(home), "AWS_ENDPOINT_URL": endpoint, "PIP_NO_INDEX": "1"})
    folder = resolve(ref)
    (home / f"{number}.note").write_text(str(folder))


def test_what_the_mirror_holds_is_compared_with_the_lock(
    tmp_path: Path, mirror: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERLACE_HOME", str(tmp_path))
    name, _ = bucket.split(mirror)
    [key] = [key for key in objects(mirror) if key.endswith(".onnx")]
    s3_client().put_object(Bucket=name, Key=key, Body=b"something else")
    with pytest.raises(HashMismatch, match="models push"):
        resolve(NAME)
    assert not list((tmp_path / "checkpoints").iterdir())


def test_a_prefix_with_sums_is_compared_with_them(tmp_path: Path, s3: str) -> None:
    name, _ = bucket.split(f"{s3}/own")
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "config.json").write_text("{}")
    subprocess.run("sha256sum config.json > SHA256SUMS", shell=True, check=True, cwd=tmp_path / "weights")
    for path in (tmp_path / "weights").iterdir():
        s3_client().upload_file(str(path), name, f"own/{path.name}")
    assert (resolve(f"{s3}/own", home=tmp_path / "a") / "config.json").read_text() == "{}"
    s3_client().put_object(Bucket=name, Key="own/config.json", Body=b"[]")
    with pytest.raises(HashMismatch, match="SHA256SUMS"):
        resolve(f"{s3}/own", home=tmp_path / "a")
