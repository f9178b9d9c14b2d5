"""Let the untrained decoder answer chats: half of them greedily, half drawn.

    python -m pipelines.train.hybrid.chats.answer .train/chats/prompts.jsonl.gz --out chats.jsonl.gz --devices cuda:0

Reads what `pipelines.train.hybrid.chats.prompts` wrote. Where a user has more to say (``then``), the answer becomes a
turn and the chat goes on; every answer is a chat of the file of its own. Beside each token of an answer stand the
likeliest ones: a training that is to keep these does not learn one answer by heart. Needs no network.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForCausalLM

from decoder.config import DecoderConfig
from decoder.fusion import Fusion
from decoder.sequence import TextSegment
from encoders.checkpoints.resolve import resolve
from pipelines.train.hybrid.chats.chat import Chat, Likely, read_chats, write_chats

TEMPERATURE, TOP_P = 0.7, 0.95
_LIKELY = 8  # tokens a place: of the base they hold nine tenths of the probability and more
_READ = 32  # answers that are read again at once: the scores of a place are as many as there are tokens


class Answering:
    """A decoder that answers many chats at once. ``batch``: how many; ``most``: tokens of an answer."""

    def __init__(self, checkpoint: str, device: str, batch: int, most: int) -> None:
        self._fusion = Fusion(DecoderConfig(checkpoint=checkpoint))
        self._tokenizer = self._fusion.tokenizer
        self._device, self._batch, self._most = torch.device(device), batch, most
        self._end = int(self._tokenizer.eos_token_id)
        dtype = torch.bfloat16 if self._device.type == "cuda" else torch.float32
        model: Any = AutoModelForCausalLM.from_pretrained(resolve(checkpoint), dtype=dtype, attn_implementation="sdpa")
        self._model = model.to(self._device).eval()

    def all(self, chats: Sequence[Chat]) -> list[Chat]:
        """Every chat with its answer, and those that go on after it."""
        done: list[Chat] = []
        while chats:
            answered = [one for greedy in (True, False) for one in self._half(chats[1 - greedy :: 2], greedy)]
            done += [replace(chat, then=()) for chat in answered]
            chats = [_gone_on(chat) for chat in answered if chat.then and chat.answer[-1] == self._end]
        return done

    def _half(self, chats: Sequence[Chat], greedy: bool) -> Iterator[Chat]:
        prompts = [self._prompt(chat) for chat in chats]
        order = sorted(range(len(chats)), key=lambda index: len(prompts[index]))
        started = time.monotonic()
        for at in range(0, len(order), self._batch):
            chosen = order[at : at + self._batch]
            asked = [prompts[index] for index in chosen]
            answers = list(self._answers(asked, greedy))
            for index, answer, likely in zip(chosen, answers, self._likely(asked, answers)):
                text = self._tokenizer.decode(answer, skip_special_tokens=True)
                yield replace(chats[index], answer=tuple(answer), text=text, likely=likely)
            print(f"{'greedy' if greedy else 'drawn'}: {at + len(chosen)} of {len(order)} answers, "
                  f"{time.monotonic() - started:.0f} s", flush=True)  # fmt: skip

    def _prompt(self, chat: Chat) -> list[int]:
        """As the endpoint asks it."""
        prompt = self._fusion.chat(chat.turns, None, (), self._fusion.config.prompt_tokens)
        return [token for one in prompt.segments if isinstance(one, TextSegment) for token in one.tokens.tolist()]

    @torch.inference_mode()
    def _answers(self, prompts: Sequence[Sequence[int]], greedy: bool) -> Iterator[list[int]]:
        """Tokens up to the end of the turn, or cut. Prompts are padded on the left."""
        longest = max(map(len, prompts))
        tokens = torch.full((len(prompts), longest), self._end)
        mask = torch.zeros_like(tokens)
        for row, seen, prompt in zip(tokens, mask, prompts):
            row[longest - len(prompt) :] = torch.tensor(prompt)
            seen[longest - len(prompt) :] = 1
        drawing: dict[str, Any] = {"do_sample": False}
        if not greedy:
            drawing = {"do_sample": True, "temperature": TEMPERATURE, "top_p": TOP_P, "top_k": 0}
        written = self._model.generate(
            input_ids=tokens.to(self._device),
            attention_mask=mask.to(self._device),
            max_new_tokens=self._most,
            eos_token_id=self._end,
            pad_token_id=self._end,
            **drawing,
        )
        for row in written[:, longest:].tolist():
            yield row[: row.index(self._end) + 1] if self._end in row else row

    @torch.inference_mode()
    def _likely(self, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]]) -> Iterator[Likely]:
        """What the decoder found likeliest at each token of the answers, which are read once more."""
        whole = [torch.tensor([*prompt, *answer]) for prompt, answer in zip(prompts, answers)]
        for at in range(0, len(whole), _READ):
            rows = pad_sequence(whole[at : at + _READ], batch_first=True, padding_value=self._end).to(self._device)
            hidden = self._model.base_model(
                rows, use_cache=False
            ).last_hidden_state  # padded behind: nobody looks there
            for row, prompt, answer in zip(hidden, prompts[at : at + _READ], answers[at : at + _READ]):
                said = row[len(prompt) - 1 : len(prompt) - 1 + len(answer)]
                scores = self._model.get_output_embeddings()(said).float().log_softmax(-1).topk(_LIKELY)
                logs = [[round(value, 3) for value in place] for place in scores.values.tolist()]
                yield tuple((tuple(ids), tuple(log)) for ids, log in zip(scores.indices.tolist(), logs))


def _gone_on(chat: Chat) -> Chat:
    turns = (*chat.turns, {"role": "assistant", "content": chat.text}, {"role": "user", "content": chat.then[0]})
    return Chat(chat.kind, turns, chat.then[1:])


def _process(number: int, arguments: argparse.Namespace, chats: Sequence[Chat], folder: Path) -> None:
    """One device's share."""
    torch.manual_seed(arguments.seed + number)
    device = arguments.devices[number]
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
    answering = Answering(arguments.decoder, device, arguments.batch, arguments.tokens)
    write_chats(answering.all(chats[number :: len(arguments.devices)]), folder / f"{number:03d}.gz")


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompts", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--decoder", default="decoder:torch", help="the base: who answers")
    parser.add_argument("--devices", nargs="+", default=["cpu"], help="cpu, or cuda:0 cuda:1 ...")
    parser.add_argument("--limit", type=int, help="only so many of the prompts")
    parser.add_argument("--batch", type=int, default=512, help="chats that are answered together; 16 do on a CPU")
    parser.add_argument("--tokens", type=int, default=80, help="of an answer; longer ones are cut")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    started = time.monotonic()
    chats = read_chats(arguments.prompts)[: arguments.limit]
    with tempfile.TemporaryDirectory() as name:
        folder, given = Path(name), (arguments, chats, Path(name))
        if len(arguments.devices) == 1:
            _process(0, *given)
        else:
            torch.multiprocessing.spawn(_process, given, nprocs=len(arguments.devices))  # type: ignore[no-untyped-call]
        parts = [chat for path in sorted(folder.iterdir()) for chat in read_chats(path, answered=True)]
    write_chats(parts, arguments.out)
    length = sum(len(chat.answer) for chat in parts) / len(parts)
    print(f"{len(parts)} answers of {length:.0f} tokens in {arguments.out}, {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
