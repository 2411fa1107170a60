"""What of an encoder is trained: one mode a file, cheapest first.

- ``base``            the port: a job becomes a trained encoder's folder
- ``cached_lessons``  pairs over document vectors that stay as they are
- ``cached_documents``  the training loop of the query side alone
- ``adapter``         a linear map on query vectors
- ``query``           the query tower
- ``lora``            low-rank changes of both sides
- ``full``            all weights of both sides
- ``small``           a compact encoder, made anew
- ``read_first``      texts teach before the pairs of such a mode
- ``chosen``          the mode that a job asks for
"""
