"""Signatures by OpenSSH: `ssh-keygen -Y sign` and `-Y verify`, with a namespace of the suite's own.

A key that signs for one purpose cannot be made to sign for another: the namespace stands in what is signed.
Source: ssh-keygen(1), "-Y sign"; PROTOCOL.sshsig of OpenSSH.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from suite.core.errors import ConfigError
from suite.core.printable import printable

NAMESPACE = "swiftbench"
MAX_BYTES = 2**16
_TIMEOUT_S = 30.0


def sign(path: Path, key: Path) -> Path:
    """Sign a file with a private key (or a public one whose private half an agent holds); returns FILE.sig.

    Raises ConfigError where ssh-keygen is missing or refuses.
    """
    signature = path.with_name(f"{path.name}.sig")
    signature.unlink(missing_ok=True)
    # The user may have to type the key's passphrase: input is not taken away.
    code, words = _ssh_keygen(["-Y", "sign", "-f", str(key), "-n", NAMESPACE, str(path)], None)
    if code or not signature.is_file():
        raise ConfigError(
            f"sign={printable(key.name)}: {words}; name a key that ssh-keygen can use."
        )
    return signature


def signers(text: bytes, signature: bytes, allowed: Path) -> tuple[str | None, str]:
    """(who signed it, by the checker's allowed-signers file; None: nobody of them, what ssh-keygen said).

    Raises ConfigError where ssh-keygen or the file is missing.
    """
    if not allowed.is_file():
        raise ConfigError(
            f"allowed-signers={printable(allowed)}: no such file; a line is NAME KEYTYPE KEY (ssh-keygen(1))."
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "signature"
        path.write_bytes(signature)
        named = ["-s", str(path), "-n", NAMESPACE, "-f", str(allowed)]
        code, words = _ssh_keygen(
            ["-Y", "find-principals", "-s", str(path), "-f", str(allowed)], b""
        )
        for who in words.split("\n") if code == 0 else ():
            code, said = _ssh_keygen(["-Y", "verify", "-I", who, *named], text)
            if code == 0:
                return who, said
            words = said
    return None, words


def _ssh_keygen(words: Sequence[str], text: bytes | None) -> tuple[int, str]:
    try:
        done = subprocess.run(
            ["ssh-keygen", *words], input=text, capture_output=True, timeout=_TIMEOUT_S
        )
    except FileNotFoundError:
        raise ConfigError("ssh-keygen: not found; install OpenSSH's client.") from None
    except subprocess.TimeoutExpired:
        return 1, f"no answer within {_TIMEOUT_S:g} s"
    said = (done.stdout if done.returncode == 0 else done.stderr or done.stdout).decode(
        errors="replace"
    )
    return done.returncode, printable(said.strip(), lines=True, most=400)
