"""Fetches the fonts of ``fonts.toml`` and cuts them to the letters that documents use.

    python -m pipelines.train.hybrid.documents.fetch_fonts --into .train/fonts

Needs npm, apt-get, dpkg and the network: once, on the machine that prepares a training.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

LIST = Path(__file__).with_name("fonts.toml")
_LATIN = [*range(0x20, 0x7F), *range(0xA0, 0x180), *range(0x218, 0x21C), *range(0x2010, 0x2027), 0x20AC, 0x2030, 0x2116]


def fetch(into: Path) -> int:
    """Fetch every font into folders ``SPLIT/STYLE``; returns their bytes. A font that is there already is kept."""
    listed = tomllib.loads(LIST.read_text("utf-8"))
    total = 0
    with tempfile.TemporaryDirectory() as scratch:
        for package, inside, target in _wanted(listed):
            cut = into / target
            if not cut.exists():
                print(f"{package}: {inside}", flush=True)
                cut.parent.mkdir(parents=True, exist_ok=True)
                _cut(unpacked(package, Path(scratch)) / inside, cut, cjk="cjk" in target.parts)
            total += cut.stat().st_size
    return total


def _wanted(listed: dict) -> Iterator[tuple[str, str, Path]]:
    """Package, file in the package (a folder stands for its one font) and where the cut font goes."""
    for split in ("training", "held_out"):
        for style, families in listed[split].items():
            for family, weights in families.items():
                for weight in weights:
                    yield f"@expo-google-fonts/{family}", weight, Path(split, style, f"{family}-{weight}.ttf")
    for other in listed["others"]:
        for file, style in other["files"].items():
            yield other["package"], file, Path("training", style, Path(file).with_suffix(".ttf").name)


def unpacked(package: str, scratch: Path) -> Path:
    """The folder of a package, fetched once."""
    folder = scratch / package.replace("/", "+")
    if folder.exists():
        return folder
    folder.mkdir()
    if package.startswith("fonts-"):
        subprocess.run(["apt-get", "download", "-q", package], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        (archive,) = folder.glob("*.deb")
        subprocess.run(["dpkg", "-x", archive.name, "."], cwd=folder, check=True)
        return folder
    subprocess.run(["npm", "pack", "--silent", package], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    (archive,) = folder.glob("*.tgz")
    subprocess.run(["tar", "xzf", archive.name, "--strip-components=1"], cwd=folder, check=True)
    return folder


def _cut(source: Path, target: Path, *, cjk: bool) -> None:
    """Only the letters that are used, unhinted, with kerning but no ligatures."""
    from fontTools import subset

    if source.is_dir():
        (source,) = source.glob("*.ttf")
    options = subset.Options(
        font_number=0, hinting=False, layout_features=["kern", "mark", "ccmp"], notdef_outline=True
    )
    options.name_IDs = [0, 1, 2, 13, 14]  # copyright, family, style, licence
    font = subset.load_font(str(source), options)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=[*_LATIN, *(cjk_letters() if cjk else ())])
    subsetter.subset(font)
    subset.save_font(font, str(target), options)


def cjk_letters() -> list[int]:
    """Kana, punctuation and the common ideographs: level 1 of GB 2312 and of JIS X 0208."""
    letters = [*range(0x3000, 0x3020), *range(0x3040, 0x3100), *range(0xFF01, 0xFF61), 0xFFE5]
    for codec, rows in (("gb2312", range(16, 56)), ("euc_jp", range(16, 48))):
        for row in rows:
            for cell in range(1, 95):
                letters += [ord(c) for c in bytes((0xA0 + row, 0xA0 + cell)).decode(codec, "ignore")]
    return sorted(set(letters))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, default=Path(".train/fonts"), help="folder for the fonts")
    into = parser.parse_args().into
    print(f"{fetch(into) / 2**20:.1f} MiB of fonts in {into}")


if __name__ == "__main__":
    main()
