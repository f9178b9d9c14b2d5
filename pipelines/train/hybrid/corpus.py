"""A corpus in a folder or in object storage: an archive that `interlace run` reads, and in Parquet what it holds.

    python -m pipelines.train.hybrid.corpus --out s3://bucket/corpus --samples 2000 --fonts .train/fonts
    interlace run s3://bucket/corpus/archive --out s3://bucket/lake --keep-features

Made with Ray Data, on this machine or on the cluster at RAY_ADDRESS, whose nodes must see the folders that are named.
The same seed gives the same files; run it again to make what is missing, or more. `pipelines.train.hybrid.gather`
brings what a run read in it together with its truth, for training.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import count, groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich.progress import track

from cluster.pools import ClusterConfig
from cluster.session import ray_session
from encoders.failures import InterlaceError
from pipelines.stopping import store_failure
from pipelines.storage import Storage
from pipelines.train.hybrid.corpus_block import ARCHIVE, SPOKEN, TRUTHS, WRITTEN, CorpusPlan, Drawing, write_block

BLOCK = 16  # samples of a task and of a file of truth
_BLOCKS = 4096  # tasks of Ray at most


def write_corpus(plan: CorpusPlan, samples: int, cluster: ClusterConfig | None = None) -> dict[str, int]:
    """Make what is missing of the first ``samples``; returns how many samples, assets and bytes that were. Raises
    InterlaceError when ``plan.out`` holds another corpus or cannot be written, FileNotFoundError without fonts,
    ValueError for voices that say something else by now."""
    storage, inputs = Storage(plan.out), plan.inputs()
    asked = {"first_seed": plan.first_seed, "held_out": plan.held_out, "kinds": sorted(plan.kinds), "inputs": inputs}
    if storage.read_json(storage.path("corpus.json")) not in (None, asked):
        raise InterlaceError(
            f"{plan.out} holds a corpus of another seed, of other kinds or made with other fonts, texts or voices; "
            "name another --out"
        )
    made = {"samples": 0, "assets": 0, "bytes": 0}
    blocks = [{"first": first, "last": last} for first, last in missing(storage, samples)]
    if not blocks:
        return made
    Drawing(plan)(blocks[0]["first"])  # what is wrong is said before anything starts
    storage.write_json(storage.path("corpus.json"), asked)
    import ray

    with ray_session(cluster or ClusterConfig()):
        dataset = ray.data.from_items(blocks, override_num_blocks=min(len(blocks), _BLOCKS)).map_batches(
            write_block, batch_size=1, batch_format="pyarrow", fn_args=(plan, inputs), num_cpus=1
        )
        told = dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)
        try:
            for row in track(_rows(told), f"{plan.out}: blocks of {BLOCK} samples", total=len(blocks)):
                made = {name: total + row[name] for name, total in made.items()}
        except ray.exceptions.RayError as error:
            raise store_failure(error) or error from None
    return made


def _rows(batches: Iterator[Any]) -> Iterator[dict[str, int]]:
    for batch in batches:
        yield from pa.table(batch).to_pylist()


def missing(storage: Storage, samples: int) -> list[tuple[int, int]]:
    """Ranges [first, last] of samples of which truth or an asset is not there, each within a block. The truth about
    assets that are gone is taken away: it is written anew with them."""
    assets = {path.removeprefix(storage.path(ARCHIVE) + "/") for path in storage.files(storage.path(ARCHIVE))}
    done: set[int] = set()
    for path in storage.files(storage.path(TRUTHS), ".parquet"):
        rows = storage.read_parquet(path, ["sample", "assets"]).to_pylist()
        if assets.issuperset(name for row in rows for name in row["assets"]):
            done.update(row["sample"] for row in rows)
        else:
            storage.delete(path)
    order = count()
    left = ((number, (number // BLOCK, number - next(order))) for number in range(samples) if number not in done)
    runs = [[number for number, _ in run] for _, run in groupby(left, key=lambda one: one[1])]
    return [(run[0], run[-1]) for run in runs]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="a folder or s3://bucket/prefix")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--fonts", type=Path, nargs="+", default=[Path(".train/fonts")])
    parser.add_argument("--sentences", type=Path, help="gzipped English sentences, one a line")
    parser.add_argument("--speech", type=Path, help="what speech.synthesise wrote; without it nothing is spoken")
    parser.add_argument("--kinds", nargs="+", choices=WRITTEN + SPOKEN, default=WRITTEN + SPOKEN, metavar="KIND",
                        help="only these: " + ", ".join(WRITTEN + SPOKEN))  # fmt: skip
    parser.add_argument("--held-out", action="store_true", help="layouts, fonts, words that training never sees")
    parser.add_argument("--first-seed", type=int, default=1_000_000)
    parser.add_argument("--cpus", type=int, help="of the local Ray; default: all")
    arguments = parser.parse_args()
    if arguments.held_out and arguments.speech:
        parser.error("--speech holds what training hears; held-out recordings are made by speech.evaluation")
    if not arguments.speech and set(arguments.kinds) <= set(SPOKEN):
        parser.error("--kinds: recordings need --speech, a folder that pipelines.train.hybrid.speech.synthesise wrote")
    return arguments


def main() -> None:
    """See the module."""
    given = _arguments()
    plan = CorpusPlan(
        Storage(given.out).out,
        tuple(folder.absolute() for folder in given.fonts),
        given.sentences and given.sentences.absolute(),
        given.speech and given.speech.absolute(),
        given.held_out,
        tuple(given.kinds),
        given.first_seed,
    )
    try:
        made = write_corpus(plan, given.samples, ClusterConfig(num_cpus=given.cpus))
    except (InterlaceError, FileNotFoundError, ValueError) as error:
        raise SystemExit(f"corpus: {error}") from error
    there = given.samples - made["samples"]
    print(f"{made['samples']} samples, {made['assets']} assets, {made['bytes'] >> 20} MiB made; {there} were there")
    print(f"read them with: interlace run {plan.out}/{ARCHIVE} --out LAKE --keep-features")


if __name__ == "__main__":
    main()
