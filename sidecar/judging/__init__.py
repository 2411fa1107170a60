"""What the gate is shown: answers of every ranker, and the truths they are held against.

Files, in the order the data meets them:

- ``examination``      what every ranker answers on held-out queries
- ``general_ability``  how encoders answer the general suite
- ``evidence``         the gate's evidence and its verdict
- ``clicked_truth``    held-out clicks as the truth a candidate is judged by, and its four cells
- ``judged_truth``     judgments of people as the truth a candidate is judged by
"""
