"""Registered models: described, signed, shared, handed on, and let go.

Files, in the order the data meets them:

- ``base_encoder``     the encoder a user names, in the registry
- ``signing_keys``     keys that sign models, made and read
- ``shared_registry``  the registry that a configuration names
- ``sharing``          models in use go to the shared registry, now or later
- ``records``          what is known of each registered model
- ``facts``            what it is and was made from, line by line
- ``description``      all that is told of it, for its card, its page and the terminal
- ``intent_records``   which intent head serves with which encoder
- ``intent_sharing``   intent heads go to the shared registry and come from it
- ``card``             it as Markdown
- ``exchange``         models come here from elsewhere, and go there
- ``export``           a registered model as a folder for others
- ``retention``        what nothing will serve again is removed
"""
