"""A real, tiny encoder for tests of the pipeline: it reads text files, and dies, fails or waits when they say so."""

from encoders.registry import EncoderEntry

PICTURES = EncoderEntry(
    "object_detection", "tests.pipelines.letters", "PicturesEncoder", "LettersConfig", ("image",), "pages"
)
LETTERS = EncoderEntry("ocr", "tests.pipelines.letters", "LettersEncoder", "LettersConfig", ("document",), "pages")
