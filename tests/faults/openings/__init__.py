"""Encoders that open everything and read nothing: hostile files and killed workers at the cost of opening."""

from encoders.registry import EncoderEntry

_PLACE = ("tests.faults.openings", "OpeningsEncoder", "OpeningsConfig")
OPENINGS = EncoderEntry("ocr", *_PLACE, ("document", "image", "audio"), "pages")
"""One pool for all."""
PAGES = EncoderEntry("ocr", *_PLACE, ("document", "image"), "pages")
SOUNDS = EncoderEntry("speech_to_text", *_PLACE, ("audio",), "seconds")
"""Two pools, as in a real run."""
