"""Only a version that a trusted key has signed, and that is whole, passes."""

import shutil
import subprocess

import pytest

from keras_mtl.export import RefusedVersion, sign, verify_signature
from keras_mtl.export._beside import _signature
from keras_mtl.export._beside._manifest import write_manifest

serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
from cryptography.hazmat.primitives.asymmetric import ec, ed25519  # noqa: E402

PEM = serialization.Encoding.PEM


def write_keys(folder, name, key=None, encryption=None):
    """Writes a new pair of keys; returns the paths of the private and of the public one."""
    key = key or ed25519.Ed25519PrivateKey.generate()
    private, public = folder / f"{name}.pem", folder / f"{name}.public.pem"
    encryption = encryption or serialization.NoEncryption()
    private.write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, encryption))
    public.write_bytes(
        key.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public


@pytest.fixture
def keys(tmp_path):
    return write_keys(tmp_path, "maker")


@pytest.fixture
def folder(tmp_path):
    version = tmp_path / "shop" / "1"
    version.mkdir(parents=True)
    (version / "saved_model.pb").write_bytes(b"graph")
    write_manifest(version)
    return version


def test_a_signed_version_passes_under_its_own_key_alone(folder, keys, tmp_path):
    assert sign(folder, keys[0]) == folder / "manifest.sig"
    _, other = write_keys(tmp_path, "other")
    assert "saved_model.pb" in verify_signature(folder, keys[1]).files
    assert "saved_model.pb" in verify_signature(folder, [other, keys[1]]).files
    with pytest.raises(RefusedVersion, match="by any of the 1 trusted keys"):
        verify_signature(folder, other)
    assert [path.name for path in folder.parent.iterdir()] == ["1"]


def test_a_changed_version_is_refused_even_with_a_manifest_written_anew(folder, keys):
    sign(folder, keys[0])
    signature = (folder / "manifest.sig").read_bytes()
    (folder / "saved_model.pb").write_bytes(b"grapH")
    with pytest.raises(RefusedVersion, match="is not the file that was exported"):
        verify_signature(folder, keys[1])
    with pytest.raises(RefusedVersion, match="is not the file that was exported"):
        sign(folder, keys[0])
    write_manifest(folder)
    with pytest.raises(RefusedVersion, match="is not signed"):
        verify_signature(folder, keys[1])
    (folder / "manifest.sig").write_bytes(signature)
    with pytest.raises(RefusedVersion, match="is not the signature of this manifest"):
        verify_signature(folder, keys[1])


def test_a_manifest_that_is_exchanged_after_it_was_verified_does_not_count(
    folder, keys, monkeypatch
):
    sign(folder, keys[0])
    verifies = _signature._verifies

    def exchange(key, signature, content):
        (folder / "saved_model.pb").write_bytes(b"grapH")
        write_manifest(folder)  # of the changed file
        return verifies(key, signature, content)

    monkeypatch.setattr(_signature, "_verifies", exchange)
    with pytest.raises(RefusedVersion, match="is not the file that was exported"):
        verify_signature(folder, keys[1])


@pytest.mark.parametrize("content", [b"", b"\0" * 64, b"x" * 100_000])
def test_a_signature_of_other_bytes_is_refused(folder, keys, content):
    (folder / "manifest.sig").write_bytes(content)
    with pytest.raises(RefusedVersion, match="is not the signature"):
        verify_signature(folder, keys[1])


def test_openssl_verifies_a_signature_and_makes_one_that_passes(folder, keys):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    sign(folder, keys[0])
    raw = ["openssl", "pkeyutl", "-rawin", "-in", str(folder / "manifest.json")]
    verify = [*raw, "-verify", "-pubin", "-inkey", str(keys[1])]
    verify += ["-sigfile", str(folder / "manifest.sig")]
    assert b"Successfully" in subprocess.run(verify, check=True, capture_output=True).stdout
    (folder / "manifest.sig").unlink()
    make = [*raw, "-sign", "-inkey", str(keys[0]), "-out", str(folder / "manifest.sig")]
    subprocess.run(make, check=True, capture_output=True)
    verify_signature(folder, keys[1])


def test_keys_that_cannot_be_used_are_refused(folder, keys, tmp_path):
    encrypted, _ = write_keys(
        tmp_path, "encrypted", encryption=serialization.BestAvailableEncryption(b"word")
    )
    with pytest.raises(ValueError, match=r"encrypted.pem' cannot be read as a key"):
        sign(folder, encrypted)
    sign(folder, encrypted, password=b"word")
    curve, _ = write_keys(tmp_path, "curve", ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(ValueError, match="expected an Ed25519 key"):
        sign(folder, curve)
    with pytest.raises(ValueError, match="cannot be read as a key"):
        verify_signature(folder, keys[0])
