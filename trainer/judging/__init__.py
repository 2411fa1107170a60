"""What a candidate is judged by beside measures, and what of it people are shown.

Files, in the order the data meets them:

- ``click_truth``        held-out clicks as a truth that favours nobody
- ``judgment_exchange``  weak labels as search-relevance's judgments, and theirs as a truth
- ``presentable``        what of a truth may be shown to people
- ``sanity``             what can be seen of a candidate without one click
- ``topics``             queries of like meaning, grouped
- ``changes``            what a new encoder wins most by, and what it loses
- ``off_policy``         how many clicks another ranking would have got
"""
