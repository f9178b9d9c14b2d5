"""Floor 3: where things run: the Ray session, the pool plan, and the shared decoder's Serve application."""
