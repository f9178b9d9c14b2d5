"""Fuzzing of the opener: seeds of every format, mutations that repeat, and what must hold whatever comes out."""
