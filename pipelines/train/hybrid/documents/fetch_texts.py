"""Fetches the texts of ``texts.toml`` and keeps their sentences, one a line, in LANGUAGE.txt.xz.

    python -m pipelines.train.hybrid.documents.fetch_texts --into .train/texts

Needs npm, git and the network: once, on the machine that prepares a training. ``--clones`` names a folder with
repositories that are here already, as OWNER+NAME/repo.
"""

from __future__ import annotations

import argparse
import json
import lzma
import random
import re
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipelines.train.hybrid.documents.fetch_fonts import unpacked

LIST = Path(__file__).with_name("texts.toml")
_CODE = re.compile(
    r"```.*?```|<script.*?</script>|<style.*?</style>|^---$.*?^---$|<!--.*?-->|\{/\*.*?\*/\}", re.S | re.M
)
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_MARKS = re.compile(r"<[^>]+>|\{#[^}]*\}|[*_`#>|\\]|^\s*[-+]\s|^\s*\d+\.\s|:::\s*\w*", re.M)
_END = re.compile(r"(?<=[.!?])\s+(?=[A-ZÀ-ÝŁŚŻ¿¡“\"])|(?<=[。！？])")
_COMMON = {
    "en": "the of and to in", "de": "der die und ist ein", "es": "el la de que en", "fr": "le la de et les",
    "it": "il la di che e", "pl": "w i na nie jest", "zh": "的 是 在", "ja": "の を に は",
}  # fmt: skip


def fetch(into: Path, clones: Path | None) -> int:
    """Fetch every text; returns the bytes of what was written."""
    into.mkdir(parents=True, exist_ok=True)
    kept: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for source in tomllib.loads(LIST.read_text("utf-8"))["sources"]:
            print(source.get("npm") or source["git"], flush=True)
            files = _files(source, Path(scratch), clones)
            found = list(dict.fromkeys(s for text in files for s in sentences(text, source["language"])))
            random.Random(0).shuffle(found)
            room = source["kilobytes"] * 1024
            for sentence in found:
                if (room := room - len(sentence.encode())) < 0:
                    break
                kept.setdefault(source["language"], []).append(sentence)
    for language, lines in kept.items():
        (into / f"{language}.txt.xz").write_bytes(lzma.compress("\n".join(lines).encode(), preset=9))
        print(f"{language}: {len(lines)} sentences")
    return sum(path.stat().st_size for path in into.glob("*.txt.xz"))


def _files(source: dict[str, Any], scratch: Path, clones: Path | None) -> Iterator[str]:
    """The texts of a source's files; of a JSON file every string in it."""
    if "npm" in source:
        folder = unpacked(source["npm"], scratch)
    else:
        owner, name = source["git"].rsplit("/", 2)[1:]
        folder = scratch / name
        origin = str(clones / f"{owner}+{name}" / "repo") if clones else source["git"]
        subprocess.run(["git", "clone", "-q", "--depth", "1", origin, str(folder)], check=True)
    for path in sorted(folder.glob(source["pattern"])):
        text = path.read_text("utf-8", errors="ignore")
        if path.suffix == ".json":
            yield from _strings(json.loads(text))
        else:
            yield text


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from _strings(entry)


def sentences(text: str, language: str) -> Iterator[str]:
    """Whole sentences of a language in a text or in Markdown, 25 to 220 characters (8 to 90 without spaces)."""
    wide = language in ("zh", "ja")
    low, high = (8, 90) if wide else (25, 220)
    common = _COMMON[language].split()
    text = _MARKS.sub("", _LINK.sub(r"\1", _CODE.sub("\n\n", text)))
    for paragraph in re.split(r"\n\s*\n", text):
        for sentence in _END.split(" ".join(paragraph.split())):
            sentence = sentence.strip()
            if (
                not low <= len(sentence) <= high
                or sentence[-1] not in ".!?。！？"
                or re.search(r"[{}=\[\]~^]|https?:", sentence)
            ):
                continue
            if any(word in (sentence if wide else sentence.lower().split()) for word in common):
                yield sentence


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, default=Path(".train/texts"), help="folder for the texts")
    parser.add_argument("--clones", type=Path, help="folder with clones, instead of the network")
    chosen = parser.parse_args()
    print(f"{fetch(chosen.into, chosen.clones) / 2**20:.1f} MiB of texts in {chosen.into}")


if __name__ == "__main__":
    main()
