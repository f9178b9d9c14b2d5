"""From loose lines to text people can use: reading order, paragraphs, roles and tables.

`arrange` orders one page, `arrange_document` looks at the pages of a part together (running headers, tables
that go on), `join_pages` and `markdown` write a whole document. No network is involved: geometry only.
"""

from encoders.layout.arrange import Draft, arrange
from encoders.layout.document import arrange_document
from encoders.layout.export import join_pages, markdown

__all__ = ["Draft", "arrange", "arrange_document", "join_pages", "markdown"]
