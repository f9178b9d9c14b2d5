"""An encoder that reads nothing: what is left is the cost of the pipeline itself."""

from encoders.registry import EncoderEntry

STUB = EncoderEntry("ocr", "benchmarks.stub", "StubEncoder", "StubConfig", ("document",), "pages")
