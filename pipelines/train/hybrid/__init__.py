"""Training of the hybrid model: adapters and decoder together, on generated documents and recordings."""
