# SPDX-License-Identifier: Apache-2.0
"""A stand-in for the HTTP API of AWS KMS, with real secp256k1 keys."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
SECRET_ACCESS_KEY = "wJalrXUtnFEMI"


class Kms:
    """GetPublicKey and Sign of AWS KMS, as JSON 1.1 over HTTP.

    Parameters
    ----------
    secrets
        Private key by the alias under which it is known.
    """

    def __init__(self, secrets: Mapping[str, int]) -> None:
        self.keys = {alias: ec.derive_private_key(secret, ec.SECP256K1()) for alias, secret in secrets.items()}
        self.high_s = False
        self.asked: list[tuple[str, dict[str, Any], str]] = []
        kms = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                operation = self.headers["X-Amz-Target"].removeprefix("TrentService.")
                kms.asked.append((operation, request, self.headers.get("Authorization", "")))
                status, answer = kms._answer(operation, request)
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.environment = {
            "AWS_ENDPOINT_URL_KMS": f"http://127.0.0.1:{self._server.server_address[1]}",
            "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, operation: str, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        key = self.keys.get(request["KeyId"])
        if key is None:
            return 400, {"__type": "NotFoundException", "message": "no such key"}
        if operation == "GetPublicKey":
            der = key.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            return 200, {"KeyId": "k", "PublicKey": base64.b64encode(der).decode(), "KeySpec": "ECC_SECG_P256K1"}
        assert (operation, request["MessageType"], request["SigningAlgorithm"]) == ("Sign", "DIGEST", "ECDSA_SHA_256")
        digest = base64.b64decode(request["Message"])
        r, s = utils.decode_dss_signature(key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256()))))
        low = min(s, ORDER - s)
        der = utils.encode_dss_signature(r, ORDER - low if self.high_s else low)
        return 200, {"KeyId": "k", "Signature": base64.b64encode(der).decode()}
