"""Objects and interface elements: found by a network, named by phrases."""
