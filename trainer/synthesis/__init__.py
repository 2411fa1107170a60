"""Queries x documents become rows of query, right document, wrong document and margin.

Files, in the order the data meets them:

- ``settings``       what is asked for, and with which models
- ``pieces``         long work in pieces that survive kill -9
- ``text_store``     texts by their number, on the disk
- ``rows``           rows of files and lists, each with its line
- ``sources``        queries and documents of people's own, every row checked
- ``deadline``       when the time is spent
- ``written``        queries for documents that have none
- ``best_of``        the best of many scores, seen in blocks
- ``words``          documents found by their words
- ``vectors``        documents found by their vectors
- ``relations``      which documents of a query are read
- ``making``         the whole way in one short function
- ``asked``          what one synthesis is asked for, and its models
- ``card``           what the rows were made of
- ``run``            from the sources to the folder of the result
- ``opening``        models by their names; torch lives here
- ``synthesizing``   `synthesize`: the above in one call, in Finetuner's words
- ``synthesis_job``  the same as the child process is asked for it
"""
