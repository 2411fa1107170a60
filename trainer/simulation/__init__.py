"""Users of whom everything is known, and the log they leave.

Files, in the order the data meets them:

- ``known_answers``  right answers from the files people have
- ``config``         what may be said about simulated users
- ``searches``       who types what when
- ``clicks``         what they click, by the click model they follow
- ``events``         drawn numbers become events
- ``users``          users sampled from a known click model
- ``personal``       personal data that no person has
- ``defects``        what is wrong with real logs, planted
"""
