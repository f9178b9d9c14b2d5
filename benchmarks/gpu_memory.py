"""GPU memory of one actor of each default network, derived without a GPU: the figures of `gpu_gib` in the lock file.

    python -m benchmarks.gpu_memory

The networks' own passes run on PyTorch's `meta` device, which has shapes and no memory, at the largest batch that the
engines form on CUDA. Counted are the bytes of all tensors that are alive at once, weights apart, and of buffers that
stay. That is no measurement: libraries may take more for scratch space, caching allocators keep what was freed. So
activations count `SLACK` times. CUDA's own share of each process is not in here: `encoders.card.budget.CONTEXT_GIB`.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import torch
from rich.console import Console
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from encoders.checkpoints import resolve

GIB = 2**30
SLACK = 1.5
_HALF = torch.float16


class LivePeak(TorchDispatchMode):
    """The most bytes of storages, made by operations under it, that were alive at once."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation, then look at what is alive."""
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else (made,):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                reference = StorageWeakRef(storage)
                self._alive[reference.cdata] = (reference, storage.nbytes())
        self._alive = {key: value for key, value in self._alive.items() if not value[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self._alive.values()))
        return made


def weights(network: torch.nn.Module) -> int:
    """Bytes of parameters and buffers."""
    held = {tensor.data_ptr() or id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    return sum(tensor.nbytes for tensor in held.values())


@torch.inference_mode()
def activations(run: Callable[[], Any]) -> int:
    """Peak bytes of one pass."""
    gc.collect()
    with LivePeak() as live:
        run()
    return live.peak


def ocr_detection() -> tuple[int, int, int]:
    """Eight square pages at the longest side, float32."""
    from transformers import AutoModelForObjectDetection

    model = AutoModelForObjectDetection.from_pretrained(resolve("ocr_detection", variant="torch")).eval()
    held = weights(model)
    pages = torch.empty(8, 3, 1600, 1600, device="meta")
    return held, activations(lambda: model.to("meta")(pages).last_hidden_state), 0


def ocr_recognition() -> tuple[int, int, int]:
    """128 lines of 48 x 1,920 pixels, float16, scores of all 18,710 symbols in float32. A line over the width of an A4
    page has 1,300 to 1,900; batches of wider ones that do not fit are halved."""
    from transformers import AutoModelForTextRecognition

    model = AutoModelForTextRecognition.from_pretrained(resolve("ocr_recognition", variant="torch"), dtype=_HALF).eval()
    held = weights(model)
    model = model.to("meta")
    lines = torch.empty(128, 3, 48, 1920, device="meta", dtype=_HALF)

    def run() -> Any:
        pooled = model.model(lines).last_hidden_state
        hidden = model.head.encoder(pooled).last_hidden_state
        logits = torch.nn.functional.linear(hidden, model.head.head.weight, model.head.head.bias).float()
        best, _ = logits.max(dim=-1)
        return torch.exp(best - torch.logsumexp(logits, dim=-1))

    return held, activations(run), 0


def speech() -> tuple[int, int, int]:
    """64 windows of 30 s, float16; static decoders of every size from 1 to 64, plain and careful, stay once made."""
    from transformers import WhisperForConditionalGeneration

    folder = str(resolve("speech", variant="torch"))
    model = WhisperForConditionalGeneration.from_pretrained(folder, dtype=_HALF, attn_implementation="sdpa").eval()
    held, config = weights(model), model.config
    model = model.to("meta")
    mels = torch.empty(64, config.num_mel_bins, 3000, device="meta", dtype=_HALF)
    encoding = activations(lambda: model.model.encoder(mels).last_hidden_state)
    spectrum = 64 * 201 * 3001 * 8 + 64 * 480_000 * 4
    positions = config.max_target_positions
    # The forced pass of 16 windows: eight alignment heads' scores in float16, again in float32 for one window at a
    # time, and logits of all positions.
    forced = 16 * (8 * positions * 1500 * 2 + positions * config.vocab_size * 2) + 4 * 8 * positions * 1500 * 4
    window = config.decoder_layers * 2 * (positions + config.max_source_positions) * config.d_model * 2
    window += 4 * config.vocab_size * 4  # logits on their way to a choice
    projection = config.vocab_size * config.d_model * 2
    kept = 2 * (sum(2**power for power in range(7)) * window + 7 * projection)
    return held, max(encoding, spectrum, forced), kept


def speaker() -> tuple[int, int, int]:
    """32 windows of 1.6 s through three LSTM layers, float32."""
    from encoders.speech.voices import SpeakerNetwork

    network = SpeakerNetwork().eval()
    held = weights(network)
    mels = torch.empty(32, 160, 40, device="meta")
    return held, activations(lambda: network.to("meta")(mels)), 0


def text_embedding() -> tuple[int, int, int]:
    """256 phrases of 128 tokens, float32."""
    from transformers import AutoModel

    model = AutoModel.from_pretrained(resolve("text_embedding")).eval()
    held = weights(model)
    ids = torch.zeros(256, 128, dtype=torch.long, device="meta")
    model = model.to("meta")
    return held, activations(lambda: model.encoder(model.embeddings(ids))), 0


def detection_network() -> tuple[int, int, int]:
    """One view of 1,792 x 1,792 pixels through the finder, and 300 crops of 64 x 64 through the namer, float32."""
    from encoders.detection.network import Finder, Namer

    finder, namer = Finder().eval(), Namer().eval()
    held = weights(finder) + weights(namer)
    screen, crops = torch.empty(1, 3, 1792, 1792, device="meta"), torch.empty(300, 3, 64, 64, device="meta")
    found = activations(lambda: finder.to("meta")(screen))
    named = activations(lambda: namer.to("meta")(crops))
    return held, max(found, named), 0


def decoder() -> tuple[int, int, int]:
    """A reading of 4,096 rows in bfloat16, and logits of a step of 256; its cache is a setting and comes on top."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(resolve("decoder"), dtype=torch.bfloat16).eval()
    held, config = weights(model), model.config
    # Of one layer: the two halves of the gated product, its result and the stream, four buffers each.
    reading = 4096 * (3 * config.intermediate_size + 6 * config.hidden_size) * 2 * 4
    logits = 256 * config.vocab_size * (2 + 4) * 2
    return held, reading + logits, 0


NETWORKS = {
    function.__name__: function
    for function in (ocr_detection, ocr_recognition, speech, speaker, text_embedding, detection_network, decoder)
}


def main() -> None:
    """Print weights, activations, what stays, and the sum that the lock file declares."""
    console = Console(soft_wrap=True)
    for name, derive in NETWORKS.items():
        held, passing, kept = derive()
        total = held + SLACK * passing + kept
        parts = f"weights {held / GIB:.3f}, activations {passing / GIB:.3f} x {SLACK}, kept {kept / GIB:.3f}"
        console.print(f"{name:<18} {total / GIB:6.2f} GiB: {parts}", highlight=False)


if __name__ == "__main__":
    main()
