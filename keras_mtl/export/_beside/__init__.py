"""The files beside a SavedModel: what it answers, a smoke test, and the digests of all files.

Servers read them before they load anything, so the modules of the first list import neither Keras
nor TensorFlow.

    _refused        `RefusedVersion`, the error of all checks
    _json_files     JSON objects with a format number, written and read
    _interface      outputs.json: inputs, signatures and tasks
    _recorded       recorded.json: rows and answers for a smoke test after loading
    _manifest       manifest.json: the SHA-256 of every other file
    _place          a file that is added to a version, which is whole at any moment
    _signature      manifest.sig: the signature of the manifest by an Ed25519 key
    _model_card     model_card.md, for people

    _describe_interface   makes outputs.json from a network, its tasks and its signatures
    _example_rows         rows that a network takes, made from its inputs
    _warm_up              requests that TensorFlow Serving runs before a version answers
    _write_beside         writes the files into the folder of a version
"""
