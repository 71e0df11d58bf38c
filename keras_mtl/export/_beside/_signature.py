"""manifest.sig: the signature of a manifest, by an Ed25519 key."""

import os
import pathlib
from collections.abc import Sequence
from typing import Any

from keras_mtl.export._beside._manifest import (
    FILE,
    SIGNATURE_FILE,
    Manifest,
    check_files,
    check_manifest,
    parse_manifest,
)
from keras_mtl.export._beside._refused import RefusedVersion

Path = str | os.PathLike[str]


def sign(folder: Path, private_key: Path, *, password: bytes | None = None) -> pathlib.Path:
    """Signs the manifest of a version, so that servers can tell who wrote it.

    The manifest names the SHA-256 of every other file, so that its signature is one of the whole
    version. Sign last: whatever writes the manifest anew (another format, a model card) removes the
    signature. Sign before a server sees the version: export to a folder beside the served one, sign
    there, and rename.

    The signature is the 64 bytes of Ed25519 over `manifest.json`, and OpenSSL makes and verifies
    the same. A key pair is made by

        openssl genpkey -algorithm ed25519 -out private.pem
        openssl pkey -in private.pem -pubout -out public.pem

    Args:
        folder: The folder of a version.
        private_key: A PEM file with an Ed25519 key. Keep it where no server can read it.
        password: The password of the file. Defaults to `None`: it is not encrypted.

    Returns:
        The file `manifest.sig`.

    Raises:
        RefusedVersion: If the folder is not what its manifest says.
        ValueError: If the key is of another kind, or the password is wrong.
        ImportError: If `cryptography` is not installed; it comes with the extra `sign`.

    Example:
        >>> import pathlib, tempfile
        >>> from cryptography.hazmat.primitives import serialization
        >>> from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        >>> import keras
        >>> import keras_mtl as mtl
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> key = Ed25519PrivateKey.generate()
        >>> private = key.private_bytes(
        ...     serialization.Encoding.PEM,
        ...     serialization.PrivateFormat.PKCS8,
        ...     serialization.NoEncryption(),
        ... )
        >>> public = key.public_key().public_bytes(
        ...     serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ... )
        >>> _ = (folder / "private.pem").write_bytes(private)
        >>> _ = (folder / "public.pem").write_bytes(public)
        >>> tasks = [mtl.Task.binary("click")]
        >>> network = mtl.architectures.hard_sharing(keras.Input((4,), name="user"), tasks)
        >>> version = mtl.export.saved_model(network, tasks, folder / "shop" / "1")
        >>> sign(version, folder / "private.pem").name
        'manifest.sig'
        >>> len(verify_signature(version, folder / "public.pem").files) > 4
        True
    """
    folder = pathlib.Path(folder)
    check_manifest(folder)
    key = _load("load_pem_private_key", private_key, password)
    signature = key.sign((folder / FILE).read_bytes())
    unfinished = folder.with_name(f".{folder.name}.{SIGNATURE_FILE}.writing-{os.getpid()}")
    try:
        unfinished.write_bytes(signature)
        os.replace(unfinished, folder / SIGNATURE_FILE)
    finally:
        unfinished.unlink(missing_ok=True)
    return folder / SIGNATURE_FILE


def verify_signature(folder: Path, public_key: Path | Sequence[Path]) -> Manifest:
    """Verifies who wrote a version, and that it holds exactly the files that were signed.

    Servers call it in place of `check_manifest`, before they audit and load. It imports neither
    Keras nor TensorFlow.

    Args:
        folder: The folder of a version.
        public_key: A PEM file with an Ed25519 key, or several, of which one must have signed:
            while a key is replaced, the old one and the new one.

    Returns:
        What the manifest says.

    Raises:
        RefusedVersion: If there is no signature, none of the keys made it, or the folder is not
            what its manifest says.
        ValueError: If a key is of another kind, or there is none.
        ImportError: If `cryptography` is not installed; it comes with the extra `sign`.

    Example:
        See `export.sign`.

        >>> import tempfile
        >>> verify_signature(tempfile.mkdtemp(), [])
        Traceback (most recent call last):
        ...
        ValueError: public_key names no key; expected at least one PEM file.
    """
    folder = pathlib.Path(folder)
    keys = read_public_keys(public_key)
    if (folder / FILE).is_symlink():
        raise RefusedVersion(f"{folder / FILE} is a symbolic link; a version holds files alone.")
    try:
        signature = (folder / SIGNATURE_FILE).read_bytes()
        content = (folder / FILE).read_bytes()
    except OSError as error:
        raise RefusedVersion(
            f"{folder} is not signed: {SIGNATURE_FILE} or {FILE} cannot be read ({error})."
        ) from error
    if not any(_verifies(key, signature, content) for key in keys):
        raise RefusedVersion(
            f"{folder / SIGNATURE_FILE} is not the signature of this {FILE} by any of the "
            f"{len(keys)} trusted keys."
        )
    # The manifest that was verified is the one that counts, even if the file changes meanwhile.
    return check_files(folder, parse_manifest(folder / FILE, content))


def read_public_keys(public_key: Path | Sequence[Path]) -> list[Any]:
    """Returns the Ed25519 keys of one PEM file or several.

    Raises:
        ValueError: If a key is of another kind, or there is none.
        ImportError: If `cryptography` is not installed.
    """
    paths = [public_key] if isinstance(public_key, str | os.PathLike) else list(public_key)
    if not paths:
        raise ValueError("public_key names no key; expected at least one PEM file.")
    return [_load("load_pem_public_key", path) for path in paths]


def _verifies(key: Any, signature: bytes, content: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(signature, content)
    except InvalidSignature:
        return False
    return True


def _load(loader: str, path: Path, *arguments: Any) -> Any:
    """Returns the Ed25519 key of a PEM file.

    Raises:
        ValueError: If the file holds something else.
        ImportError: If `cryptography` is not installed.
    """
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise ImportError(
            "Signatures need the package cryptography: pip install 'keras_mtl[sign]'."
        ) from error
    try:
        key = getattr(serialization, loader)(pathlib.Path(path).read_bytes(), *arguments)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{str(path)!r} cannot be read as a key: {error}.") from error
    if not isinstance(key, ed25519.Ed25519PrivateKey | ed25519.Ed25519PublicKey):
        raise ValueError(
            f"{str(path)!r} holds a {type(key).__name__}; expected an Ed25519 key, as made by "
            "openssl genpkey -algorithm ed25519."
        )
    return key
