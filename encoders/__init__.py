"""Floor 1: the task networks, their adapters, checkpoints, the opening of media, and the result types.

Nothing here knows about Ray. An encoder is a plain object: construct it with a frozen config, call
``load(device)``, then call it with a list of parts; it returns one perception for each.
"""
