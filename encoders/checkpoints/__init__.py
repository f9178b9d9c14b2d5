"""Weights: where they come from, whether they are the right ones, and where they lie on this machine."""

from encoders.checkpoints.errors import CheckpointError, HashMismatch
from encoders.checkpoints.home import interlace_home
from encoders.checkpoints.inventory import CheckpointRow, DamagedFile, VerifyRow, list_checkpoints, verify
from encoders.checkpoints.pull import PullStep, pull
from encoders.checkpoints.resolve import checkpoint_digest, checkpoint_format, resolve

__all__ = [
    "CheckpointError",
    "CheckpointRow",
    "DamagedFile",
    "HashMismatch",
    "PullStep",
    "VerifyRow",
    "checkpoint_digest",
    "checkpoint_format",
    "interlace_home",
    "list_checkpoints",
    "pull",
    "resolve",
    "verify",
]
