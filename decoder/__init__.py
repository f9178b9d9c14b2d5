"""Floor 2: fusion of soft tokens and text, generation, constrained output, confidence and evidence.

Nothing here knows about Ray. `Engine` turns sequences of embeddings into tokens; `Fusion` turns a question and
the precontext of a whole document into such a sequence; `Answerer` joins the two and says how sure it is of an
answer and where it was read. What acts in the world (browser, sandbox, index) will live in ``decoder/actions/``.
"""
