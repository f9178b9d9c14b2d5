"""How long the default encoders take per unit, for planning before anything was measured on the machine at hand.

Measured with `make bench` on the machines named; a lake that was read on such a device before is planned from its own
times, and a run that finds others sizes its pools anew.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class ServiceTime:
    """Seconds of one actor per unit (a page, a second of audio, an answer), and where the figure is from.

    ``gpu_seconds`` is what the GPU computes of them; the rest is the actor's core. None: not known. ``core`` is how
    much of a core the actor and all that works for it keep busy, where one process computes for all actors of a card.
    """

    seconds: float
    origin: str
    gpu_seconds: float | None = None
    core: float = 1.0


# CPU: one core of a Xeon with AMX, onnxruntime fp32. CUDA: one card beside 16 cores, see docs/gpu.md: OCR as each of 15
# actors took on an H100 (scan-like A4 pages of 45 long lines), three processes on it computing for them; speech with
# words and speakers as each of 30 took there, one process computing for them: what kept that at work stands for
# the card's time. An answer is what it adds to reading its page, decoder and OCR on one card.
DEFAULTS: dict[tuple[str, str], ServiceTime] = {
    ("ocr", "cpu"): ServiceTime(2.0, "default"),
    ("ocr", "cuda"): ServiceTime(0.084, "one H100", 0.0049),
    ("object_detection", "cpu"): ServiceTime(1.0, "default"),
    ("object_detection", "cuda"): ServiceTime(0.3, "default"),
    ("gui_detection", "cpu"): ServiceTime(1.0, "default"),
    ("gui_detection", "cuda"): ServiceTime(0.3, "default"),
    ("speech_to_text", "cpu"): ServiceTime(0.12, "default"),
    ("speech_to_text", "cuda"): ServiceTime(0.0041, "one H100", 0.00014, core=0.3),
    ("answer", "cpu"): ServiceTime(6.0, "default"),
    ("answer", "cuda"): ServiceTime(0.0035, "one H100"),
}


def measured_time(task: str, device: str, seconds: float, origin: str) -> ServiceTime:
    """What was measured of an actor, in place of the default. How much of it the GPU computes nobody measures in a run,
    so that stays the part that it is of the default: with it the share of a card stays what it is."""
    default = DEFAULTS.get((task, device))
    if default is None or default.gpu_seconds is None:
        return ServiceTime(seconds, origin)
    return replace(default, seconds=seconds, origin=origin, gpu_seconds=default.gpu_seconds * seconds / default.seconds)
