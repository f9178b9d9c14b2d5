"""What the speaker encoder's embeddings have in common."""
