"""One process of a node that computes on a card for all actors that share it.

Processes that each compute on one card hold CUDA and the networks once each, plan every shape of a batch once each,
and take turns. Here an actor keeps what is its core's, and what is the card's goes to a process beside it: small
messages over a socket, arrays in shared memory. Who comes first starts it; it ends when nobody is left.
"""
