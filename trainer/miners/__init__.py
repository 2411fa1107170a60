"""Sessions, judgments and documents become pairs: one way of finding them a file.

- ``likeness``          what the incumbent makes of queries and documents
- ``voting``            what several miners found becomes one set, each believed as it deserves
- ``base``              the port, and what miners may look at
- ``visits``            searches that one person made one after the other

Of clicks: ``clicked`` finds positives; ``skipped_above`` and ``engine_negatives`` find
negatives; ``reformulated`` and ``unanswered`` look at what people typed next, ``co_clicked`` at
what was clicked together.

Of documents alone: ``self_supervised`` (field to field), ``pseudo_queries`` (a title cut up),
``crops`` (a piece of a text), ``categories`` (a label that documents share), ``synthetic``
(queries that a configured generator writes).

Of people's ratings: ``rated``.
"""
