"""Training of the default detector: generated pages, drawn objects, and two small networks learned from them."""
