"""From the click log, or from documents alone, to what teaches and what judges.

Files, in the order the data meets them:

- ``query_endpoint``   queries for documents from an OpenAI-compatible endpoint
- ``text_models``      the models that a target's miners may ask
- ``mining``           what the miners find, and from where each pair came
- ``from_clicks``      from the click log to what teaches and what judges
- ``documents_alone``  learning without a click
"""
