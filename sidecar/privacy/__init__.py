"""What is kept of people on this machine, and in which form.

Files, in the order the data meets them:

- ``keyed_digests``  texts known again without being kept
- ``client_names``   what clients go by, under salts that are thrown away
- ``erased_list``    who and what was erased, so that no log brings it back
- ``trained_on``     what cycles learned from, as digests
- ``anonymising``    what happens to events before they touch our disk
- ``promises``       what a target keeps of people, and the promises about it
"""
