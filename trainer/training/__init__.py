"""An encoder is trained: pairs in batches, on devices, step by step.

Files, in the order the data meets them:

- ``batches``          which pairs learn together
- ``batch_loading``    their texts become tokens
- ``batch_stream``     batches on their device when they are wanted
- ``devices``          where training runs, and in which numbers
- ``launching``        a training on several GPUs, a process each
- ``preparing``        which weights train
- ``frozen_layers``    what layers that do not train put out, kept
- ``optimising``       how weights move: optimiser, layers, schedule
- ``watching``         what looks on while an encoder trains
- ``utilisation``      how busy it keeps what it runs on
- ``tuned``            what comes of a training
- ``library_trainer``  sentence-transformers' Trainer, followed step by step
- ``replay``           general texts keep their vectors while pairs teach
- ``trackers``         what `report_to` names is told settings and figures
- ``tuning``           the training loop
"""
