"""The night's intent head: what it learns from, and whether it is appointed.

Files, in the order the data meets them:

- ``catalogue``  what the documents of a target say of their categories
- ``training``   the night's intent head: learned, judged, appointed
"""
