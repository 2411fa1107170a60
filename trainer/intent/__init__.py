"""Query intent: which category a query means, read from the vector of the query.

- ``head``      categories and their confidences for query vectors; when it abstains
- ``lessons``   clicked pairs and the catalogue's titles as queries with categories
- ``descent``   the lowest point of a smooth function of many numbers (L-BFGS)
- ``learning``  lessons and their vectors become a calibrated head
- ``apart``     lessons to the child process, and the head back
- ``scoring``   how right a head is on held-out queries, overall and on the long tail
- ``verdict``   whether a head may serve, and why
- ``storing``   heads on the disk, verified at load
- ``sharing``   heads of several machines, beside the models that they share
"""
