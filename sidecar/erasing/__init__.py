"""A client, or a query, leaves everything we hold.

Files, in the order the data meets them:

- ``exports``     where weak labels were handed to, for erasures
- ``places``      where a person, or a query, may be found
- ``retraining``  a model that learned from what was erased gives way
- ``erasure``     a client, or a query, leaves everything we hold
"""
