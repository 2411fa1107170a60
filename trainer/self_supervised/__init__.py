"""Texts alone teach an encoder: one file an objective.

- ``base``       what an objective is
- ``word_head``  which word stands where, told by the encoder's own word vectors
- ``tsdae``      a decoder rebuilds a text from the vector of some of its words
- ``simcse``     a text finds itself among others, under another dropout
- ``mlm``        hidden words are guessed
- ``reading``    the loop: texts in, an encoder's folder out
"""
