"""What `fit` does beside training: people's own rows, plans, measures, checkpoints.

Files, in the order the data meets them:

- ``files``        rows of people's own files, each with its line
- ``rows``         which cell is what, and what is wrong with which line
- ``own_pairs``    such rows become pairs
- ``batch_size``   how many rows a batch may hold
- ``evaluating``   an encoder in training is measured, the best weights kept
- ``checkpoints``  a training survives kill -9
- ``arguments``    what `fit` was asked for, all that is wrong told at once
- ``plan``         what `fit` finds out before it trains
- ``run``          what `fit` gives back
"""
