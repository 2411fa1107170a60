"""How users look at a page of answers: one model a file, each with its assumptions.

``base`` holds the port and ``users`` the ways to go through a page, which models and simulations
share. ``click_log`` is what a model eats, ``click_only`` fills in what a log leaves out, and
``backing_off`` what is held of rare pairs.

Counts are enough for ``ctr``, ``coec``, ``search_relevance_coec``, ``position_based``,
``latent_relevance`` (with ``logistic`` regression inside) and ``intervention_harvesting``; the
first guess at looks is made better by ``examination_em``, which ``user_browsing`` uses too.
``cascade``, ``dependent``, ``simplified_bayesian`` and ``dynamic_bayesian`` need the order of the
clicks; ``reading`` says what happened below the last one. ``auto`` chooses.
"""
