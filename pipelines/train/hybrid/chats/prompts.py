"""Write chats without a document, to be answered by the untrained decoder.

    python -m pipelines.train.hybrid.chats.prompts --out .train/chats/prompts.jsonl.gz --count 8000

Words are our own and WordNet's (--wordnet), sentences those that `documents.fetch_texts` left in .train/texts.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from pipelines.train.hybrid.chats.chat import Chat, write_chats
from pipelines.train.hybrid.chats.generate import chat
from pipelines.train.hybrid.documents.sentences import TEXTS


def chats(count: int, first_seed: int, wordnet: Path | None = None, *, held_out: bool = False) -> list[Chat]:
    """So many chats, none of which begins as another does; fewer when there are not so many."""
    found: dict[str, Chat] = {}
    for seed in range(first_seed, first_seed + 4 * count):
        one = chat(seed, held_out=held_out, wordnet=wordnet)
        found.setdefault(" ".join(turn["content"] for turn in one.turns), one)
        if len(found) == count:
            break
    return list(found.values())


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=8000)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--wordnet", type=Path, default=Path(".train/wordnet"), help="folder of WordNet's files")
    arguments = parser.parse_args()
    if not TEXTS.exists():
        print(f"no sentences at {TEXTS}: run pipelines.train.hybrid.documents.fetch_texts for more than patterns")
    if not (arguments.wordnet / "cntlist.rev").exists():
        parser.error(f"--wordnet: there is no cntlist.rev in {arguments.wordnet}, it is in Debian's wordnet-base")
    found = chats(arguments.count, arguments.first_seed, arguments.wordnet)
    write_chats(found, arguments.out)
    kinds = Counter(one.kind for one in found)
    print(f"{len(found)} chats in {arguments.out}: {', '.join(f'{kind} {n}' for kind, n in kinds.most_common())}")


if __name__ == "__main__":
    main()
