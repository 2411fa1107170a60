"""A click log as tables: who searched, what is wrong with it, and how good it is.

Files, in the order the data meets them:

- ``subnets``        which network a search came from, where the log says
- ``personal_data``  what in a query names a person
- ``k_anonymity``    who surely are different people
- ``frames``         events as flat tables, defects counted
- ``shown_ids``      numbers in the place of document ids, not believed
- ``bots``           clients no person could be
- ``figures``        what a log looks like from above, in counts
- ``defects``        what each defect means, and how to mend it
- ``readiness``      tiers: what a log unlocks, what it lacks for more
- ``health``         how good a log is, and what would make it better
- ``session_rows``   searches joined with what was shown and done
- ``streaming``      a plan over files of any size, in small pieces
- ``visits``         how often people came, in one pass over events
"""
