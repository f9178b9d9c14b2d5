"""The hybrid model measured: modes text, soft and both side by side, the untrained decoder beside them."""
