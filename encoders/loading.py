"""Loading networks: what is imported and made then stays, so that nothing is gained by looking for garbage in it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """No garbage is collected in this block. torch and transformers make 600,000 objects, which Python otherwise goes
    through seven times: a second of the five that the default decoder takes to load."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
