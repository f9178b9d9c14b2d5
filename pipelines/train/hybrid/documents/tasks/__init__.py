"""Questions about a draft with answers that are known because the document was made from them."""
