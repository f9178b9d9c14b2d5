"""Generated documents with questions and answers: what the hybrid model is trained and evaluated on."""

from pipelines.train.hybrid.documents.drawing import draw
from pipelines.train.hybrid.documents.faces import Faces
from pipelines.train.hybrid.documents.generate import document
from pipelines.train.hybrid.documents.passages import prose, scramble

__all__ = ["Faces", "document", "draw", "prose", "scramble"]
