"""How users look at a page of answers: one model a file, each with its assumptions.

``base`` holds the port; ``ctr``, ``position_based`` and ``latent_relevance`` are models, the last
with ``logistic`` regression inside.
"""
