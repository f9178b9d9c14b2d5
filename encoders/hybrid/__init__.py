"""The hybrid model as it ships: the difference that tunes the decoder, and adapters when they are worth shipping."""
