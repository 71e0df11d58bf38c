"""The command `python -m keras_mtl.serve FOLDER`."""

from keras_mtl.serving._command import main

if __name__ == "__main__":
    main()
