"""Adapters: from a perception's features to soft tokens in the decoder's embedding space."""
