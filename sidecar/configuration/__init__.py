"""What a user may say: one file for each table of the configuration.

Files, in the order the data meets them:

- ``durations``    ``30s``, ``12h``, ``1d12h``
- ``cron``         cron lines, read as cron reads them
- ``paths``        paths are read from the configuration's own folder
- ``errors``       wrong fields, one line each
- ``settings``     what every table of the configuration is made of
- ``logs``         a click log's settings, checked by its plugin
- ``hooks``        what a user may say about hooks
- ``text_models``  models that write queries or read pairs for the miners
- ``privacy``      what a user may say about people's privacy
- ``tune``         what a user may say about learning
- ``swap``         what a user may say about re-embedding
- ``intent``       what a user may say about query intent
- ``throttle``     what a user may say about when a run must wait
- ``registry``     what a user may say about shared models and signatures
- ``target``       what a user may say about one target
- ``text_fields``  which fields of an index are likely its text
"""
