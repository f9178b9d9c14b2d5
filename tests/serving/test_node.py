"""The npm openai client, installed by npm into a cache folder the first time."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from encoders.checkpoints.home import interlace_home
from tests.serving.conftest import Endpoint
from tests.serving.site import data_uri, receipt

NODE = Path(__file__).with_name("node")


@pytest.fixture(scope="module")
def node_folder() -> Path:
    """The script with its node_modules. Needs node 20 and npm: Debian's packages nodejs and npm (make system)."""
    npm = shutil.which("npm")
    assert npm is not None and shutil.which("node") is not None, "install nodejs and npm (make system)"
    folder = interlace_home() / "tests" / "node"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "chat.mjs"):
        shutil.copy(NODE / name, folder / name)
    if not (folder / "node_modules" / "openai").is_dir():
        subprocess.run([npm, "install", "--no-audit", "--no-fund", "--silent"], cwd=folder, check=True, timeout=240)
    return folder


def test_the_javascript_client(node_folder: Path, endpoint: Endpoint) -> None:
    variables = {"BASE_URL": endpoint.v1, "API_KEY": endpoint.key, "PICTURE": data_uri(receipt(), "image/png")}
    command = ["node", "chat.mjs"]
    ran = subprocess.run(
        command, cwd=node_folder, env=os.environ | variables, capture_output=True, text=True, timeout=120
    )
    assert ran.stdout == "all well\n", ran.stderr
