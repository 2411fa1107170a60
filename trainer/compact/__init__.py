"""A compact encoder made for one catalogue: its own words, few layers or none.

Files, in the order in which one is made:

- ``vocabulary``    the catalogue's own words and pieces of words, and the tokenizer of them
- ``teacher``       what a large encoder makes of words and texts
- ``deepening``     layers over a trained table of words
- ``building``      an untrained table of words, the size of what it becomes checked
- ``tasks``         pairs that documents give by themselves
- ``meaning``       the category that a query means, as a part of the loss
- ``teaching``      the loss: right answers, a teacher's vectors, categories, masked words
"""
