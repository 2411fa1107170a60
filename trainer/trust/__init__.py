"""Whom to believe, where anybody can click.

Files, in the order the data meets them:

- ``false_discovery``  which of many unlikely findings to believe
- ``influence``        how much one client, or one subnet, may say
- ``bursts``           a pair that is clicked as never before
- ``plausibility``     clicks that looks cannot explain
- ``belief``           what may teach, what waits, what is left out, who may judge
"""
