"""Sessions, judgments and documents become pairs: one way of finding them a file.

``base`` holds the port; ``clicked`` finds positives, ``skipped_above`` and ``engine_negatives``
find negatives, ``self_supervised`` needs no log.
"""
