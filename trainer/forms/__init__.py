"""An encoder in another form, with proof that both agree.

Files, in the order the data meets them:

- ``parity``        how near another form of an encoder is to it
- ``export``        a trained folder becomes ONNX, with proof that both agree
- ``import_model``  a model from outside enters the registry
- ``query_map``     a linear map after an encoder, for queries alone
- ``quantise``      an encoder's int8 form, a candidate of its own
"""
