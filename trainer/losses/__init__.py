"""What the pairs mean to the encoder: one loss a file.

``base`` holds the port, ``embedding`` what a batch goes through, ``rows`` what is known of it,
``vectors`` what most losses share. ``infonce`` is the default; ``guided`` adds a second encoder's
opinion; ``margin_mse`` and ``graded`` learn a teacher's margins and people's grades. The losses of
pytorch-metric-learning are ``metric_learning``, with ``in_batch`` miners and ``weighing``.
``wrapping`` holds those around another loss; ``names`` what other libraries call all of these.
"""
