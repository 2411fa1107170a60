"""A catalogue as it is in its index: texts, vectors, and what is known beside clicks.

Files, in the order the data meets them:

- ``text``           a document as an encoder reads it
- ``vectors``        a catalogue as it is in its index
- ``catalogue``      its documents as texts
- ``pair_features``  what is known of a query and a document beside clicks
"""
