"""One module a kind of document. Each has ``build(draft)``, which writes the document and notes what it says."""
