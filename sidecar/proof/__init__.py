"""What is looked at to prove that every document carries its generation.

Files, in the order the data meets them:

- ``verification``     what a proof found: kinds of difference, examples by id
- ``document_checks``  what one document of a generation must look like
- ``reencoding``       a sample of documents encoded again
- ``vector_spaces``    of which encoder the vectors of any index are
"""
